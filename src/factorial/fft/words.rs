//! Words to the transform's groups and back, written once for every vector: a word of fifteen digits is three groups
//! of five, one of eight is two groups of four.
//!
//! All values are integers that a float holds exactly.

use super::vector::Vector;

/// Eight words or groups.
pub type Eight = [f64; 8];

/// `x` as a multiple of the base and a rest of at most half of it in size.
#[inline(always)]
fn balance<V: Vector>(x: V, base: f64) -> (V, V) {
    let quotient = x.mul(V::splat(1.0 / base)).round();
    (quotient, quotient.mul_from(V::splat(base), x))
}

/// Limbs to groups of five digits, from about -50,000 to 50,000. The last limb must be zero: the carry goes there.
#[inline(always)]
pub fn split5<V: Vector>(limbs: &[[u64; 8]], groups: &mut [Eight]) {
    let mut carried = V::splat(0.0);
    for (limbs, groups) in limbs.iter().zip(groups.as_chunks_mut::<3>().0) {
        for part in 0..8 / V::LANES {
            let (carry, limb) = balance(V::from_words(limbs, part), 1e15);
            let (upper, g0) = balance(limb.add(carry.after(carried)), 1e5);
            let (g2, g1) = balance(upper, 1e5);
            carried = carry;
            store(V::interleave3([g0, g1, g2]), groups, part);
        }
    }
}

/// Words of eight digits to groups of four. The last word must be zero.
#[inline(always)]
pub fn split4<V: Vector>(words: &[Eight], groups: &mut [Eight]) {
    let mut carried = V::splat(0.0);
    for (words, groups) in words.iter().zip(groups.as_chunks_mut::<2>().0) {
        for part in 0..8 / V::LANES {
            let (carry, word) = balance(V::load(words, part), 1e8);
            let (g1, g0) = balance(word.add(carry.after(carried)), 1e4);
            carried = carry;
            store(V::interleave2([g0, g1]), groups, part);
        }
    }
}

#[inline(always)]
fn store<V: Vector, const N: usize>(rows: [V; N], groups: &mut [Eight; N], part: usize) {
    for (row, value) in rows.into_iter().enumerate() {
        let at = (N * part + row) * V::LANES;
        value.store(&mut groups[at / 8], at % 8 / V::LANES);
    }
}

#[inline(always)]
fn load<V: Vector, const N: usize>(groups: &[Eight; N], part: usize) -> [V; N] {
    let mut rows = [V::splat(0.0); N];
    for (row, value) in rows.iter_mut().enumerate() {
        let at = (N * part + row) * V::LANES;
        *value = V::load(&groups[at / 8], at % 8 / V::LANES);
    }
    rows
}

/// Carries on from word to word as far as it can be done at once: what is left is from about -base/2 to base/2.
struct Carry<V> {
    far: V,
    near: V,
    base: f64,
}

impl<V: Vector> Carry<V> {
    #[inline(always)]
    fn new(base: f64) -> Self {
        Carry { far: V::splat(0.0), near: V::splat(0.0), base }
    }

    /// `word` plus `carry` times the base.
    #[inline(always)]
    fn add(&mut self, word: V, carry: V) -> V {
        let (near, rest) = balance(word.add(carry.after(self.far)), self.base);
        let word = rest.add(near.after(self.near));
        (self.far, self.near) = (carry, near);
        word
    }
}

/// Sums of products of groups of five digits, below 2^50, to limbs between -10^15 and 10^15.
#[inline(always)]
pub fn join5<V: Vector>(groups: &[Eight], limbs: &mut [Eight]) {
    let mut carry = Carry::new(1e15);
    for (groups, limbs) in groups.as_chunks::<3>().0.iter().zip(limbs) {
        for part in 0..8 / V::LANES {
            let [g0, g1, g2] = V::deinterleave3(load(groups, part));
            let ((h1, l1), (h2, l2)) = (balance(g1, 1e10), balance(g2, 1e5));
            let limb = l2.mul_add(V::splat(1e10), l1.mul_add(V::splat(1e5), g0));
            carry.add(limb, h1.add(h2)).store(limbs, part);
        }
    }
}

/// Sums of products of groups of four digits, below 2^50, to words between -10^8 and 10^8.
#[inline(always)]
pub fn join4<V: Vector>(groups: &[Eight], words: &mut [Eight]) {
    let mut carry = Carry::new(1e8);
    for (groups, words) in groups.as_chunks::<2>().0.iter().zip(words) {
        for part in 0..8 / V::LANES {
            let [g0, g1] = V::deinterleave2(load(groups, part));
            let ((h0, l0), (h1, l1)) = (balance(g0, 1e8), balance(g1, 1e4));
            carry.add(l1.mul_add(V::splat(1e4), l0), h0.add(h1)).store(words, part);
        }
    }
}

/// Limbs, or limbs between -10^15 and 10^15, times a word below 10^14: limbs from -6/10 to 6/10 of 10^15, the last of
/// which must be zero before. Only for vectors whose multiply-add is fused.
#[inline(always)]
pub fn scale<V: Vector>(limbs: &mut [Eight], word: f64) {
    const BASE: f64 = 1e15;
    let (factor, part_of_base) = (V::splat(word), V::splat(word / BASE));
    let mut carried = V::splat(0.0);
    for limbs in limbs {
        for part in 0..8 / V::LANES {
            let limb = V::load(limbs, part);
            // The product is the sum of two floats; what is left of it after whole bases is below 2^51, a multiple of
            // what the upper float is a multiple of, and so exact.
            let high = limb.mul(factor);
            let low = limb.mul_sub(factor, high);
            let carry = limb.mul(part_of_base).round();
            let rest = carry.mul_from(V::splat(BASE), high).add(low);
            rest.add(carry.after(carried)).store(limbs, part);
            carried = carry;
        }
    }
}

/// Limbs to floats.
#[inline(always)]
pub fn to_floats<V: Vector>(limbs: &[[u64; 8]], floats: &mut [Eight]) {
    for (limbs, floats) in limbs.iter().zip(floats) {
        for part in 0..8 / V::LANES {
            V::from_words(limbs, part).store(floats, part);
        }
    }
}

/// The square of the length of a vector.
#[inline(always)]
pub fn square_norm<V: Vector>(data: &[super::passes::Block]) -> f64 {
    let mut sums = [V::splat(0.0); 2];
    for block in data {
        for part in 0..8 / V::LANES {
            let (re, im) = (V::load(&block.re, part), V::load(&block.im, part));
            sums = [re.mul_add(re, sums[0]), im.mul_add(im, sums[1])];
        }
    }
    let mut lanes = [0.0; 8];
    sums[0].add(sums[1]).store(&mut lanes, 0);
    lanes.iter().sum()
}
