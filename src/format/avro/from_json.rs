//! JSON text to Avro in one go, without values between.
//!
//! It gives up ([`None`]) at what is rare and at what is wrong: then [`write`](super::write) decides, from values, and says what does
//! not fit. What it writes is what that would write, byte for byte.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    schema::{Field, Id, Kind, Schema},
    write::{DEPTH, Writer},
};
use crate::value::{Scan, Value};

/// Writes JSON text behind what is in `out`.
pub(super) fn bytes(schema: &Schema, text: &Bytes, out: Vec<u8>) -> Option<Vec<u8>> {
    let (mut writer, mut scan) = (Writer::new(schema, out), Scan::new(text));
    Transcoder { writer: &mut writer, text }.write(schema.root(), &mut scan, DEPTH)?;
    scan.is_at_end().then_some(writer.out)
}

struct Transcoder<'w, 's, 't> {
    writer: &'w mut Writer<'s>,
    text: &'t Bytes,
}

impl<'t> Transcoder<'_, '_, 't> {
    fn write(&mut self, id: Id, scan: &mut Scan<'t>, depth: usize) -> Option<()> {
        let schema = self.writer.schema;
        let of = schema.of(id);
        let depth = depth.checked_sub(1)?;
        match (&of.kind, scan.peek()) {
            (Kind::Union(branches), first) => return self.union(branches, first, scan, depth),
            (Kind::Record(fields), b'{') => return self.record(fields, scan, depth),
            (Kind::Array(items), b'[') => {
                let start = self.writer.out.len();
                let mut count = 0;
                scan.array(|scan| {
                    count += 1;
                    self.write(*items, scan, depth)
                })?;
                return self.end_block(start, count);
            }
            (Kind::Map(values), b'{') => {
                let start = self.writer.out.len();
                let mut count = 0;
                scan.object(|scan, name| {
                    count += 1;
                    self.writer.bytes(name);
                    self.write(*values, scan, depth)
                })?;
                return self.end_block(start, count);
            }
            _ => {}
        }
        let begin = scan.begin();
        scan.skip()?;
        let text = scan.since(begin)?;
        match (&of.kind, of.logical) {
            (Kind::Null, _) if text == "null" => {}
            (Kind::Boolean, _) if text == "true" => self.writer.out.push(1),
            (Kind::Boolean, _) if text == "false" => self.writer.out.push(0),
            (Kind::Int, None) => self.writer.long(text.parse::<i32>().ok()?.into()),
            (Kind::Long, None) => self.writer.long(text.parse().ok()?),
            (Kind::Float, _) => self.writer.out.extend_from_slice(&(double(text)? as f32).to_le_bytes()),
            (Kind::Double, _) => self.writer.out.extend_from_slice(&double(text)?.to_le_bytes()),
            (Kind::String, _) => self.writer.bytes(string(text)?.as_bytes()),
            (Kind::Enum { symbols, .. }, _) => {
                let symbol = string(text)?;
                let place = symbols.iter().position(|found| *found == *symbol)?;
                self.writer.long(place as i64);
            }
            _ => {
                let value = Value::Json(self.text.slice_ref(text.as_bytes()));
                return self.writer.write(id, &value, depth + 1).ok();
            }
        }
        Some(())
    }

    /// Puts the number of items in front of what was written since, and the end behind it.
    fn end_block(&mut self, start: usize, items: i64) -> Option<()> {
        if items > 0 {
            let end = self.writer.out.len();
            self.writer.long(items);
            let length = self.writer.out.len() - end;
            self.writer.out[start..].rotate_right(length);
        }
        self.writer.out.push(0);
        Some(())
    }

    /// A record's fields: in one go as long as they come in the schema's order.
    fn record(&mut self, fields: &[Field], scan: &mut Scan<'t>, depth: usize) -> Option<()> {
        let (start, begin) = (self.writer.out.len(), scan.clone());
        let (mut next, mut in_order) = (0, true);
        let mut places: Vec<Option<Scan<'t>>> = Vec::new();
        scan.object(|scan, name| {
            if in_order && fields.get(next).is_some_and(|field| field.name.as_bytes() == name) {
                next += 1;
                return self.write(fields[next - 1].of, scan, depth);
            }
            in_order = false;
            scan.skip()
        })?;
        if in_order && next == fields.len() {
            return Some(());
        }
        // Another order: first where each of them is, of several the last.
        self.writer.out.truncate(start);
        places.resize_with(fields.len(), || None);
        begin.clone().object(|scan, name| {
            let place = fields.iter().position(|field| field.name.as_bytes() == name)?;
            places[place] = Some(scan.clone());
            scan.skip()
        })?;
        for (field, place) in fields.iter().zip(places) {
            self.write(field.of, &mut place?, depth)?;
        }
        Some(())
    }

    /// A value that may be null, which is what most unions are.
    fn union(&mut self, branches: &[Id], first: u8, scan: &mut Scan<'t>, depth: usize) -> Option<()> {
        let schema = self.writer.schema;
        let is_null = |id: &&Id| matches!(schema.of(**id).kind, Kind::Null);
        let [_, _] = branches else {
            let begin = scan.begin();
            scan.skip()?;
            let value = Value::Json(self.text.slice_ref(scan.since(begin)?.as_bytes()));
            return self.writer.union(branches, &value, depth).ok();
        };
        let null = branches.iter().position(|id| is_null(&id))?;
        let place = if first == b'n' { null } else { 1 - null };
        self.writer.long(place as i64);
        self.write(branches[place], scan, depth)
    }
}

/// A number, as [`read_json_number`](crate::value::read_json_number) has it.
fn double(text: &str) -> Option<f64> {
    let number = match text.parse::<i64>() {
        Ok(n) => n as f64,
        Err(_) if text.contains(['.', 'e', 'E']) => text.parse().ok()?,
        Err(_) => return None,
    };
    number.is_finite().then_some(number)
}

/// What a string in quotes says.
fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    match inner.contains('\\') {
        false => Some(Cow::Borrowed(inner)),
        true => serde_json::from_str(text).ok().map(Cow::Owned),
    }
}
