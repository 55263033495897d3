//! Results that are larger than their topic takes: cut into pieces, or in an object store. A manifest says where.
//!
//! The pieces are records of their own, and the manifest comes behind them in the same partition. It has their offsets, so that
//! a reader takes exactly those, whatever else is in between. An object's name is the hash of its bytes. The layout is in `docs/large.md`.
//!
//! Knows: record. Must not know: rdkafka, tokio.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::record::{MANIFEST, MANIFEST_VERSION, PIECE, Record, wire_size};

/// The most pieces of a result, so that its manifest fits in any topic: 200 KB of offsets.
const MOST: u64 = 10_000;
/// Bytes that a manifest may have beside its offsets.
const MANIFEST_BYTES: u64 = 1_024;
/// Bytes of an offset in it, at most.
const OFFSET_BYTES: u64 = 20;
/// Bytes of an object that are read at once.
const RANGE: u64 = 1 << 20;
/// Bytes that are left in each piece for headers that are added later, such as `traceparent`.
const ROOM: u64 = 512;

/// What a large result is, and where: the manifest's value, as JSON.
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
    /// The format of the whole value: `text`, `json` and so on.
    pub format: String,
    /// Bytes of the whole value.
    pub bytes: u64,
    /// SHA-256 of the whole value, in hexadecimal digits.
    pub sha256: String,
    /// Where the value is.
    #[serde(flatten)]
    pub place: Place,
}

/// Where a large result is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(untagged)]
pub enum Place {
    /// In pieces, in the manifest's own topic.
    Topic(Pieces),
    /// In an object store, which the reader knows.
    Store {
        /// The object's name: the hash of the value.
        object: String,
    },
}

/// The pieces of a result.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Pieces {
    /// What the header of each piece begins with.
    pub id: String,
    /// Bytes of each piece but the last, which may be shorter.
    pub piece_bytes: u64,
    /// The partition that all pieces are in.
    pub partition: i32,
    /// How many pieces there are.
    pub pieces: u64,
    /// The offset of each piece, in order.
    pub offsets: Vec<i64>,
}

impl Pieces {
    /// The value that the header of the piece at that place has.
    pub fn name_of(&self, place: usize) -> String {
        format!("{}/{place}", self.id)
    }

    fn is_whole(&self, bytes: u64) -> bool {
        let Pieces { piece_bytes, partition, pieces, offsets, .. } = self;
        let in_order = offsets.windows(2).all(|two| two[0] < two[1]) && offsets.first() >= Some(&0);
        let fits = *piece_bytes > 0 && bytes.div_ceil(*piece_bytes) == *pieces;
        offsets.len() as u64 == *pieces && *pieces <= MOST && in_order && fits && *partition >= 0
    }
}

impl Manifest {
    /// Reads a manifest, and checks that its numbers fit together.
    ///
    /// # Errors
    /// Why it is none, as a sentence.
    pub fn read(value: &[u8]) -> Result<Manifest, String> {
        let manifest: Manifest =
            serde_json::from_slice(value).map_err(|error| format!("it is no manifest of pieces: {error}"))?;
        let Manifest { bytes, sha256, .. } = &manifest;
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let fits = match &manifest.place {
            Place::Topic(pieces) => pieces.is_whole(*bytes),
            // So no name leads out of the store's folder.
            Place::Store { object } => object == sha256,
        };
        match is_hash && *bytes > 0 && fits {
            true => Ok(manifest),
            false => Err(format!("what its manifest says of {bytes} bytes does not fit together")),
        }
    }

    /// Which pieces have the bytes of that range of the value; none where it is empty.
    pub fn pieces_of(&self, bytes: Range<u64>) -> Range<usize> {
        if bytes.is_empty() {
            return 0..0;
        }
        let last = bytes.end.min(self.bytes).div_ceil(self.piece_bytes());
        (bytes.start / self.piece_bytes()) as usize..last as usize
    }

    /// All of its pieces; of an object, the ranges that are read one after the other.
    pub fn all(&self) -> Range<usize> {
        self.pieces_of(0..self.bytes)
    }

    /// Bytes of each piece but the last; of an object, of each range.
    pub fn piece_bytes(&self) -> u64 {
        match &self.place {
            Place::Topic(pieces) => pieces.piece_bytes,
            Place::Store { .. } => RANGE,
        }
    }

    /// Bytes of the piece at that place.
    pub fn size_of(&self, place: usize) -> u64 {
        (self.bytes - place as u64 * self.piece_bytes()).min(self.piece_bytes())
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
    let named = Pieces { id: id.to_owned(), piece_bytes, partition: 0, pieces, offsets: Vec::new() };
    let piece = |place: u64| {
        let start = place * piece_bytes;
        let end = (start + piece_bytes).min(bytes);
        let name = named.name_of(place as usize);
        with(record, PIECE, name.as_bytes(), value.slice(start as usize..end as usize))
    };
    let pieces = (0..pieces).map(piece).collect();
    let sha256 = hex(&Sha256::digest(value));
    let manifest = Manifest { format: format.to_owned(), bytes, sha256, place: Place::Topic(named) };
    Some(Cut { pieces, manifest: manifest.in_place_of(record)? })
}

/// A result that goes into an object store.
pub struct Stored {
    /// The object's name.
    pub object: String,
    /// The result's value.
    pub bytes: Bytes,
    /// What says where it is.
    pub manifest: Record,
}

/// Parts a result from its bytes, for an object store. `None` where it has none, or its topic, which takes records of `largest` bytes,
/// has no room for the rest.
pub fn store(record: &Record, format: &str, largest: u64) -> Option<Stored> {
    let bytes = record.value.clone().filter(|value| !value.is_empty())?;
    let object = hex(&Sha256::digest(&bytes));
    let place = Place::Store { object: object.clone() };
    let (format, size) = (format.to_owned(), bytes.len() as u64);
    let manifest = Manifest { format, bytes: size, sha256: object.clone(), place };
    let manifest = manifest.in_place_of(record).filter(|manifest| wire_size(manifest) + ROOM <= largest)?;
    Some(Stored { object, bytes, manifest })
}

/// The record with another value, and one more header.
fn with(record: &Record, name: &str, header: &[u8], value: Bytes) -> Record {
    let mut part = Record { value: Some(value), ..record.clone() };
    part.headers.push(name, Some(Bytes::copy_from_slice(header)));
    part
}

impl Manifest {
    /// The record whose value is this, with all else that the result has.
    fn in_place_of(&self, result: &Record) -> Option<Record> {
        Some(with(result, MANIFEST, MANIFEST_VERSION, serde_json::to_vec(self).ok()?.into()))
    }
}

/// Writes into a manifest where its pieces are. Returns whether all of them are there.
pub fn complete(manifest: &mut Record, partition: i32, offsets: &[i64]) -> bool {
    let value = manifest.value.as_deref().unwrap_or_default();
    let Ok(mut named) = serde_json::from_slice::<Manifest>(value) else { return false };
    let Place::Topic(pieces) = &mut named.place else { return false };
    if pieces.pieces != offsets.len() as u64 {
        return false;
    }
    (pieces.partition, pieces.offsets) = (partition, offsets.to_vec());
    let Ok(value) = serde_json::to_vec(&named) else { return false };
    manifest.value = Some(value.into());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Pieces {
        let id = "requests-0-7-00c0ffee".to_owned();
        Pieces { id, piece_bytes: 10, partition: 3, pieces: 3, offsets: vec![4, 5, 9] }
    }

    fn manifest(place: Place) -> Manifest {
        Manifest { format: "text".to_owned(), bytes: 25, sha256: "0".repeat(64), place }
    }

    fn read(manifest: &Manifest) -> Result<Manifest, String> {
        Manifest::read(&serde_json::to_vec(manifest).unwrap())
    }

    #[test]
    fn bytes_are_found_in_their_pieces() {
        let manifest = manifest(Place::Topic(pieces()));
        assert_eq!(manifest.pieces_of(0..25), 0..3);
        assert_eq!(manifest.pieces_of(0..10), 0..1);
        assert_eq!(manifest.pieces_of(9..11), 0..2);
        assert_eq!(manifest.pieces_of(20..u64::MAX), 2..3);
        assert_eq!(manifest.pieces_of(7..7), 0..0);
        assert_eq!(manifest.all(), 0..3);
        assert_eq!((0..3).map(|place| manifest.size_of(place)).collect::<Vec<_>>(), [10, 10, 5]);
    }

    #[test]
    fn a_manifest_whose_numbers_do_not_fit_is_none() {
        let right = manifest(Place::Topic(pieces()));
        assert_eq!(read(&right), Ok(right.clone()));
        let of_pieces: [fn(&mut Pieces); 6] = [
            |wrong| wrong.pieces = 2,
            |wrong| wrong.offsets = vec![4, 5],
            |wrong| wrong.offsets = vec![4, 4, 9],
            |wrong| wrong.offsets = vec![-1, 5, 9],
            |wrong| wrong.piece_bytes = 0,
            |wrong| wrong.partition = -1,
        ];
        let wrong = of_pieces.into_iter().map(|change| {
            let mut wrong = pieces();
            change(&mut wrong);
            manifest(Place::Topic(wrong))
        });
        let sizes = [0, 31].map(|bytes| Manifest { bytes, ..right.clone() });
        let hash = Manifest { sha256: "none".to_owned(), ..right.clone() };
        for (number, wrong) in wrong.chain(sizes).chain([hash]).enumerate() {
            assert!(read(&wrong).unwrap_err().contains("not fit together"), "{number}");
        }
        for text in ["", "{}", "5;120", "[]"] {
            assert!(Manifest::read(text.as_bytes()).unwrap_err().contains("no manifest"), "{text}");
        }
    }

    #[test]
    fn an_object_is_named_by_its_hash_and_by_nothing_else() {
        let value: Bytes = "x".repeat(3 << 20).into();
        let record = Record { value: Some(value.clone()), ..Record::default() };
        let stored = store(&record, "text", 4_000).unwrap();
        assert_eq!(stored.bytes, value);
        let manifest = Manifest::read(stored.manifest.value.as_deref().unwrap()).unwrap();
        assert_eq!((&manifest.sha256, manifest.bytes, manifest.all()), (&stored.object, 3 << 20, 0..3));
        assert_eq!(stored.object, hex(&Sha256::digest(&value)));
        for object in ["../../etc/passwd", ""] {
            let wrong = Manifest { place: Place::Store { object: object.to_owned() }, ..manifest.clone() };
            assert!(read(&wrong).unwrap_err().contains("not fit together"), "{object}");
        }
        assert!(store(&record, "text", 500).is_none(), "its topic has no room for the manifest");
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
