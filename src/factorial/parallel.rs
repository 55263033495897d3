//! Whether two parts of the work are done on two threads.

use super::thresholds;

/// Whether work on so many limbs is to be parted among threads.
pub fn is_worth(limbs: usize) -> bool {
    limbs >= thresholds::worth() && rayon::current_num_threads() > 1
}

/// Does both, on two threads of the pool that this runs in if there are two and the work has so many limbs.
pub fn both<A: Send, B: Send>(
    limbs: usize,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if is_worth(limbs) { rayon::join(a, b) } else { (a(), b()) }
}
