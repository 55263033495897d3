//! Limbs to decimal text.

use super::{
    limb::DIGITS,
    parallel::{both, is_worth},
};

/// How many digits a number has without leading zeros; zero has one.
pub fn length(limbs: &[u64]) -> usize {
    limbs
        .split_last()
        .map_or(1, |(top, rest)| DIGITS * rest.len() + top.checked_ilog10().unwrap_or(0) as usize + 1)
}

/// Appends the digits and so many zeros.
pub fn write(limbs: &[u64], zeros: usize, text: &mut Vec<u8>) {
    let Some((top, rest)) = limbs.split_last() else {
        text.push(b'0');
        return;
    };
    let first = sixteen(*top);
    let digits = top.checked_ilog10().unwrap_or(0) as usize + 1;
    text.extend_from_slice(&first[16 - digits..]);
    let start = text.len();
    text.resize(start + DIGITS * rest.len() + zeros, b'0');
    let places = text[start..].as_chunks_mut::<DIGITS>().0;
    write_whole(rest, places);
}

/// Fifteen digits for each limb, the last one's first.
fn write_whole(limbs: &[u64], places: &mut [[u8; DIGITS]]) {
    if is_worth(limbs.len()) {
        let middle = limbs.len() / 2;
        let (lower, upper) = limbs.split_at(middle);
        let (first, last) = places.split_at_mut(upper.len());
        both(limbs.len(), || write_whole(upper, first), || write_whole(lower, last));
        return;
    }
    for (limb, place) in limbs.iter().rev().zip(places) {
        place.copy_from_slice(&sixteen(*limb)[1..]);
    }
}

/// The digits of a number below 10^16.
#[inline(always)]
fn sixteen(number: u64) -> [u8; 16] {
    let (upper, lower) = (number / 100_000_000, number % 100_000_000);
    let mut digits = [0; 16];
    digits[..8].copy_from_slice(&eight(upper));
    digits[8..].copy_from_slice(&eight(lower));
    digits
}

/// The digits of a number below 10^8: halved three times, all parts at once in one word.
#[inline(always)]
fn eight(number: u64) -> [u8; 8] {
    let upper = (number * 109_951_163) >> 40; // / 10^4
    let fours = upper | ((number - upper * 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f; // / 100
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f; // / 10
    let ones = tens | ((twos - tens * 10) << 8);
    (ones | 0x3030_3030_3030_3030).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore)] // takes too long
    fn eight_digits_are_written_as_the_library_writes_them() {
        for number in (0..100_000_000).step_by(4_999).chain([0, 1, 9_999, 10_000, 99_990_000, 99_999_999]) {
            assert_eq!(eight(number), format!("{number:08}").as_bytes());
        }
    }

    #[test]
    fn limbs_are_written_from_the_last_to_the_first() {
        let mut text = b"x".to_vec();
        write(&[1, 999_999_999_999_999, 42], 3, &mut text);
        assert_eq!(text, b"x42999999999999999000000000000001000");
        assert_eq!(length(&[1, 999_999_999_999_999, 42]), 32);
        assert_eq!((length(&[]), length(&[9]), length(&[10]), length(&[0, 1])), (1, 1, 2, 16));
    }
}
