//! See `pipeline_fuzz::targets::formats`, which `fuzz/run` runs.

#![no_main]

use pipeline_fuzz::{sizes::watched, targets::formats};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| watched(formats, bytes));
