//! Limbs to decimal text.

use super::{
    fft::{Isa, digits_of, write_digits},
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
    let first = digits_of(*top);
    let digits = top.checked_ilog10().unwrap_or(0) as usize + 1;
    text.extend_from_slice(&first[DIGITS - digits..]);
    let start = text.len();
    text.resize(start + DIGITS * rest.len() + zeros, b'0');
    let places = text[start..].as_chunks_mut::<DIGITS>().0;
    if !rest.is_empty() {
        write_whole(rest, places);
    }
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
    write_digits(Isa::best(), limbs, places);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factorial::limb::BASE;

    #[test]
    fn digits_are_written_as_the_library_writes_them() {
        let edges =
            (0..100).flat_map(|k| [k, k + 1, 5_000_000 * k].map(|upper| upper % 10_000_000 * 100_000_000));
        let edges =
            edges.flat_map(|limb| [limb, limb + 1, limb + 99_999_999, limb + 50_000_000, limb + 49_999_999]);
        let mut random = fastrand::Rng::with_seed(12);
        let limbs: Vec<u64> =
            edges.chain((0..5_000).map(|_| random.u64(0..BASE))).chain([0, BASE - 1]).collect();
        let limbs = if cfg!(miri) { &limbs[..99] } else { &limbs };
        for isa in Isa::available() {
            let mut places = vec![[0; DIGITS]; limbs.len()];
            write_digits(isa, limbs, &mut places);
            for (limb, place) in limbs.iter().rev().zip(places) {
                assert_eq!(place, format!("{limb:015}").as_bytes(), "{isa:?}");
            }
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
