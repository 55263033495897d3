//! Memory for the transforms that is used again: fresh pages would cost more than what is computed in them.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

use super::words::Eight;

/// So many bytes are kept for each thread at the most.
const KEPT: usize = 64 << 20;

/// Eights, from what this thread has left over if it has enough.
#[derive(Debug, Default)]
pub struct Buffer(Vec<Eight>);

thread_local! {
    static SPARE: RefCell<Vec<Vec<Eight>>> = const { RefCell::new(Vec::new()) };
}

impl Buffer {
    /// An empty one, with room for so many.
    pub fn with_capacity(length: usize) -> Self {
        let spare = SPARE.with_borrow_mut(|spare| {
            // The smallest one that will do.
            let fits = spare.iter().enumerate().filter(|(_, spare)| spare.capacity() >= length);
            let best = fits.min_by_key(|(_, spare)| spare.capacity()).map(|(place, _)| place);
            best.map(|place| spare.swap_remove(place))
        });
        Buffer(spare.unwrap_or_else(|| Vec::with_capacity(length)))
    }

    /// One of so many zeros.
    pub fn zeroed(length: usize) -> Self {
        let mut buffer = Self::with_capacity(length);
        buffer.resize(length, Eight::ZERO);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut emptied = std::mem::take(&mut self.0);
        emptied.clear();
        SPARE.with_borrow_mut(|spare| {
            spare.push(emptied);
            while spare.len() > 16
                || spare.iter().map(Vec::capacity).sum::<usize>() * size_of::<Eight>() > KEPT
            {
                spare.remove(0);
            }
        });
    }
}

impl Deref for Buffer {
    type Target = Vec<Eight>;

    fn deref(&self) -> &Vec<Eight> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<Eight> {
        &mut self.0
    }
}
