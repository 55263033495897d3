//! See `pipeline_fuzz::targets::headers`, which `fuzz/run` runs.

#![no_main]

use pipeline_fuzz::{sizes::watched, targets::headers};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| watched(headers, bytes));
