//! See `pipeline_fuzz::targets::configuration`: `cargo +nightly fuzz run configuration`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pipeline_fuzz::targets::configuration(bytes));
