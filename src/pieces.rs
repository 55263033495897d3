//! Results that are larger than their topic takes: cut into pieces, which a manifest names.
//!
//! The pieces are records of their own, and the manifest comes behind them in the same partition. It has their offsets, so that
//! a reader takes exactly those, whatever else is in between. The layout is in `docs/large.md`.
//!
//! Knows: record. Must not know: rdkafka, tokio.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::record::{MANIFEST, PIECE, Record, wire_size};

/// The layout that is written, and the only one that is read.
const VERSION: &[u8] = b"1";
/// The most pieces of a result, so that its manifest fits in any topic: 200 KB of offsets.
const MOST: u64 = 10_000;
/// Bytes that a manifest may have beside its offsets.
const MANIFEST_BYTES: u64 = 1_024;
/// Bytes of an offset in it, at most.
const OFFSET_BYTES: u64 = 20;
/// Bytes that are left in each piece for headers that are added later, such as `traceparent`.
const ROOM: u64 = 512;

/// What the pieces of a result are, and where: the manifest's value, as JSON.
///
/// ```
/// use pipeline::pieces::Manifest;
///
/// let value = br#"{"id":"requests-0-7-c0ffee","format":"text","bytes":25,"piece_bytes":10,
///     "sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","partition":3,"pieces":3,"offsets":[4,5,9]}"#;
/// let manifest = Manifest::read(value).unwrap();
/// // Bytes 12 to 24 are in the second and the third piece.
/// assert_eq!(manifest.pieces_of(12..25), 1..3);
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Manifest {
    /// What the header of each piece begins with.
    pub id: String,
    /// The format of the whole value: `text`, `json` and so on.
    pub format: String,
    /// Bytes of the whole value.
    pub bytes: u64,
    /// Bytes of each piece but the last, which may be shorter.
    pub piece_bytes: u64,
    /// SHA-256 of the whole value, in hexadecimal digits.
    pub sha256: String,
    /// The partition that all pieces are in.
    pub partition: i32,
    /// How many pieces there are.
    pub pieces: u64,
    /// The offset of each piece, in order.
    pub offsets: Vec<i64>,
}

impl Manifest {
    /// Reads a manifest, and checks that its numbers fit together.
    ///
    /// # Errors
    /// Why it is none, as a sentence.
    pub fn read(value: &[u8]) -> Result<Manifest, String> {
        let manifest: Manifest =
            serde_json::from_slice(value).map_err(|error| format!("it is no manifest of pieces: {error}"))?;
        let Manifest { bytes, piece_bytes, pieces, partition, ref offsets, ref sha256, .. } = manifest;
        let in_order = offsets.windows(2).all(|two| two[0] < two[1]) && offsets.first() >= Some(&0);
        let fits = piece_bytes > 0 && bytes > 0 && bytes.div_ceil(piece_bytes) == pieces;
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if offsets.len() as u64 != pieces || pieces > MOST || !in_order || !fits || !is_hash || partition < 0
        {
            return Err(format!(
                "the numbers of its manifest do not fit together: {bytes} bytes in {pieces} pieces of {piece_bytes}, {} offsets",
                offsets.len()
            ));
        }
        Ok(manifest)
    }

    /// Which pieces have the bytes of that range of the value; none where it is empty.
    pub fn pieces_of(&self, bytes: Range<u64>) -> Range<usize> {
        if bytes.is_empty() {
            return 0..0;
        }
        let last = bytes.end.min(self.bytes).div_ceil(self.piece_bytes);
        (bytes.start / self.piece_bytes) as usize..last as usize
    }

    /// The value that the header of the piece at that place has.
    pub fn name_of(&self, place: usize) -> String {
        format!("{}/{place}", self.id)
    }

    /// Bytes of the piece at that place.
    pub fn size_of(&self, place: usize) -> u64 {
        (self.bytes - place as u64 * self.piece_bytes).min(self.piece_bytes)
    }
}

/// A hash in hexadecimal digits.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the record is a piece, or the manifest of some.
pub fn is_part(record: &Record) -> bool {
    !record.headers.is_empty()
        && record.headers.iter().any(|header| matches!(&*header.name, PIECE | MANIFEST))
}

/// A result that was cut.
pub struct Cut {
    /// The pieces, in order: slices of the result's value.
    pub pieces: Vec<Record>,
    /// The manifest, to be [completed](complete) once it is known where the pieces are.
    pub manifest: Record,
}

/// Cuts a result for a topic that takes records of `largest` bytes. `id` has to be another one for each attempt. `None` where the
/// topic takes too little.
pub fn cut(record: &Record, id: &str, format: &str, largest: u64) -> Option<Cut> {
    let value = record.value.as_ref().filter(|value| !value.is_empty())?;
    let bytes = value.len() as u64;
    let mut around = Record { value: None, ..record.clone() };
    around.headers.push(PIECE, Some(Bytes::from(format!("{id}/{MOST}"))));
    let piece_bytes = largest.checked_sub(wire_size(&around) + ROOM).filter(|bytes| *bytes > 0)?;
    let pieces = bytes.div_ceil(piece_bytes);
    let manifest_bytes = wire_size(&around) + ROOM + MANIFEST_BYTES + pieces * OFFSET_BYTES;
    if pieces > MOST || manifest_bytes + id.len() as u64 > largest {
        return None;
    }
    let manifest = Manifest {
        id: id.to_owned(),
        format: format.to_owned(),
        bytes,
        piece_bytes,
        sha256: hex(&Sha256::digest(value)),
        partition: 0,
        pieces,
        offsets: Vec::new(),
    };
    let with = |name: &str, header: &[u8], value: Bytes| {
        let mut part = Record { value: Some(value), ..record.clone() };
        part.headers.push(name, Some(Bytes::copy_from_slice(header)));
        part
    };
    let piece = |place: u64| {
        let start = place * piece_bytes;
        let end = (start + piece_bytes).min(bytes);
        with(PIECE, manifest.name_of(place as usize).as_bytes(), value.slice(start as usize..end as usize))
    };
    let pieces = (0..pieces).map(piece).collect();
    let named = serde_json::to_vec(&manifest).ok()?;
    Some(Cut { pieces, manifest: with(MANIFEST, VERSION, named.into()) })
}

/// Writes into a manifest where its pieces are. Returns whether all of them are there.
pub fn complete(manifest: &mut Record, partition: i32, offsets: &[i64]) -> bool {
    let value = manifest.value.as_deref().unwrap_or_default();
    let Ok(mut named) = serde_json::from_slice::<Manifest>(value) else { return false };
    if named.pieces != offsets.len() as u64 {
        return false;
    }
    (named.partition, named.offsets) = (partition, offsets.to_vec());
    let Ok(value) = serde_json::to_vec(&named) else { return false };
    manifest.value = Some(value.into());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            id: "requests-0-7-00c0ffee".to_owned(),
            format: "text".to_owned(),
            bytes: 25,
            piece_bytes: 10,
            sha256: "0".repeat(64),
            partition: 3,
            pieces: 3,
            offsets: vec![4, 5, 9],
        }
    }

    #[test]
    fn bytes_are_found_in_their_pieces() {
        let manifest = manifest();
        assert_eq!(manifest.pieces_of(0..25), 0..3);
        assert_eq!(manifest.pieces_of(0..10), 0..1);
        assert_eq!(manifest.pieces_of(9..11), 0..2);
        assert_eq!(manifest.pieces_of(20..u64::MAX), 2..3);
        assert_eq!(manifest.pieces_of(7..7), 0..0);
        assert_eq!((0..3).map(|place| manifest.size_of(place)).collect::<Vec<_>>(), [10, 10, 5]);
    }

    #[test]
    fn a_manifest_whose_numbers_do_not_fit_is_none() {
        let with = |change: fn(&mut Manifest)| {
            let mut manifest = manifest();
            change(&mut manifest);
            Manifest::read(&serde_json::to_vec(&manifest).unwrap())
        };
        assert_eq!(with(|_| {}), Ok(manifest()));
        let wrong: [fn(&mut Manifest); 9] = [
            |manifest| manifest.pieces = 2,
            |manifest| manifest.offsets = vec![4, 5],
            |manifest| manifest.offsets = vec![4, 4, 9],
            |manifest| manifest.offsets = vec![-1, 5, 9],
            |manifest| manifest.bytes = 31,
            |manifest| manifest.bytes = 0,
            |manifest| manifest.piece_bytes = 0,
            |manifest| manifest.partition = -1,
            |manifest| manifest.sha256 = "none".to_owned(),
        ];
        for (number, change) in wrong.into_iter().enumerate() {
            assert!(with(change).unwrap_err().contains("do not fit"), "{number}");
        }
        for text in ["", "{}", "5;120", "[]"] {
            assert!(Manifest::read(text.as_bytes()).unwrap_err().contains("no manifest"), "{text}");
        }
    }

    #[test]
    fn a_topic_that_takes_too_little_gets_no_pieces() {
        let record = Record { value: Some("x".repeat(100_000).into()), ..Record::default() };
        assert!(cut(&record, "id", "text", 1_000).is_none());
        assert!(cut(&record, "id", "text", 4_000).is_some());
        let record = Record { value: Some("x".repeat(1 << 26).into()), ..Record::default() };
        assert!(cut(&record, "id", "text", 4_000).is_none(), "there would be more than {MOST}");
    }
}
