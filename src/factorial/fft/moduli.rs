//! Products of real polynomials of any length, from transforms whose lengths are powers of two.
//!
//! A product of up to 7/4 N terms is computed modulo X^N + 1, X^(N/2) + 1 and X^(N/4) + 1, or some of them, and put
//! together: X^N + 1 is 2 modulo the others. Modulo X^N + 1 a real polynomial is a complex one modulo
//! X^(N/2) - i (the "right-angle convolution"): the upper half is the imaginary part.

use super::{
    bound::is_exact,
    convolve::{SMALLEST, convolve},
    kernels::Kernels,
    passes::Block,
    words::Eight,
};

/// The N of the moduli X^N + 1, the largest first: powers of two.
#[derive(Debug)]
pub struct Moduli(Vec<usize>);

impl Moduli {
    /// Moduli for a product of so many terms.
    pub fn new(terms: usize) -> Self {
        let smallest = 16 * SMALLEST;
        let half = (terms.next_power_of_two() / 2).max(smallest);
        for parts in [&[half][..], &[half, half / 4], &[half, half / 2], &[half, half / 2, half / 4]] {
            if parts.iter().sum::<usize>() >= terms && parts.iter().all(|part| *part >= smallest) {
                return Moduli(parts.to_vec());
            }
        }
        Moduli(vec![2 * half])
    }

    /// The product's terms, integers; `None` if rounding is not proved to give them.
    pub fn convolve(
        &self,
        kernels: &'static Kernels,
        a: &[Eight],
        b: Option<&[Eight]>,
    ) -> Option<Vec<Eight>> {
        let parts = self.0.iter().map(|n| modulo(kernels, *n, a, b));
        Some(together(&self.0, parts.collect::<Option<Vec<_>>>()?))
    }
}

/// The product modulo X^n + 1.
fn modulo(kernels: &'static Kernels, n: usize, a: &[Eight], b: Option<&[Eight]>) -> Option<Vec<Eight>> {
    let (mut x, mut y) = (fold(n, a), b.map(|b| fold(n, b)));
    let norm = (kernels.square_norm)(&x);
    let norms = y.as_ref().map_or(norm, |y| (norm * (kernels.square_norm)(y)).sqrt());
    if !is_exact(n.ilog2() - 1, norms) {
        return None;
    }
    convolve(kernels, &mut x, y.as_deref_mut());
    (kernels.round)(&mut x);
    let mut product = Vec::with_capacity(2 * x.len());
    product.extend(x.iter().map(|block| block.re));
    product.extend(x.iter().map(|block| block.im));
    Some(product)
}

/// Reduces modulo X^n + 1 and puts the upper half beside the lower.
fn fold(n: usize, groups: &[Eight]) -> Vec<Block> {
    let half = n / 16;
    let (first, others) = groups.split_at(groups.len().min(2 * half));
    let (lower, upper) = first.split_at(first.len().min(half));
    let mut blocks = Vec::with_capacity(half);
    blocks.extend(lower.iter().zip(upper).map(|(re, im)| Block { re: *re, im: *im }));
    blocks.extend(lower[upper.len()..].iter().map(|re| Block { re: *re, ..Block::ZERO }));
    blocks.resize(half, Block::ZERO);
    for (round, turn) in others.chunks(2 * half).enumerate() {
        let sign = if round % 2 == 0 { -1.0 } else { 1.0 };
        let (lower, upper) = turn.split_at(turn.len().min(half));
        for (block, eight) in blocks.iter_mut().zip(lower) {
            add(&mut block.re, sign, eight);
        }
        for (block, eight) in blocks.iter_mut().zip(upper) {
            add(&mut block.im, sign, eight);
        }
    }
    blocks
}

fn add(to: &mut Eight, factor: f64, from: &Eight) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// From the values modulo each X^n + 1, the value modulo their product: r + (X^n + 1) t, where t is half of what the
/// other moduli's values differ from r.
fn together(moduli: &[usize], values: Vec<Vec<Eight>>) -> Vec<Eight> {
    let mut values = values.into_iter();
    let (Some(mut value), Some((n, others))) = (values.next(), moduli.split_first()) else {
        return Vec::new();
    };
    if others.is_empty() {
        return value;
    }
    let halves = others.iter().zip(values).map(|(m, mut other)| {
        other.as_flattened_mut().iter_mut().for_each(|x| *x *= 0.5);
        for (round, turn) in value.chunks(m / 8).enumerate() {
            let sign = if round % 2 == 0 { -0.5 } else { 0.5 };
            other.iter_mut().zip(turn).for_each(|(x, y)| add(x, sign, y));
        }
        other
    });
    let upper = together(others, halves.collect());
    value.iter_mut().zip(&upper).for_each(|(x, y)| add(x, 1.0, y));
    debug_assert_eq!(8 * value.len(), *n);
    value.extend(upper);
    value
}
