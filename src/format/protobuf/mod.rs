//! Protobuf messages, with a schema from a `.proto` file or a registry. `protox` compiles it, so that no `protoc` is needed.
//!
//! Fields go by the names in the file. One that keeps track of whether it is there (`optional`, a message, one of a `oneof`) is left
//! out where it is not; any other one has its default then.

mod read;
mod schema;
#[cfg(test)]
mod tests;
mod write;

pub use schema::Message;

use std::sync::Arc;

use bytes::Bytes;

use super::error::ValueError;
use crate::{
    record::classes,
    registry::{Registry, RegistryError, Schemas, Subject, Written, frame, unframed},
    value::{Others, Value, Wanted},
};

/// What a registry calls such schemas.
const KIND: &str = "PROTOBUF";

/// Protobuf with its schema.
#[derive(Debug)]
pub struct Protobuf(Schemed);

#[derive(Debug)]
enum Schemed {
    /// One for all values, which have nothing around them.
    File(Message),
    Registry(Box<Registered>),
}

/// Values that begin with the id of the schema that they were written with, and say which of its messages they are.
#[derive(Debug)]
struct Registered {
    /// The message that is read and written; where there is none, values are read as they were written.
    own: Option<Message>,
    /// Where a sink's schema is.
    subject: Option<Subject>,
    /// The first message of each.
    schemas: Schemas<Message>,
}

/// Whether bytes that one has written are right for the other.
impl PartialEq for Protobuf {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Schemed::File(one), Schemed::File(other)) => one == other,
            (Schemed::Registry(one), Schemed::Registry(other)) => {
                one.schemas.registry().settings().url == other.schemas.registry().settings().url
                    && one.own == other.own
            }
            _ => false,
        }
    }
}

impl Eq for Protobuf {}

impl Protobuf {
    /// Messages of this type, without anything around them.
    pub fn new(message: Message) -> Self {
        Protobuf(Schemed::File(message))
    }

    /// Messages with the id of their schema in front, as Confluent's serializers write them. They are read and written as `own`,
    /// where it is given; else written as the first message of the subject's newest schema.
    pub fn registered(registry: Registry, own: Option<Message>, subject: Option<Subject>) -> Self {
        Protobuf(Schemed::Registry(Registered { own, subject, schemas: Schemas::new(registry) }.into()))
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
        match &self.0 {
            Schemed::File(message) => read::value(message.descriptor(), bytes.clone(), wanted, others),
            Schemed::Registry(registered) => {
                let (id, inner) = unframed(bytes).map_err(not_protobuf)?;
                let (indexes, inner) = schema::indexes(inner).map_err(not_protobuf)?;
                let written = registered.of_id(id)?;
                let written = written.sibling(&indexes).map_err(not_protobuf)?;
                let message = match &registered.own {
                    None => written,
                    Some(own) if own.descriptor().full_name() == written.full_name() => {
                        own.descriptor().clone()
                    }
                    Some(own) => {
                        let own = own.descriptor().full_name();
                        let reason =
                            format!("it is the message {}, and {own} is wanted", written.full_name());
                        return Err(not_protobuf(reason));
                    }
                };
                read::value(&message, inner, wanted, others)
            }
        }
    }

    pub(super) fn write(&self, value: &Value) -> Result<Bytes, ValueError> {
        match &self.0 {
            Schemed::File(message) => write::value(message.descriptor(), value, Vec::new()),
            Schemed::Registry(registered) => {
                let (id, message) = registered.writer()?;
                let mut out = frame(id);
                message.push_indexes(&mut out);
                write::value(message.descriptor(), value, out)
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
    fn text(&self) -> Option<&str> {
        self.own.as_ref().map(Message::text)
    }

    fn subject_name(&self, subject: &Subject) -> String {
        subject.name(self.own.as_ref().map(|own| own.descriptor().full_name()))
    }

    fn of_id(&self, id: u32) -> Result<Arc<Message>, ValueError> {
        self.schemas.get(id, known).map_err(|error| ValueError::of_registry(error, classes::UNKNOWN_SCHEMA))
    }

    /// The id of the schema and the message that values are written as.
    fn writer(&self) -> Result<(u32, Arc<Message>), ValueError> {
        let Some(subject) = &self.subject else {
            return Err(ValueError::Unwritable("a source's format is not written with".to_owned()));
        };
        let (name, own) = (|| self.subject_name(subject), || self.own.clone());
        let written = self.schemas.written(name, KIND, self.text(), subject.register, own, known);
        written.map_err(|error| ValueError::of_registry(error, ""))
    }
}

fn known(written: &Written) -> Result<Message, String> {
    match written.kind == KIND {
        true => Message::parse(&written.text, &written.references, None),
        false => Err(format!("it is of the kind {}, and Protobuf is needed", written.kind)),
    }
}

fn not_protobuf(reason: String) -> ValueError {
    ValueError::NotOfSchema(
        classes::NOT_PROTOBUF,
        format!("the value is not Protobuf of its schema: {reason}"),
    )
}
