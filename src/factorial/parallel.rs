//! Whether two parts of the work are done on two threads.

/// Below so many limbs (of either part) another thread would not be worth waking.
const WORTH: usize = 4_096;

/// Does both, on two threads of the pool that this runs in if there are two and the work has so many limbs.
pub fn both<A: Send, B: Send>(
    limbs: usize,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if limbs >= WORTH && rayon::current_num_threads() > 1 { rayon::join(a, b) } else { (a(), b()) }
}
