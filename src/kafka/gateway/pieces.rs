//! Reads the pieces of a route's large results.

use std::{ops::Range, thread};

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{gateway::Pieces, kafka::LargeResults, pieces::Manifest};

/// How many pieces may wait for a client that takes them slowly.
const AHEAD: usize = 2;

/// Reads pieces, each result's on a thread of its own.
pub struct KafkaPieces(pub(super) LargeResults);

impl Pieces for KafkaPieces {
    fn read(&self, manifest: &Manifest, pieces: Range<usize>) -> BoxStream<'static, Result<Bytes, String>> {
        let (results, manifest) = (self.0.clone(), manifest.clone());
        let (sender, receiver) = mpsc::channel(AHEAD);
        let read = move || match results.read(manifest, pieces) {
            Ok(reader) => {
                for piece in reader {
                    let piece = piece.map_err(|error| error.to_string());
                    // The client is gone.
                    if sender.blocking_send(piece).is_err() {
                        return;
                    }
                }
            }
            // Nobody may wait for it any more.
            Err(error) => drop(sender.blocking_send(Err(error.to_string()))),
        };
        match thread::Builder::new().name("pieces".to_owned()).spawn(read) {
            Ok(_) => ReceiverStream::new(receiver).boxed(),
            Err(error) => {
                stream::iter([Err(format!("cannot start the thread that reads the result: {error}"))]).boxed()
            }
        }
    }
}
