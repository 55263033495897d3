//! Lets a long computation end early, once nobody wants its result.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Follows a computation from another thread, and may end it.
///
/// ```
/// use pipeline::factorial::{Watch, factorial_watched};
///
/// let watch = Watch::default();
/// assert_eq!(factorial_watched(5, &watch).unwrap().to_string(), "120");
/// assert_eq!(watch.fraction(), 1.0);
/// watch.cancel();
/// assert!(factorial_watched(5, &watch).is_none());
/// ```
#[derive(Default, Debug)]
pub struct Watch {
    cancelled: Arc<AtomicBool>,
    /// The bits of the fraction that is done.
    done: AtomicU64,
}

impl Watch {
    /// A watch that is cancelled once `flag` is true, by whoever shares it.
    pub fn until(flag: Arc<AtomicBool>) -> Self {
        Watch { cancelled: flag, ..Watch::default() }
    }

    /// Ends the computation after the multiplications that are under way.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// About what part of the work is done, from 0 to 1.
    pub fn fraction(&self) -> f64 {
        f64::from_bits(self.done.load(Ordering::Relaxed))
    }

    /// `None` once it is cancelled, for `?` between two steps.
    pub(super) fn go_on(&self) -> Option<()> {
        (!self.cancelled.load(Ordering::Relaxed)).then_some(())
    }

    pub(super) fn done(&self, fraction: f64) {
        self.done.store(fraction.to_bits(), Ordering::Relaxed);
    }
}
