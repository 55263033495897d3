//! The factors of the transform's tree.
//!
//! The root is X^M - i. A node modulo X^m - e^(2 pi i t) has the four children X^(m/4) - i^k e^(2 pi i t/4), so its
//! factors are w = e^(2 pi i t/4), w^2 and w^3. Counted from the left at depth d, node number b has
//! t = rev(b) + 2^-(d+2), where rev(b) is b's d bits mirrored behind the point: t depends on depth and number alone,
//! not on M, and so one table serves transforms of all lengths.

use std::sync::OnceLock;

use super::{double::Root, words};

/// The factors w, w^2, w^3 of a node, real part and imaginary part.
pub type Twiddle = [[f64; 2]; 3];

/// The factors of eight neighbours.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Eight {
    pub re: [words::Eight; 3],
    pub im: [words::Eight; 3],
}

impl Eight {
    /// The powers of w for one of them.
    fn set(&mut self, lane: usize, w: Root) {
        let square = w * w;
        for (power, root) in [w, square, square * w].into_iter().enumerate() {
            [self.re[power].0[lane], self.im[power].0[lane]] = root.nearest();
        }
    }
}

/// The factors of the nodes of one depth from some number on.
#[derive(Clone, Copy)]
pub struct Nodes<'a> {
    eights: &'a [Eight],
    first: usize,
}

impl<'a> Nodes<'a> {
    #[inline(always)]
    pub fn at(self, index: usize) -> Twiddle {
        let number = self.first + index;
        let (Eight { re, im }, lane) = (&self.eights[number / 8], number % 8);
        [[re[0].0[lane], im[0].0[lane]], [re[1].0[lane], im[1].0[lane]], [re[2].0[lane], im[2].0[lane]]]
    }

    /// Eight nodes at once; the first one's number must be a multiple of eight.
    #[inline(always)]
    pub fn eight(self, index: usize) -> &'a Eight {
        &self.eights[self.first / 8 + index]
    }
}

/// The deepest level: with 2^25 complex numbers, products of 2^26 groups of digits.
pub const DEPTHS: usize = 26;

/// The first depth whose table of factors is longer to read, from far away, than an eighth of it with the factors made of that.
pub const FAR: usize = 15;

/// The factors of the nodes at that depth from number `first` on.
pub fn nodes(depth: usize, first: usize) -> Nodes<'static> {
    static TABLES: [OnceLock<Box<[Eight]>>; DEPTHS] = [const { OnceLock::new() }; DEPTHS];
    Nodes { eights: TABLES[depth].get_or_init(|| table(depth as u32, 1.0)), first }
}

/// What the factors of eight neighbours are [`lanes`] times, for those at that depth from number `first` on, both at least
/// three and eight: the deepest table would be the longest by far.
pub fn neighbours(depth: usize, first: usize) -> Nodes<'static> {
    static TABLES: [OnceLock<Box<[Eight]>>; DEPTHS] = [const { OnceLock::new() }; DEPTHS];
    // The number's three lowest bits are the highest of rev: rev(8b + k) is rev(k) and an eighth of rev(b).
    let table = TABLES[depth - 3].get_or_init(|| table(depth as u32 - 3, 0.125));
    Nodes { eights: table, first: first / 8 }
}

/// The factors of the k-th of eight neighbours, without what they have in common: w is e^(2 pi i rev(k)/4).
pub fn lanes() -> &'static Eight {
    static LANES: OnceLock<Eight> = OnceLock::new();
    LANES.get_or_init(|| {
        let mut factors = Eight { re: [words::Eight::ZERO; 3], im: [words::Eight::ZERO; 3] };
        for lane in 0..8_u8 {
            let root = Root::of_turn(f64::from(lane.reverse_bits() >> 5) / 32.0);
            factors.set(lane.into(), root);
        }
        factors
    })
}

/// The factors of all nodes of a depth, of which w is e^(2 pi i t/4) to the power of `part`.
fn table(depth: u32, part: f64) -> Box<[Eight]> {
    let unit = part * 0.5_f64.powi(depth as i32 + 4);
    let fine_bits = depth / 2;
    let roots = |count: u32, from: u32, step: u32| -> Vec<Root> {
        (0..count).map(|k| Root::of_turn(f64::from(from + k * step) * unit)).collect()
    };
    let fine = roots(1 << fine_bits, 1, 4);
    let coarse = roots(1 << (depth - fine_bits), 0, 4 << fine_bits);
    let root = |number: u32| -> Root {
        let mirrored = number.checked_shl(32 - depth).unwrap_or(0).reverse_bits();
        let mirrored = if depth == 0 { 0 } else { mirrored };
        coarse[(mirrored >> fine_bits) as usize] * fine[(mirrored & ((1 << fine_bits) - 1)) as usize]
    };
    let count = 1_u32 << depth;
    let mut eights = Vec::with_capacity(count.div_ceil(8) as usize);
    eights.extend((0..count.div_ceil(8)).map(|eight| {
        let mut factors = Eight { re: [words::Eight::ZERO; 3], im: [words::Eight::ZERO; 3] };
        for lane in 0..8.min(count) {
            factors.set(lane as usize, root(8 * eight + lane));
        }
        factors
    }));
    eights.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore)] // whose sine is inexact on purpose
    fn the_factors_are_those_of_the_formula() {
        for depth in 0..8 {
            for number in 0..1_usize << depth {
                let mirrored: usize = (0..depth).map(|bit| ((number >> bit) & 1) << (depth - 1 - bit)).sum();
                let t = mirrored as f64 / f64::from(1 << depth) + 0.5_f64.powi(depth as i32 + 2);
                for (power, [re, im]) in nodes(depth, number).at(0).into_iter().enumerate() {
                    let (sin, cos) = (std::f64::consts::TAU * t / 4.0 * (power + 1) as f64).sin_cos();
                    assert!((re - cos).abs() < 1e-15 && (im - sin).abs() < 1e-15, "{depth} {number} {power}");
                }
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore)] // whose sine is inexact on purpose
    fn the_factors_of_neighbours_are_products_of_two() {
        let of = |[re, im]: [f64; 2], [other_re, other_im]: [f64; 2]| {
            [re * other_re - im * other_im, re * other_im + im * other_re]
        };
        for (depth, number) in
            (3..8).flat_map(|depth| (0..1_usize << depth).map(move |number| (depth, number)))
        {
            let (both, Eight { re, im }) = (neighbours(depth, number).at(0), lanes());
            for (power, exact) in nodes(depth, number).at(0).into_iter().enumerate() {
                let product = of(both[power], [re[power].0[number % 8], im[power].0[number % 8]]);
                let off = (product[0] - exact[0]).abs().max((product[1] - exact[1]).abs());
                assert!(off < 1e-15, "{depth} {number} {power}: {off}");
            }
        }
    }
}
