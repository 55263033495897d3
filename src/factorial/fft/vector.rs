//! A few lanes of floats: the only place that names the processor's instructions.

/// Vectors of `LANES` floats. A block of eight is `8 / LANES` parts.
///
/// The implementations for AVX2 and AVX-512 are inlined into functions that enable the instructions (see
/// `kernels.rs`), and those are called only where the processor has them.
pub trait Vector: Copy {
    const LANES: usize;
    /// Whether [`mul_add`](Vector::mul_add) rounds once, at its end.
    const FUSED: bool;
    fn splat(value: f64) -> Self;
    /// The first half of the lanes of the first value, the rest of the second; with four lanes all are the
    /// `part`-th value.
    fn splat_halves(values: [f64; 2], part: usize) -> Self;
    fn load(block: &[f64; 8], part: usize) -> Self;
    fn store(self, block: &mut [f64; 8], part: usize);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `self * other + addend`
    fn mul_add(self, other: Self, addend: Self) -> Self;
    /// `self * other - subtrahend`
    fn mul_sub(self, other: Self, subtrahend: Self) -> Self;
    /// `minuend - self * other`
    fn mul_from(self, other: Self, minuend: Self) -> Self;
    /// To the nearest integer. What lies in the middle may go either way.
    fn round(self) -> Self;
    /// Sixteen floats `LANES / 4` times over, in the order of memory, to quarters: row k holds the k-th four of
    /// each sixteen.
    fn quarters(rows: [Self; 4]) -> [Self; 4];
    /// Undoes [`quarters`](Vector::quarters).
    fn unquarter(rows: [Self; 4]) -> [Self; 4];
    /// Transposes each four lanes of the four rows as a square.
    fn transpose(rows: [Self; 4]) -> [Self; 4];
    /// Integers below 2^52.
    fn from_words(words: &[u64; 8], part: usize) -> Self;
    /// The lanes moved up by one; the last one of `previous` comes first.
    fn after(self, previous: Self) -> Self;
    /// The lanes moved down by one; the first one of `next` comes last.
    fn before(self, next: Self) -> Self;
    /// a0 b0 a1 b1 …
    fn interleave2(rows: [Self; 2]) -> [Self; 2];
    /// Undoes [`interleave2`](Vector::interleave2).
    fn deinterleave2(rows: [Self; 2]) -> [Self; 2];
    /// a0 b0 c0 a1 b1 c1 …
    fn interleave3(rows: [Self; 3]) -> [Self; 3];
    /// Undoes [`interleave3`](Vector::interleave3).
    fn deinterleave3(rows: [Self; 3]) -> [Self; 3];
}

/// Four lanes without any instructions of their own: right on every processor.
#[derive(Clone, Copy)]
pub struct Portable([f64; 4]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Portable(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl Vector for Portable {
    const LANES: usize = 4;
    const FUSED: bool = false;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Portable([value; 4])
    }

    #[inline(always)]
    fn splat_halves(values: [f64; 2], part: usize) -> Self {
        Portable([values[part]; 4])
    }

    #[inline(always)]
    fn load(block: &[f64; 8], part: usize) -> Self {
        Portable(std::array::from_fn(|lane| block[4 * part + lane]))
    }

    #[inline(always)]
    fn store(self, block: &mut [f64; 8], part: usize) {
        block[4 * part..4 * part + 4].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn mul_add(self, other: Self, addend: Self) -> Self {
        self.mul(other).add(addend)
    }

    #[inline(always)]
    fn mul_sub(self, other: Self, subtrahend: Self) -> Self {
        self.mul(other).sub(subtrahend)
    }

    #[inline(always)]
    fn mul_from(self, other: Self, minuend: Self) -> Self {
        minuend.sub(self.mul(other))
    }

    #[inline(always)]
    fn round(self) -> Self {
        // Adding 1.5 * 2^52 leaves no room for a fraction; our values are below 2^51.
        const MAGIC: f64 = 6_755_399_441_055_744.0;
        self.add(Portable([MAGIC; 4])).sub(Portable([MAGIC; 4]))
    }

    #[inline(always)]
    fn quarters(rows: [Self; 4]) -> [Self; 4] {
        rows
    }

    #[inline(always)]
    fn unquarter(rows: [Self; 4]) -> [Self; 4] {
        rows
    }

    #[inline(always)]
    fn transpose(rows: [Self; 4]) -> [Self; 4] {
        std::array::from_fn(|row| Portable(std::array::from_fn(|lane| rows[lane].0[row])))
    }

    #[inline(always)]
    fn from_words(words: &[u64; 8], part: usize) -> Self {
        Portable(std::array::from_fn(|lane| words[4 * part + lane] as f64))
    }

    #[inline(always)]
    fn after(self, previous: Self) -> Self {
        Portable([previous.0[3], self.0[0], self.0[1], self.0[2]])
    }

    #[inline(always)]
    fn before(self, next: Self) -> Self {
        Portable([self.0[1], self.0[2], self.0[3], next.0[0]])
    }

    #[inline(always)]
    fn interleave2(rows: [Self; 2]) -> [Self; 2] {
        interleave(rows)
    }

    #[inline(always)]
    fn deinterleave2(rows: [Self; 2]) -> [Self; 2] {
        deinterleave(rows)
    }

    #[inline(always)]
    fn interleave3(rows: [Self; 3]) -> [Self; 3] {
        interleave(rows)
    }

    #[inline(always)]
    fn deinterleave3(rows: [Self; 3]) -> [Self; 3] {
        deinterleave(rows)
    }
}

#[inline(always)]
fn interleave<const N: usize>(rows: [Portable; N]) -> [Portable; N] {
    let at = |row: usize, lane: usize| 4 * row + lane;
    std::array::from_fn(|row| {
        Portable(std::array::from_fn(|lane| rows[at(row, lane) % N].0[at(row, lane) / N]))
    })
}

#[inline(always)]
fn deinterleave<const N: usize>(rows: [Portable; N]) -> [Portable; N] {
    let at = |row: usize, lane: usize| N * lane + row;
    std::array::from_fn(|row| {
        Portable(std::array::from_fn(|lane| rows[at(row, lane) / 4].0[at(row, lane) % 4]))
    })
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Vector;

    /// Four lanes, with AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub struct Avx2(__m256d);

    /// Eight lanes, with AVX-512F.
    #[derive(Clone, Copy)]
    pub struct Avx512(__m512d);

    /// SAFETY of every use: the instructions are there, because `kernels.rs` runs this code only where they were
    /// detected; loads and stores stay within the block, because the slice that gives the address is checked.
    macro_rules! instruction {
        ($call:expr) => {
            unsafe { $call }
        };
    }

    impl Vector for Avx2 {
        const LANES: usize = 4;
        const FUSED: bool = true;

        #[inline(always)]
        fn splat(value: f64) -> Self {
            Avx2(instruction!(_mm256_set1_pd(value)))
        }

        #[inline(always)]
        fn splat_halves(values: [f64; 2], part: usize) -> Self {
            Avx2(instruction!(_mm256_set1_pd(values[part])))
        }

        #[inline(always)]
        fn load(block: &[f64; 8], part: usize) -> Self {
            Avx2(instruction!(_mm256_loadu_pd(block[4 * part..4 * part + 4].as_ptr())))
        }

        #[inline(always)]
        fn store(self, block: &mut [f64; 8], part: usize) {
            instruction!(_mm256_storeu_pd(block[4 * part..4 * part + 4].as_mut_ptr(), self.0));
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Avx2(instruction!(_mm256_add_pd(self.0, other.0)))
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Avx2(instruction!(_mm256_sub_pd(self.0, other.0)))
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            Avx2(instruction!(_mm256_mul_pd(self.0, other.0)))
        }

        #[inline(always)]
        fn mul_add(self, other: Self, addend: Self) -> Self {
            Avx2(instruction!(_mm256_fmadd_pd(self.0, other.0, addend.0)))
        }

        #[inline(always)]
        fn mul_sub(self, other: Self, subtrahend: Self) -> Self {
            Avx2(instruction!(_mm256_fmsub_pd(self.0, other.0, subtrahend.0)))
        }

        #[inline(always)]
        fn mul_from(self, other: Self, minuend: Self) -> Self {
            Avx2(instruction!(_mm256_fnmadd_pd(self.0, other.0, minuend.0)))
        }

        #[inline(always)]
        fn round(self) -> Self {
            const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
            Avx2(instruction!(_mm256_round_pd::<NEAREST>(self.0)))
        }

        #[inline(always)]
        fn quarters(rows: [Self; 4]) -> [Self; 4] {
            rows
        }

        #[inline(always)]
        fn unquarter(rows: [Self; 4]) -> [Self; 4] {
            rows
        }

        #[inline(always)]
        fn transpose(rows: [Self; 4]) -> [Self; 4] {
            let [Self(a), Self(b), Self(c), Self(d)] = rows;
            instruction!({
                let (ab0, ab1) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
                let (cd0, cd1) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
                [
                    Avx2(_mm256_permute2f128_pd::<0x20>(ab0, cd0)),
                    Avx2(_mm256_permute2f128_pd::<0x20>(ab1, cd1)),
                    Avx2(_mm256_permute2f128_pd::<0x31>(ab0, cd0)),
                    Avx2(_mm256_permute2f128_pd::<0x31>(ab1, cd1)),
                ]
            })
        }

        #[inline(always)]
        fn from_words(words: &[u64; 8], part: usize) -> Self {
            // A float between 2^52 and 2^53 has the integer in its last bits.
            let words = &words[4 * part..4 * part + 4];
            Avx2(instruction!({
                let shift = _mm256_set1_pd(4_503_599_627_370_496.0);
                let bits = _mm256_castsi256_pd(_mm256_loadu_si256(words.as_ptr().cast()));
                _mm256_sub_pd(_mm256_or_pd(bits, shift), shift)
            }))
        }

        #[inline(always)]
        fn after(self, previous: Self) -> Self {
            Avx2(instruction!({
                let middle = _mm256_permute2f128_pd::<0x21>(previous.0, self.0);
                _mm256_shuffle_pd::<0b0101>(middle, self.0)
            }))
        }

        #[inline(always)]
        fn before(self, next: Self) -> Self {
            Avx2(instruction!({
                let middle = _mm256_permute2f128_pd::<0x21>(self.0, next.0);
                _mm256_shuffle_pd::<0b0101>(self.0, middle)
            }))
        }

        #[inline(always)]
        fn interleave2([Avx2(a), Avx2(b)]: [Self; 2]) -> [Self; 2] {
            instruction!({
                let (even, odd) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
                [
                    Avx2(_mm256_permute2f128_pd::<0x20>(even, odd)),
                    Avx2(_mm256_permute2f128_pd::<0x31>(even, odd)),
                ]
            })
        }

        #[inline(always)]
        fn deinterleave2([Avx2(x0), Avx2(x1)]: [Self; 2]) -> [Self; 2] {
            instruction!({
                let even = _mm256_permute2f128_pd::<0x20>(x0, x1);
                let odd = _mm256_permute2f128_pd::<0x31>(x0, x1);
                [Avx2(_mm256_unpacklo_pd(even, odd)), Avx2(_mm256_unpackhi_pd(even, odd))]
            })
        }

        #[inline(always)]
        fn interleave3([Avx2(a), Avx2(b), Avx2(c)]: [Self; 3]) -> [Self; 3] {
            instruction!({
                let ab = _mm256_shuffle_pd::<0b0000>(a, b); // a0 b0 a2 b2
                let ca = _mm256_shuffle_pd::<0b1010>(c, a); // c0 a1 c2 a3
                let bc = _mm256_shuffle_pd::<0b1111>(b, c); // b1 c1 b3 c3
                [
                    Avx2(_mm256_permute2f128_pd::<0x20>(ab, ca)),
                    Avx2(_mm256_permute2f128_pd::<0x30>(bc, ab)),
                    Avx2(_mm256_permute2f128_pd::<0x31>(ca, bc)),
                ]
            })
        }

        #[inline(always)]
        fn deinterleave3([Avx2(x0), Avx2(x1), Avx2(x2)]: [Self; 3]) -> [Self; 3] {
            instruction!({
                let ab = _mm256_permute2f128_pd::<0x30>(x0, x1);
                let ca = _mm256_permute2f128_pd::<0x21>(x0, x2);
                let bc = _mm256_permute2f128_pd::<0x30>(x1, x2);
                [
                    Avx2(_mm256_shuffle_pd::<0b1010>(ab, ca)),
                    Avx2(_mm256_shuffle_pd::<0b0101>(ab, bc)),
                    Avx2(_mm256_shuffle_pd::<0b1010>(ca, bc)),
                ]
            })
        }
    }

    impl Avx512 {
        /// The lanes of both at those places; from 8 on they are the other's.
        #[inline(always)]
        fn pick(self, places: [i64; 8], other: Self) -> Self {
            let [a, b, c, d, e, f, g, h] = places;
            Avx512(instruction!(_mm512_permutex2var_pd(
                self.0,
                _mm512_setr_epi64(a, b, c, d, e, f, g, h),
                other.0
            )))
        }

        /// The lower halves of both, then the upper ones.
        #[inline(always)]
        fn halves(self, other: Self) -> (Self, Self) {
            instruction!((
                Avx512(_mm512_shuffle_f64x2::<0x44>(self.0, other.0)),
                Avx512(_mm512_shuffle_f64x2::<0xee>(self.0, other.0)),
            ))
        }
    }

    impl Vector for Avx512 {
        const LANES: usize = 8;
        const FUSED: bool = true;

        #[inline(always)]
        fn splat(value: f64) -> Self {
            Avx512(instruction!(_mm512_set1_pd(value)))
        }

        #[inline(always)]
        fn splat_halves(values: [f64; 2], _part: usize) -> Self {
            Avx512(instruction!(_mm512_mask_blend_pd(
                0xf0,
                _mm512_set1_pd(values[0]),
                _mm512_set1_pd(values[1])
            )))
        }

        #[inline(always)]
        fn load(block: &[f64; 8], _part: usize) -> Self {
            Avx512(instruction!(_mm512_loadu_pd(block.as_ptr())))
        }

        #[inline(always)]
        fn store(self, block: &mut [f64; 8], _part: usize) {
            instruction!(_mm512_storeu_pd(block.as_mut_ptr(), self.0));
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Avx512(instruction!(_mm512_add_pd(self.0, other.0)))
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Avx512(instruction!(_mm512_sub_pd(self.0, other.0)))
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            Avx512(instruction!(_mm512_mul_pd(self.0, other.0)))
        }

        #[inline(always)]
        fn mul_add(self, other: Self, addend: Self) -> Self {
            Avx512(instruction!(_mm512_fmadd_pd(self.0, other.0, addend.0)))
        }

        #[inline(always)]
        fn mul_sub(self, other: Self, subtrahend: Self) -> Self {
            Avx512(instruction!(_mm512_fmsub_pd(self.0, other.0, subtrahend.0)))
        }

        #[inline(always)]
        fn mul_from(self, other: Self, minuend: Self) -> Self {
            Avx512(instruction!(_mm512_fnmadd_pd(self.0, other.0, minuend.0)))
        }

        #[inline(always)]
        fn round(self) -> Self {
            Avx512(instruction!(_mm512_roundscale_pd::<0>(self.0)))
        }

        #[inline(always)]
        fn quarters(rows: [Self; 4]) -> [Self; 4] {
            let [a01, a23, b01, b23] = rows;
            let ((k0, k1), (k2, k3)) = (a01.halves(b01), a23.halves(b23));
            [k0, k1, k2, k3]
        }

        #[inline(always)]
        fn unquarter(rows: [Self; 4]) -> [Self; 4] {
            let [k0, k1, k2, k3] = rows;
            let ((a01, b01), (a23, b23)) = (k0.halves(k1), k2.halves(k3));
            [a01, a23, b01, b23]
        }

        #[inline(always)]
        fn transpose(rows: [Self; 4]) -> [Self; 4] {
            let [Self(a), Self(b), Self(c), Self(d)] = rows;
            instruction!({
                let even = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
                let odd = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
                let (ab0, ab1) = (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
                let (cd0, cd1) = (_mm512_unpacklo_pd(c, d), _mm512_unpackhi_pd(c, d));
                [
                    Avx512(_mm512_permutex2var_pd(ab0, even, cd0)),
                    Avx512(_mm512_permutex2var_pd(ab1, even, cd1)),
                    Avx512(_mm512_permutex2var_pd(ab0, odd, cd0)),
                    Avx512(_mm512_permutex2var_pd(ab1, odd, cd1)),
                ]
            })
        }

        #[inline(always)]
        fn from_words(words: &[u64; 8], _part: usize) -> Self {
            // As above, by integer operations: AVX-512F has no others.
            Avx512(instruction!({
                let shift = _mm512_set1_pd(4_503_599_627_370_496.0);
                let bits =
                    _mm512_or_epi64(_mm512_loadu_epi64(words.as_ptr().cast()), _mm512_castpd_si512(shift));
                _mm512_sub_pd(_mm512_castsi512_pd(bits), shift)
            }))
        }

        #[inline(always)]
        fn after(self, previous: Self) -> Self {
            self.pick([15, 0, 1, 2, 3, 4, 5, 6], previous)
        }

        #[inline(always)]
        fn before(self, next: Self) -> Self {
            self.pick([1, 2, 3, 4, 5, 6, 7, 8], next)
        }

        #[inline(always)]
        fn interleave2([a, b]: [Self; 2]) -> [Self; 2] {
            [a.pick([0, 8, 1, 9, 2, 10, 3, 11], b), a.pick([4, 12, 5, 13, 6, 14, 7, 15], b)]
        }

        #[inline(always)]
        fn deinterleave2([x0, x1]: [Self; 2]) -> [Self; 2] {
            [x0.pick([0, 2, 4, 6, 8, 10, 12, 14], x1), x0.pick([1, 3, 5, 7, 9, 11, 13, 15], x1)]
        }

        #[inline(always)]
        fn interleave3([a, b, c]: [Self; 3]) -> [Self; 3] {
            [
                a.pick([0, 8, 0, 1, 9, 0, 2, 10], b).pick([0, 1, 8, 3, 4, 9, 6, 7], c),
                a.pick([0, 3, 11, 0, 4, 12, 0, 5], b).pick([10, 1, 2, 11, 4, 5, 12, 7], c),
                a.pick([13, 0, 6, 14, 0, 7, 15, 0], b).pick([0, 13, 2, 3, 14, 5, 6, 15], c),
            ]
        }

        #[inline(always)]
        fn deinterleave3([x0, x1, x2]: [Self; 3]) -> [Self; 3] {
            [
                x0.pick([0, 3, 6, 9, 12, 15, 0, 0], x1).pick([0, 1, 2, 3, 4, 5, 10, 13], x2),
                x0.pick([1, 4, 7, 10, 13, 0, 0, 0], x1).pick([0, 1, 2, 3, 4, 8, 11, 14], x2),
                x0.pick([2, 5, 8, 11, 14, 0, 0, 0], x1).pick([0, 1, 2, 3, 4, 9, 12, 15], x2),
            ]
        }
    }
}
