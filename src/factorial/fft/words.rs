//! Limbs to the transform's groups and back, written once for every vector: a limb of fifteen digits is five groups of
//! three, or three of five; eight limbs are thirty groups of four.
//!
//! All values are integers that a float holds exactly.

use super::vector::Vector;

/// Eight words or groups, in a line of the cache.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(C, align(64))]
pub struct Eight(pub [f64; 8]);

impl Eight {
    pub const ZERO: Eight = Eight([0.0; 8]);

    /// The floats one after the other.
    pub fn flat(eights: &mut [Eight]) -> &mut [f64] {
        // SAFETY: an eight is eight floats and nothing else (64 bytes, aligned to 64), so that a row of eights is a row
        // of floats; the borrow goes over to the result.
        unsafe { std::slice::from_raw_parts_mut(eights.as_mut_ptr().cast(), 8 * eights.len()) }
    }
}

/// Powers of ten for each of eight limbs.
type Powers = [f64; 8];

/// 10^0, 10^1, …
const UP: Powers = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
/// 10^7, 10^6, …
const DOWN: Powers = [1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1e0];

/// One over each power.
const fn inverse(powers: Powers) -> Powers {
    let mut inverse = [0.0; 8];
    let mut lane = 0;
    while lane < 8 {
        inverse[lane] = 1.0 / powers[lane];
        lane += 1;
    }
    inverse
}

/// The same, and zero for the last.
const fn inverse_but_last(powers: Powers) -> Powers {
    let mut inverse = inverse(powers);
    inverse[7] = 0.0;
    inverse
}

/// `x` as a multiple of the base and a rest of at most half of it in size.
#[inline(always)]
pub fn balance<V: Vector>(x: V, base: f64) -> (V, V) {
    let quotient = x.mul(V::splat(1.0 / base)).round();
    (quotient, quotient.mul_from(V::splat(base), x))
}

/// The same for a base in each lane, whose inverse may be zero: then all of `x` is the rest.
#[inline(always)]
fn balance_each<V: Vector>(x: V, base: V, inverse: V) -> (V, V) {
    let quotient = x.mul(inverse).round();
    (quotient, quotient.mul_from(base, x))
}

/// The first floats by eights.
#[inline(always)]
fn eights<const N: usize>(floats: &mut [f64]) -> &mut [[f64; 8]; N] {
    // Whoever splits a number brings room for whole units (`Group::scratch`).
    floats.as_chunks_mut().0.first_chunk_mut().expect("room for all groups")
}

#[inline(always)]
fn store<V: Vector, const N: usize>(rows: [V; N], eights: &mut [[f64; 8]], part: usize) {
    for (row, value) in rows.into_iter().enumerate() {
        let at = (N * part + row) * V::LANES;
        value.store(&mut eights[at / 8], at % 8 / V::LANES);
    }
}

#[inline(always)]
fn load<V: Vector, const N: usize>(eights: &[[f64; 8]], part: usize) -> [V; N] {
    let mut rows = [V::splat(0.0); N];
    for (row, value) in rows.iter_mut().enumerate() {
        let at = (N * part + row) * V::LANES;
        *value = V::load(&eights[at / 8], at % 8 / V::LANES);
    }
    rows
}

/// Limbs to groups of five digits, from about -50,000 to 50,000. A carry comes in from the eight limbs before.
#[inline(always)]
pub fn split5<V: Vector>(limbs: &[[u64; 8]], before: &[u64; 8], groups: &mut [f64]) {
    let mut carried = balance(V::from_words(before, 8 / V::LANES - 1), 1e15).0;
    for (limbs, groups) in limbs.iter().zip(groups.as_chunks_mut::<24>().0) {
        let groups = eights::<3>(groups);
        for part in 0..8 / V::LANES {
            let (carry, limb) = balance(V::from_words(limbs, part), 1e15);
            let (upper, g0) = balance(limb.add(carry.after(carried)), 1e5);
            let (g2, g1) = balance(upper, 1e5);
            carried = carry;
            store(V::interleave3([g0, g1, g2]), groups, part);
        }
    }
}

/// The same in groups of three digits, from about -500 to 500.
#[inline(always)]
pub fn split3<V: Vector>(limbs: &[[u64; 8]], before: &[u64; 8], groups: &mut [f64]) {
    let mut carried = balance(V::from_words(before, 8 / V::LANES - 1), 1e15).0;
    for (limbs, groups) in limbs.iter().zip(groups.as_chunks_mut::<40>().0) {
        let mut rows = [[0.0; 8]; 5];
        for part in 0..8 / V::LANES {
            let (carry, limb) = balance(V::from_words(limbs, part), 1e15);
            let mut rest = limb.add(carry.after(carried));
            carried = carry;
            for row in &mut rows[..4] {
                let (upper, group) = balance(rest, 1e3);
                group.store(row, part);
                rest = upper;
            }
            rest.store(&mut rows[4], part);
        }
        for (index, group) in groups.iter_mut().enumerate() {
            *group = rows[index % 5][index / 5];
        }
    }
}

/// Eight limbs as sixteen words of eight digits, from about -10^8 to 10^8; the last one is zero.
///
/// The k-th limb's lowest k digits belong to word 2k - 1, the next eight are word 2k, and the rest word 2k + 1.
#[inline(always)]
fn words_of<V: Vector>(limbs: &[u64; 8]) -> [[f64; 8]; 2] {
    const LIMB: Powers = inverse(UP);
    const WHOLE: Powers = inverse_but_last([1e8; 8]);
    // What the lowest digits are a multiple of in their word; the first limb has none.
    const LOWEST: Powers = [0.0, 1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 1e1];
    let (mut middle, mut upper, mut lower) = ([V::splat(0.0); 2], [V::splat(0.0); 2], [V::splat(0.0); 3]);
    for part in 0..8 / V::LANES {
        let limb = V::from_words(limbs, part);
        let (whole, rest) = balance_each(limb, V::load(&UP, part), V::load(&LIMB, part));
        lower[part] = rest.mul(V::load(&LOWEST, part));
        (upper[part], middle[part]) = balance_each(whole, V::splat(1e8), V::load(&WHOLE, part));
    }
    let mut words = [[0.0; 8]; 2];
    for part in 0..8 / V::LANES {
        let odd = upper[part].add(lower[part].before(lower[part + 1]));
        store(V::interleave2([middle[part], odd]), &mut words, part);
    }
    words
}

/// Limbs to groups of four digits, thirty of each eight limbs. A carry comes in from the eight limbs before. Two more
/// floats are written.
#[inline(always)]
pub fn split4<V: Vector>(limbs: &[[u64; 8]], before: &[u64; 8], groups: &mut [f64]) {
    let last = V::load(&words_of::<V>(before)[1], 8 / V::LANES - 1);
    let carry = balance(last, 1e8).0;
    // The last but one is that of the last word that there is.
    let mut carried = carry.after(carry);
    for (index, limbs) in limbs.iter().enumerate() {
        let words = words_of::<V>(limbs);
        let groups = eights::<4>(&mut groups[30 * index..]);
        for part in 0..16 / V::LANES {
            let word = V::load(&words[part * V::LANES / 8], part * V::LANES % 8 / V::LANES);
            let (carry, rest) = balance(word, 1e8);
            let (g1, g0) = balance(rest.add(carry.after(carried)), 1e4);
            carried = carry;
            store(V::interleave2([g0, g1]), groups, part);
        }
        carried = carried.after(carried);
    }
}

/// Carries on from word to word as far as it can be done at once: what is left is from about -base/2 to base/2.
pub struct Carry<V> {
    far: V,
    near: V,
    base: f64,
}

impl<V: Vector> Carry<V> {
    #[inline(always)]
    pub fn new(base: f64) -> Self {
        Carry { far: V::splat(0.0), near: V::splat(0.0), base }
    }

    /// `word` plus `carry` times the base.
    #[inline(always)]
    pub fn add(&mut self, word: V, carry: V) -> V {
        let (near, rest) = balance(word.add(carry.after(self.far)), self.base);
        let word = rest.add(near.after(self.near));
        (self.far, self.near) = (carry, near);
        word
    }
}

/// Sums of products of groups of five digits, below 2^50, to limbs between -10^15 and 10^15.
#[inline(always)]
pub fn join5<V: Vector>(groups: &mut [Eight], limbs: &mut [Eight]) {
    let mut carry = Carry::new(1e15);
    for (groups, limbs) in Eight::flat(groups).as_chunks_mut::<24>().0.iter_mut().zip(limbs) {
        let groups = eights::<3>(groups);
        for part in 0..8 / V::LANES {
            let [g0, g1, g2] = V::deinterleave3(load(groups, part));
            let ((h1, l1), (h2, l2)) = (balance(g1, 1e10), balance(g2, 1e5));
            let limb = l2.mul_add(V::splat(1e10), l1.mul_add(V::splat(1e5), g0));
            carry.add(limb, h1.add(h2)).store(&mut limbs.0, part);
        }
    }
}

/// The same for groups of three digits.
#[inline(always)]
pub fn join3<V: Vector>(groups: &mut [Eight], limbs: &mut [Eight]) {
    let mut carry = Carry::new(1e15);
    for (groups, limbs) in Eight::flat(groups).as_chunks::<40>().0.iter().zip(limbs) {
        let mut rows = [[0.0; 8]; 5];
        for (index, group) in groups.iter().enumerate() {
            rows[index % 5][index / 5] = *group;
        }
        for part in 0..8 / V::LANES {
            let (mut limb, mut high) = (V::load(&rows[0], part), V::splat(0.0));
            for (row, power) in rows[1..].iter().zip([1e3, 1e6, 1e9, 1e12]) {
                let (h, l) = balance(V::load(row, part), 1e15 / power);
                (limb, high) = (l.mul_add(V::splat(power), limb), high.add(h));
            }
            carry.add(limb, high).store(&mut limbs.0, part);
        }
    }
}

/// The same for groups of four digits, which are overwritten by words of eight on the way.
#[inline(always)]
pub fn join4<V: Vector>(groups: &mut [Eight], limbs: &mut [Eight]) {
    let groups = Eight::flat(groups);
    words_of_groups::<V>(groups);
    limbs_of_words::<V>(groups, limbs);
}

/// Sums of products of groups of four digits to words between about -10^8/2 and 10^8/2, in the first half of the place.
#[inline(always)]
fn words_of_groups<V: Vector>(groups: &mut [f64]) {
    let mut carry = Carry::new(1e8);
    for index in 0..groups.len() / 16 {
        let pairs: [[f64; 8]; 2] = *eights(&mut groups[16 * index..]);
        let words = eights::<1>(&mut groups[8 * index..]);
        for part in 0..8 / V::LANES {
            let [g0, g1] = V::deinterleave2(load(&pairs, part));
            let ((h0, l0), (h1, l1)) = (balance(g0, 1e8), balance(g1, 1e4));
            store([carry.add(l1.mul_add(V::splat(1e4), l0), h0.add(h1))], words, part);
        }
    }
}

/// Fifteen words to each eight limbs, as in [`words_of`].
#[inline(always)]
fn limbs_of_words<V: Vector>(words: &mut [f64], limbs: &mut [Eight]) {
    const WORD: Powers = inverse_but_last(DOWN);
    // What is left of a word belongs to its limb's upper end; the last one is the next eight limbs' first.
    const HIGHEST: Powers = [1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 0.0];
    let mut carried = V::splat(0.0);
    for (index, limbs) in limbs.iter_mut().enumerate() {
        let words = eights::<2>(&mut words[15 * index..]);
        for part in 0..8 / V::LANES {
            let [even, odd] = V::deinterleave2(load(words, part));
            let (upper, rest) = balance_each(odd, V::load(&DOWN, part), V::load(&WORD, part));
            let limb = even.mul_add(V::load(&UP, part), rest.mul(V::load(&HIGHEST, part)));
            limb.add(upper.after(carried)).store(&mut limbs.0, part);
            carried = upper;
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
    for Eight(limbs) in limbs {
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
            V::from_words(limbs, part).store(&mut floats.0, part);
        }
    }
}
