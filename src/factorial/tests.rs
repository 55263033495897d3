use num_bigint::BigUint;
use sha2::{Digest, Sha256};

use super::*;

/// The digits' number as written, for a comparison that costs next to nothing.
fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
#[cfg_attr(miri, ignore)] // takes too long
fn every_factorial_up_to_five_thousand_is_that_of_the_definition() {
    let factorials = Factorials::new(5_000, 16 << 20);
    let mut expected = BigUint::from(1_u32);
    for n in 0..=5_000_u32 {
        expected *= n.max(1);
        let result = factorial(n);
        assert!(result.to_biguint() == expected, "{n}!");
        // From a checkpoint there may be zeros in the limbs, so that only what is written is the same.
        assert!(factorials.get(n).to_string() == result.to_string(), "{n}! from a checkpoint");
    }
}

/// `digests.py` makes them, with GMP and Python.
#[test]
#[cfg_attr(miri, ignore)] // takes too long
fn a_spread_up_to_a_million_has_the_digests_that_gmp_and_python_give() {
    for line in include_str!("digests.txt").lines() {
        let (n, expected) = line.split_once(' ').unwrap();
        assert_eq!(sha256(&factorial_decimal(n.parse().unwrap())), expected, "{n}!");
    }
}

#[test]
fn thirty_factorial_is_as_published() {
    assert_eq!(factorial_decimal(30), "265252859812191058636308480000000");
}

/// Legendre: the zeros at the end of n! are n/5 + n/25 + n/125 + …
fn zeros(n: u32) -> usize {
    std::iter::successors(Some(n / 5), |fives| Some(fives / 5)).take_while(|fives| *fives > 0).sum::<u32>()
        as usize
}

fn assert_plausible(n: u32, first: &str) {
    let text = factorial_decimal(n);
    assert_eq!(text.len() as u64, digits(n), "digits of {n}!");
    assert!(text.starts_with(first), "{n}! starts with {}", &text[..first.len()]);
    assert_eq!(text.len() - text.trim_end_matches('0').len(), zeros(n), "zeros at the end of {n}!");
}

#[test]
#[cfg_attr(miri, ignore)] // takes too long
fn large_factorials_have_the_published_first_digits_and_legendres_zeros() {
    assert_plausible(1_000, "402387260077");
    assert_plausible(10_000, "284625968091");
    assert_plausible(100_000, "282422940796");
    // 973,351 digits: what still fits Kafka's default size of a record.
    assert_eq!(digits(200_000), 973_351);
    assert_plausible(200_000, "142022534547");
}

#[test]
#[cfg_attr(miri, ignore)] // takes too long
fn two_threads_and_one_give_the_same_digits() {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| factorial_decimal(300_000))
    };
    assert!(with(1) == with(2));
}

#[test]
#[cfg_attr(miri, ignore)] // takes too long
fn a_cancelled_computation_ends_long_before_it_is_done() {
    let watch = Watch::default();
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        let computation = scope.spawn(|| factorial_watched(10_000_000, &watch));
        std::thread::sleep(std::time::Duration::from_millis(50));
        watch.cancel();
        assert!(computation.join().unwrap().is_none());
    });
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    assert!(watch.reached().0 < 1.0);
}
