//! The steps of the transform, written once for every vector.
//!
//! A node of the tree is a polynomial modulo X^m - r; a step splits it into its values modulo X^(m/4) minus the four
//! fourth roots of r (or the two square roots), and the inverse step joins them, times four (or two).

use super::{
    twiddle::{self, Nodes, Twiddle},
    vector::Vector,
    words::Eight,
};

/// Eight complex numbers: their real parts, then their imaginary parts.
pub type Block = [Eight; 2];

#[derive(Clone, Copy)]
struct Complex<V> {
    re: V,
    im: V,
}

impl<V: Vector> Complex<V> {
    #[inline(always)]
    fn load(block: &Block, part: usize) -> Self {
        Complex { re: V::load(&block[0].0, part), im: V::load(&block[1].0, part) }
    }

    #[inline(always)]
    fn store(self, block: &mut Block, part: usize) {
        self.re.store(&mut block[0].0, part);
        self.im.store(&mut block[1].0, part);
    }

    #[inline(always)]
    fn splat(w: [f64; 2]) -> Self {
        Complex { re: V::splat(w[0]), im: V::splat(w[1]) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Complex { re: self.re.add(other.re), im: self.im.add(other.im) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Complex { re: self.re.sub(other.re), im: self.im.sub(other.im) }
    }

    /// `self + i * other`
    #[inline(always)]
    fn add_i(self, other: Self) -> Self {
        Complex { re: self.re.sub(other.im), im: self.im.add(other.re) }
    }

    /// `self - i * other`
    #[inline(always)]
    fn sub_i(self, other: Self) -> Self {
        Complex { re: self.re.add(other.im), im: self.im.sub(other.re) }
    }

    #[inline(always)]
    fn mul(self, w: Self) -> Self {
        Complex {
            re: self.im.mul_from(w.im, self.re.mul(w.re)),
            im: self.re.mul_add(w.im, self.im.mul(w.re)),
        }
    }

    /// `self` times the conjugate of `w`
    #[inline(always)]
    fn mul_conjugate(self, w: Self) -> Self {
        Complex {
            re: self.im.mul_add(w.im, self.re.mul(w.re)),
            im: self.re.mul_from(w.im, self.im.mul(w.re)),
        }
    }
}

type Four<V> = [Complex<V>; 4];

#[inline(always)]
fn split4<V: Vector>([a0, a1, a2, a3]: Four<V>, [w1, w2, w3]: [Complex<V>; 3]) -> Four<V> {
    let (t1, t2, t3) = (a1.mul(w1), a2.mul(w2), a3.mul(w3));
    let (s02, d02, s13, d13) = (a0.add(t2), a0.sub(t2), t1.add(t3), t1.sub(t3));
    [s02.add(s13), s02.sub(s13), d02.add_i(d13), d02.sub_i(d13)]
}

#[inline(always)]
fn join4<V: Vector>([y0, y1, y2, y3]: Four<V>, [w1, w2, w3]: [Complex<V>; 3]) -> Four<V> {
    let (s01, d01, s23, d23) = (y0.add(y1), y0.sub(y1), y2.add(y3), y2.sub(y3));
    [
        s01.add(s23),
        d01.sub_i(d23).mul_conjugate(w1),
        s01.sub(s23).mul_conjugate(w2),
        d01.add_i(d23).mul_conjugate(w3),
    ]
}

/// The quarters of a node, or equal parts of each.
pub type Rows<'a> = [&'a mut [Block]; 4];

/// Splits the quarters of a node, or joins them.
#[inline(always)]
fn node4<V: Vector, const FORWARD: bool>([q0, q1, q2, q3]: Rows<'_>, [w1, w2, w3]: Twiddle) {
    let w = [Complex::splat(w1), Complex::splat(w2), Complex::splat(w3)];
    for (((x0, x1), x2), x3) in q0.iter_mut().zip(q1).zip(q2).zip(q3) {
        for part in 0..8 / V::LANES {
            let four = [
                Complex::<V>::load(x0, part),
                Complex::load(x1, part),
                Complex::load(x2, part),
                Complex::load(x3, part),
            ];
            let [y0, y1, y2, y3] = if FORWARD { split4(four, w) } else { join4(four, w) };
            y0.store(x0, part);
            y1.store(x1, part);
            y2.store(x2, part);
            y3.store(x3, part);
        }
    }
}

/// The quarters of `data`.
#[inline(always)]
pub fn quarters(data: &mut [Block]) -> Rows<'_> {
    let (lower, upper) = data.split_at_mut(data.len() / 2);
    let ((q0, q1), (q2, q3)) = (lower.split_at_mut(lower.len() / 2), upper.split_at_mut(upper.len() / 2));
    [q0, q1, q2, q3]
}

/// Splits one node into four.
#[inline(always)]
pub fn split<V: Vector>(rows: Rows<'_>, w: Twiddle) {
    node4::<V, true>(rows, w);
}

/// Joins four nodes to one.
#[inline(always)]
pub fn join<V: Vector>(rows: Rows<'_>, w: Twiddle) {
    node4::<V, false>(rows, w);
}

/// Splits every node of `size` blocks into four.
#[inline(always)]
pub fn forward4<V: Vector>(data: &mut [Block], size: usize, nodes: Nodes<'_>) {
    for (index, node) in data.chunks_exact_mut(size).enumerate() {
        node4::<V, true>(quarters(node), nodes.at(index));
    }
}

/// Joins four nodes to each of `size` blocks.
#[inline(always)]
pub fn inverse4<V: Vector>(data: &mut [Block], size: usize, nodes: Nodes<'_>) {
    for (index, node) in data.chunks_exact_mut(size).enumerate() {
        node4::<V, false>(quarters(node), nodes.at(index));
    }
}

/// The root's split into two, where the number of steps is odd.
#[inline(always)]
pub fn forward2<V: Vector>(lower: &mut [Block], upper: &mut [Block], w: [f64; 2]) {
    let w = Complex::splat(w);
    for (x0, x1) in lower.iter_mut().zip(upper) {
        for part in 0..8 / V::LANES {
            let (a0, t1) = (Complex::<V>::load(x0, part), Complex::<V>::load(x1, part).mul(w));
            a0.add(t1).store(x0, part);
            a0.sub(t1).store(x1, part);
        }
    }
}

#[inline(always)]
pub fn inverse2<V: Vector>(lower: &mut [Block], upper: &mut [Block], w: [f64; 2]) {
    let w = Complex::splat(w);
    for (x0, x1) in lower.iter_mut().zip(upper) {
        for part in 0..8 / V::LANES {
            let (y0, y1) = (Complex::<V>::load(x0, part), Complex::<V>::load(x1, part));
            y0.add(y1).store(x0, part);
            y0.sub(y1).mul_conjugate(w).store(x1, part);
        }
    }
}

/// What the leaves of a sub-tree need: the factors of its nodes of sixteen and of four, the latter where they are many as what
/// eight have in common and what each has of its own, and the product's scale.
#[derive(Clone, Copy)]
pub struct LeafFactors<'a> {
    pub sixteens: Nodes<'a>,
    pub fours: Nodes<'a>,
    pub lanes: Option<&'a twiddle::Eight>,
    pub scale: f64,
}

/// The factors of a leaf: of its nodes of sixteen, and of the nodes of four below.
struct Leaf<V> {
    sixteen: [Complex<V>; 3],
    four: [Complex<V>; 3],
}

// Closures are kept out of here: the compiler does not always inline them, and an instruction that is called as a
// function costs ten.
impl<V: Vector> Leaf<V> {
    #[inline(always)]
    fn new(
        first: Twiddle,
        second: Twiddle,
        common: Option<Twiddle>,
        own: &twiddle::Eight,
        part: usize,
    ) -> Self {
        let (mut sixteen, mut fours) = ([Complex::splat([0.0; 2]); 3], [Complex::splat([0.0; 2]); 3]);
        for power in 0..3 {
            sixteen[power] = Complex {
                re: V::splat_halves([first[power][0], second[power][0]], part),
                im: V::splat_halves([first[power][1], second[power][1]], part),
            };
            let own = Complex { re: V::load(&own.re[power].0, part), im: V::load(&own.im[power].0, part) };
            fours[power] = match common {
                Some(common) => own.mul(Complex::splat(common[power])),
                None => own,
            };
        }
        Leaf { sixteen, four: fours }
    }

    #[inline(always)]
    fn forward(&self, blocks: &[Block; 4], part: usize) -> Four<V> {
        let mut rows = [Complex::splat([0.0; 2]); 4];
        for (row, value) in rows.iter_mut().enumerate() {
            let at = (4 * part + row) * V::LANES;
            *value = Complex::load(&blocks[at / 8], at % 8 / V::LANES);
        }
        let split = split4(both(V::quarters(re(rows)), V::quarters(im(rows))), self.sixteen);
        split4(both(V::transpose(re(split)), V::transpose(im(split))), self.four)
    }

    #[inline(always)]
    fn inverse(&self, values: Four<V>, blocks: &mut [Block; 4], part: usize) {
        let fours = join4(values, self.four);
        let joined = join4(both(V::transpose(re(fours)), V::transpose(im(fours))), self.sixteen);
        let rows = both(V::unquarter(re(joined)), V::unquarter(im(joined)));
        for (row, value) in rows.into_iter().enumerate() {
            let at = (4 * part + row) * V::LANES;
            value.store(&mut blocks[at / 8], at % 8 / V::LANES);
        }
    }
}

#[inline(always)]
fn re<V: Vector>([a, b, c, d]: Four<V>) -> [V; 4] {
    [a.re, b.re, c.re, d.re]
}

#[inline(always)]
fn im<V: Vector>([a, b, c, d]: Four<V>) -> [V; 4] {
    [a.im, b.im, c.im, d.im]
}

#[inline(always)]
fn both<V: Vector>(re: [V; 4], im: [V; 4]) -> Four<V> {
    [
        Complex { re: re[0], im: im[0] },
        Complex { re: re[1], im: im[1] },
        Complex { re: re[2], im: im[2] },
        Complex { re: re[3], im: im[3] },
    ]
}

/// The last four steps, the products, and the first four steps back, 32 numbers at a time; the product is scaled.
#[inline(always)]
pub fn leaves<V: Vector>(a: &mut [Block], b: Option<&[Block]>, factors: LeafFactors<'_>) {
    match factors.lanes {
        Some(lanes) => leaves_with::<V>(a, b, factors, Some(lanes)),
        None => leaves_with::<V>(a, b, factors, None),
    }
}

/// The same, compiled for each case of `lanes`.
#[inline(always)]
fn leaves_with<V: Vector>(
    a: &mut [Block],
    b: Option<&[Block]>,
    factors: LeafFactors<'_>,
    lanes: Option<&twiddle::Eight>,
) {
    match b {
        Some(b) => {
            for (index, (x, y)) in a.as_chunks_mut().0.iter_mut().zip(b.as_chunks().0).enumerate() {
                leaf::<V>(index, x, Some(y), factors, lanes);
            }
        }
        None => {
            for (index, x) in a.as_chunks_mut().0.iter_mut().enumerate() {
                leaf::<V>(index, x, None, factors, lanes);
            }
        }
    }
}

#[inline(always)]
fn leaf<V: Vector>(
    index: usize,
    blocks: &mut [Block; 4],
    other: Option<&[Block; 4]>,
    factors: LeafFactors<'_>,
    lanes: Option<&twiddle::Eight>,
) {
    let LeafFactors { sixteens, fours, scale, .. } = factors;
    let (first, second) = (sixteens.at(2 * index), sixteens.at(2 * index + 1));
    let (common, own) = match lanes {
        Some(lanes) => (Some(fours.at(index)), lanes),
        None => (None, fours.eight(index)),
    };
    let scale = V::splat(scale);
    for part in 0..8 / V::LANES {
        let leaf = Leaf::<V>::new(first, second, common, own, part);
        let x = leaf.forward(blocks, part);
        let y = match other {
            Some(other) => leaf.forward(other, part),
            None => x,
        };
        let mut product = x;
        for (value, y) in product.iter_mut().zip(y) {
            *value = Complex { re: value.re.mul(scale), im: value.im.mul(scale) }.mul(y);
        }
        leaf.inverse(product, blocks, part);
    }
}
