//! Products of complex polynomials modulo X^M - i, in place.

use super::{
    kernels::Kernels,
    passes::{Block, LeafFactors},
    twiddle::nodes,
};

/// Sub-trees of so many blocks stay in the nearest cache, both operands: they are done step by step.
const NEAR: usize = 128;

/// The smallest M, in blocks.
pub const SMALLEST: usize = 8;

/// `a` becomes `a` times `b`, or its square, modulo X^M - i, where M is eight times the (equal) number of blocks: a
/// power of two, of at least [`SMALLEST`] blocks.
pub fn convolve(kernels: &'static Kernels, a: &mut [Block], b: Option<&mut [Block]>) {
    let scale = 1.0 / (8 * a.len()) as f64;
    let tree = Tree { kernels, scale };
    // A step for four is two steps for two, and the leaves take four of those.
    if a.len().ilog2() % 2 == 1 {
        tree.node(a, b, 0, 0);
        return;
    }
    let w = nodes(0, 0).at(0)[1];
    let middle = a.len() / 2;
    let (lower, upper) = a.split_at_mut(middle);
    (kernels.forward2)(lower, upper, w);
    match b {
        Some(b) => {
            let (b_lower, b_upper) = b.split_at_mut(middle);
            (kernels.forward2)(b_lower, b_upper, w);
            tree.node(lower, Some(b_lower), 1, 0);
            tree.node(upper, Some(b_upper), 1, 1);
        }
        None => {
            tree.node(lower, None, 1, 0);
            tree.node(upper, None, 1, 1);
        }
    }
    (kernels.inverse2)(lower, upper, w);
}

struct Tree {
    kernels: &'static Kernels,
    scale: f64,
}

impl Tree {
    fn node(&self, a: &mut [Block], mut b: Option<&mut [Block]>, depth: usize, number: usize) {
        if a.len() <= NEAR {
            self.steps(a, b, depth, number);
            return;
        }
        let (size, here) = (a.len(), nodes(depth, number));
        (self.kernels.forward4)(a, size, here);
        if let Some(b) = b.as_deref_mut() {
            (self.kernels.forward4)(b, size, here);
        }
        let mut others = b.map(|b| b.chunks_exact_mut(size / 4));
        for (child, quarter) in a.chunks_exact_mut(size / 4).enumerate() {
            let other = others.as_mut().and_then(Iterator::next);
            self.node(quarter, other, depth + 2, 4 * number + child);
        }
        (self.kernels.inverse4)(a, size, here);
    }

    fn steps(&self, a: &mut [Block], mut b: Option<&mut [Block]>, depth: usize, number: usize) {
        // Nodes of sixteen are leaves; what is above them splits into four.
        let steps = (a.len() / 2).ilog2() as usize / 2;
        let length = a.len();
        let at = |step: usize| (length >> (2 * step), nodes(depth + 2 * step, number << (2 * step)));
        for step in 0..steps {
            let (size, nodes) = at(step);
            (self.kernels.forward4)(a, size, nodes);
            if let Some(b) = b.as_deref_mut() {
                (self.kernels.forward4)(b, size, nodes);
            }
        }
        let factors = LeafFactors { sixteens: at(steps).1, fours: at(steps + 1).1, scale: self.scale };
        (self.kernels.leaves)(a, b.as_deref(), factors);
        for step in (0..steps).rev() {
            let (size, nodes) = at(step);
            (self.kernels.inverse4)(a, size, nodes);
        }
    }
}
