//! The school's method in vectors: all columns' sums of products first, then all carries.
//!
//! A product of two limbs is the sum of two floats. Added to a number so large that its last bit is worth [`UNIT`], it is
//! rounded to a multiple of that, which the number's bits then count; a second multiply-add gives what was rounded off.
//! Both are added up as integers.

use super::{
    vector::Vector,
    words::{Carry, Eight, balance},
};

/// 2^49, a factor of each product's upper part.
const UNIT: f64 = 562_949_953_421_312.0;
/// 1.5 * 2^52 UNIT: with a product, which is below 2^51 UNIT, it is still below 2^53 UNIT, so that its bits count units.
const UPPER: f64 = 6_755_399_441_055_744.0 * UNIT;
/// The same for what is rounded off, up to half a unit.
const LOWER: f64 = 6_755_399_441_055_744.0;
/// Sums of what is rounded off become positive by it: 32 times half a unit is 2^53.
const BIAS: u64 = 1 << 60;

/// So many columns are summed at once.
pub const COLUMNS: usize = 16;
/// So many products are summed before their sum becomes limbs.
const ROWS: usize = 32;

/// The most limbs of the shorter number: a column's sum is that of eight reduced ones then, all exact.
pub const LONGEST: usize = 8 * ROWS;

/// The product of the limbs of `a`, at most [`LONGEST`], and those of `b`, before and behind which are [`COLUMNS`]
/// zeros: limbs from -10^15 to 10^15, as far as `product` has room, which is a multiple of [`COLUMNS`]. Only for vectors
/// whose multiply-add is fused.
#[inline(always)]
pub fn school<V: Vector>(a: &[f64], b: &[f64], product: &mut [Eight]) {
    let length = b.len() - 2 * COLUMNS;
    let mut carry = Carry::new(1e15);
    let mut carried = V::splat(0.0);
    for (block, product) in product.chunks_exact_mut(COLUMNS / 8).enumerate() {
        let column = COLUMNS * block;
        let (first, end) =
            ((column + 1).saturating_sub(length).min(a.len()), (column + COLUMNS).min(a.len()));
        let mut sums = [Sum::<V>::zero(); 4];
        let mut row = first;
        for rows in a[first..end].chunks(ROWS) {
            // Each row's digits of `b` are those of the columns less the row.
            let (top, bottom) = (2 * COLUMNS + column - row, COLUMNS + 1 + column - row - rows.len());
            column_sums::<V>(rows, &b[bottom..top], &mut sums);
            row += rows.len();
        }
        for (at, sum) in sums.iter().enumerate().take(COLUMNS / V::LANES) {
            let limbs = carry.add(sum.rest, sum.carry.add(sum.far.after(carried)));
            carried = sum.far;
            limbs.store(&mut product[at * V::LANES / 8].0, at * V::LANES % 8 / V::LANES);
        }
    }
}

/// A sum that is `rest + 10^15 carry + 10^30 far`.
#[derive(Clone, Copy)]
struct Sum<V> {
    rest: V,
    carry: V,
    far: V,
}

/// Adds the products of at most [`ROWS`] limbs of `a` with as many windows of `b`, the last of which is the first's.
#[inline(always)]
fn column_sums<V: Vector>(a: &[f64], b: &[f64], sums: &mut [Sum<V>; 4]) {
    let rows = a.len() as u64;
    // What all rows add to the bits beside what is to be counted.
    let none = |large: f64, bias: u64| f64::from_bits(bias.wrapping_sub(rows.wrapping_mul(large.to_bits())));
    let (upper, lower) = (V::splat(UPPER), V::splat(UPPER + LOWER));
    let (mut high, mut low) = ([V::splat(none(UPPER, 0)); 4], [V::splat(none(LOWER, BIAS)); 4]);
    for (a, window) in a.iter().zip(b.windows(COLUMNS).rev()) {
        let a = V::splat(*a);
        let [left, right] = window.as_chunks::<8>().0 else { continue };
        for at in 0..COLUMNS / V::LANES {
            let eight = if at * V::LANES < 8 { left } else { right };
            let b = V::load(eight, at * V::LANES % 8 / V::LANES);
            let units = a.mul_add(b, upper);
            high[at] = high[at].add_bits(units);
            low[at] = low[at].add_bits(a.mul_add(b, lower.sub(units)));
        }
    }
    for at in 0..COLUMNS / V::LANES {
        sums[at].add(high[at], low[at]);
    }
}

impl<V: Vector> Sum<V> {
    #[inline(always)]
    fn zero() -> Self {
        Sum { rest: V::splat(0.0), carry: V::splat(0.0), far: V::splat(0.0) }
    }

    /// Adds so many units and ones, [`BIAS`] less. They are those of at most [`ROWS`] products.
    #[inline(always)]
    fn add(&mut self, units: V, ones: V) {
        const HALF: f64 = 4_294_967_296.0; // 2^32
        const BASE: f64 = 1e15;
        let ((u0, u1), (o0, o1)) = (units.halves_of_bits(), ones.halves_of_bits());
        // What is worth 2^32, below 2^50, and what is worth 2^81.
        let middle = u0.mul_add(V::splat(UNIT / HALF), o1.sub(V::splat((BIAS >> 32) as f64)));
        let carry = middle.mul(V::splat(HALF / BASE)).round();
        let rest = carry.mul_from(V::splat(BASE), middle.mul(V::splat(HALF)));
        // At most 32 * 10^30, whose multiple of 4 * 10^15 is below 2^53; what two roundings make it wrong by is below 1.8.
        let upper = u1.mul(V::splat(UNIT * HALF));
        let fours = upper.mul(V::splat(0.25 / BASE)).round();
        let upper_rest = fours.mul_from(V::splat(4.0 * BASE), upper);
        let far = fours.mul(V::splat(4.0 / BASE)).round();
        let upper_carry = far.mul_from(V::splat(BASE), fours.mul(V::splat(4.0)));
        // Below 1.8 * 4 + 1/2 times 10^15 and 2^32, which is below 2^53.
        let (more, rest) = balance(rest.add(upper_rest).add(o0), BASE);
        self.rest = self.rest.add(rest);
        self.carry = self.carry.add(upper_carry.add(carry).add(more));
        self.far = self.far.add(far);
    }
}
