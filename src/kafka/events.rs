//! What the poll thread and librdkafka's callbacks report to the engine, in order.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::engine::{SourceEvent, Stop};

type Sender = mpsc::UnboundedSender<Result<SourceEvent, Stop>>;

/// The channel to the engine; closed once the consumer has left its group.
pub struct Events(Mutex<Option<Sender>>);

impl Events {
    pub fn new(sender: Sender) -> Self {
        Events(Mutex::new(Some(sender)))
    }

    /// Reports to the engine; an engine that is gone does not need to know.
    pub fn send(&self, event: Result<SourceEvent, Stop>) {
        if let Some(sender) = &*self.sender() {
            let _ = sender.send(event);
        }
    }

    pub fn close(&self) {
        *self.sender() = None;
    }

    /// Whether an engine still receives them.
    pub fn are_wanted(&self) -> bool {
        self.sender().as_ref().is_some_and(|sender| !sender.is_closed())
    }

    fn sender(&self) -> MutexGuard<'_, Option<Sender>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
