//! Memory that is used again: fresh pages would cost more than what is computed in them.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes that may be kept beside the limits, by each [`Spare`], while long numbers are computed.
static MORE: AtomicUsize = AtomicUsize::new(0);

/// Lets so many bytes more be kept, until it is dropped.
pub struct More(usize);

impl More {
    pub fn bytes(bytes: usize) -> Self {
        MORE.fetch_add(bytes, Relaxed);
        More(bytes)
    }
}

impl Drop for More {
    fn drop(&mut self) {
        MORE.fetch_sub(self.0, Relaxed);
    }
}

/// Rows of at least [`LONG`](Self::LONG) bytes, which all threads share; those given back last are kept, within a limit.
#[derive(Debug)]
pub struct Spare<T> {
    kept: Mutex<Vec<Vec<T>>>,
    /// Bytes.
    limit: usize,
}

impl<T: Copy> Spare<T> {
    /// What is shorter is left to the allocator, which gives no pages back for it.
    pub const LONG: usize = 256 << 10;

    pub const fn new(limit: usize) -> Self {
        Spare { kept: Mutex::new(Vec::new()), limit }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Vec<Vec<T>>) -> R) -> R {
        f(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A row with at least so many of anything, of which the new ones are `zero`.
    pub fn take(&self, length: usize, zero: T) -> Vec<T> {
        let is_long = length * size_of::<T>() >= Self::LONG;
        let kept = is_long.then(|| self.with(|kept| smallest(kept, length))).flatten();
        kept.unwrap_or_else(|| vec![zero; length])
    }

    pub fn give_back(&self, row: Vec<T>) {
        if size_of_val(row.as_slice()) < Self::LONG {
            return;
        }
        self.keep(Some(row), self.limit + MORE.load(Relaxed));
    }

    /// Gives the memory back that is beyond the limit.
    pub fn shed(&self) {
        self.keep(None, self.limit + MORE.load(Relaxed));
    }

    /// Keeps one more row, and so many bytes at the most.
    fn keep(&self, row: Option<Vec<T>>, limit: usize) {
        let bytes = |row: &Vec<T>| size_of_val(row.as_slice());
        let dropped = self.with(|kept| {
            kept.extend(row);
            let mut sum: usize = kept.iter().map(bytes).sum();
            // The oldest ones go.
            let too_many = kept.iter().take_while(|row| {
                let goes = sum > limit;
                sum -= bytes(row);
                goes
            });
            let too_many = too_many.count();
            kept.drain(..too_many).collect::<Vec<_>>()
        });
        // Only now, so that nobody waits for the memory to be given back.
        drop(dropped);
    }
}

/// The smallest row that will do.
pub fn smallest<T>(rows: &mut Vec<Vec<T>>, length: usize) -> Option<Vec<T>> {
    let fits = rows.iter().enumerate().filter(|(_, row)| row.len() >= length);
    let (place, _) = fits.min_by_key(|(_, row)| row.len())?;
    Some(rows.swap_remove(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_row_is_taken_and_the_oldest_ones_are_dropped() {
        let spare = Spare::<u64>::new(10 * Spare::<u64>::LONG);
        let long = Spare::<u64>::LONG / 8;
        spare.give_back(vec![7; long - 1]);
        assert_eq!(spare.take(long - 1, 1)[0], 1);
        for (length, mark) in [(8 * long, 8), (2 * long, 2), (6 * long, 6)] {
            // Others may let more be kept meanwhile.
            spare.keep(Some(vec![mark; length]), spare.limit);
        }
        assert_eq!(spare.take(long, 0)[0], 2);
        assert_eq!(spare.take(long, 0)[0], 6);
        assert_eq!(spare.take(long, 0)[0], 0);
        spare.keep(Some(vec![9; 11 * long]), 11 * Spare::<u64>::LONG);
        assert_eq!(spare.with(|kept| kept.len()), 1);
        spare.keep(None, spare.limit);
        assert_eq!(spare.with(|kept| kept.len()), 0);
    }
}
