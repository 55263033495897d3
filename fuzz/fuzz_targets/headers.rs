//! See `pipeline_fuzz::targets::headers`: `cargo +nightly fuzz run headers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pipeline_fuzz::targets::headers(bytes));
