//! How what one schema has written is read as another one says: the specification's schema resolution, worked out once.

use std::collections::HashMap;

use super::{
    default,
    meant::{Blob, Integer},
    schema::{Field, Id, Kind, Schema},
};
use crate::value::{ByteString, Value};

/// What to do with the bytes, step by step.
#[derive(Debug)]
pub struct Plan {
    steps: Vec<Step>,
    pub root: Id,
}

/// What to do with the next bytes.
#[derive(Clone, Debug)]
pub enum Step {
    Null,
    Boolean,
    /// Of 32 bits, or of 64.
    Integer {
        long: bool,
        becomes: Integer,
    },
    Float,
    Double,
    /// A length and bytes.
    Bytes(Blob),
    Fixed(usize, Blob),
    /// What each symbol is for the reader.
    Enum(Vec<Option<ByteString>>),
    Array(Id),
    Map(Id),
    Record(Record),
    Union(Vec<Id>),
    /// The schemas do not fit, which matters only where such a value comes.
    Never(String),
}

#[derive(Clone, Debug)]
pub struct Record {
    /// The fields in the order in which they were written.
    pub written: Vec<Written>,
    /// Fields that were not written, and their place.
    pub defaults: Vec<(usize, ByteString, Value)>,
    /// Whether the fields come in the order in which the reader has them.
    pub in_order: bool,
}

/// A field that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its name for the reader and its place there; `None` where the reader does not have it.
    pub field: Option<(usize, ByteString)>,
    pub of: Id,
}

impl Plan {
    /// For values that `writer` has written, as `reader` says.
    pub fn new(writer: &Schema, reader: &Schema) -> Self {
        let mut planner =
            Planner { writer, reader, steps: Vec::new(), known: HashMap::new(), passed: HashMap::new() };
        let root = planner.step(writer.root(), reader.root());
        Plan { steps: planner.steps, root }
    }

    pub fn step(&self, id: Id) -> &Step {
        &self.steps[id]
    }
}

struct Planner<'a> {
    writer: &'a Schema,
    reader: &'a Schema,
    steps: Vec<Step>,
    known: HashMap<(Id, Id), Id>,
    /// Of types that the reader does not have.
    passed: HashMap<Id, Id>,
}

impl Planner<'_> {
    fn step(&mut self, writer: Id, reader: Id) -> Id {
        if let Some(id) = self.known.get(&(writer, reader)) {
            return *id;
        }
        let id = self.steps.len();
        // It may lead back to itself.
        self.known.insert((writer, reader), id);
        self.steps.push(Step::Null);
        self.steps[id] = self.made(writer, reader);
        id
    }

    fn made(&mut self, from: Id, to: Id) -> Step {
        let (writer, reader) = (self.writer, self.reader);
        let (one, other) = (writer.of(from), reader.of(to));
        let logical = other.logical;
        match (&one.kind, &other.kind) {
            (Kind::Union(branches), _) => {
                Step::Union(branches.iter().map(|branch| self.step(*branch, to)).collect())
            }
            (_, Kind::Union(branches)) => match self.branch(from, branches) {
                Some(branch) => self.made(from, branch),
                None => Step::Never(self.differ(from, to)),
            },
            (Kind::Null, Kind::Null) => Step::Null,
            (Kind::Boolean, Kind::Boolean) => Step::Boolean,
            (Kind::Int, Kind::Int | Kind::Long) => {
                Step::Integer { long: false, becomes: Integer::of(logical) }
            }
            (Kind::Long, Kind::Long) => Step::Integer { long: true, becomes: Integer::of(logical) },
            (Kind::Int | Kind::Long, Kind::Float) => {
                Step::Integer { long: one.kind == Kind::Long, becomes: Integer::Float }
            }
            (Kind::Int | Kind::Long, Kind::Double) => {
                Step::Integer { long: one.kind == Kind::Long, becomes: Integer::Double }
            }
            (Kind::Float, Kind::Float | Kind::Double) => Step::Float,
            (Kind::Double, Kind::Double) => Step::Double,
            (Kind::Bytes | Kind::String, Kind::Bytes | Kind::String) => {
                Step::Bytes(Blob::of(&other.kind, logical))
            }
            (Kind::Fixed(size), Kind::Fixed(wanted)) if size == wanted && self.same_name(from, to) => {
                Step::Fixed(*size, Blob::of(&other.kind, logical))
            }
            (Kind::Enum { symbols, .. }, Kind::Enum { symbols: wanted, default })
                if self.same_name(from, to) =>
            {
                let known = |symbol: &ByteString| wanted.iter().find(|known| *known == symbol);
                Step::Enum(symbols.iter().map(|symbol| known(symbol).or(default.as_ref()).cloned()).collect())
            }
            (Kind::Array(items), Kind::Array(wanted)) => Step::Array(self.step(*items, *wanted)),
            (Kind::Map(values), Kind::Map(wanted)) => Step::Map(self.step(*values, *wanted)),
            // As in Java, the names of records matter only in unions.
            (Kind::Record(fields), Kind::Record(wanted)) => self.record(fields, wanted),
            _ => Step::Never(self.differ(from, to)),
        }
    }

    fn differ(&self, from: Id, to: Id) -> String {
        let (from, to) = (self.writer.of(from), self.reader.of(to));
        let named = |name: &str, kind: &Kind| match name {
            "" => kind.name().to_owned(),
            name => format!("{} `{name}`", kind.name()),
        };
        format!(
            "what was written as {} cannot be read as {}",
            named(&from.name, &from.kind),
            named(&to.name, &to.kind)
        )
    }

    fn record(&mut self, fields: &[Field], wanted: &[Field]) -> Step {
        let place = |field: &Field| {
            let by_name = wanted.iter().position(|wanted| wanted.name == field.name);
            let alias = |wanted: &Field| wanted.aliases.iter().any(|alias| *alias == *field.name);
            by_name.or_else(|| {
                // One that is written under its own name is not looked for under another.
                let own = |wanted: &&Field| fields.iter().any(|field| field.name == wanted.name);
                wanted.iter().position(|wanted| alias(wanted) && !own(&wanted))
            })
        };
        let places: Vec<Option<usize>> = fields.iter().map(place).collect();
        let mut defaults = Vec::new();
        for (place, field) in wanted.iter().enumerate() {
            if places.contains(&Some(place)) {
                continue;
            }
            let Some(default) = &field.default else {
                return Step::Never(format!(
                    "the field `{}` was not written, and has no default",
                    field.name
                ));
            };
            match default::value(self.reader, field.of, default) {
                Ok(value) => defaults.push((place, field.name.clone(), value)),
                Err(reason) => {
                    return Step::Never(format!("the default of the field `{}`: {reason}", field.name));
                }
            }
        }
        let written = fields.iter().zip(&places).map(|(field, place)| match place {
            Some(place) => Written {
                field: Some((*place, wanted[*place].name.clone())),
                of: self.step(field.of, wanted[*place].of),
            },
            // It is passed over as it was written.
            None => Written { field: None, of: self.passed(field.of) },
        });
        let written: Vec<Written> = written.collect();
        let in_order = defaults.is_empty() && places.iter().flatten().is_sorted();
        Step::Record(Record { written, defaults, in_order })
    }

    /// A step for bytes that nobody reads.
    fn passed(&mut self, from: Id) -> Id {
        if let Some(id) = self.passed.get(&from) {
            return *id;
        }
        let id = self.steps.len();
        self.passed.insert(from, id);
        self.steps.push(Step::Null);
        let writer = self.writer;
        self.steps[id] = match &writer.of(from).kind {
            Kind::Null => Step::Null,
            Kind::Boolean => Step::Boolean,
            Kind::Int => Step::Integer { long: false, becomes: Integer::Number },
            Kind::Long => Step::Integer { long: true, becomes: Integer::Number },
            Kind::Float => Step::Float,
            Kind::Double => Step::Double,
            Kind::Bytes | Kind::String => Step::Bytes(Blob::Bytes),
            Kind::Fixed(size) => Step::Fixed(*size, Blob::Bytes),
            Kind::Enum { symbols, .. } => Step::Enum(symbols.iter().cloned().map(Some).collect()),
            Kind::Array(items) => Step::Array(self.passed(*items)),
            Kind::Map(values) => Step::Map(self.passed(*values)),
            Kind::Union(branches) => {
                Step::Union(branches.iter().map(|branch| self.passed(*branch)).collect())
            }
            Kind::Record(fields) => {
                let written =
                    fields.iter().map(|field| Written { field: None, of: self.passed(field.of) }).collect();
                Step::Record(Record { written, defaults: Vec::new(), in_order: true })
            }
        };
        id
    }

    /// The branch of the reader's union that a value is read as: one of its own type, else one that it can become.
    fn branch(&self, from: Id, branches: &[Id]) -> Option<Id> {
        let one = self.writer.of(from);
        let is =
            |kind: fn(&Kind) -> bool| branches.iter().copied().find(|id| kind(&self.reader.of(*id).kind));
        let same = |id: &&Id| {
            let other = self.reader.of(**id);
            std::mem::discriminant(&one.kind) == std::mem::discriminant(&other.kind)
        };
        let full = |id: &&Id| {
            let other = self.reader.of(**id);
            other.name == one.name || other.aliases.contains(&one.name)
        };
        let mut like = branches.iter().filter(same);
        like.clone()
            .find(full)
            .or_else(|| like.clone().find(|id| self.same_name(from, **id)))
            // Records of other names are told apart by their fields, as in Java.
            .or_else(|| like.find(|id| self.fits(from, **id)))
            .copied()
            .or_else(|| match one.kind {
                Kind::Int => is(|kind| *kind == Kind::Long)
                    .or_else(|| is(|kind| *kind == Kind::Float))
                    .or_else(|| is(|kind| *kind == Kind::Double)),
                Kind::Long => is(|kind| *kind == Kind::Float).or_else(|| is(|kind| *kind == Kind::Double)),
                Kind::Float => is(|kind| *kind == Kind::Double),
                Kind::Bytes => is(|kind| *kind == Kind::String),
                Kind::String => is(|kind| *kind == Kind::Bytes),
                _ => None,
            })
    }

    /// Whether a record has all fields that another one needs.
    fn fits(&self, from: Id, to: Id) -> bool {
        let (Kind::Record(fields), Kind::Record(wanted)) =
            (&self.writer.of(from).kind, &self.reader.of(to).kind)
        else {
            return false;
        };
        wanted
            .iter()
            .all(|wanted| wanted.default.is_some() || fields.iter().any(|field| field.name == wanted.name))
    }

    /// Whether a type goes by the same name, its namespace aside, or by one of its aliases.
    fn same_name(&self, from: Id, to: Id) -> bool {
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        let (one, other) = (self.writer.of(from), self.reader.of(to));
        last(&one.name) == last(&other.name) || other.aliases.contains(&one.name)
    }
}
