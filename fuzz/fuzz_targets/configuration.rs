//! See `pipeline_fuzz::targets::configuration`, which `fuzz/run` runs.

#![no_main]

use pipeline_fuzz::{sizes::watched, targets::configuration};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| watched(configuration, bytes));
