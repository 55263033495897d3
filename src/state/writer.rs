//! The thread that writes what has changed, and merges files.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{Builder, JoinHandle},
};

use super::tree::Tree;

/// It ends, once what it was given is written, when this is dropped.
pub(super) struct Writer {
    trees: Option<Sender<Arc<Tree>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start() -> std::io::Result<Self> {
        let (trees, given) = channel();
        let thread = Builder::new().name("state".to_owned()).spawn(move || run(&given))?;
        Ok(Writer { trees: Some(trees), thread: Some(thread) })
    }

    /// Writes what is due of a tree, and merges its files where they are too many.
    pub(super) fn write(&self, tree: Arc<Tree>) {
        // It is gone only with this.
        let _ = self.trees.as_ref().map(|trees| trees.send(tree));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.trees.take());
        // Whoever opens the folder next must not find it there.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(given: &Receiver<Arc<Tree>>) {
    let mut due = VecDeque::<Arc<Tree>>::new();
    loop {
        // Whoever waits for a place in memory comes first.
        let next = if due.is_empty() { given.recv().ok() } else { given.try_recv().ok() };
        match (next, due.is_empty()) {
            (Some(tree), _) => {
                tree.write();
                due.push_back(tree);
            }
            (None, true) => return,
            (None, false) => {
                let Some(tree) = due.pop_front() else { continue };
                if let Err(error) = tree.merge() {
                    tracing::warn!(
                        error,
                        "files of what operators remember cannot be merged; they stay as they are"
                    );
                }
            }
        }
    }
}
