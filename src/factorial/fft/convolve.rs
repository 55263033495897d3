//! Products of complex polynomials modulo X^M - i, in place.

use super::{
    super::{parallel::both, thresholds},
    kernels::Kernels,
    passes::{Block, LeafFactors, Rows, quarters},
    twiddle::{FAR, Twiddle, lanes, neighbours, nodes},
};

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
    halves(kernels.forward2, lower, upper, w);
    let (b_lower, b_upper) = match b {
        Some(b) => {
            let (b_lower, b_upper) = b.split_at_mut(middle);
            halves(kernels.forward2, b_lower, b_upper, w);
            (Some(b_lower), Some(b_upper))
        }
        None => (None, None),
    };
    both(middle, || tree.node(lower, b_lower, 1, 0), || tree.node(upper, b_upper, 1, 1));
    halves(kernels.inverse2, lower, upper, w);
}

/// Takes a step of the root's halves, on several threads if they are long.
fn halves(
    step: fn(&mut [Block], &mut [Block], [f64; 2]),
    lower: &mut [Block],
    upper: &mut [Block],
    w: [f64; 2],
) {
    let length = lower.len();
    if length < thresholds::columns() {
        step(lower, upper, w);
        return;
    }
    let ((l0, r0), (l1, r1)) = (lower.split_at_mut(length / 2), upper.split_at_mut(length / 2));
    both(2 * length, || halves(step, l0, l1, w), || halves(step, r0, r1, w));
}

struct Tree {
    kernels: &'static Kernels,
    scale: f64,
}

impl Tree {
    fn node(&self, a: &mut [Block], mut b: Option<&mut [Block]>, depth: usize, number: usize) {
        if a.len() <= thresholds::near() {
            self.steps(a, b, depth, number);
            return;
        }
        let (size, w) = (a.len(), nodes(depth, number).at(0));
        columns(self.kernels.split, quarters(a), w);
        if let Some(b) = b.as_deref_mut() {
            columns(self.kernels.split, quarters(b), w);
        }
        let child = |number: usize, a, b| self.node(a, b, depth + 2, number);
        let [a0, a1, a2, a3] = quarters(a);
        let [b0, b1, b2, b3] = match b {
            Some(b) => quarters(b).map(Some),
            None => [None, None, None, None],
        };
        both(
            size,
            || both(size / 2, || child(4 * number, a0, b0), || child(4 * number + 1, a1, b1)),
            || both(size / 2, || child(4 * number + 2, a2, b2), || child(4 * number + 3, a3, b3)),
        );
        columns(self.kernels.join, quarters(a), w);
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
        let (deepest, first) = (depth + 2 * (steps + 1), number << (2 * (steps + 1)));
        let (fours, lanes) = match deepest < FAR {
            true => (nodes(deepest, first), None),
            false => (neighbours(deepest, first), Some(lanes())),
        };
        let factors = LeafFactors { sixteens: at(steps).1, fours, lanes, scale: self.scale };
        (self.kernels.leaves)(a, b.as_deref(), factors);
        for step in (0..steps).rev() {
            let (size, nodes) = at(step);
            (self.kernels.inverse4)(a, size, nodes);
        }
    }
}

/// Takes a step of a whole node, on several threads if it is long.
fn columns(step: fn(Rows<'_>, Twiddle), rows: Rows<'_>, w: Twiddle) {
    let [q0, q1, q2, q3] = rows;
    let length = q0.len();
    if length < thresholds::columns() {
        step([q0, q1, q2, q3], w);
        return;
    }
    let ((l0, r0), (l1, r1)) = (q0.split_at_mut(length / 2), q1.split_at_mut(length / 2));
    let ((l2, r2), (l3, r3)) = (q2.split_at_mut(length / 2), q3.split_at_mut(length / 2));
    both(4 * length, || columns(step, [l0, l1, l2, l3], w), || columns(step, [r0, r1, r2, r3], w));
}
