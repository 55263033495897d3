//! What most expressions are made of, compiled: fields, compared and computed with, without the interpreter.
//!
//! CEL's interpreter makes a value of its own of everything that it meets, which takes longer than reading the record. So here is
//! what costs the least for what is met most. The interpreter has the last word: wherever something fails, or is not known here,
//! it evaluates the expression again, so that results and errors are always its own. A test holds the two against each other.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapExpr, operators};

use super::{
    Needs, reading,
    scalar::{Operation, Scalar, Stop},
    seen::{Field, Seen},
};
use crate::value::{ByteString, Fields, Paths, Value, Wanted};

/// An expression that can be evaluated without the interpreter, at least for some records.
pub struct Compiled {
    root: Node,
    /// Where the fields are that it looks into; `None` where they are too many, or it looks at the value as a whole, or at
    /// an object and at a field of it.
    pub paths: Option<Paths>,
}

enum Node {
    Literal(Scalar<'static>),
    Field(Field),
    Has(Field),
    Header(String),
    /// The key, or the field of it at that path.
    Key(Vec<String>),
    Topic,
    Partition,
    Offset,
    Not(Box<Node>),
    Negative(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Operation(Operation, Box<[Node; 2]>),
    In(Box<Node>, Vec<Scalar<'static>>),
    Conditional(Box<[Node; 3]>),
    Map(Vec<(ByteString, Node)>),
    List(Vec<Node>),
    /// What only the interpreter can do.
    Rest,
}

/// Compiles an expression, as it was parsed; `None` where only the interpreter can evaluate it.
pub fn compile(root: &IdedExpr, needs: &Needs) -> Option<Box<Compiled>> {
    let mut compiler = Compiler { paths: Some(Paths::default()), fields: Vec::new() };
    let root = compiler.node(root);
    // What only the interpreter looks into is looked for too: where the parser would refuse it, it is not left out.
    compiler.add(&mut Vec::new(), &needs.value);
    (!matches!(root, Node::Rest)).then(|| Box::new(Compiled { root, paths: compiler.paths }))
}

struct Compiler {
    paths: Option<Paths>,
    /// The paths of all fields so far.
    fields: Vec<Vec<String>>,
}

impl Compiler {
    fn add<'a>(&mut self, path: &mut Vec<&'a str>, wanted: &'a Wanted) {
        let Wanted::Fields(fields) = wanted else {
            // The interpreter reads all of an object that is wanted, and fails where something in it does not fit, even if
            // only another field of it is looked at.
            let is_in_it = |field: &Vec<String>| {
                field.len() > path.len() && field.iter().zip(&*path).all(|(a, b)| a == b)
            };
            if self.fields.iter().any(is_in_it) {
                self.paths = None;
            }
            return self.place(path).map_or((), drop);
        };
        for (name, inner) in fields {
            path.push(name);
            self.add(path, inner);
            path.pop();
        }
    }

    fn place(&mut self, path: &[&str]) -> Option<usize> {
        let place = self.paths.as_mut()?.add(path);
        if place.is_none() {
            self.paths = None;
        }
        place
    }

    fn node(&mut self, part: &IdedExpr) -> Node {
        match &part.expr {
            Expr::Literal(literal) => scalar(literal).map_or(Node::Rest, Node::Literal),
            Expr::Select(select) if select.test => match reading::path(&select.operand).as_deref() {
                Some(["value", path @ ..]) => Node::Has(self.field(path.iter().chain([&&*select.field]))),
                _ => Node::Rest,
            },
            Expr::Map(map) => self.map(map),
            Expr::List(list) => self.list(list),
            _ => match reading::path(part).as_deref() {
                Some(["value", path @ ..]) => Node::Field(self.field(path.iter())),
                Some(["headers", name]) => Node::Header((*name).to_owned()),
                Some(["key", path @ ..]) => Node::Key(path.iter().map(|name| (*name).to_owned()).collect()),
                Some(["topic"]) => Node::Topic,
                Some(["partition"]) => Node::Partition,
                Some(["offset"]) => Node::Offset,
                _ => match &part.expr {
                    Expr::Call(call) => self.call(call).unwrap_or(Node::Rest),
                    _ => Node::Rest,
                },
            },
        }
    }

    fn field<'a>(&mut self, path: impl Iterator<Item = &'a &'a str>) -> Field {
        let path: Vec<&str> = path.copied().collect();
        let place = self.place(&path).unwrap_or_default();
        let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
        self.fields.push(path.clone());
        Field { path, place }
    }

    /// A part that must give a scalar; `None` where it cannot.
    fn operand(&mut self, part: &IdedExpr) -> Option<Box<Node>> {
        let node = self.node(part);
        (!matches!(node, Node::Rest | Node::Map(_) | Node::List(_))).then(|| Box::new(node))
    }

    fn operands(&mut self, one: &IdedExpr, other: &IdedExpr) -> Option<Box<[Node; 2]>> {
        Some(Box::new([*self.operand(one)?, *self.operand(other)?]))
    }

    fn call(&mut self, call: &CallExpr) -> Option<Node> {
        let name = call.func_name.as_str();
        Some(match (call.target.as_deref(), &call.args[..]) {
            (None, [of]) if name == operators::LOGICAL_NOT => Node::Not(self.operand(of)?),
            (None, [of]) if name == operators::NEGATE => Node::Negative(self.operand(of)?),
            (None, [one, other]) => match name {
                // What stands on the right may be the interpreter's: it is not asked where the left decides.
                operators::LOGICAL_AND => Node::And(Box::new([*self.operand(one)?, self.node(other)])),
                operators::LOGICAL_OR => Node::Or(Box::new([*self.operand(one)?, self.node(other)])),
                operators::IN => {
                    let Expr::List(list) = &other.expr else { return None };
                    Node::In(self.operand(one)?, literals(list)?)
                }
                _ => Node::Operation(Operation::of(name)?, self.operands(one, other)?),
            },
            (None, [condition, then, otherwise]) if name == operators::CONDITIONAL => {
                Node::Conditional(Box::new([
                    *self.operand(condition)?,
                    self.node(then),
                    self.node(otherwise),
                ]))
            }
            (Some(text), [part]) => Node::Operation(Operation::of_text(name)?, self.operands(text, part)?),
            _ => return None,
        })
    }

    fn map(&mut self, map: &MapExpr) -> Node {
        let mut fields: Vec<(ByteString, Node)> = Vec::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else { return Node::Rest };
            let Expr::Literal(LiteralValue::String(name)) = &entry.key.expr else { return Node::Rest };
            if entry.optional || fields.iter().any(|(known, _)| known == name.inner()) {
                return Node::Rest;
            }
            match self.node(&entry.value) {
                Node::Rest => return Node::Rest,
                node => fields.push((name.inner().into(), node)),
            }
        }
        Node::Map(fields)
    }

    fn list(&mut self, list: &ListExpr) -> Node {
        let nodes: Vec<Node> = list.elements.iter().map(|element| self.node(element)).collect();
        let rest = !list.optional_indices.is_empty() || nodes.iter().any(|node| matches!(node, Node::Rest));
        if rest { Node::Rest } else { Node::List(nodes) }
    }
}

fn literals(list: &ListExpr) -> Option<Vec<Scalar<'static>>> {
    let literal = |element: &IdedExpr| match &element.expr {
        Expr::Literal(literal) => scalar(literal),
        _ => None,
    };
    list.optional_indices.is_empty().then(|| list.elements.iter().map(literal).collect())?
}

fn scalar(literal: &LiteralValue) -> Option<Scalar<'static>> {
    Some(match literal {
        LiteralValue::Null => Scalar::Null,
        LiteralValue::Boolean(value) => Scalar::Bool(*value.inner()),
        LiteralValue::Int(n) => Scalar::Int(*n.inner()),
        LiteralValue::UInt(n) => Scalar::UInt(*n.inner()),
        LiteralValue::Double(n) => Scalar::Float(*n.inner()),
        LiteralValue::String(text) => Scalar::Text(text.inner().to_owned().into()),
        LiteralValue::Bytes(_) => return None,
    })
}

impl Compiled {
    /// Whether the condition holds; `None` where only the interpreter can tell.
    pub fn holds(&self, seen: &Seen<'_>) -> Option<bool> {
        self.root.bool(seen).ok()
    }

    /// What it gives; `None` where only the interpreter can tell. Maps and lists are made, and what is only copied stays as it
    /// came, as in `values.rs`.
    pub fn evaluate(&self, seen: &Seen<'_>) -> Option<Value> {
        self.root.make(seen).ok()
    }
}

impl Node {
    fn make(&self, seen: &Seen<'_>) -> Result<Value, Stop> {
        match self {
            Node::Field(field) => seen.copy(field),
            Node::Map(fields) => {
                let made = fields.iter().map(|(name, node)| Ok((name.clone(), node.make(seen)?)));
                Ok(Value::Map(made.collect::<Result<Fields, Stop>>()?))
            }
            Node::List(nodes) => {
                nodes.iter().map(|node| node.make(seen)).collect::<Result<_, _>>().map(Value::Array)
            }
            Node::Conditional(nodes) => self.taken(nodes, seen)?.make(seen),
            _ => self.scalar(seen)?.into_value(),
        }
    }

    fn scalar<'s>(&'s self, seen: &Seen<'s>) -> Result<Scalar<'s>, Stop> {
        Ok(match self {
            Node::Literal(literal) => literal.borrowed(),
            Node::Field(field) => seen.field(field)?,
            Node::Has(field) => Scalar::Bool(seen.has(field)?),
            Node::Header(name) => seen.header(name)?,
            Node::Key(path) => seen.key(path)?,
            Node::Topic => Scalar::Text(seen.topic().into()),
            Node::Partition => Scalar::Int(seen.partition()),
            Node::Offset => Scalar::Int(seen.offset()),
            Node::Not(of) => Scalar::Bool(!of.bool(seen)?),
            Node::Negative(of) => of.scalar(seen)?.negative()?,
            Node::And(both) => Scalar::Bool(!Node::decided(both, seen, false)?),
            Node::Or(both) => Scalar::Bool(Node::decided(both, seen, true)?),
            // CEL evaluates a function's arguments before what it is called on.
            Node::Operation(operation, both) if operation.is_of_text() => {
                let part = both[1].scalar(seen)?;
                operation.apply(both[0].scalar(seen)?, part)?
            }
            Node::Operation(operation, both) => {
                let one = both[0].scalar(seen)?;
                operation.apply(one, both[1].scalar(seen)?)?
            }
            Node::In(of, literals) => {
                let of = of.scalar(seen)?;
                Scalar::Bool(literals.iter().any(|literal| literal.equals(&of)))
            }
            Node::Conditional(nodes) => self.taken(nodes, seen)?.scalar(seen)?,
            Node::Map(_) | Node::List(_) | Node::Rest => return Err(Stop::Unknown),
        })
    }

    fn bool(&self, seen: &Seen<'_>) -> Result<bool, Stop> {
        match self.scalar(seen)? {
            Scalar::Bool(value) => Ok(value),
            _ => Err(Stop::Fails),
        }
    }

    fn taken<'n>(&self, nodes: &'n [Node; 3], seen: &Seen<'_>) -> Result<&'n Node, Stop> {
        Ok(&nodes[if nodes[0].bool(seen)? { 1 } else { 2 }])
    }

    /// Whether one of the two is what decides: false for `&&`, true for `||`. It does so whatever the other one is, and if that
    /// fails.
    fn decided(both: &[Node; 2], seen: &Seen<'_>, decides: bool) -> Result<bool, Stop> {
        let left = match both[0].bool(seen) {
            Ok(left) if left == decides => return Ok(true),
            Err(Stop::Unknown) => return Err(Stop::Unknown),
            left => left,
        };
        if both[1].bool(seen)? == decides {
            return Ok(true);
        }
        left.map(|_| false)
    }
}
