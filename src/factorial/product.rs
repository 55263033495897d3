//! n! as a product of prime powers.

use super::{
    cost::digits,
    fft::{self, Isa, LARGEST_WORD, multiply_words},
    limb::{self, DIGITS, give_back},
    multiply::{multiply, square},
    parallel::both,
    primes::{exponent, odd_primes},
    small,
    spare::More,
    thresholds,
    watch::Watch,
};

/// From so many digits on the transforms' numbers are longer than what is always kept for the next ones,
const LONG: u64 = 5_000_000;
/// and so many bytes for each digit more are kept until the result is there.
const BYTES_OF_A_DIGIT: usize = 2;

/// n! without its factors of ten, and how many those are; `None` if it was cancelled.
///
/// The prime p divides n! e(p) times. With P_k the product of the primes whose exponent has the k-th bit set,
/// n! = P_0 (P_1 (P_2 …)^2)^2: each prime is multiplied once for each bit, and the rest are squares. Five
/// and as many twos are left out: they are the zeros at the end.
pub fn factorial(n: u32, watch: &Watch) -> Option<(Vec<u64>, u64)> {
    let zeros = exponent(n, 5);
    if n as usize <= thresholds::small() {
        watch.done(1.0);
        return Some((small::factorial(n), zeros.into()));
    }
    let levels = words(n, exponent(n, 2) - zeros);
    let digits = digits(n);
    let more = (digits >= LONG).then(|| More::bytes(BYTES_OF_A_DIGIT * digits as usize));
    let result = level(&levels, digits as f64 / DIGITS as f64, watch);
    if more.is_some() {
        drop(more);
        limb::shed();
        fft::shed();
    }
    let result = result?;
    watch.done(1.0);
    Some((result, zeros.into()))
}

/// How many zeros are at the end of n!.
pub fn zeros(n: u32) -> u64 {
    exponent(n, 5).into()
}

/// P_0 (P_1 (P_2 …)^2)^2; `limbs` are those of the whole result.
fn level(levels: &[Vec<u64>], limbs: f64, watch: &Watch) -> Option<Vec<u64>> {
    let Some((words, upper)) = levels.split_first() else {
        return Some(vec![1]);
    };
    let (factor, root) = both(words.len(), || tree(words, watch), || level(upper, limbs, watch));
    let (factor, root) = (factor?, root?);
    watch.go_on()?;
    let result = if root.len() < thresholds::halves() {
        multiply(&square(&root), &factor)
    } else {
        let larger = multiply(&root, &factor);
        watch.go_on()?;
        let result = multiply(&root, &larger);
        give_back(larger);
        result
    };
    give_back(root);
    give_back(factor);
    watch.done(result.len() as f64 / limbs);
    Some(result)
}

/// For each bit of the exponents the primes that have it, multiplied together as far as a word holds them.
fn words(n: u32, twos: u32) -> Vec<Vec<u64>> {
    let mut levels: Vec<Vec<u64>> = vec![Vec::new(); 32 - twos.max(n / 3).leading_zeros() as usize];
    let mut open = vec![1_u64; levels.len()];
    let mut add = |primes: &[u32], mut exponent: u32| {
        while exponent > 0 {
            let level = exponent.trailing_zeros() as usize;
            exponent &= exponent - 1;
            let (words, mut word) = (&mut levels[level], open[level]);
            for p in primes {
                match word.checked_mul((*p).into()).filter(|product| *product < LARGEST_WORD) {
                    Some(product) => word = product,
                    None => words.push(std::mem::replace(&mut word, (*p).into())),
                }
            }
            open[level] = word;
        }
    };
    add(&[2], twos);
    let primes = odd_primes(n);
    let mut rest = primes.as_slice();
    while let Some(p) = rest.last() {
        // Those whose square is beyond n divide it n/p times: neighbours as often as this one, which nobody can foresee one
        // by one.
        let least = if u64::from(*p) * u64::from(*p) > u64::from(n) { n / (n / p + 1) + 1 } else { *p };
        let (lower, same) =
            rest.split_at(rest.len() - rest.iter().rev().take_while(|p| **p >= least).count());
        if *p != 5 {
            add(same, exponent(n, *p));
        }
        rest = lower;
    }
    for (level, word) in levels.iter_mut().zip(open) {
        level.push(word);
    }
    levels
}

/// The product of words.
fn tree(words: &[u64], watch: &Watch) -> Option<Vec<u64>> {
    if words.len() <= thresholds::leaf() {
        return Some(multiply_words(Isa::best(), &[1], words));
    }
    watch.go_on()?;
    let (lower, upper) = words.split_at(words.len() / 2);
    let (lower, upper) = both(words.len(), || tree(lower, watch), || tree(upper, watch));
    let (lower, upper) = (lower?, upper?);
    let product = multiply(&lower, &upper);
    give_back(lower);
    give_back(upper);
    Some(product)
}
