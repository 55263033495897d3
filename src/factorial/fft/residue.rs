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
    vector::Vector,
    words::Eight,
};

/// So many eights of groups are a strip: whole units of each [`Group`].
pub const STRIP: usize = 240;

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

#[inline(always)]
pub fn put<V: Vector>(blocks: &mut [Block], component: usize, groups: &[Eight]) {
    for (block, groups) in blocks.iter_mut().zip(groups) {
        for part in 0..8 / V::LANES {
            V::load(&groups.0, part).store(&mut block[component].0, part);
        }
    }
}

#[inline(always)]
pub fn put_more<V: Vector>(blocks: &mut [Block], component: usize, groups: &[Eight], factor: f64) {
    let factor = V::splat(factor);
    for (block, groups) in blocks.iter_mut().zip(groups) {
        let to = &mut block[component].0;
        for part in 0..8 / V::LANES {
            V::load(&groups.0, part).mul_add(factor, V::load(to, part)).store(to, part);
        }
    }
}

/// The square of the length of a vector.
#[inline(always)]
pub fn square_norm<V: Vector>(blocks: &[Block]) -> f64 {
    let mut sums = [V::splat(0.0); 2];
    for [re, im] in blocks {
        for part in 0..8 / V::LANES {
            let (re, im) = (V::load(&re.0, part), V::load(&im.0, part));
            sums = [re.mul_add(re, sums[0]), im.mul_add(im, sums[1])];
        }
    }
    let mut lanes = [0.0; 8];
    sums[0].add(sums[1]).store(&mut lanes, 0);
    lanes.iter().sum()
}

/// To the nearest integers, and half of those.
#[inline(always)]
pub fn halve<V: Vector>(blocks: &mut [Block]) {
    for eight in blocks.as_flattened_mut() {
        for part in 0..8 / V::LANES {
            V::load(&eight.0, part).round().mul(V::splat(0.5)).store(&mut eight.0, part);
        }
    }
}

/// Adds `factor` times what `from` has, rounded.
#[inline(always)]
pub fn add<V: Vector>(
    to: &mut [Block],
    component: usize,
    from: &[Block],
    from_component: usize,
    factor: f64,
) {
    let factor = V::splat(factor);
    for (to, from) in to.iter_mut().zip(from) {
        let (to, from) = (&mut to[component].0, &from[from_component].0);
        for part in 0..8 / V::LANES {
            V::load(from, part).round().mul_add(factor, V::load(to, part)).store(to, part);
        }
    }
}

/// Adds what the blocks have, rounded.
#[inline(always)]
pub fn gather<V: Vector>(sums: &mut [Eight], blocks: &[Block], component: usize) {
    for (sum, block) in sums.iter_mut().zip(blocks) {
        for part in 0..8 / V::LANES {
            let value = V::load(&block[component].0, part).round();
            V::load(&sum.0, part).add(value).store(&mut sum.0, part);
        }
    }
}
