//! The factorial: pure arithmetic. Numbers in, decimal digits out.
//!
//! Knows: nothing else here. Must not know: rdkafka, tokio.

mod binary;
mod cost;
mod decimal;
mod fft;
mod limb;
mod multiply;
mod parallel;
mod primes;
mod product;
mod small;
mod spare;
mod stream;
mod text;
#[cfg(tuning)]
pub mod thresholds;
#[cfg(not(tuning))]
mod thresholds;
mod watch;

pub use cost::{Cost, cost, digits};
pub use decimal::Decimal;
pub use stream::Factorials;
pub use watch::Watch;

use num_bigint::BigUint;

/// The largest n that is taken: beyond, the memory of most machines would not do.
pub const MAX_N: u32 = 100_000_000;

/// How this processor computes: the method and its instruction set.
pub fn method() -> String {
    format!("prime powers, complex FFT in base 10^5 to 10^3 ({})", fft::Isa::best().name())
}

/// n!, from scratch. For many, [`Factorials`] is faster by far.
///
/// A large n is computed on the threads of the `rayon` pool that this is called in, or of the global one.
pub fn factorial(n: u32) -> Decimal<'static> {
    // Nobody can cancel this one.
    factorial_watched(n, &Watch::default()).unwrap_or_else(|| Decimal::from(&BigUint::ZERO))
}

/// n!, from scratch; `None` if it was cancelled.
pub fn factorial_watched(n: u32, watch: &Watch) -> Option<Decimal<'static>> {
    watch.go_on()?;
    if let Some(limbs) = small::known(n) {
        watch.done(1.0);
        return Some(Decimal { limbs: limbs.into(), zeros: product::zeros(n) });
    }
    let (limbs, zeros) = product::factorial(n, watch)?;
    // Ten is one modulo nine, so the limbs' sum is the digits'; and the zeros at the end are those that Legendre says.
    debug_assert!(
        n < 6 || limbs.iter().map(|limb| limb % 9).sum::<u64>().is_multiple_of(9),
        "digit sum of {n}!"
    );
    debug_assert!(limbs.first().is_some_and(|limb| !limb.is_multiple_of(10)), "zeros at the end of {n}!");
    Some(Decimal { limbs: limbs.into(), zeros })
}

/// The decimal digits of n!, without leading zeros.
///
/// ```
/// assert_eq!(pipeline::factorial::factorial_decimal(20), "2432902008176640000");
/// ```
pub fn factorial_decimal(n: u32) -> String {
    let result = factorial(n);
    let mut text = Vec::with_capacity(result.digits() as usize);
    result.write(&mut text);
    // There is nothing but ASCII digits in it.
    String::from_utf8(text).unwrap_or_default()
}

/// The product of two numbers in limbs of fifteen digits: for `benches/peers`.
#[doc(hidden)]
pub fn multiply_limbs(a: &[u64], b: &[u64]) -> Vec<u64> {
    multiply::multiply(a, b)
}

/// Multiplies in every way that there is and compares: for `fuzz/`.
#[cfg(fuzzing)]
pub fn fuzz_multiply(a: &[u64], b: &[u64]) {
    let limbs =
        |words: &[u64]| -> Vec<u64> { words.iter().take(500).map(|word| word % limb::BASE).collect() };
    let (a, b) = (limbs(a), limbs(b));
    let mut expected = limb::multiply_school(&a, &b);
    limb::trim(&mut expected);
    assert_eq!(multiply::multiply(&a, &b), expected);
    let mut halves = multiply::in_halves(&a, &b);
    limb::trim(&mut halves);
    assert_eq!(halves, expected, "in halves");
    for isa in fft::Isa::available() {
        let mut product = fft::multiply_school(isa, &a, &b);
        limb::trim(&mut product);
        assert_eq!(product, expected, "{isa:?} by hand");
        for group in [fft::Group::Three, fft::Group::Four, fft::Group::Five] {
            if let Some(mut product) = fft::multiply(isa, group, &a, &b) {
                limb::trim(&mut product);
                assert_eq!(product, expected, "{isa:?} {group:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests;
