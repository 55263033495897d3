//! Avro's binary encoding (specification 1.12), with a schema from a file or a registry.
//!
//! Read and written from the bytes themselves: fields that nobody looks into are passed over, strings stay slices of the record,
//! and no length in a record is trusted. A library's own value would be made for every field, and then ours of it.

mod default;
mod from_json;
mod logical;
mod meant;
mod plan;
mod read;
mod schema;
mod to_json;
mod write;

pub use schema::Schema;

use std::sync::Arc;

use bytes::Bytes;

use self::{
    plan::Plan,
    schema::{Kind, Logical},
};
use super::error::ValueError;
use crate::{
    record::classes,
    registry::{Registry, RegistryError, Schemas, Subject, Written, frame, unframed},
    value::{Others, Value, Wanted},
};

/// What a registry calls such schemas.
const KIND: &str = "AVRO";

/// Avro with its schema.
#[derive(Debug)]
pub struct Avro(Schemed);

#[derive(Debug)]
enum Schemed {
    /// One for all values, which have nothing around them.
    File(Arc<Known>),
    Registry(Box<Registered>),
}

/// A schema that was written with, and how its values are read.
#[derive(Debug)]
struct Known {
    schema: Arc<Schema>,
    plan: Plan,
}

/// Values that begin with the id of the schema that they were written with.
#[derive(Debug)]
struct Registered {
    /// The text and the schema that is read and written with; where there is none, values are read as they were written.
    own: Option<(String, Arc<Schema>)>,
    /// Where a sink's schema is.
    subject: Option<Subject>,
    schemas: Schemas<Known>,
}

/// Whether bytes that one has written are right for the other.
impl PartialEq for Avro {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Schemed::File(one), Schemed::File(other)) => one.schema == other.schema,
            (Schemed::Registry(one), Schemed::Registry(other)) => {
                one.schemas.registry().settings().url == other.schemas.registry().settings().url
                    && one.text() == other.text()
            }
            _ => false,
        }
    }
}

impl Eq for Avro {}

impl Known {
    fn new(writer: Arc<Schema>, reader: &Schema) -> Self {
        let plan = Plan::new(&writer, reader);
        Known { schema: writer, plan }
    }
}

impl Avro {
    /// Values of this schema, without anything around them.
    pub fn new(schema: Schema) -> Self {
        let schema = Arc::new(schema);
        Avro(Schemed::File(Known::new(schema.clone(), &schema).into()))
    }

    /// Values with the id of their schema in front, as Confluent's serializers write them. They are read as `own` says, where it is
    /// given (with its text), and written with it; else with the newest schema of the subject.
    pub fn registered(registry: Registry, own: Option<(String, Schema)>, subject: Option<Subject>) -> Self {
        let own = own.map(|(text, schema)| (text, Arc::new(schema)));
        Avro(Schemed::Registry(Registered { own, subject, schemas: Schemas::new(registry) }.into()))
    }

    /// The schema that values are written with.
    pub(super) fn schema(&self) -> Result<Arc<Schema>, ValueError> {
        match &self.0 {
            Schemed::File(known) => Ok(known.schema.clone()),
            Schemed::Registry(registered) => Ok(registered.writer()?.1.schema.clone()),
        }
    }

    /// Whether a value can be read without asking a registry first.
    pub(super) fn is_at_hand(&self, bytes: &Bytes) -> bool {
        match &self.0 {
            Schemed::File(_) => true,
            // What has no id is refused without a question.
            Schemed::Registry(registered) => {
                unframed(bytes).map_or(true, |(id, _)| registered.schemas.known(id).is_some())
            }
        }
    }

    pub(super) fn read(&self, bytes: &Bytes, wanted: &Wanted, others: Others) -> Result<Value, ValueError> {
        let (known, inner) = self.known(bytes)?;
        read::value(&known.plan, &inner, wanted, others).map_err(not_avro)
    }

    /// The value as JSON, where that can be written without reading it first; else `None`.
    pub(super) fn as_json(&self, bytes: &Bytes) -> Option<Vec<u8>> {
        let (known, inner) = self.known(bytes).ok()?;
        to_json::text(&known.plan, &inner)
    }

    /// How a value is read, and the value without what is around it.
    fn known(&self, bytes: &Bytes) -> Result<(Arc<Known>, Bytes), ValueError> {
        match &self.0 {
            Schemed::File(known) => Ok((known.clone(), bytes.clone())),
            Schemed::Registry(registered) => {
                let (id, inner) = unframed(bytes).map_err(not_avro)?;
                Ok((registered.of_id(id)?, inner))
            }
        }
    }

    pub(super) fn write(&self, value: &Value) -> Result<Bytes, ValueError> {
        let (out, known) = self.writer()?;
        match write::value(&known.schema, value, out) {
            Ok(bytes) => Ok(bytes.into()),
            Err(reason) => {
                Err(ValueError::Unwritable(format!("the value does not fit the schema: {reason}")))
            }
        }
    }

    /// Writes JSON, where that can be done without reading it first; else `None`.
    pub(super) fn of_json(&self, text: &Bytes) -> Option<Vec<u8>> {
        let (out, known) = self.writer().ok()?;
        from_json::bytes(&known.schema, text, out)
    }

    /// What comes before a value, and what it is written with.
    fn writer(&self) -> Result<(Vec<u8>, Arc<Known>), ValueError> {
        match &self.0 {
            Schemed::File(known) => Ok((Vec::new(), known.clone())),
            Schemed::Registry(registered) => {
                let (id, known) = registered.writer()?;
                Ok((frame(id), known))
            }
        }
    }

    /// Asks the registry, where there is one, whether what would be written may be. Returns what is fine, in a sentence.
    pub(super) fn survey(&self) -> Result<Option<String>, RegistryError> {
        let Schemed::Registry(registered) = &self.0 else { return Ok(None) };
        let (registry, text) = (registered.schemas.registry(), registered.text());
        match &registered.subject {
            None => registry.answers().map(Some),
            Some(subject) => {
                registry.may_write(&registered.subject_name(subject), KIND, text, subject.register).map(Some)
            }
        }
    }
}

impl Registered {
    fn subject_name(&self, subject: &Subject) -> String {
        subject.name(self.own.as_ref().and_then(|(_, schema)| schema.name()))
    }

    fn of_id(&self, id: u32) -> Result<Arc<Known>, ValueError> {
        let make = |written: &Written| self.known(written);
        self.schemas.get(id, make).map_err(|error| ValueError::of_registry(error, classes::UNKNOWN_SCHEMA))
    }

    /// How values of a schema are read.
    fn known(&self, written: &Written) -> Result<Known, String> {
        if written.kind != KIND {
            return Err(format!("it is of the kind {}, and Avro is needed", written.kind));
        }
        let references: Vec<String> = written.references.iter().map(|(_, text)| text.clone()).collect();
        let schema = Schema::parse_with(&written.text, &references).map_err(|error| error.to_string())?;
        let schema = Arc::new(schema);
        let reader = self.own.as_ref().map_or(&schema, |(_, own)| own);
        Ok(Known::new(schema.clone(), reader))
    }

    /// The id and the schema that values are written with.
    fn writer(&self) -> Result<(u32, Arc<Known>), ValueError> {
        let Some(subject) = &self.subject else {
            return Err(ValueError::Unwritable("a source's format is not written with".to_owned()));
        };
        let own = || self.own.as_ref().map(|(_, schema)| Known::new(schema.clone(), schema));
        let make = |written: &Written| self.known(written);
        let name = || self.subject_name(subject);
        let written = self.schemas.written(name, KIND, self.text(), subject.register, own, make);
        written.map_err(|error| ValueError::of_registry(error, ""))
    }

    /// The text of its own schema.
    fn text(&self) -> Option<&str> {
        self.own.as_ref().map(|(text, _)| text.as_str())
    }
}

fn not_avro(reason: String) -> ValueError {
    ValueError::NotOfSchema(classes::NOT_AVRO, format!("the value is not Avro of its schema: {reason}"))
}

impl Schema {
    /// Whether its values are records.
    pub(super) fn is_record(&self) -> bool {
        self.fields().is_some()
    }

    /// The precision and scale of a field, where it is a decimal.
    pub(super) fn decimal(&self, name: &str) -> Option<(usize, usize)> {
        let field = self.fields()?.iter().find(|field| field.name == name)?;
        let branches = match &self.of(field.of).kind {
            Kind::Union(branches) => branches.clone(),
            _ => vec![field.of],
        };
        branches.iter().find_map(|branch| match self.of(*branch).logical? {
            Logical::Decimal { precision, scale } => Some((precision, scale)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod registry_tests;
#[cfg(test)]
mod tests;
