//! An Avro schema (specification 1.12), from its JSON.
//!
//! All types are in one list and refer to each other by their place in it, so that a recursive schema is no special case.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};
use thiserror::Error;

use crate::value::ByteString;

/// Types within types within a schema's text.
const DEPTH: usize = 128;

/// A type's place in its schema.
pub type Id = usize;

/// What is wrong with a schema.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
#[error("{0}")]
pub struct SchemaError(pub String);

/// A schema that was read and checked.
#[derive(Clone, PartialEq, Debug)]
pub struct Schema {
    types: Vec<Type>,
    root: Id,
}

/// One type of a schema.
#[derive(Clone, PartialEq, Debug)]
pub struct Type {
    /// The full name, with its namespace; empty where the type has none.
    pub name: String,
    /// Other full names that it goes by.
    pub aliases: Vec<String>,
    pub kind: Kind,
    pub logical: Option<Logical>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(Id),
    Map(Id),
    Union(Vec<Id>),
    Record(Vec<Field>),
    Enum { symbols: Vec<ByteString>, default: Option<ByteString> },
    Fixed(usize),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Field {
    pub name: ByteString,
    pub aliases: Vec<String>,
    pub default: Option<Json>,
    pub of: Id,
}

/// What the bytes of a type stand for. One that is not known, or does not fit its type, is passed over, as the specification
/// says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Logical {
    Decimal { precision: usize, scale: usize },
    Uuid,
    Date,
    Time(Unit),
    Timestamp(Unit),
    LocalTimestamp(Unit),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Schema {
    /// Reads a schema's JSON.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        Self::parse_with(text, &[])
    }

    /// The same, where it names types of other schemas, each of which may name types of those before it.
    ///
    /// # Errors
    /// The first thing that is wrong with one of them.
    pub fn parse_with(text: &str, references: &[String]) -> Result<Self, SchemaError> {
        let mut parser = Parser { types: Vec::new(), names: HashMap::new() };
        for reference in references {
            parser.read(&json(reference)?, "", DEPTH)?;
        }
        // The name of a type alone may stand without quotes, as some registries have it.
        let root = match json(text) {
            Ok(json) => parser.read(&json, "", DEPTH)?,
            Err(_) if primitive(text.trim()).is_some() => parser.read(&Json::from(text.trim()), "", DEPTH)?,
            Err(error) => return Err(error),
        };
        Ok(Schema { types: parser.types, root })
    }

    /// The type of the whole.
    pub fn root(&self) -> Id {
        self.root
    }

    pub(super) fn of(&self, id: Id) -> &Type {
        &self.types[id]
    }

    /// The full name of the record, or of another type that has one.
    pub fn name(&self) -> Option<&str> {
        Some(self.of(self.root).name.as_str()).filter(|name| !name.is_empty())
    }

    /// The fields, where it is a record.
    pub(super) fn fields(&self) -> Option<&[Field]> {
        match &self.of(self.root).kind {
            Kind::Record(fields) => Some(fields),
            _ => None,
        }
    }
}

fn json(text: &str) -> Result<Json, SchemaError> {
    serde_json::from_str(text).map_err(|error| SchemaError(format!("the schema is not JSON: {error}")))
}

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

struct Parser {
    types: Vec<Type>,
    /// By full name.
    names: HashMap<String, Id>,
}

type Read<T> = Result<T, SchemaError>;

fn wrong<T>(sentence: String) -> Read<T> {
    Err(SchemaError(sentence))
}

impl Parser {
    fn add(&mut self, kind: Kind, logical: Option<Logical>) -> Id {
        self.types.push(Type { name: String::new(), aliases: Vec::new(), kind, logical });
        self.types.len() - 1
    }

    fn read(&mut self, json: &Json, namespace: &str, depth: usize) -> Read<Id> {
        let Some(depth) = depth.checked_sub(1) else {
            return wrong(format!("the schema has more than {DEPTH} types within each other"));
        };
        match json {
            Json::String(name) => self.named(name, namespace),
            Json::Array(branches) => self.union(branches, namespace, depth),
            Json::Object(object) => self.object(object, namespace, depth),
            other => wrong(format!("a type is a name, an object or an array, and this is {other}")),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Read<Id> {
        if let Some(kind) = primitive(name) {
            return Ok(self.add(kind, None));
        }
        let full = qualified(name, namespace);
        match self.names.get(&full).or_else(|| self.names.get(name)) {
            Some(id) => Ok(*id),
            None => wrong(format!("there is no type `{full}`")),
        }
    }

    fn union(&mut self, branches: &[Json], namespace: &str, depth: usize) -> Read<Id> {
        let mut ids = Vec::with_capacity(branches.len());
        for branch in branches {
            let id = self.read(branch, namespace, depth)?;
            let same = |other: &Id| {
                let (one, other) = (&self.types[id], &self.types[*other]);
                std::mem::discriminant(&one.kind) == std::mem::discriminant(&other.kind)
                    && one.name == other.name
            };
            match &self.types[id].kind {
                Kind::Union(_) => return wrong("a union is directly within a union".to_owned()),
                kind if ids.iter().any(same) => {
                    return wrong(format!("a union has two branches of one type, {}", kind.name()));
                }
                _ => ids.push(id),
            }
        }
        if ids.is_empty() {
            return wrong("a union has no branches".to_owned());
        }
        Ok(self.add(Kind::Union(ids), None))
    }

    fn object(&mut self, object: &Map<String, Json>, namespace: &str, depth: usize) -> Read<Id> {
        let Some(written) = object.get("type") else {
            return wrong(format!("a type has no `type`: {}", excerpt(object)));
        };
        let Json::String(kind) = written else {
            return self.read(written, namespace, depth);
        };
        let inner = |key: &str| {
            let missing = || SchemaError(format!("a type `{kind}` has no `{key}`"));
            object.get(key).ok_or_else(missing)
        };
        match kind.as_str() {
            "array" => {
                let items = self.read(inner("items")?, namespace, depth)?;
                Ok(self.add(Kind::Array(items), None))
            }
            "map" => {
                let values = self.read(inner("values")?, namespace, depth)?;
                Ok(self.add(Kind::Map(values), None))
            }
            "record" | "error" => {
                let (id, namespace) = self.declare(object, namespace)?;
                let fields = self.fields(inner("fields")?, &namespace, depth)?;
                self.types[id].kind = Kind::Record(fields);
                Ok(id)
            }
            "enum" => {
                let symbols = strings(inner("symbols")?, "symbols")?;
                let symbols: Vec<ByteString> = symbols.into_iter().map(Into::into).collect();
                let default = object.get("default").and_then(Json::as_str).map(ByteString::from);
                if let Some(default) = default.as_ref().filter(|default| !symbols.contains(default)) {
                    return wrong(format!("the default `{default}` is none of its enum's symbols"));
                }
                let (id, _) = self.declare(object, namespace)?;
                self.types[id].kind = Kind::Enum { symbols, default };
                Ok(id)
            }
            "fixed" => {
                let size = inner("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                let Some(size) = size else {
                    return wrong("the `size` of a `fixed` is a number of bytes".to_owned());
                };
                let (id, _) = self.declare(object, namespace)?;
                self.types[id].kind = Kind::Fixed(size);
                self.types[id].logical = logical(object, &Kind::Fixed(size));
                Ok(id)
            }
            name => match primitive(name) {
                Some(kind) => {
                    let logical = logical(object, &kind);
                    Ok(self.add(kind, logical))
                }
                None => self.named(name, namespace),
            },
        }
    }

    /// Makes the name of a type known, before what is in it is read: it may name itself. Returns the namespace within it, too.
    fn declare(&mut self, object: &Map<String, Json>, namespace: &str) -> Read<(Id, String)> {
        let Some(name) = object.get("name").and_then(Json::as_str).filter(|name| !name.is_empty()) else {
            return wrong(format!("a type has no `name`: {}", excerpt(object)));
        };
        let own = object.get("namespace").and_then(Json::as_str).unwrap_or(namespace);
        let full = qualified(name, own);
        let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        let aliases = match object.get("aliases") {
            Some(aliases) => strings(aliases, "aliases")?,
            None => Vec::new(),
        };
        let aliases = aliases.iter().map(|alias| qualified(alias, &namespace)).collect();
        let id = self.add(Kind::Null, None);
        if self.names.insert(full.clone(), id).is_some() {
            return wrong(format!("there are two types `{full}`"));
        }
        (self.types[id].name, self.types[id].aliases) = (full, aliases);
        Ok((id, namespace))
    }

    fn fields(&mut self, json: &Json, namespace: &str, depth: usize) -> Read<Vec<Field>> {
        let Json::Array(list) = json else { return wrong("`fields` is not an array".to_owned()) };
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        for field in list {
            let Some(name) = field.get("name").and_then(Json::as_str) else {
                return wrong("a field has no `name`".to_owned());
            };
            if fields.iter().any(|other| other.name == name) {
                return wrong(format!("there are two fields `{name}` in one record"));
            }
            let Some(of) = field.get("type") else {
                return wrong(format!("the field `{name}` has no `type`"));
            };
            let aliases =
                field.get("aliases").map_or(Ok(Vec::new()), |aliases| strings(aliases, "aliases"))?;
            // The logical type of a plain one may stand beside it, by a common mistake; it does not count.
            let of = self.read(of, namespace, depth)?;
            fields.push(Field { name: name.into(), aliases, default: field.get("default").cloned(), of });
        }
        Ok(fields)
    }
}

fn qualified(name: &str, namespace: &str) -> String {
    match name.strip_prefix('.') {
        Some(name) => name.to_owned(),
        None if name.contains('.') || namespace.is_empty() => name.to_owned(),
        None => format!("{namespace}.{name}"),
    }
}

fn strings(json: &Json, what: &str) -> Read<Vec<String>> {
    let strings = json.as_array().and_then(|list| {
        list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
    });
    strings.ok_or_else(|| SchemaError(format!("`{what}` is not an array of strings")))
}

fn excerpt(object: &Map<String, Json>) -> String {
    let text = Json::Object(object.clone()).to_string();
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { short + "…" } else { text }
}

fn logical(object: &Map<String, Json>, kind: &Kind) -> Option<Logical> {
    use Unit::{Micros, Millis, Nanos};
    let number = |key: &str| object.get(key).and_then(Json::as_u64).and_then(|n| usize::try_from(n).ok());
    Some(match (object.get("logicalType")?.as_str()?, kind) {
        ("decimal", Kind::Bytes | Kind::Fixed(_)) => {
            let (precision, scale) = (number("precision")?, number("scale").unwrap_or(0));
            if precision == 0 || scale > precision {
                return None;
            }
            Logical::Decimal { precision, scale }
        }
        ("uuid", Kind::String | Kind::Fixed(16)) => Logical::Uuid,
        ("date", Kind::Int) => Logical::Date,
        ("time-millis", Kind::Int) => Logical::Time(Millis),
        ("time-micros", Kind::Long) => Logical::Time(Micros),
        ("timestamp-millis", Kind::Long) => Logical::Timestamp(Millis),
        ("timestamp-micros", Kind::Long) => Logical::Timestamp(Micros),
        ("timestamp-nanos", Kind::Long) => Logical::Timestamp(Nanos),
        ("local-timestamp-millis", Kind::Long) => Logical::LocalTimestamp(Millis),
        ("local-timestamp-micros", Kind::Long) => Logical::LocalTimestamp(Micros),
        ("local-timestamp-nanos", Kind::Long) => Logical::LocalTimestamp(Nanos),
        _ => return None,
    })
}

impl Kind {
    /// As the specification calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Float => "float",
            Kind::Double => "double",
            Kind::Bytes => "bytes",
            Kind::String => "string",
            Kind::Array(_) => "array",
            Kind::Map(_) => "map",
            Kind::Union(_) => "union",
            Kind::Record(_) => "record",
            Kind::Enum { .. } => "enum",
            Kind::Fixed(_) => "fixed",
        }
    }
}
