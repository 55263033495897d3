//! Every way to multiply must give the product that the school's method gives: `cargo +nightly fuzz run multiply`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeline_fuzz::factorial;

fuzz_target!(|bytes: &[u8]| {
    // The first two bytes say where the operands are parted and how often the bytes are repeated: the transform has
    // to be reached by short inputs.
    let [part, times, bytes @ ..] = bytes else { return };
    let words: Vec<u64> = bytes
        .chunks(8)
        .map(|eight| eight.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
        .collect();
    let words = words.repeat(usize::from(times % 32) + 1);
    let (a, b) = words.split_at(words.len() * usize::from(*part) / 256);
    factorial::fuzz_multiply(a, b);
});
