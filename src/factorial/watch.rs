//! Lets a long computation end early, once nobody wants its result.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Follows a computation from another thread, and may end it. Its clones follow the same one.
///
/// ```
/// use pipeline::factorial::{Watch, factorial_watched};
///
/// let watch = Watch::default();
/// assert_eq!(factorial_watched(5, &watch).unwrap().to_string(), "120");
/// assert_eq!(watch.reached().0, 1.0);
/// watch.cancel();
/// assert!(factorial_watched(5, &watch).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Watch {
    cancelled: Arc<AtomicBool>,
    began: Instant,
    reached: Arc<Reached>,
}

#[derive(Default, Debug)]
struct Reached {
    /// The bits of the fraction that is done.
    done: AtomicU64,
    /// Nanoseconds from the beginning until it was.
    after: AtomicU64,
}

impl Default for Watch {
    fn default() -> Self {
        Watch::until(Arc::default())
    }
}

impl Watch {
    /// A watch that is cancelled once `flag` is true, by whoever shares it.
    pub fn until(flag: Arc<AtomicBool>) -> Self {
        Watch { cancelled: flag, began: Instant::now(), reached: Arc::default() }
    }

    /// Ends the computation after the multiplications that are under way.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// About what part of the work was done last, from 0 to 1, and how long after the beginning.
    pub fn reached(&self) -> (f64, Duration) {
        let Reached { done, after } = &*self.reached;
        (f64::from_bits(done.load(Relaxed)), Duration::from_nanos(after.load(Relaxed)))
    }

    /// `None` once it is cancelled, for `?` between two steps.
    pub(super) fn go_on(&self) -> Option<()> {
        (!self.cancelled.load(Relaxed)).then_some(())
    }

    pub(super) fn done(&self, fraction: f64) {
        let after = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.reached.after.store(after, Relaxed);
        self.reached.done.store(fraction.to_bits(), Relaxed);
    }
}
