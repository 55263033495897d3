//! n!: pure arithmetic. Must not know anything of the rest: no records, no formats, no Kafka.

mod cost;

pub use cost::{cost_nanos, digits};

use num_bigint::BigUint;

/// n! as a number.
///
/// ```
/// assert_eq!(pipeline::factorial::factorial(5), 120u32.into());
/// ```
pub fn factorial(n: u32) -> BigUint {
    // The power of two is shifted in at the end: 2^(n - ones(n)) divides n! (Legendre).
    product_of_odd_parts(n) << (n - n.count_ones())
}

/// n! in decimal digits.
///
/// ```
/// assert_eq!(pipeline::factorial::factorial_decimal(20), "2432902008176640000");
/// ```
pub fn factorial_decimal(n: u32) -> String {
    factorial(n).to_str_radix(10)
}

/// n! without its power of two: the product, over all levels, of the odd numbers up to n, n/2, n/4, …
fn product_of_odd_parts(n: u32) -> BigUint {
    let mut result = BigUint::from(1u32);
    let mut level = BigUint::from(1u32);
    let mut low = 1;
    // From the smallest level up: the odd numbers of one level are among those of the next.
    for shift in (0..u32::BITS - n.leading_zeros()).rev() {
        let high = n >> shift;
        level *= odd_product(low + 1, high);
        result *= &level;
        low = high;
    }
    result
}

/// The product of the odd numbers from `low` to `high`, in a balanced tree, so that factors are of like size.
fn odd_product(low: u32, high: u32) -> BigUint {
    let low = low | 1;
    if low > high {
        return BigUint::from(1u32);
    }
    if high - low < 32 {
        return (low..=high)
            .step_by(2)
            .map(u64::from)
            .fold(BigUint::from(1u32), |product, odd| product * odd);
    }
    let middle = low + (high - low) / 2;
    odd_product(low, middle) * odd_product(middle + 1, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_ones_are_what_multiplying_gives() {
        let mut product = BigUint::from(1u32);
        assert_eq!(factorial(0), product);
        for n in 1..=1_000u32 {
            product *= n;
            assert_eq!(factorial(n), product, "n = {n}");
        }
    }

    #[test]
    fn thirty_is_known_to_the_digit() {
        assert_eq!(factorial_decimal(30), "265252859812191058636308480000000");
    }

    /// Legendre: the power of five in n! is the number of its trailing zeros.
    #[test]
    fn large_ones_have_the_right_length_zeros_and_remainder() {
        for n in [1_001u32, 4_096, 10_000, 25_000] {
            let text = factorial_decimal(n);
            let zeros = text.bytes().rev().take_while(|digit| *digit == b'0').count() as u32;
            let fives: u32 = std::iter::successors(Some(n / 5), |n| Some(n / 5)).take_while(|n| *n > 0).sum();
            assert_eq!(zeros, fives, "n = {n}");
            assert_eq!(text.len() as u64, digits(n), "n = {n}");
            let sum: u64 = text.bytes().map(|digit| u64::from(digit - b'0')).sum();
            assert_eq!(sum % 9, 0, "n = {n}");
            // Wilson: (p - 1)! = -1 modulo a prime p, so n! modulo a prime just above n is known.
            let prime = (n + 1..).find(|p| (2..).take_while(|d| d * d <= *p).all(|d| p % d != 0)).unwrap();
            let rest = (n + 1..prime).fold(factorial(n), |product, factor| product * factor);
            assert_eq!(rest % prime, BigUint::from(prime - 1), "n = {n}");
        }
    }
}
