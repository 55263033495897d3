//! The binary as a child process.

use std::{
    io::Read,
    ops::{Deref, DerefMut},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::PATIENCE;

/// A running `pipeline`: killed when it goes out of scope, or when the test process ends, however that does.
pub struct Program {
    child: Child,
    /// Kills the child when the pipe to it closes.
    guard: Child,
    stdout: Output,
    stderr: Output,
}

/// How a program ended.
pub struct Finished {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `pipeline` to its end, with the broker in its environment.
pub fn pipeline(servers: &str, arguments: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    command.args(arguments).env("PIPELINE_BOOTSTRAP_SERVERS", servers);
    let mut program = Program::start(command);
    let status = program.wait(PATIENCE);
    Finished { code: status.code(), stdout: program.stdout(), stderr: program.stderr() }
}

impl Program {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("could not start {command:?}: {error}"));
        let guard = Command::new("sh")
            .args(["-c", "read -r _; kill -9 \"$1\"", "sh", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = Output::of(child.stdout.take().unwrap());
        let stderr = Output::of(child.stderr.take().unwrap());
        Program { child, guard, stdout, stderr }
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        // An error says that it is gone already.
        let _ = self.child.kill();
        self.reap();
    }

    /// Sends it a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "could not send SIG{name}; it wrote:\n{}", self.stderr());
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        while self.child.try_wait().unwrap().is_none() {
            assert!(
                Instant::now() < deadline,
                "it still ran after {limit:?}; it wrote:\n{}{}",
                self.stdout(),
                self.stderr()
            );
            thread::sleep(Duration::from_millis(10));
        }
        self.reap()
    }

    /// Waits until it has written `text` to its standard output or error.
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.stdout().contains(text) && !self.stderr().contains(text) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "it did not write `{text}` (ended: {ended:?}); it wrote:\n{}{}",
                self.stdout(),
                self.stderr()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it has written to its standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to its standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    fn reap(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        // Before its pipe closes: by now the id may be somebody else's.
        let _ = self.guard.kill();
        self.guard.wait().unwrap();
        self.stdout.finish();
        self.stderr.finish();
        status
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `pipeline run FILE`.
pub struct Worker(Program);

impl Worker {
    /// Starts a worker, with `settings` for `--set`.
    pub fn start(servers: &str, file: impl AsRef<Path>, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
        command.arg("run").arg(file.as_ref()).env("PIPELINE_BOOTSTRAP_SERVERS", servers);
        for (path, value) in settings {
            command.arg("--set").arg(format!("{path}={value}"));
        }
        Worker(Program::start(command))
    }

    /// Asks it to stop in order.
    pub fn terminate(&self) {
        self.signal("TERM");
    }
}

impl Deref for Worker {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.0
    }
}

impl DerefMut for Worker {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.0
    }
}

/// What comes through a pipe, read as it comes: a full one would stop the program.
struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let written = bytes.clone();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                written.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Output { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Waits for the rest.
    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}
