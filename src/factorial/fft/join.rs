//! Sums of products of groups back to limbs.

use super::{
    super::{
        limb::{self, BASE},
        parallel::{both, is_worth},
    },
    buffer::Buffer,
    groups::Group,
    kernels::Kernels,
    steps::STRIP,
    terms::Terms,
    words::Eight,
};

/// The limbs of the sum of `terms[k] * base^k`: integers below 2^50 in size, whose sum is not negative and fits
/// the limbs.
pub fn join(kernels: &'static Kernels, group: Group, terms: &Terms, limbs: usize) -> Vec<u64> {
    let mut product = limb::spare(limbs);
    // What the last limb may borrow is what was carried beyond it.
    Join { kernels, group, terms }.strips(&mut product, 0);
    product
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
            borrow = settle_all(self.kernels, &joined[below * limbs_of_unit / 8..], limbs, borrow);
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
pub fn settle_all(kernels: &Kernels, words: &[Eight], limbs: &mut [u64], borrow: i64) -> i64 {
    let (whole, rest) = limbs.as_chunks_mut();
    let borrow = (kernels.settle)(words, whole, borrow);
    let mut last = [[0; 8]];
    let borrow = (kernels.settle)(&words[whole.len()..], &mut last[..rest.len().min(1)], borrow);
    rest.copy_from_slice(&last[0][..rest.len()]);
    borrow
}
