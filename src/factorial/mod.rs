//! The factorial: pure arithmetic.
//!
//! Knows nothing of the rest: numbers in, decimal digits out.

mod binary;
mod cost;
mod decimal;
mod fft;
mod limb;
mod multiply;
mod primes;
mod product;
mod stream;
mod text;

pub use cost::{cost_nanos, digits};
pub use decimal::Decimal;
pub use stream::Factorials;

/// n!, from scratch. For many, [`Factorials`] is faster by far.
pub fn factorial(n: u32) -> Decimal<'static> {
    let (limbs, zeros) = product::factorial(n);
    Decimal { limbs: limbs.into(), zeros }
}

/// The decimal digits of n!, without leading zeros.
///
/// ```
/// assert_eq!(pipeline::factorial::factorial_decimal(20), "2432902008176640000");
/// ```
pub fn factorial_decimal(n: u32) -> String {
    factorial(n).to_string()
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;

    #[test]
    fn small_factorials_are_those_of_the_definition() {
        let mut expected = BigUint::from(1_u32);
        assert_eq!(factorial_decimal(0), "1");
        for n in 1..=600_u32 {
            expected *= n;
            assert_eq!(factorial_decimal(n), expected.to_string(), "{n}!");
        }
    }

    #[test]
    fn thirty_factorial_is_as_published() {
        assert_eq!(factorial_decimal(30), "265252859812191058636308480000000");
    }

    /// Legendre: the zeros at the end of n! are n/5 + n/25 + n/125 + …
    fn zeros(n: u32) -> usize {
        std::iter::successors(Some(n / 5), |fives| Some(fives / 5))
            .take_while(|fives| *fives > 0)
            .sum::<u32>() as usize
    }

    fn assert_plausible(n: u32, first: &str) {
        let text = factorial_decimal(n);
        assert_eq!(text.len() as u64, digits(n), "digits of {n}!");
        assert!(text.starts_with(first), "{n}! starts with {}", &text[..first.len()]);
        assert_eq!(text.len() - text.trim_end_matches('0').len(), zeros(n), "zeros at the end of {n}!");
    }

    #[test]
    fn large_factorials_have_the_published_first_digits_and_legendres_zeros() {
        assert_plausible(1_000, "402387260077");
        assert_plausible(10_000, "284625968091");
        assert_plausible(100_000, "282422940796");
        // 973,351 digits: what still fits Kafka's default size of a record.
        assert_eq!(digits(200_000), 973_351);
        assert_plausible(200_000, "142022534547");
    }

    #[test]
    fn consecutive_factorials_differ_by_their_factor() {
        for n in [4_095_u32, 4_096, 4_097, 65_537] {
            let (below, this): (BigUint, BigUint) =
                (factorial_decimal(n - 1).parse().unwrap(), factorial_decimal(n).parse().unwrap());
            assert_eq!(below * n, this, "{n}!");
        }
    }

    #[test]
    fn half_a_million_is_feasible() {
        assert_plausible(500_000, "1022801584");
    }
}
