//! When the rounded result of a transform is proved to be the exact one.

use super::twiddle::FAR;

/// Half of a float's distance from one to the next: 2^-53.
const ROUNDOFF: f64 = f64::EPSILON / 2.0;

/// Whether every component of the product modulo X^M - i has an error below one half, given the product of the
/// operands' lengths.
///
/// C. Percival, "Rapid multiplication modulo the sum and difference of highly composite numbers", Math. Comp. 72
/// (2003), theorem 5.1, for steps that multiply once for two levels: with u = 2^-53, d = log2 M levels, and p
/// steps, the error is below |x| |y| ((1 + u)^(3d) (1 + sqrt(5) u)^(3p + 1) (1 + u / sqrt(2))^(3p) - 1). The first
/// factor is that of the additions; the second that of the products, as R. Brent, C. Percival and P. Zimmermann proved
/// it (Math. Comp. 76, 2007; with a fused multiply-add it is 2 u in place of sqrt(5) u, Math. Comp. 86, 2017); the third
/// that of the factors, which are right to the last bit, but in the last step of a long transform ([`FAR`]): there each is the
/// product of two such, and wrong by a product's error and another factor's more, in three transforms.
pub fn is_exact(levels: u32, norms: f64) -> bool {
    let (product, factor) = (5_f64.sqrt(), 0.5_f64.sqrt());
    let last = if levels as usize >= FAR + 2 { 3.0 * (product + factor) } else { 0.0 };
    let (levels, steps) = (f64::from(levels), f64::from(levels.div_ceil(2)));
    let exponent = 3.0 * levels + (3.0 * steps + 1.0) * product + 3.0 * steps * factor + last;
    // The hundredth is more than what the terms of second order and the rounding of this sum itself can be.
    norms * exponent * ROUNDOFF * 1.01 < 0.5
}
