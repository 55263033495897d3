//! See `pipeline_fuzz::targets::expressions`, which `fuzz/run` runs. An expression may ask for more memory than its bytes are
//! worth, as a list of a thousand places does: what it may cost is counted in steps.

#![no_main]

use pipeline_fuzz::targets::expressions;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| expressions(bytes));
