//! A worker whose clock can be set, by libfaketime: the time of day jumps, and time that is measured does not.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where packages put the library.
const FOLDERS: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib64/faketime",
    "/usr/lib/faketime",
    "/usr/local/lib/faketime",
];

/// The clock of one process.
#[derive(Clone, Debug)]
pub struct Clock {
    library: PathBuf,
    /// The library reads from it how far off the clock is.
    file: PathBuf,
}

/// The library, where it is installed: the build for programs with threads.
pub fn library() -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join("libfaketimeMT.so.1")).find(|path| path.exists())
}

impl Clock {
    /// A clock that is right; what sets it is in the file.
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

    /// Lets the time of day be so many seconds later than it is; earlier where they are negative.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set(&self, seconds: i64) -> io::Result<()> {
        // The process must not read half of it.
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{seconds:+}"))?;
        fs::rename(next, &self.file)
    }

    /// What the process that has the clock finds in its environment: see faketime(1).
    pub fn variables(&self) -> [(String, String); 5] {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let set = |name: &str, value: String| (name.to_owned(), value);
        [
            set("LD_PRELOAD", path(&self.library)),
            set("FAKETIME_TIMESTAMP_FILE", path(&self.file)),
            set("FAKETIME_CACHE_DURATION", "1".to_owned()),
            // Its name was another one before 0.9.8.
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
            // Where it is not installed the fault does not happen, and says so.
            Err(error) => {
                assert_eq!((error.kind(), library()), (io::ErrorKind::NotFound, None));
                return;
            }
        };
        let off = |seconds: i64| {
            clock.set(seconds).unwrap();
            let date = Command::new("date").arg("+%s").envs(clock.variables()).output().unwrap();
            let date: i64 = String::from_utf8(date.stdout).unwrap().trim().parse().unwrap();
            date - crate::verify::world::now() / 1_000
        };
        for seconds in [0, 7_200, -7_200, 0] {
            assert!((off(seconds) - seconds).abs() < 5, "{seconds}");
        }
    }
}
