//! Limbs to groups of three, four or five digits, and sums of their products back to limbs.

use super::{
    super::limb::{BASE, divide},
    kernels::Kernels,
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

    /// How many groups that many limbs of fifteen digits make at the most.
    pub fn count(self, limbs: usize) -> usize {
        (15 * limbs).div_ceil(self.digits())
    }

    /// The groups of a number, the least significant first, by eights. Their digits are from about -base/2 to base/2,
    /// so that there may be one group more than [`count`](Group::count) says.
    pub fn split(self, kernels: &Kernels, limbs: &[u64]) -> Vec<Eight> {
        match self {
            Group::Three => split_three(limbs),
            Group::Four => {
                let words = to_eights(limbs);
                let mut groups = vec![[0.0; 8]; 2 * words.len()];
                (kernels.split4)(&words, &mut groups);
                groups
            }
            Group::Five => {
                // Room for the carry: at least one limb is zero.
                let (whole, rest) = limbs.as_chunks();
                let mut last = [0; 8];
                last[..rest.len()].copy_from_slice(rest);
                let mut groups = vec![[0.0; 8]; 3 * (whole.len() + 1)];
                let mut padded = whole.to_vec();
                padded.push(last);
                (kernels.split5)(&padded, &mut groups);
                groups
            }
        }
    }

    /// The limbs of the sum of `groups[k] * base^k`: integers below 2^50 in size, whose sum is not negative and fits
    /// the limbs.
    pub fn join(self, kernels: &Kernels, groups: &[Eight], limbs: usize) -> Vec<u64> {
        match self {
            Group::Three => join_three(groups.as_flattened(), limbs),
            Group::Four => {
                let mut words = vec![[0.0; 8]; groups.len() / 2];
                (kernels.join4)(groups, &mut words);
                from_eights(words.as_flattened(), limbs)
            }
            Group::Five => {
                let mut words = vec![[0.0; 8]; groups.len() / 3];
                (kernels.join5)(groups, &mut words);
                let mut borrow = 0;
                let words = words.as_flattened().iter().take(limbs);
                words.map(|word| settle(*word, BASE as i64, &mut borrow)).collect()
            }
        }
    }
}

/// The last carry, from a word between -base and base.
#[inline(always)]
pub fn settle(word: f64, base: i64, borrow: &mut i64) -> u64 {
    // A float of this size has the integer in its last bits.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    let word = (word + SHIFT).to_bits() as i64 - SHIFT.to_bits() as i64 + *borrow;
    *borrow = word >> 63;
    (word + (base & *borrow)) as u64
}

/// Limbs of fifteen digits to words of eight, of which the last is zero.
fn to_eights(limbs: &[u64]) -> Vec<Eight> {
    let mut words = vec![[0.0; 8]; (15 * limbs.len()).div_ceil(64) + 1];
    let mut places = words.as_flattened_mut().iter_mut();
    let mut put = |word: u64| {
        if let Some(place) = places.next() {
            *place = word as f64;
        }
    };
    // What is left over of a limb has zero digits, then seven, six, … and again zero.
    let mut over = 0;
    for eight in limbs.chunks(8) {
        let mut limbs = eight.iter().copied();
        macro_rules! limb {
            ($digits:literal) => {{
                let limb = limbs.next().unwrap_or(0);
                const MISSING: u64 = 10_u64.pow(8 - $digits);
                put(over + limb % MISSING * 10_u64.pow($digits));
                over = limb / MISSING;
                if $digits > 0 {
                    put(over % 100_000_000);
                    over /= 100_000_000;
                }
            }};
        }
        limb!(0);
        limb!(7);
        limb!(6);
        limb!(5);
        limb!(4);
        limb!(3);
        limb!(2);
        limb!(1);
    }
    words
}

/// The limbs of words of eight digits, which may still be negative.
fn from_eights(words: &[f64], limbs: usize) -> Vec<u64> {
    let mut joined = Vec::with_capacity(limbs + 8);
    let mut borrow = 0;
    let mut words = words.iter();
    let mut next = || words.next().map_or(0, |word| settle(*word, 100_000_000, &mut borrow));
    while joined.len() < limbs {
        let mut over = 0;
        macro_rules! limb {
            ($digits:literal) => {{
                // So many digits are left over; one or two words make a limb of it.
                let mut limb = over;
                if $digits < 7 {
                    limb += next() * 10_u64.pow($digits);
                }
                let word = next();
                const MISSING: u64 = 10_u64.pow(if $digits < 7 { 7 - $digits } else { 8 });
                joined.push(limb + word % MISSING * 10_u64.pow(if $digits < 7 { 8 + $digits } else { 7 }));
                over = word / MISSING;
            }};
        }
        limb!(0);
        limb!(1);
        limb!(2);
        limb!(3);
        limb!(4);
        limb!(5);
        limb!(6);
        limb!(7);
        debug_assert_eq!(over, 0);
    }
    joined.truncate(limbs);
    joined
}

fn split_three(limbs: &[u64]) -> Vec<Eight> {
    let mut groups = vec![[0.0; 8]; (5 * limbs.len()) / 8 + 1];
    let flat = groups.as_flattened_mut();
    let mut carry = 0;
    for (limb, places) in limbs.iter().zip(flat.as_chunks_mut::<5>().0) {
        let mut rest = *limb;
        for place in places {
            let digits = (rest % 1_000) as i64 + carry;
            carry = i64::from(digits > 500);
            *place = (digits - carry * 1_000) as f64;
            rest /= 1_000;
        }
    }
    flat[5 * limbs.len()] = carry as f64;
    groups
}

fn join_three(groups: &[f64], limbs: usize) -> Vec<u64> {
    /// Makes what is divided positive: more than any sum, in limbs.
    const LIFT: i64 = 1 << 44;
    let mut carry = -LIFT;
    let joined = groups.as_chunks::<5>().0.iter().take(limbs).map(|groups| {
        let sum = groups.iter().rev().fold(0, |sum, group| sum * 1_000 + i128::from(*group as i64));
        let lifted = sum + i128::from(carry + LIFT) + i128::from(LIFT) * i128::from(BASE);
        let (quotient, rest) = divide(lifted as u128);
        carry = quotient as i64 - 2 * LIFT;
        rest
    });
    joined.collect()
}
