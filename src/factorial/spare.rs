//! Memory that is used again: fresh pages would cost more than what is computed in them.

use std::sync::{Mutex, PoisonError};

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
        kept.unwrap_or_else(|| {
            let mut row = Vec::with_capacity(length);
            expect_long(&row);
            row.resize(length, zero);
            row
        })
    }

    pub fn give_back(&self, row: Vec<T>) {
        let bytes = |row: &Vec<T>| size_of_val(row.as_slice());
        if bytes(&row) < Self::LONG {
            return;
        }
        let dropped = self.with(|kept| {
            kept.push(row);
            let mut sum: usize = kept.iter().map(bytes).sum();
            // The oldest ones go.
            let too_many = kept.iter().take_while(|row| {
                let goes = sum > self.limit;
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

/// Asks for pages of 2 MiB, where there are such, for what a long row has room for and will be written: they are made with
/// less work than 512 small ones, and found with less.
pub fn expect_long<T>(row: &Vec<T>) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        const PAGE: usize = 2 << 20;
        let (start, end) = (
            row.as_ptr().addr() + size_of_val(row.as_slice()),
            row.as_ptr().addr() + row.capacity() * size_of::<T>(),
        );
        let (first, last) = (start.next_multiple_of(PAGE), end / PAGE * PAGE);
        if first < last {
            // SAFETY: it changes neither what is in these pages, all of which are the row's, nor who may use them; that it
            // may be refused does not matter.
            unsafe { libc::madvise(first as *mut libc::c_void, last - first, libc::MADV_HUGEPAGE) };
        }
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
            spare.give_back(vec![mark; length]);
        }
        assert_eq!(spare.take(long, 0)[0], 2);
        assert_eq!(spare.take(long, 0)[0], 6);
        assert_eq!(spare.take(long, 0)[0], 0);
    }
}
