//! The terms of a product, where its value modulo each X^n + 1 is known.

use super::{kernels::Kernels, residue::Residue, words::Eight};

/// The terms of a product: integers.
pub struct Terms {
    kernels: &'static Kernels,
    /// Each r, and the next one in place of t.
    residues: Vec<Residue>,
}

impl Terms {
    pub fn new(kernels: &'static Kernels, residues: Vec<Residue>) -> Self {
        Terms { kernels, residues }
    }

    /// Eights of the terms from the `first` on.
    pub fn get(&self, first: usize, terms: &mut [Eight]) {
        terms.fill(Eight::ZERO);
        self.add(&self.residues, first, terms);
    }

    fn add(&self, residues: &[Residue], first: usize, sum: &mut [Eight]) {
        let Some((value, others)) = residues.split_first() else { return };
        let (low, high) = sum.split_at_mut(value.eights().saturating_sub(first).min(sum.len()));
        if !low.is_empty() {
            value.add_to(self.kernels, first, low);
            self.add(others, first, low);
        }
        if !high.is_empty() {
            self.add(others, first.max(value.eights()) - value.eights(), high);
        }
    }
}
