//! The primes, and how often each divides n!.

/// The multiples of 3, 5 and 7 among odd numbers, after which they are the same again. Bit k stands for 2k + 1.
static SMALL: [u64; 105] = {
    let mut composite = [0; 105];
    let mut k = 0;
    while k < 64 * 105 {
        let number = 2 * k as u64 + 1;
        if number.is_multiple_of(3) || number.is_multiple_of(5) || number.is_multiple_of(7) {
            composite[k / 64] |= 1 << (k % 64);
        }
        k += 1;
    }
    composite
};

/// The odd primes up to `n`, in order.
pub fn odd_primes(n: u32) -> Vec<u32> {
    let count = (n as usize).div_ceil(2);
    let mut composite: Vec<u64> = SMALL.iter().copied().cycle().take(count / 64 + 1).collect();
    // The three themselves.
    composite[0] &= !0b1110;
    for k in (5..count).take_while(|k| 2 * k * (k + 1) < count) {
        if composite[k / 64] >> (k % 64) & 1 == 0 {
            // From p^2 on, every p-th odd number.
            for multiple in (2 * k * (k + 1)..count).step_by(2 * k + 1) {
                composite[multiple / 64] |= 1 << (multiple % 64);
            }
        }
    }
    let mut primes = Vec::with_capacity(estimate(n));
    for (word, composite) in composite.iter().enumerate() {
        let mut rest = !composite;
        while rest != 0 {
            primes.push((128 * word) as u32 + 2 * rest.trailing_zeros() + 1);
            rest &= rest - 1;
        }
    }
    // The last word goes on beyond n, and one is none.
    primes.truncate(primes.partition_point(|p| *p <= n));
    primes.drain(..primes.len().min(1));
    primes
}

/// A little more than the number of primes up to n.
fn estimate(n: u32) -> usize {
    let x = f64::from(n.max(17));
    (1.26 * x / x.ln()) as usize
}

/// Legendre: how often the prime p divides n!.
pub fn exponent(n: u32, p: u32) -> u32 {
    let (mut rest, mut sum) = (n / p, 0);
    while rest > 0 {
        sum += rest;
        rest /= p;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore)] // takes too long
    fn the_primes_are_those_that_no_smaller_number_divides() {
        let by_trial = |n: u32| (3..=n).filter(|k| (2..*k).take_while(|d| d * d <= *k).all(|d| k % d != 0));
        for n in [0, 1, 2, 3, 4, 8, 9, 10, 126, 127, 128, 129, 2_000] {
            assert_eq!(odd_primes(n), by_trial(n).collect::<Vec<_>>(), "up to {n}");
        }
        assert_eq!(odd_primes(1_000_000).len(), 78_497);
    }

    #[test]
    fn an_exponent_is_the_sum_of_those_of_all_factors() {
        for p in [2, 3, 5, 7, 31] {
            let of = |mut k: u32| std::iter::from_fn(|| k.is_multiple_of(p).then(|| k /= p)).count() as u32;
            for n in [1, 24, 25, 26, 124, 125, 1_000] {
                assert_eq!(exponent(n, p), (1..=n).map(of).sum::<u32>(), "{p} in {n}!");
            }
        }
    }
}
