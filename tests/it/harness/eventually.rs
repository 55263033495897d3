//! Waiting for what is not so yet.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Short against whatever is waited for, and long against what asking costs.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until the answer is `Ok`, and returns that; after so long it fails with what was wrong last.
#[track_caller]
pub fn eventually<T>(limit: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(wrong) => assert!(Instant::now() < deadline, "not within {limit:?}: {wrong}"),
        }
        thread::sleep(PAUSE);
    }
}

/// `Ok` where it holds, otherwise the reason why it does not.
pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
