//! A record, as the interpreter sees it: variables that are made when they are looked at.

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
};

use cel::{
    ExecutionError,
    common::{
        traits::Indexer,
        types::{
            CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString,
            CelTimestamp, CelUInt, MAP_TYPE, Type,
        },
        value::{CowVal, Val},
    },
    context::VariableResolver,
};
use chrono::DateTime;

use super::{
    bounds,
    seen::{Held, Place, Seen},
};
use crate::{
    record::Record,
    value::{Fields, Value, Wanted, read_json},
};

/// How many levels of lists and objects an expression goes through: as many as a parser of JSON does, and no more than a stack
/// holds.
const DEEPEST: usize = 128;

/// What expressions look into, of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Of its value.
    pub value: Wanted,
    /// Of its key, where that has a format; otherwise it is text.
    pub key: Wanted,
    /// Of its headers, by name.
    pub headers: Wanted,
}

impl Needs {
    /// What another expression looks into is needed too.
    pub fn extend(&mut self, other: &Needs) {
        self.value.extend(&other.value);
        self.key.extend(&other.key);
        self.headers.extend(&other.headers);
    }
}

/// One record, for expressions to look into.
pub struct Scope<'a> {
    record: &'a Record,
    place: Place<'a>,
    needs: &'a Needs,
    value: Value,
    /// Where it has a format.
    key: Option<Value>,
    headers: OnceLock<Value>,
}

impl<'a> Scope<'a> {
    /// A record whose value was read as `needs` says. Where it was read is unknown in a test without a topic.
    pub fn new(record: &'a Record, place: Place<'a>, needs: &'a Needs, value: Value) -> Self {
        Scope { record, place, needs, value, key: None, headers: OnceLock::new() }
    }

    /// With a key that has a format, and was read as `needs` says: all of it, where all of it is needed.
    pub fn with_key(self, key: Value) -> Self {
        Scope { key: Some(key), ..self }
    }

    /// The same, for compiled expressions.
    pub(super) fn seen(&self) -> Seen<'_> {
        Seen {
            record: self.record,
            place: self.place,
            value: Held::Read(&self.value),
            key: self.key.as_ref(),
        }
    }

    /// Made when the interpreter asks for them.
    fn headers(&self) -> &Value {
        self.headers.get_or_init(|| headers(self.record, &self.needs.headers))
    }

    /// Whether the record has no value.
    pub fn is_tombstone(&self) -> bool {
        self.record.value.is_none()
    }

    /// The value at a path below `value`, as it was read: a part that is copied stays as it came.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.value, |value, name| match value {
            Value::Map(fields) => fields.get(name),
            _ => None,
        })
    }

    /// The record's value, as it was read.
    pub fn into_value(self) -> Value {
        self.value
    }
}

/// Those that are wanted; of several with one name, the last.
fn headers(record: &Record, wanted: &Wanted) -> Value {
    if *wanted == Wanted::Nothing {
        return Value::Null;
    }
    let mut fields = Fields::default();
    for header in record.headers.iter().filter(|header| wanted.field(&header.name).is_some()) {
        let value = header.value.clone().map_or(Value::Null, text_or_bytes);
        fields.set(&header.name, value);
    }
    Value::Map(fields)
}

fn text_or_bytes(bytes: bytes::Bytes) -> Value {
    match crate::value::ByteString::try_from(bytes.clone()) {
        Ok(text) => Value::String(text),
        Err(_) => Value::Bytes(bytes),
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let part = |value, wanted| CowVal::owned(View::Object { value, wanted });
        match variable {
            "value" => Some(match (&self.value, &self.needs.value) {
                (value @ Value::Map(_), wanted @ Wanted::Fields(_)) => part(value, wanted),
                (value, _) => CowVal::owned(View::Unread(value)),
            }),
            "headers" => match &self.needs.headers {
                wanted @ Wanted::Fields(_) => Some(part(self.headers(), wanted)),
                _ => give(self.headers()).ok(),
            },
            "key" => match (&self.key, &self.needs.key) {
                (Some(key @ Value::Map(_)), wanted @ Wanted::Fields(_)) => Some(part(key, wanted)),
                (Some(key), _) => give(key).ok(),
                (None, _) => Some(match self.record.key.as_deref() {
                    None => CowVal::owned(CelNull),
                    Some(bytes) => match std::str::from_utf8(bytes) {
                        Ok(text) => CowVal::owned(CelString::from(text)),
                        Err(_) => CowVal::owned(CelBytes::from(bytes)),
                    },
                }),
            },
            "topic" => {
                Some(CowVal::owned(CelString::from(self.place.map_or("", |(place, _)| &*place.topic))))
            }
            "partition" => Some(int(self.place.map_or(0, |(place, _)| place.partition.into()))),
            "offset" => Some(int(self.place.map_or(0, |(_, offset)| offset.0))),
            "timestamp" => Some(
                self.record
                    .timestamp
                    .and_then(DateTime::from_timestamp_millis)
                    .map_or(CowVal::owned(CelNull), |time| {
                        CowVal::owned(CelTimestamp::from(time.fixed_offset()))
                    }),
            ),
            _ => None,
        }
    }
}

fn int<'b>(n: i64) -> CowVal<'b, 'b> {
    CowVal::owned(CelInt::from(n))
}

/// The type of what is still to be read.
static UNREAD: LazyLock<Type> = LazyLock::new(|| Type::new_opaque_type("unread"));

/// Reads a value that was only found so far; `None` where it is none such. See `reading.rs`.
pub fn read<'v>(found: &(dyn Val + 'v)) -> Option<Result<Box<dyn Val + 'v>, ExecutionError>> {
    if !std::ptr::eq(found.get_type(), &*UNREAD) {
        return None;
    }
    // The interpreter has no other way to reach what a value of ours holds.
    let read = found.as_indexer()?.get(&CelNull);
    Some(read.map(CowVal::into_owned))
}

/// A part of the value. An object that was read as far as it is wanted can only be asked for a field: whatever else an
/// expression does with an object makes all of it wanted.
#[derive(Clone, Debug)]
enum View<'a> {
    Object {
        value: &'a Value,
        wanted: &'a Wanted,
    },
    /// It is there, and is read by [`read`].
    Unread(&'a Value),
}

impl Val for View<'_> {
    fn get_type(&self) -> &Type {
        match self {
            View::Object { .. } => &MAP_TYPE,
            View::Unread(_) => &UNREAD,
        }
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Indexer for View<'_> {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.field(name)
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Ok(self.field(name)?.into_owned())
    }
}

impl<'a> View<'a> {
    /// What is found borrows from the record, not from this view of it.
    fn field<'b, 'v>(&self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        'a: 'v,
    {
        let (value, wanted) = match self {
            View::Object { value, wanted } => (*value, *wanted),
            View::Unread(value) if name.downcast_ref::<CelNull>().is_some() => return give(value),
            View::Unread(value) => return within(value, name),
        };
        let Some(name) = name.downcast_ref::<CelString>() else {
            let types = vec!["map".to_owned(), name.get_type().name().to_owned()];
            return Err(ExecutionError::no_such_overload("_[_]", types));
        };
        let name = name.inner();
        let Value::Map(fields) = value else { return Err(ExecutionError::no_such_key(name)) };
        match (fields.get(name), wanted.field(name)) {
            (None, _) => Err(ExecutionError::no_such_key(name)),
            (Some(value @ Value::Map(_)), Some(wanted @ Wanted::Fields(_))) => {
                Ok(CowVal::owned(View::Object { value, wanted }))
            }
            (Some(value @ (Value::Json(_) | Value::Array(_) | Value::Map(_))), _) => {
                Ok(CowVal::owned(View::Unread(value)))
            }
            (Some(value), _) => give(value),
        }
    }
}

/// A field of what an expression uses as a whole, too; or of what is no object, and then that is said.
fn within<'b, 'v, 'a: 'v>(value: &'a Value, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let read = give(value)?.into_owned();
    let none = format!("{} has no fields", read.get_type().name());
    let none = || ExecutionError::function_error("@read", &none);
    let found = read.into_indexer().ok_or_else(none)?.steal(name);
    found.map(CowVal::Owned).map_err(|error| match error {
        ExecutionError::NoSuchKey(_) => error,
        _ => none(),
    })
}

/// A value as the interpreter's own, reading it where it is still text.
fn give<'b, 'v, 'a: 'v>(value: &'a Value) -> Result<CowVal<'b, 'v>, ExecutionError> {
    Ok(match value {
        Value::String(text) => CowVal::owned(CelString::from(&**text)),
        Value::Bytes(bytes) => CowVal::owned(CelBytes::from(&**bytes)),
        Value::Json(text) => match plain_string(text) {
            Some(string) => {
                // To see that it is plain, all of it is gone through.
                bounds::spend_on_text(string.len())?;
                CowVal::owned(CelString::from(string))
            }
            None => {
                bounds::spend_on_reading(text)?;
                CowVal::Owned(owned(read_json(text).map_err(unreadable)?, DEEPEST)?)
            }
        },
        other => CowVal::Owned(owned(other.clone(), DEEPEST)?),
    })
}

/// The string that a JSON text is, where nothing in it is escaped.
fn plain_string(text: &[u8]) -> Option<&str> {
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    (!inner.contains(&b'\\')).then(|| std::str::from_utf8(inner).ok())?
}

/// Makes a value the interpreter's own, with so many levels of lists and maps in it.
fn owned<'v>(value: Value, levels: usize) -> Result<Box<dyn Val + 'v>, ExecutionError> {
    let inner = |value: Value| match levels.checked_sub(1) {
        Some(levels) => owned(value, levels),
        None => {
            let message = format!("it has more than {DEEPEST} levels of lists and objects");
            Err(ExecutionError::function_error("@read", message))
        }
    };
    Ok(match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(value)),
        Value::Int(value) => Box::new(CelInt::from(value)),
        Value::UInt(value) => Box::new(CelUInt::from(value)),
        Value::Float(value) => Box::new(CelDouble::from(value)),
        Value::String(text) => Box::new(CelString::from(text.to_string())),
        Value::Bytes(bytes) => Box::new(CelBytes::from(bytes.to_vec())),
        Value::Timestamp(time) => Box::new(CelTimestamp::from(time.fixed_offset())),
        Value::Json(text) => {
            if let Some(b'{' | b'[') = text.first() {
                bounds::spend_on_reading_again(&text)?;
            }
            owned(read_json(&text).map_err(unreadable)?, levels)?
        }
        Value::Array(values) => {
            let values: Result<Vec<Box<dyn Val + 'v>>, _> = values.into_iter().map(inner).collect();
            Box::new(CelList::from(values?))
        }
        Value::Map(fields) => {
            let mut map: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> = HashMap::with_capacity(fields.len());
            for (name, value) in fields.iter() {
                map.insert(CelMapKey::from(name.to_string()), inner(value.clone())?);
            }
            Box::new(CelMap::from(map))
        }
    })
}

fn unreadable(error: crate::value::JsonError) -> ExecutionError {
    ExecutionError::function_error("@read", error)
}
