//! Eight floats at once, by AVX-512.

use std::arch::x86_64::*;

use super::Vector;

/// Eight lanes, with AVX-512F.
#[derive(Clone, Copy)]
pub struct Avx512(__m512d);

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
        Avx512(instruction!(_mm512_mask_blend_pd(0xf0, _mm512_set1_pd(values[0]), _mm512_set1_pd(values[1]))))
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
            let bits = _mm512_or_epi64(_mm512_loadu_epi64(words.as_ptr().cast()), _mm512_castpd_si512(shift));
            _mm512_sub_pd(_mm512_castsi512_pd(bits), shift)
        }))
    }

    #[inline(always)]
    fn add_bits(self, other: Self) -> Self {
        Avx512(instruction!({
            let sum = _mm512_add_epi64(_mm512_castpd_si512(self.0), _mm512_castpd_si512(other.0));
            _mm512_castsi512_pd(sum)
        }))
    }

    #[inline(always)]
    fn halves_of_bits(self) -> (Self, Self) {
        instruction!({
            let shift = _mm512_set1_pd(4_503_599_627_370_496.0);
            let (bits, large) = (_mm512_castpd_si512(self.0), _mm512_castpd_si512(shift));
            let low = _mm512_mask_blend_epi32(0b1010_1010_1010_1010, bits, large);
            let high = _mm512_or_epi64(_mm512_srli_epi64::<32>(bits), large);
            (
                Avx512(_mm512_sub_pd(_mm512_castsi512_pd(low), shift)),
                Avx512(_mm512_sub_pd(_mm512_castsi512_pd(high), shift)),
            )
        })
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
