//! Puts results in pieces together, as any reader of the topic would.

use std::collections::HashMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    kafka::verify::Seen,
    pieces::{Manifest, Pieces, Place, hex},
    record::{MANIFEST, PIECE},
    store::Store,
};

/// Puts one topic's results together.
#[derive(Default)]
pub struct Joiner {
    /// The pieces that no manifest has named yet, by partition and offset.
    pieces: HashMap<(i32, i64), Seen>,
    /// Where large results are that are not in the topic.
    store: Option<Store>,
}

impl Joiner {
    /// For a topic whose large results are in that store, if they are in one.
    pub fn new(store: Option<Store>) -> Self {
        Joiner { store, ..Joiner::default() }
    }

    /// Takes the next record of the topic. Returns it where it is a result, and the whole result for the manifest of its pieces;
    /// a manifest that names what is not there stays as it is, and is no right result.
    pub fn take(&mut self, mut seen: Seen) -> Option<Seen> {
        if seen.record.headers.get(PIECE).is_some() {
            self.pieces.insert((seen.partition, seen.offset), seen);
            return None;
        }
        if seen.record.headers.get(MANIFEST).is_some()
            && let Some(whole) = self.join(seen.record.value.as_deref().unwrap_or_default())
        {
            seen.record.value = Some(whole.into());
            seen.record.headers.retain(|header| header.name != MANIFEST);
        }
        Some(seen)
    }

    fn join(&mut self, manifest: &[u8]) -> Option<Vec<u8>> {
        let manifest = Manifest::read(manifest).ok()?;
        let whole = match &manifest.place {
            Place::Topic(pieces) => self.pieces(pieces)?,
            Place::Store { object } => {
                let read = self.store.as_ref()?.read(object, manifest.clone(), manifest.all());
                read.collect::<Result<Vec<Bytes>, _>>().ok()?.concat()
            }
        };
        (hex(&Sha256::digest(&whole)) == manifest.sha256).then_some(whole)
    }

    fn pieces(&mut self, pieces: &Pieces) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        for (place, offset) in pieces.offsets.iter().enumerate() {
            let piece = self.pieces.remove(&(pieces.partition, *offset))?.record;
            let is_it = piece.headers.text(PIECE) == Some(&pieces.name_of(place));
            whole.extend_from_slice(piece.value.as_deref().filter(|_| is_it)?);
        }
        Some(whole)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{pieces, record::Record};

    fn seen(offset: i64, record: Record) -> Seen {
        Seen { topic: Arc::from("out"), partition: 2, offset, record }
    }

    #[test]
    fn a_result_is_whole_again_and_one_with_a_piece_missing_is_not() {
        let headers = [("id", "7")].into_iter().collect();
        let result = Record { value: Some("x".repeat(10_000).into()), headers, ..Record::default() };
        for missing in [None, Some(1)] {
            let mut cut = pieces::cut(&result, "in-0-7-0", "text", 4_000).unwrap();
            let offsets: Vec<i64> = (10..).take(cut.pieces.len()).collect();
            assert!(pieces::complete(&mut cut.manifest, 2, &offsets));
            let mut joiner = Joiner::default();
            assert_eq!(joiner.take(seen(9, result.clone())).unwrap().record, result);
            for (place, piece) in
                cut.pieces.into_iter().enumerate().filter(|(place, _)| Some(*place) != missing)
            {
                assert!(joiner.take(seen(offsets[place], piece)).is_none());
            }
            let joined = joiner.take(seen(20, cut.manifest.clone())).unwrap();
            assert_eq!(joined.offset, 20);
            assert_eq!(joined.record, if missing.is_none() { result.clone() } else { cut.manifest });
        }
    }
}
