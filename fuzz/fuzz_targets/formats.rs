//! See `pipeline_fuzz::targets::formats`: `cargo +nightly fuzz run formats`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pipeline_fuzz::targets::formats(bytes));
