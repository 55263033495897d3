//! Avro's binary encoding to values.
//!
//! No byte is trusted: a length is held against what is left before anything is reserved for it, and what a record may become is
//! bounded by its size.

use bytes::Bytes;

use super::{
    plan::{Plan, Record, Step},
    schema::Id,
};
use crate::value::{ByteString, Fields, Others, Value, Wanted};

/// Records, arrays and maps within each other.
pub(super) const DEPTH: usize = 128;
/// How many values a record may have beside two for each of its bytes: fields with defaults take none.
const VALUES: usize = 10_000;

/// Reads a value, as far as it is wanted. Strings and bytes are slices of the record's.
///
/// # Errors
/// Where the bytes are none of the schema, and how.
pub(super) fn value(plan: &Plan, bytes: &Bytes, wanted: &Wanted, others: Others) -> Result<Value, String> {
    let mut reader = Reader { others, ..Reader::new(plan, bytes) };
    let value = reader.read(plan.root, wanted, DEPTH)?;
    match bytes.len() - reader.at {
        0 => Ok(value),
        left => Err(format!("{left} bytes are left behind it")),
    }
}

pub(super) struct Reader<'a> {
    pub plan: &'a Plan,
    pub bytes: &'a Bytes,
    pub at: usize,
    /// How many values may still come.
    values: usize,
    others: Others,
}

type Read<T> = Result<T, String>;

impl<'a> Reader<'a> {
    /// At the beginning; all fields are kept.
    pub fn new(plan: &'a Plan, bytes: &'a Bytes) -> Self {
        let values = VALUES.saturating_add(bytes.len().saturating_mul(2));
        Reader { plan, bytes, at: 0, values, others: Others::Kept }
    }

    /// Whether no bytes are left.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn byte(&mut self) -> Read<u8> {
        let byte = self.bytes.get(self.at).ok_or("it ends too early")?;
        self.at += 1;
        Ok(*byte)
    }

    /// An integer in zigzag, seven bits a byte, the least significant first.
    fn long(&mut self) -> Read<i64> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((n >> 1) as i64 ^ -((n & 1) as i64));
            }
        }
        Err("an integer has more than 64 bits".to_owned())
    }

    pub fn integer(&mut self, long: bool) -> Read<i64> {
        let n = self.long()?;
        match long || i32::try_from(n).is_ok() {
            true => Ok(n),
            false => Err(format!("{n} is no integer of 32 bits")),
        }
    }

    pub fn take(&mut self, length: usize) -> Read<Bytes> {
        self.skip(length)?;
        Ok(self.bytes.slice(self.at - length..self.at))
    }

    pub fn skip(&mut self, length: usize) -> Read<()> {
        if length > self.bytes.len() - self.at {
            return Err(format!(
                "{length} bytes are said to follow, and {} are left",
                self.bytes.len() - self.at
            ));
        }
        self.at += length;
        Ok(())
    }

    pub fn length(&mut self) -> Read<usize> {
        let n = self.long()?;
        usize::try_from(n).map_err(|_| format!("{n} is no length"))
    }

    pub fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut array = [0; N];
        let start = self.at;
        self.skip(N)?;
        array.copy_from_slice(&self.bytes[start..self.at]);
        Ok(array)
    }

    /// One of so many; it is counted, too.
    pub fn index(&mut self, of: usize, what: &str) -> Read<usize> {
        let n = self.long()?;
        let index = usize::try_from(n).ok().filter(|index| *index < of);
        index.ok_or_else(|| format!("there is no {what} {n}: there are {of}"))
    }

    pub fn count(&mut self, values: usize) -> Read<()> {
        let left = self.values.checked_sub(values);
        self.values = left.ok_or("it has more values than its bytes can hold")?;
        Ok(())
    }

    /// The size of the next block of an array or a map, in items, and in bytes where that is said; `None` after the last.
    pub fn block(&mut self) -> Read<Option<(u64, Option<usize>)>> {
        match self.long()? {
            0 => Ok(None),
            items @ 1.. => Ok(Some((items.unsigned_abs(), None))),
            items => {
                let length = self.length()?;
                Ok(Some((items.unsigned_abs(), Some(length))))
            }
        }
    }

    fn read(&mut self, id: Id, wanted: &Wanted, depth: usize) -> Read<Value> {
        self.count(1)?;
        let plan = self.plan;
        let deeper = || depth.checked_sub(1).ok_or_else(|| format!("it has more than {DEPTH} levels"));
        Ok(match plan.step(id) {
            Step::Null => Value::Null,
            Step::Boolean => Value::Bool(self.boolean()?),
            Step::Integer { long, becomes } => becomes.value(self.integer(*long)?)?,
            Step::Float => Value::Float(f32::from_le_bytes(self.array()?).into()),
            Step::Double => Value::Float(f64::from_le_bytes(self.array()?)),
            Step::Bytes(becomes) => {
                let length = self.length()?;
                becomes.value(self.take(length)?)?
            }
            Step::Fixed(size, becomes) => becomes.value(self.take(*size)?)?,
            Step::Enum(symbols) => match &symbols[self.index(symbols.len(), "symbol")?] {
                Some(symbol) => Value::String(symbol.clone()),
                None => {
                    return Err("a symbol was written that the schema to read with does not have".to_owned());
                }
            },
            Step::Union(branches) => {
                let branch = branches[self.index(branches.len(), "branch of a union")?];
                // A union within itself without a record between is no schema, so this ends.
                return self.read(branch, wanted, depth);
            }
            Step::Never(reason) => return Err(reason.clone()),
            Step::Array(items) => {
                let (mut values, depth) = (Vec::new(), deeper()?);
                while let Some((count, _)) = self.block()? {
                    for _ in 0..count {
                        values.push(self.read(*items, &Wanted::All, depth)?);
                    }
                }
                Value::Array(values)
            }
            Step::Map(of) => {
                let (mut fields, depth) = (Fields::default(), deeper()?);
                while let Some((count, _)) = self.block()? {
                    for _ in 0..count {
                        let length = self.length()?;
                        let name = ByteString::try_from(self.take(length)?);
                        let name = name.map_err(|_| "a map's key is not UTF-8".to_owned())?;
                        match self.inner(wanted, &name) {
                            Some(wanted) => fields.push(name, self.read(*of, wanted, depth)?),
                            None => self.pass(*of, depth)?,
                        }
                    }
                }
                Value::Map(fields)
            }
            Step::Record(record) => self.record(record, wanted, deeper()?)?,
        })
    }

    pub fn boolean(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            byte => Err(format!("{byte} is neither true nor false")),
        }
    }

    /// What is wanted of a field; `None` where it is passed over.
    fn inner<'w>(&self, wanted: &'w Wanted, name: &str) -> Option<&'w Wanted> {
        match self.others {
            Others::Kept => Some(&Wanted::All),
            Others::Dropped => wanted.field(name),
        }
    }

    fn record(&mut self, record: &Record, wanted: &Wanted, depth: usize) -> Read<Value> {
        let mut fields: Vec<(usize, ByteString, Value)> = Vec::with_capacity(match wanted {
            Wanted::Fields(fields) if self.others == Others::Dropped => fields.len(),
            _ => record.written.len() + record.defaults.len(),
        });
        for written in &record.written {
            let found = written.field.as_ref().and_then(|(place, name)| {
                let wanted = self.inner(wanted, name)?;
                Some((*place, name, wanted))
            });
            match found {
                Some((place, name, wanted)) => {
                    let value = self.read(written.of, wanted, depth)?;
                    fields.push((place, name.clone(), value));
                }
                None => self.pass(written.of, depth)?,
            }
        }
        self.count(record.defaults.len())?;
        let defaults = record.defaults.iter().filter(|(_, name, _)| self.inner(wanted, name).is_some());
        fields.extend(defaults.cloned());
        if !record.in_order {
            fields.sort_by_key(|(place, ..)| *place);
        }
        Ok(Value::Map(fields.into_iter().map(|(_, name, value)| (name, value)).collect()))
    }

    /// Passes over a value that nobody looks into.
    pub fn pass(&mut self, id: Id, depth: usize) -> Read<()> {
        self.count(1)?;
        let plan = self.plan;
        let deeper = || depth.checked_sub(1).ok_or_else(|| format!("it has more than {DEPTH} levels"));
        match plan.step(id) {
            Step::Null => {}
            Step::Boolean => drop(self.boolean()?),
            Step::Integer { long, .. } => drop(self.integer(*long)?),
            Step::Float => self.skip(4)?,
            Step::Double => self.skip(8)?,
            Step::Bytes(_) => {
                let length = self.length()?;
                self.skip(length)?;
            }
            Step::Fixed(size, _) => self.skip(*size)?,
            Step::Enum(symbols) => drop(self.index(symbols.len(), "symbol")?),
            Step::Union(branches) => {
                let branch = branches[self.index(branches.len(), "branch of a union")?];
                self.pass(branch, depth)?;
            }
            Step::Never(reason) => return Err(reason.clone()),
            step @ (Step::Array(of) | Step::Map(of)) => {
                let depth = deeper()?;
                while let Some((count, length)) = self.block()? {
                    if let Some(length) = length {
                        self.skip(length)?;
                        continue;
                    }
                    for _ in 0..count {
                        if let Step::Map(_) = step {
                            let length = self.length()?;
                            self.skip(length)?;
                        }
                        self.pass(*of, depth)?;
                    }
                }
            }
            Step::Record(record) => {
                let depth = deeper()?;
                record.written.iter().try_for_each(|written| self.pass(written.of, depth))?;
            }
        }
        Ok(())
    }
}
