//! A worker whose clock can be set, by libfaketime: the time of day jumps, the monotonic clock does not.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The folders in which packages install the library.
const FOLDERS: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib64/faketime",
    "/usr/lib/faketime",
    "/usr/local/lib/faketime",
];

/// Milliseconds since 1970 UTC.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time of day of one process.
#[derive(Clone, Debug)]
pub struct Clock {
    library: PathBuf,
    /// The library reads the offset from this file.
    file: PathBuf,
}

/// The path of the library's build for programs with threads, if it is installed.
pub fn library() -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join("libfaketimeMT.so.1")).find(|path| path.exists())
}

impl Clock {
    /// Creates a clock without an offset; the offset is kept in the file.
    ///
    /// # Errors
    /// The library is not installed, or the file cannot be written.
    pub fn new(file: PathBuf) -> io::Result<Self> {
        let library = library()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "libfaketime is not installed"))?;
        let clock = Clock { library, file };
        clock.set(0)?;
        Ok(clock)
    }

    /// Shifts the time of day by that many seconds, which may be negative.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set(&self, seconds: i64) -> io::Result<()> {
        // Renamed at the end, so that the process never reads half of it.
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{seconds:+}"))?;
        fs::rename(next, &self.file)
    }

    /// Environment variables for the process: see faketime(1).
    pub fn variables(&self) -> [(String, String); 5] {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let set = |name: &str, value: String| (name.to_owned(), value);
        [
            set("LD_PRELOAD", path(&self.library)),
            set("FAKETIME_TIMESTAMP_FILE", path(&self.file)),
            set("FAKETIME_CACHE_DURATION", "1".to_owned()),
            // The variable's name before 0.9.8.
            set("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            set("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_sees_its_clock_jump_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let clock = match Clock::new(folder.path().join("clock")) {
            Ok(clock) => clock,
            // Without the library the fault is reported as one that could not happen.
            Err(error) => {
                assert_eq!((error.kind(), library()), (io::ErrorKind::NotFound, None));
                return;
            }
        };
        let off = |seconds: i64| {
            clock.set(seconds).unwrap();
            let date = Command::new("date").arg("+%s").envs(clock.variables()).output().unwrap();
            let date: i64 = String::from_utf8(date.stdout).unwrap().trim().parse().unwrap();
            date - super::now() / 1_000
        };
        for seconds in [0, 7_200, -7_200, 0] {
            assert!((off(seconds) - seconds).abs() < 5, "{seconds}");
        }
    }
}
