//! How many bytes may be with the producer at once.
//!
//! At-least-once, its whole share of the budget. Exactly-once, no more than is acknowledged well within the
//! transaction's time: with a slow broker, or a topic that takes only small batches, the whole share would
//! take longer, and one transaction after another would be aborted. So the window grows while transactions
//! are short, and shrinks after one that was long or failed, as a TCP sender's does.

use std::time::Duration;

/// The first size, and the least: about one chunk, in bytes.
const SMALLEST: u64 = 1 << 20;
/// The window grows after transactions that took less than this.
const SHORT: Duration = Duration::from_secs(1);
/// It shrinks after transactions that took more than this; one may take 10 s by default.
const LONG: Duration = Duration::from_secs(3);

/// Bytes of results that may be with the producer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    size: u64,
    largest: u64,
}

impl Window {
    /// A window that keeps its size.
    pub fn fixed(largest: u64) -> Window {
        Window { size: largest, largest }
    }

    /// A window that begins small and grows up to `largest`.
    pub fn growing(largest: u64) -> Window {
        Window { size: SMALLEST.min(largest), largest }
    }

    /// Whether another chunk may be handed over while the producer has this many bytes.
    pub fn has_room(self, bytes: u64) -> bool {
        bytes <= self.size
    }

    /// A transaction was committed, `took` after its first record.
    pub fn committed(&mut self, took: Duration) {
        if took < SHORT {
            self.size = (2 * self.size).min(self.largest);
        } else if took > LONG {
            self.shrink(2);
        }
    }

    /// A transaction was aborted for what may have been its size.
    pub fn aborted(&mut self) {
        self.shrink(4);
    }

    fn shrink(&mut self, by: u64) {
        self.size = (self.size / by).max(SMALLEST.min(self.largest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn it_grows_while_transactions_are_short_and_shrinks_where_they_are_long_or_in_trouble() {
        let mut window = Window::growing(16 * MIB);
        let mut sizes = vec![window.size / MIB];
        for _ in 0..5 {
            window.committed(Duration::from_millis(100));
            sizes.push(window.size / MIB);
        }
        window.committed(Duration::from_secs(2));
        sizes.push(window.size / MIB);
        window.committed(Duration::from_secs(4));
        sizes.push(window.size / MIB);
        for _ in 0..3 {
            window.aborted();
            sizes.push(window.size / MIB);
        }
        assert_eq!(sizes, [1, 2, 4, 8, 16, 16, 16, 8, 2, 1, 1]);
        assert!(window.has_room(MIB) && !window.has_room(MIB + 1));
    }

    #[test]
    fn a_small_budget_is_never_exceeded_and_a_fixed_window_is_all_of_it() {
        let mut window = Window::growing(1_000);
        window.committed(Duration::ZERO);
        window.aborted();
        assert!(window.has_room(1_000) && !window.has_room(1_001));
        assert!(Window::fixed(16 * MIB).has_room(16 * MIB));
    }
}
