//! Four floats at once, by AVX2 and FMA.

use std::arch::x86_64::*;

use super::Vector;

/// Four lanes, with AVX2 and FMA.
#[derive(Clone, Copy)]
pub struct Avx2(__m256d);

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
    fn add_bits(self, other: Self) -> Self {
        Avx2(instruction!({
            let sum = _mm256_add_epi64(_mm256_castpd_si256(self.0), _mm256_castpd_si256(other.0));
            _mm256_castsi256_pd(sum)
        }))
    }

    #[inline(always)]
    fn halves_of_bits(self) -> (Self, Self) {
        instruction!({
            let shift = _mm256_set1_pd(4_503_599_627_370_496.0);
            let (bits, large) = (_mm256_castpd_si256(self.0), _mm256_castpd_si256(shift));
            let low = _mm256_blend_epi32::<0b1010_1010>(bits, large);
            let high = _mm256_or_si256(_mm256_srli_epi64::<32>(bits), large);
            (
                Avx2(_mm256_sub_pd(_mm256_castsi256_pd(low), shift)),
                Avx2(_mm256_sub_pd(_mm256_castsi256_pd(high), shift)),
            )
        })
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
            [Avx2(_mm256_permute2f128_pd::<0x20>(even, odd)), Avx2(_mm256_permute2f128_pd::<0x31>(even, odd))]
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
