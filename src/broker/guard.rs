//! Processes and folders that never outlive this process, however it ends.
//!
//! `PR_SET_PDEATHSIG` would only work on Linux; a pipe that closes with its owner works everywhere.

use std::{
    ffi::OsString,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A running program, killed when this process ends.
pub(super) struct Guarded {
    shell: Child,
    /// Each line is a signal to send; end of file means SIGKILL.
    orders: Option<ChildStdin>,
}

impl Guarded {
    /// Starts `command` in `folder`, where `server.log` gets its output and `pid` its process id.
    pub(super) fn start(folder: &Path, command: &[OsString]) -> io::Result<Self> {
        let (shell, orders) = shell(include_str!("guard.sh"), folder, command)?;
        Ok(Guarded { shell, orders: Some(orders) })
    }

    /// Sends the program a signal, by its name without `SIG`.
    pub(super) fn signal(&mut self, name: &str) {
        if let Some(orders) = &mut self.orders {
            // Fails only if the shell is gone, and the program with it.
            let _ = writeln!(orders, "{name}");
        }
    }

    /// Waits up to `limit`; returns whether the program has ended.
    pub(super) fn ended_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if !matches!(self.shell.try_wait(), Ok(None)) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.shell.wait();
    }
}

/// Kills a child process if this process ends first.
pub struct Watch {
    shell: Child,
    _owner: ChildStdin,
}

impl Watch {
    /// Guards that child until dropped, which must not be before the child was waited for.
    ///
    /// # Errors
    /// The shell cannot be started.
    pub fn over(child: &Child) -> io::Result<Self> {
        let id = child.id().to_string().into();
        let (shell, owner) = shell(r#"read -r _; kill -9 "$1""#, Path::new("/"), &[id])?;
        Ok(Watch { shell, _owner: owner })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Before the pipe closes: the child has ended by now, and its id may have been reused.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// A temporary folder, removed when dropped or when this process ends.
pub(super) struct TemporaryFolder {
    path: PathBuf,
    shell: Child,
    owner: Option<ChildStdin>,
}

impl TemporaryFolder {
    /// Creates a folder with a unique name in the system's temporary folder.
    pub(super) fn create() -> io::Result<Self> {
        let name = format!("pipeline-broker-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        // Tries several times: a node that was just killed may still be writing.
        let script = r#"read -r _; for _ in 1 2 3 4 5; do rm -rf "$1" && exit; sleep 1; done"#;
        let (shell, owner) = shell(script, Path::new("/"), &[path.clone().into_os_string()])?;
        let folder = TemporaryFolder { path, shell, owner: Some(owner) };
        std::fs::create_dir(&folder.path)?;
        Ok(folder)
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        self.owner = None;
        let _ = self.shell.wait();
    }
}

fn shell(script: &str, folder: &Path, arguments: &[OsString]) -> io::Result<(Child, ChildStdin)> {
    let mut shell = Command::new("sh")
        .args(["-c", script, "sh"])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C at a terminal goes to the whole process group, but this process stops the program,
        // gracefully.
        .process_group(0)
        .spawn()?;
    let stdin = shell.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((shell, stdin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(script: &str) -> Vec<OsString> {
        ["sh", "-c", script].map(OsString::from).to_vec()
    }

    #[test]
    fn a_program_that_ends_by_itself_is_noticed_and_its_output_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut guarded =
            Guarded::start(folder.path(), &arguments("echo said; echo and warned >&2")).unwrap();
        assert!(guarded.ended_within(Duration::from_secs(10)));
        let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap();
        assert_eq!(log, "said\nand warned\n");
        assert!(!folder.path().join("pid").exists());
    }

    #[test]
    fn a_signal_reaches_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'echo stopped in order; exit' TERM; echo ready; while :; do sleep 0.05; done";
        let mut guarded = Guarded::start(folder.path(), &arguments(script)).unwrap();
        let log = folder.path().join("server.log");
        while std::fs::read_to_string(&log).unwrap_or_default() != "ready\n" {
            thread::sleep(Duration::from_millis(10));
        }
        guarded.signal("TERM");
        assert!(guarded.ended_within(Duration::from_secs(10)));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "ready\nstopped in order\n");
    }

    #[test]
    fn a_program_that_ignores_every_polite_signal_ends_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap '' TERM INT HUP; echo ready; while :; do sleep 0.05; done";
        let mut guarded = Guarded::start(folder.path(), &arguments(script)).unwrap();
        let read = |file| std::fs::read_to_string(folder.path().join(file)).unwrap_or_default();
        // The program may run before its guard has written its id.
        while read("server.log") != "ready\n" || !read("pid").ends_with('\n') {
            thread::sleep(Duration::from_millis(10));
        }
        let pid = read("pid");
        guarded.signal("TERM");
        assert!(!guarded.ended_within(Duration::from_millis(300)));
        drop(guarded);
        let alive = Command::new("kill").args(["-0", pid.trim()]).stderr(Stdio::null()).status().unwrap();
        assert!(!alive.success(), "process {pid} is still there");
    }

    #[test]
    fn a_temporary_folder_is_there_while_its_value_is() {
        let folder = TemporaryFolder::create().unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("file"), "content").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
