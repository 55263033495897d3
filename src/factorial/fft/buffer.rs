//! Rows of eights for the transforms.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

use super::{
    super::spare::{Spare, smallest},
    words::Eight,
};

/// 48 MiB for all threads together.
static LONG: Spare<Eight> = Spare::new(48 << 20);

/// A thread keeps so many short ones: 4 MiB, if they are as long as they can be.
const KEPT_SHORT: usize = 16;

thread_local! {
    static SHORT: RefCell<Vec<Vec<Eight>>> = const { RefCell::new(Vec::new()) };
}

fn is_long(length: usize) -> bool {
    length * size_of::<Eight>() >= Spare::<Eight>::LONG
}

/// Eights, from what is left over if there is enough.
#[derive(Debug)]
pub struct Buffer {
    /// At least as long as it is asked for: what is behind is not cleared for the next one either.
    eights: Vec<Eight>,
    length: usize,
}

impl Buffer {
    /// One with that many eights of anything: all must be written before it is read.
    pub fn stale(length: usize) -> Self {
        let mut eights = if is_long(length) { LONG.take(length, Eight::ZERO) } else { short(length) };
        if cfg!(debug_assertions) {
            // Makes nonsense of what would be read.
            eights.fill(Eight([f64::NAN; 8]));
        }
        Buffer { eights, length }
    }
}

/// Gives back what is kept beyond the limit.
pub fn shed() {
    LONG.shed();
}

fn short(length: usize) -> Vec<Eight> {
    let kept = SHORT.with_borrow_mut(|kept| smallest(kept, length));
    kept.unwrap_or_else(|| vec![Eight::ZERO; length])
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let eights = std::mem::take(&mut self.eights);
        if is_long(eights.len()) {
            LONG.give_back(eights);
            return;
        }
        SHORT.with_borrow_mut(|kept| {
            kept.push(eights);
            if kept.len() > KEPT_SHORT {
                kept.remove(0);
            }
        });
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
