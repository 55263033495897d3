//! n! as a product of prime powers.

use super::{
    limb::{BASE, multiply_word},
    multiply::{multiply, square},
    primes::{exponent, odd_primes},
};

/// n! without its factors of ten, and how many those are.
///
/// The prime p divides n! e(p) times. With P_k the product of the primes whose exponent has the k-th bit set,
/// n! = P_0 (P_1 (P_2 …)^2)^2: each prime is multiplied once for each bit, and the rest are squares. Five
/// and as many twos are left out: they are the zeros at the end.
pub fn factorial(n: u32) -> (Vec<u64>, u64) {
    let zeros = exponent(n, 5);
    let levels = words(n, exponent(n, 2) - zeros);
    let mut result = vec![1];
    for words in levels.iter().rev() {
        let factor = tree(words);
        result = if result.len() < 64 {
            multiply(&square(&result), &factor)
        } else {
            let larger = multiply(&result, &factor);
            multiply(&result, &larger)
        };
    }
    (result, zeros.into())
}

/// How many zeros are at the end of n!.
pub fn zeros(n: u32) -> u64 {
    exponent(n, 5).into()
}

/// For each bit of the exponents the primes that have it, multiplied together as far as a limb holds them.
fn words(n: u32, twos: u32) -> Vec<Vec<u64>> {
    let mut levels: Vec<Vec<u64>> = vec![Vec::new(); 32 - twos.max(n / 3).leading_zeros() as usize];
    let mut open = vec![1_u64; levels.len()];
    let mut add = |p: u32, mut exponent: u32| {
        while exponent > 0 {
            let level = exponent.trailing_zeros() as usize;
            exponent &= exponent - 1;
            match open[level].checked_mul(p.into()).filter(|product| *product < BASE) {
                Some(product) => open[level] = product,
                None => levels[level].push(std::mem::replace(&mut open[level], p.into())),
            }
        }
    };
    add(2, twos);
    for p in odd_primes(n) {
        if p != 5 {
            add(p, exponent(n, p));
        }
    }
    for (level, word) in levels.iter_mut().zip(open) {
        level.push(word);
    }
    levels
}

/// The product of words.
fn tree(words: &[u64]) -> Vec<u64> {
    if words.len() <= 32 {
        let mut product = vec![1];
        for word in words {
            multiply_word(&mut product, *word);
        }
        return product;
    }
    let (lower, upper) = words.split_at(words.len() / 2);
    multiply(&tree(lower), &tree(upper))
}
