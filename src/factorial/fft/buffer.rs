//! Memory for the transforms that is used again: fresh pages would cost more than what is computed in them.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
};

use super::words::Eight;

/// Buffers of so many eights, 256 KiB, are shared by all threads; the shorter ones are each thread's own.
const LONG: usize = 4_096;

/// So many eights of long ones are kept: 64 MiB.
const KEPT: usize = 1 << 20;

/// A thread keeps so many short ones: with those of the length below [`LONG`], 4 MiB.
const KEPT_SHORT: usize = 16;

/// Eights, from what is left over if there is enough.
#[derive(Debug, Default)]
pub struct Buffer {
    /// At least as long as it is asked for: what is behind is not cleared for the next one either.
    eights: Vec<Eight>,
    length: usize,
}

type Spare = Vec<Vec<Eight>>;

static LONG_ONES: Mutex<Spare> = Mutex::new(Vec::new());

thread_local! {
    static SHORT_ONES: RefCell<Spare> = const { RefCell::new(Vec::new()) };
}

/// Does something with the spare buffers among which one of that length belongs.
fn with_spare<T>(length: usize, f: impl FnOnce(&mut Spare) -> T) -> T {
    if length >= LONG {
        f(&mut LONG_ONES.lock().unwrap_or_else(PoisonError::into_inner))
    } else {
        SHORT_ONES.with_borrow_mut(f)
    }
}

impl Buffer {
    /// One with that many eights of anything: all must be written before it is read.
    pub fn stale(length: usize) -> Self {
        let spare = with_spare(length, |spare| {
            // The smallest one that will do.
            let fits = spare.iter().enumerate().filter(|(_, spare)| spare.len() >= length);
            let best = fits.min_by_key(|(_, spare)| spare.len()).map(|(place, _)| place);
            best.map(|place| spare.swap_remove(place))
        });
        let mut eights = spare.unwrap_or_else(|| vec![Eight::ZERO; length]);
        if cfg!(debug_assertions) {
            // Makes nonsense of what would be read.
            eights.fill(Eight([f64::NAN; 8]));
        }
        Buffer { eights, length }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let eights = std::mem::take(&mut self.eights);
        let dropped = with_spare(eights.len(), |spare| {
            spare.push(eights);
            let kept = |spare: &Spare| match spare[0].len() {
                LONG.. => spare.iter().map(Vec::len).sum::<usize>() <= KEPT,
                _ => spare.len() <= KEPT_SHORT,
            };
            // The oldest ones go.
            let mut dropped = Vec::new();
            while !spare.is_empty() && !kept(spare) {
                dropped.push(spare.remove(0));
            }
            dropped
        });
        // Only now, so that nobody waits for the memory to be given back.
        drop(dropped);
    }
}

impl Deref for Buffer {
    type Target = [Eight];

    fn deref(&self) -> &[Eight] {
        &self.eights[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [Eight] {
        &mut self.eights[..self.length]
    }
}
