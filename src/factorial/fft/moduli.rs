//! Products of real polynomials of any length, from transforms whose lengths are powers of two.
//!
//! A product of up to 7/4 N terms is computed modulo X^N + 1, X^(N/2) + 1 and X^(N/4) + 1, or some of them, and put
//! together: X^N + 1 is 2 modulo the others.

use super::{
    super::parallel::both,
    bound::is_exact,
    convolve::{SMALLEST, convolve},
    groups::Group,
    kernels::Kernels,
    residue::Residue,
    terms::Terms,
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

    /// Whether rounding gives the product modulo each, given the product of the operands' lengths.
    pub fn is_exact(&self, norms: f64) -> bool {
        self.0.iter().all(|n| is_exact(levels(*n), norms))
    }
}

/// How many levels the transform modulo X^n + 1 has.
fn levels(n: usize) -> u32 {
    n.ilog2() - 1
}

/// Two numbers, or one to be squared.
#[derive(Clone, Copy)]
pub struct Operands<'a> {
    pub kernels: &'static Kernels,
    pub group: Group,
    pub a: &'a [u64],
    pub b: Option<&'a [u64]>,
}

impl Operands<'_> {
    /// The product's terms; `None` if rounding is not proved to give them.
    pub fn convolve(&self, moduli: &Moduli) -> Option<Terms> {
        let mut residues = self.modulo_each(&moduli.0)?;
        put_together(self.kernels, &mut residues);
        Some(Terms::new(self.kernels, residues))
    }

    /// The products modulo each X^n + 1.
    fn modulo_each(&self, moduli: &[usize]) -> Option<Vec<Residue>> {
        let Some((n, others)) = moduli.split_first() else { return Some(Vec::new()) };
        let (first, others) = both(n / 4, || self.modulo(*n), || self.modulo_each(others));
        let mut products = others?;
        products.insert(0, first?);
        Some(products)
    }

    /// The product modulo X^n + 1, not rounded yet.
    fn modulo(&self, n: usize) -> Option<Residue> {
        let residue = |number| Residue::new(self.kernels, self.group, number, n);
        let ((mut x, norm), mut y) = both(n / 8, || residue(self.a), || self.b.map(residue));
        let norms = y.as_ref().map_or(norm, |(_, other)| (norm * other).sqrt());
        if !is_exact(levels(n), norms) {
            return None;
        }
        convolve(self.kernels, x.blocks_mut(), y.as_mut().map(|(y, _)| y.blocks_mut()));
        Some(x)
    }
}

/// From the values modulo each X^n + 1, parts of the value modulo their product: r + (X^n + 1) t, where t is half of
/// what the other moduli's values differ from r.
fn put_together(kernels: &'static Kernels, residues: &mut [Residue]) {
    let Some((first, others)) = residues.split_first_mut() else { return };
    for other in others.iter_mut() {
        other.take_half_difference(kernels, first);
    }
    put_together(kernels, others);
}
