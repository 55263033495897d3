//! Many factorials, one after the other: from checkpoints.

use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{Mutex, OnceLock, PoisonError},
};

use super::{
    cost::{Cost, cost, digits},
    decimal::Decimal,
    factorial, factorial_watched,
    fft::{Isa, LARGEST_WORD, multiply_words},
    product, thresholds,
    watch::Watch,
};

/// Factorials in any order, for many threads at once, within a budget of memory.
///
/// Keeps k! for every so many k, so that n! is the nearest one below times a few words. A checkpoint is made when it
/// is first needed, and read without a lock from then on. Above the last checkpoint n! is computed from scratch, and
/// the latest of those results are kept.
///
/// ```
/// let factorials = pipeline::factorial::Factorials::new(1_000, 16 << 20);
/// assert_eq!(factorials.get(20).to_biguint(), 2_432_902_008_176_640_000_u64.into());
/// ```
#[derive(Debug)]
pub struct Factorials {
    /// The k-th one is that of k times `spacing`.
    checkpoints: Box<[OnceLock<Checkpoint>]>,
    spacing: u32,
    recent: Mutex<Recent>,
}

/// A factorial and the zeros behind its limbs.
type Checkpoint = Decimal<'static>;

/// Most requests are below; above, a checkpoint would save less than it takes from the others.
const LAST_CHECKPOINT: u32 = 40_000;

/// A checkpoint is made from one at most so many below, else from scratch.
const NEAR: usize = 64;

impl Factorials {
    /// For n up to `max_n`, keeping at most about `memory` bytes.
    pub fn new(max_n: u32, memory: u64) -> Self {
        let largest_spacing = thresholds::spacing() as u64;
        // What results take that are kept.
        let recent = if max_n > LAST_CHECKPOINT { memory / 8 } else { 0 };
        let allowed = memory - recent;
        let mut last = max_n.min(LAST_CHECKPOINT);
        while all_bytes(last) / largest_spacing > allowed {
            last /= 2;
        }
        let spacing = all_bytes(last).div_ceil(allowed.max(1)).clamp(1, largest_spacing) as u32;
        let count = last / spacing + 1;
        Factorials {
            checkpoints: (0..count).map(|_| OnceLock::new()).collect(),
            spacing,
            recent: Mutex::new(Recent { allowed: recent, bytes: 0, results: VecDeque::new() }),
        }
    }

    /// n!
    pub fn get(&self, n: u32) -> Decimal<'_> {
        // Nobody cancels that watch.
        self.get_until(n, Watch::default).unwrap_or_else(|| factorial(n))
    }

    /// n!, or `None` where the watch is cancelled meanwhile. It is only made for an n that takes long.
    pub fn get_until(&self, n: u32, watch: impl FnOnce() -> Watch) -> Option<Decimal<'_>> {
        let index = (n / self.spacing) as usize;
        if index >= self.checkpoints.len() {
            return self.far(n, &watch());
        }
        let checkpoint = self.checkpoint(index);
        let below = index as u32 * self.spacing;
        if n == below {
            return Some(Decimal { limbs: Cow::Borrowed(&checkpoint.limbs), zeros: checkpoint.zeros });
        }
        Some(times_range(checkpoint, below + 1, n))
    }

    /// Whether the checkpoint that n! is computed from is there already; `None` where there is none for it.
    pub fn has_checkpoint_of(&self, n: u32) -> Option<bool> {
        Some(self.checkpoints.get((n / self.spacing) as usize)?.get().is_some())
    }

    /// What [`get`](Self::get) and writing the digits take, within a factor of two where the checkpoint is there.
    pub fn cost(&self, n: u32) -> Cost {
        if n / self.spacing < self.checkpoints.len() as u32 {
            let digits = digits(n);
            // Measured: a few words for each limb, and making text of it. The limbs are there as integers and as floats.
            Cost { nanos: 60 + digits / 6, bytes: digits + 2 * 8 * digits / 15 }
        } else {
            cost(n)
        }
    }

    /// The time of [`cost`](Self::cost).
    pub fn cost_nanos(&self, n: u32) -> u64 {
        self.cost(n).nanos
    }

    /// Makes all checkpoints, each from the one before.
    pub fn warm(&self) {
        for index in 0..self.checkpoints.len() {
            self.checkpoint(index);
        }
    }

    fn checkpoint(&self, index: usize) -> &Checkpoint {
        self.checkpoints[index].get_or_init(|| {
            let near = (index.saturating_sub(NEAR)..index).rev();
            let below = near.filter_map(|k| Some((k as u32, self.checkpoints[k].get()?))).next();
            let n = index as u32 * self.spacing;
            match below {
                Some((k, below)) => times_range(below, k * self.spacing + 1, n),
                None => factorial(n),
            }
        })
    }

    /// n! above the checkpoints.
    fn far(&self, n: u32, watch: &Watch) -> Option<Checkpoint> {
        if let Some(limbs) = self.recent().find(n) {
            return Some(Decimal { limbs: limbs.into(), zeros: product::zeros(n) });
        }
        let result = factorial_watched(n, watch)?;
        self.recent().keep(n, &result.limbs);
        Some(result)
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About the bytes of the limbs of all factorials up to that of n.
fn all_bytes(n: u32) -> u64 {
    // A limb has fifteen digits in eight bytes; the digits grow a little faster than n.
    u64::from(n) * digits(n) * 8 / 15 / 2
}

/// A factorial times the numbers in `first ..= last`.
fn times_range(factorial: &Checkpoint, first: u32, last: u32) -> Checkpoint {
    // Factors of ten become zeros at the end, as far as the range has both two and five.
    let count = |p: u32| (first..=last).map(|n| exponent_in(n, p)).sum::<u32>();
    let tens = count(2).min(count(5));
    let (mut twos, mut fives) = (tens, tens);
    let mut words = Vec::with_capacity((last - first) as usize / 2 + 1);
    let mut word = 1_u64;
    for n in first..=last {
        let mut n = n;
        while twos > 0 && n.is_multiple_of(2) {
            (n, twos) = (n / 2, twos - 1);
        }
        while fives > 0 && n.is_multiple_of(5) {
            (n, fives) = (n / 5, fives - 1);
        }
        match word.checked_mul(n.into()).filter(|word| *word < LARGEST_WORD) {
            Some(product) => word = product,
            None => words.push(std::mem::replace(&mut word, n.into())),
        }
    }
    words.push(word);
    let limbs = multiply_words(Isa::best(), &factorial.limbs, &words);
    Decimal { limbs: limbs.into(), zeros: factorial.zeros + u64::from(tens) }
}

/// How often the prime p divides n.
fn exponent_in(mut n: u32, p: u32) -> u32 {
    let mut exponent = 0;
    while n.is_multiple_of(p) {
        (n, exponent) = (n / p, exponent + 1);
    }
    exponent
}

/// The latest results above the checkpoints.
#[derive(Debug)]
struct Recent {
    allowed: u64,
    bytes: u64,
    /// The latest one last.
    results: VecDeque<(u32, Vec<u64>)>,
}

impl Recent {
    fn find(&mut self, n: u32) -> Option<Vec<u64>> {
        let place = self.results.iter().position(|(kept, _)| *kept == n)?;
        let result = self.results.remove(place)?;
        let limbs = result.1.clone();
        self.results.push_back(result);
        Some(limbs)
    }

    fn keep(&mut self, n: u32, limbs: &[u64]) {
        let bytes = size_of_val(limbs) as u64;
        if bytes > self.allowed || self.results.iter().any(|(kept, _)| *kept == n) {
            return;
        }
        self.bytes += bytes;
        self.results.push_back((n, limbs.to_vec()));
        while self.bytes > self.allowed {
            let Some((_, oldest)) = self.results.pop_front() else { break };
            self.bytes -= size_of_val(oldest.as_slice()) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(result: &Decimal<'_>) -> Vec<u8> {
        let mut text = Vec::new();
        result.write(&mut text);
        text
    }

    fn assert_same(factorials: &Factorials, n: u32) {
        assert!(text(&factorials.get(n)) == text(&factorial(n)), "{n}! with spacing {}", factorials.spacing);
    }

    #[test]
    #[cfg_attr(miri, ignore)] // takes too long
    fn results_in_any_order_are_those_from_scratch() {
        let mut rng = fastrand::Rng::with_seed(1);
        for memory in [1 << 16, 1 << 20, 1 << 24] {
            let factorials = Factorials::new(3_000, memory);
            for _ in 0..300 {
                assert_same(&factorials, rng.u32(0..=3_000));
            }
            assert_same(&factorials, 0);
            assert_same(&factorials, 3_000);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore)] // takes too long
    fn a_sweep_and_a_jump_give_the_same_checkpoints() {
        let (swept, jumped) = (Factorials::new(2_000, 100_000), Factorials::new(2_000, 100_000));
        swept.warm();
        for n in (0..=2_000).rev().step_by(7) {
            assert!(text(&swept.get(n)) == text(&jumped.get(n)), "{n}!");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore)] // takes too long
    fn checkpoints_stay_within_the_memory() {
        for (max_n, memory) in [(2_000, 50_000), (5_000, 1 << 20), (10_000, 4 << 20)] {
            let factorials = Factorials::new(max_n, memory);
            factorials.warm();
            let kept = factorials.checkpoints.iter().filter_map(OnceLock::get);
            let bytes: usize = kept.map(|checkpoint| size_of_val(&*checkpoint.limbs)).sum();
            assert!(bytes as u64 <= memory, "{bytes} of {memory}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore)] // takes too long
    fn results_above_the_checkpoints_are_kept_within_the_memory_the_oldest_goes_first() {
        let factorials = Factorials::new(45_000, 2 << 20); // 262,144 bytes for three results of 86 KB
        for n in [41_000, 41_001, 41_000, 41_002, 41_003] {
            assert_same(&factorials, n);
        }
        let kept: Vec<u32> = factorials.recent().results.iter().map(|(n, _)| *n).collect();
        assert_eq!(kept, [41_000, 41_002, 41_003]);
    }

    #[test]
    #[cfg_attr(miri, ignore)] // takes too long
    fn threads_share_what_is_made() {
        let factorials = Factorials::new(1_500, 1 << 20);
        std::thread::scope(|scope| {
            for start in 0..4 {
                let factorials = &factorials;
                scope.spawn(move || (start..1_500).step_by(13).for_each(|n| assert_same(factorials, n)));
            }
        });
    }
}
