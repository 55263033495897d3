//! The steps on a strip of blocks, for each vector: what [`Residue`](super::residue::Residue) is made of.

use super::{passes::Block, vector::Vector, words::Eight};

/// So many eights of groups are a strip: whole units of each [`Group`].
pub const STRIP: usize = 240;

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
