//! Avro to JSON text in one go, without values between.
//!
//! It gives up ([`None`]) at what is rare and at what is wrong: then [`read`](super::read) decides, and says what does not fit. What
//! it writes is what the values would be written as, byte for byte.

use bytes::Bytes;

use super::{
    meant::{Blob, Integer},
    plan::{Plan, Step},
    read::{DEPTH, Reader},
    schema::Id,
};
use crate::value::{Value, write_json, write_json_string};

/// The value as JSON text.
pub(super) fn text(plan: &Plan, bytes: &Bytes) -> Option<Vec<u8>> {
    // A field's name is longer than its value's bytes, often.
    let mut out = Vec::with_capacity(bytes.len() * 3);
    let mut reader = Reader::new(plan, bytes);
    write(&mut reader, plan.root, &mut out, DEPTH)?;
    reader.is_at_end().then_some(out)
}

fn write(reader: &mut Reader<'_>, id: Id, out: &mut Vec<u8>, depth: usize) -> Option<()> {
    reader.count(1).ok()?;
    let plan = reader.plan;
    match plan.step(id) {
        Step::Null => out.extend_from_slice(b"null"),
        Step::Boolean => out.extend_from_slice(if reader.boolean().ok()? { b"true" } else { b"false" }),
        Step::Integer { long, becomes: Integer::Number } => {
            scalar(&Value::Int(reader.integer(*long).ok()?), out)?;
        }
        Step::Integer { long, becomes } => {
            scalar(&becomes.value(reader.integer(*long).ok()?).ok()?, out)?;
        }
        Step::Float => scalar(&Value::Float(f32::from_le_bytes(reader.array().ok()?).into()), out)?,
        Step::Double => scalar(&Value::Float(f64::from_le_bytes(reader.array().ok()?)), out)?,
        Step::Bytes(Blob::String) => write_json_string(text_of(reader)?, out),
        Step::Bytes(becomes) => {
            let length = reader.length().ok()?;
            scalar(&becomes.value(reader.take(length).ok()?).ok()?, out)?;
        }
        Step::Fixed(size, becomes) => scalar(&becomes.value(reader.take(*size).ok()?).ok()?, out)?,
        Step::Enum(symbols) => {
            write_json_string(symbols[reader.index(symbols.len(), "symbol").ok()?].as_ref()?, out);
        }
        Step::Union(branches) => {
            let branch = branches[reader.index(branches.len(), "branch of a union").ok()?];
            return write(reader, branch, out, depth);
        }
        Step::Never(_) => return None,
        Step::Array(items) => {
            let depth = depth.checked_sub(1)?;
            out.push(b'[');
            let mut first = true;
            while let Some((count, _)) = reader.block().ok()? {
                for _ in 0..count {
                    separate(&mut first, out);
                    write(reader, *items, out, depth)?;
                }
            }
            out.push(b']');
        }
        Step::Map(of) => {
            let depth = depth.checked_sub(1)?;
            out.push(b'{');
            let mut first = true;
            while let Some((count, _)) = reader.block().ok()? {
                for _ in 0..count {
                    separate(&mut first, out);
                    write_json_string(text_of(reader)?, out);
                    out.push(b':');
                    write(reader, *of, out, depth)?;
                }
            }
            out.push(b'}');
        }
        Step::Record(record) => {
            let depth = depth.checked_sub(1)?;
            if !record.in_order || !record.defaults.is_empty() {
                return None;
            }
            out.push(b'{');
            let mut first = true;
            for written in &record.written {
                let Some((_, name)) = &written.field else {
                    reader.pass(written.of, depth).ok()?;
                    continue;
                };
                separate(&mut first, out);
                write_json_string(name, out);
                out.push(b':');
                write(reader, written.of, out, depth)?;
            }
            out.push(b'}');
        }
    }
    Some(())
}

fn separate(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

fn scalar(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    write_json(value, out).ok()
}

/// A length, and text.
fn text_of<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    let length = reader.length().ok()?;
    let bytes = reader.bytes;
    let begin = reader.at;
    reader.skip(length).ok()?;
    std::str::from_utf8(&bytes[begin..reader.at]).ok()
}
