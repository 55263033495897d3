//! Limbs to groups of three, four or five digits, and sums of their products back to limbs.

use super::{
    super::{
        limb::{self, BASE},
        parallel::{both, is_worth},
    },
    buffer::Buffer,
    kernels::Kernels,
    moduli::Terms,
    residue::STRIP,
    words::Eight,
};

/// How many digits one float of the transform carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    Three,
    Four,
    Five,
}

impl Group {
    fn digits(self) -> usize {
        match self {
            Group::Three => 3,
            Group::Four => 4,
            Group::Five => 5,
        }
    }

    pub fn base(self) -> f64 {
        10_f64.powi(self.digits() as i32)
    }

    /// How many groups that many limbs of fifteen digits make at the most.
    pub fn count(self, limbs: usize) -> usize {
        (15 * limbs).div_ceil(self.digits())
    }

    /// Limbs that are whole eights of groups, and how many.
    fn unit(self) -> (usize, usize) {
        match self {
            Group::Three => (8, 5),
            Group::Four => (64, 30),
            Group::Five => (8, 3),
        }
    }

    /// How many eights of groups a number of so many limbs has at the most; a carry may make one more group.
    pub fn eights(self, limbs: usize) -> usize {
        let (limbs_of_unit, eights) = self.unit();
        (limbs / limbs_of_unit + 1) * eights
    }

    /// Room for [`split`](Group::split) to make so many eights.
    pub fn scratch(self, eights: usize) -> Buffer {
        // The units at both ends may be needed in part, and a float or two are written behind them.
        Buffer::stale(eights + 2 * self.unit().1 + 1)
    }

    /// A number's groups, the least significant first: `count` eights from the `first` on. Their digits are from about
    /// -base/2 to base/2.
    pub fn split<'a>(
        self,
        kernels: &Kernels,
        number: &[u64],
        first: usize,
        count: usize,
        scratch: &'a mut [Eight],
    ) -> &'a [Eight] {
        let (limbs, eights) = self.unit();
        let (start, end) = (first / eights, (first + count).div_ceil(eights));
        let filled = end.min(number.len() / limbs + 1).saturating_sub(start);
        if filled > 0 {
            self.split_limbs(kernels, number, start * limbs, filled * limbs, Eight::flat(scratch));
        }
        scratch[filled * eights..(end - start) * eights].fill(Eight::ZERO);
        &scratch[first - start * eights..][..count]
    }

    /// The groups of `count` limbs from the `first` on; behind the number's end there are zeros.
    fn split_limbs(self, kernels: &Kernels, number: &[u64], first: usize, count: usize, groups: &mut [f64]) {
        let split = match self {
            Group::Three => kernels.split3,
            Group::Four => kernels.split4,
            Group::Five => kernels.split5,
        };
        let (whole, rest) = number[first..number.len().min(first + count)].as_chunks();
        let before = number[..first].last_chunk().unwrap_or(&[0; 8]);
        split(whole, before, groups);
        let missing = count / 8 - whole.len();
        if missing > 0 {
            let mut last = [[0; 8]; 8];
            last.as_flattened_mut()[..rest.len()].copy_from_slice(rest);
            let before = whole.last().unwrap_or(before);
            split(&last[..missing], before, &mut groups[whole.len() * 8 * 15 / self.digits()..]);
        }
    }

    /// The limbs of the sum of `terms[k] * base^k`: integers below 2^50 in size, whose sum is not negative and fits
    /// the limbs.
    pub fn join(self, kernels: &'static Kernels, terms: &Terms, limbs: usize) -> Vec<u64> {
        let mut product = limb::spare(limbs);
        // What the last limb may borrow is what was carried beyond it.
        Join { kernels, group: self, terms }.strips(&mut product, 0);
        product
    }
}

/// Terms to be made limbs.
struct Join<'a> {
    kernels: &'static Kernels,
    group: Group,
    terms: &'a Terms,
}

impl Join<'_> {
    /// Makes the limbs from the `first` on as if what is below did not borrow; what they borrow from those above.
    fn strips(&self, limbs: &mut [u64], first: usize) -> u64 {
        let (limbs_of_unit, eights) = self.group.unit();
        let length = limbs.len();
        if is_worth(length) && length > limbs_of_unit {
            let (low, high) = limbs.split_at_mut((limbs.len() / 2).next_multiple_of(limbs_of_unit));
            let middle = first + low.len();
            let (below, above) = both(length, || self.strips(low, first), || self.strips(high, middle));
            // What was borrowed once is less than what was there.
            return above + take(high, below);
        }
        let strip = STRIP / eights * limbs_of_unit;
        let units = limbs.len().min(strip).div_ceil(limbs_of_unit) + 1;
        let (mut terms, mut joined) =
            (Buffer::stale(units * eights), Buffer::stale(units * limbs_of_unit / 8));
        let mut borrow = 0;
        for (index, limbs) in limbs.chunks_mut(strip).enumerate() {
            let first = (first + index * strip) / limbs_of_unit;
            // The carries from below are those that one more unit has.
            let below = first.min(1);
            let units = limbs.len().div_ceil(limbs_of_unit) + below;
            let (terms, joined) = (&mut terms[..units * eights], &mut joined[..units * limbs_of_unit / 8]);
            self.terms.get((first - below) * eights, terms);
            self.join(terms, joined);
            borrow = settle_all(&joined[below * limbs_of_unit / 8..], limbs, borrow);
        }
        borrow.unsigned_abs()
    }

    fn join(&self, terms: &mut [Eight], limbs: &mut [Eight]) {
        match self.group {
            Group::Three => (self.kernels.join3)(terms, limbs),
            Group::Four => (self.kernels.join4)(terms, limbs),
            Group::Five => (self.kernels.join5)(terms, limbs),
        }
    }
}

/// Takes a borrow of nothing or one from limbs; what they borrow themselves.
fn take(limbs: &mut [u64], borrow: u64) -> u64 {
    if borrow == 0 {
        return 0;
    }
    for limb in limbs {
        match limb.checked_sub(1) {
            Some(less) => {
                *limb = less;
                return 0;
            }
            None => *limb = BASE - 1,
        }
    }
    1
}

/// The last carries, from limbs between -base and base: nothing, or minus one, comes in and goes out.
pub fn settle_all(words: &[Eight], limbs: &mut [u64], mut borrow: i64) -> i64 {
    for (Eight(words), limbs) in words.iter().zip(limbs.chunks_mut(8)) {
        for (word, limb) in words.iter().zip(limbs) {
            *limb = settle(*word, &mut borrow);
        }
    }
    borrow
}

/// The last carry, from a word between -base and base.
#[inline(always)]
fn settle(word: f64, borrow: &mut i64) -> u64 {
    // A float of this size has the integer in its last bits.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    let word = (word + SHIFT).to_bits() as i64 - SHIFT.to_bits() as i64 + *borrow;
    *borrow = word >> 63;
    (word + (BASE as i64 & *borrow)) as u64
}
