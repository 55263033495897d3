//! Limbs to decimal digits, eight limbs at once.

use super::{super::limb::DIGITS, vector::Vector};

/// Fifteen digits for each limb, the last one's first.
#[inline(always)]
pub fn digits<V: Vector>(limbs: &[[u64; 8]], places: &mut [[u8; DIGITS]]) {
    for (limbs, places) in limbs.iter().rev().zip(places.as_chunks_mut::<8>().0) {
        let digits = sixteens::<V>(limbs);
        for (digits, place) in digits.as_chunks::<16>().0.iter().rev().zip(places) {
            place.copy_from_slice(&digits[1..]);
        }
    }
}

/// The digits of one limb.
#[inline(always)]
pub fn digits_of(limb: u64) -> [u8; DIGITS] {
    let (upper, lower) = (limb / 100_000_000, limb % 100_000_000);
    let mut digits = [0; DIGITS];
    digits[..7].copy_from_slice(&digits_of_eight(upper)[1..]);
    digits[7..].copy_from_slice(&digits_of_eight(lower));
    digits
}

/// Sixteen digits of each number, all below 10^15.
#[inline(always)]
fn sixteens<V: Vector>(numbers: &[u64; 8]) -> [u8; 128] {
    // A float of this size has the integer in its last bits.
    const SHIFT: f64 = 4_503_599_627_370_496.0;
    let (mut upper, mut lower) = ([0.0; 8], [0.0; 8]);
    for part in 0..8 / V::LANES {
        let number = V::from_words(numbers, part);
        // From -0.499999995 to 0.499999995 above the quotient, wrong by less than 2.1e-9: it is rounded down.
        let quotient = number.sub(V::splat(49_999_999.5)).mul(V::splat(1e-8)).round();
        quotient.add(V::splat(SHIFT)).store(&mut upper, part);
        quotient.mul_from(V::splat(1e8), number).add(V::splat(SHIFT)).store(&mut lower, part);
    }
    let mut eights = [0; 16];
    for lane in 0..8 {
        eights[2 * lane] = upper[lane].to_bits() & 0x07ff_ffff;
        eights[2 * lane + 1] = lower[lane].to_bits() & 0x07ff_ffff;
    }
    let mut text = [0; 128];
    for (eight, text) in eights.iter().zip(text.as_chunks_mut::<8>().0) {
        *text = digits_of_eight(*eight);
    }
    text
}

/// The digits of a number below 10^8: halved three times, all parts at once in one word.
#[inline(always)]
fn digits_of_eight(number: u64) -> [u8; 8] {
    let upper = (number * 109_951_163) >> 40; // / 10^4
    let fours = upper | ((number - upper * 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f; // / 100
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f; // / 10
    let ones = tens | ((twos - tens * 10) << 8);
    (ones | 0x3030_3030_3030_3030).to_le_bytes()
}
