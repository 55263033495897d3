//! A real polynomial modulo X^n + 1, as a complex one modulo X^(n/2) - i: the upper half of the coefficients is the
//! imaginary part (the "right-angle convolution").
//!
//! What is done here is done strip by strip, so that a strip's groups are made, used and forgotten in the nearest
//! cache, and no buffer holds all of them.

use super::{
    super::{parallel::both, thresholds},
    buffer::Buffer,
    groups::Group,
    kernels::Kernels,
    passes::Block,
    steps::STRIP,
    words::Eight,
};

/// The coefficients, an eight of the lower half and one of the upper in each block.
#[derive(Debug)]
pub struct Residue(Buffer);

/// Which half of the coefficients, and where in it.
type Place = (usize, usize);

impl Residue {
    /// The number's groups modulo X^n + 1, and the square of their length.
    pub fn new(kernels: &'static Kernels, group: Group, number: &[u64], n: usize) -> (Self, f64) {
        let mut residue = Residue(Buffer::stale(n / 8));
        let fold = Fold { kernels, group, number, half: n / 16 };
        let square = fold.strips(residue.blocks_mut(), 0);
        (residue, square)
    }

    pub fn blocks_mut(&mut self) -> &mut [Block] {
        self.0.as_chunks_mut().0
    }

    fn blocks(&self) -> &[Block] {
        self.0.as_chunks().0
    }

    /// How many eights it has.
    pub fn eights(&self) -> usize {
        self.0.len()
    }

    fn place(&self, eight: usize) -> Place {
        let half = self.eights() / 2;
        (eight / half, eight % half)
    }

    /// Adds its eights from `first` on, rounded.
    pub fn add_to(&self, kernels: &Kernels, first: usize, sum: &mut [Eight]) {
        let half = self.eights() / 2;
        let (component, at) = self.place(first);
        let (now, later) = sum.split_at_mut(sum.len().min(half - at));
        (kernels.gather)(now, &self.blocks()[at..], component);
        if !later.is_empty() {
            (kernels.gather)(later, self.blocks(), component + 1);
        }
    }

    /// From the product modulo this X^m + 1, half of what it differs from `larger`, which is modulo X^n + 1 with a
    /// multiple of m.
    pub fn take_half_difference(&mut self, kernels: &'static Kernels, larger: &Residue) {
        let eights = self.eights();
        half_difference(kernels, self.blocks_mut(), 0, larger, eights);
    }
}

fn half_difference(
    kernels: &'static Kernels,
    blocks: &mut [Block],
    first: usize,
    larger: &Residue,
    eights: usize,
) {
    if blocks.len() >= thresholds::columns() {
        let (low, high) = blocks.split_at_mut(blocks.len() / 2);
        let middle = first + low.len();
        both(
            8 * eights,
            || half_difference(kernels, low, first, larger, eights),
            || half_difference(kernels, high, middle, larger, eights),
        );
        return;
    }
    for (index, strip) in blocks.chunks_mut(STRIP).enumerate() {
        let first = first + STRIP * index;
        (kernels.halve)(strip);
        for turn in 0..2 * larger.eights() / eights {
            // Modulo X^m + 1, X^m is -1.
            let factor = if turn / 2 % 2 == 0 { -0.5 } else { 0.5 };
            let (component, at) = larger.place(turn * eights / 2 + first);
            (kernels.add)(strip, turn % 2, &larger.blocks()[at..], component, factor);
        }
    }
}

/// A number to be reduced modulo X^n + 1, where a half has `half` eights.
struct Fold<'a> {
    kernels: &'static Kernels,
    group: Group,
    number: &'a [u64],
    half: usize,
}

impl Fold<'_> {
    /// Makes the blocks from the `first` on; the square of their length.
    fn strips(&self, blocks: &mut [Block], first: usize) -> f64 {
        if blocks.len() >= thresholds::columns() {
            let (low, high) = blocks.split_at_mut(blocks.len() / 2);
            let middle = first + low.len();
            let (low, high) = both(4 * self.half, || self.strips(low, first), || self.strips(high, middle));
            return low + high;
        }
        let mut groups = self.group.scratch(blocks.len().min(STRIP));
        let strips = blocks.chunks_mut(STRIP).enumerate();
        strips.map(|(index, strip)| self.strip(strip, first + STRIP * index, &mut groups)).sum()
    }

    fn strip(&self, blocks: &mut [Block], first: usize, scratch: &mut [Eight]) -> f64 {
        for turn in 0.. {
            let first = turn * self.half + first;
            if turn >= 2 && first >= self.group.eights(self.number.len()) {
                break;
            }
            let groups = self.group.split(self.kernels, self.number, first, blocks.len(), scratch);
            match turn {
                0 | 1 => (self.kernels.put)(blocks, turn, groups),
                _ => (self.kernels.put_more)(
                    blocks,
                    turn % 2,
                    groups,
                    if turn / 2 % 2 == 0 { 1.0 } else { -1.0 },
                ),
            }
        }
        (self.kernels.square_norm)(blocks)
    }
}
