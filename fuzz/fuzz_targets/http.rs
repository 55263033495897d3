//! See `pipeline_fuzz::targets::http`, which `fuzz/run` runs.

#![no_main]

use pipeline_fuzz::{sizes::watched, targets::http};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| watched(http, bytes));
