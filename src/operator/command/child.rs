//! One running program.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, future};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{self, ChildStderr, ChildStdin, ChildStdout},
    time::timeout,
};
use tokio_util::codec::{FramedRead, LinesCodec};

use super::{
    super::{
        OperatorError,
        error::{PROGRAM_ENDED, TIMEOUT},
        line,
        outside::{LONGEST_LINE, Lines},
    },
    Answer,
};

/// The variables of the worker's environment that a program is given; the others may be secrets.
const ENVIRONMENT: &[&str] = &["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];
/// How many of its last lines there are quoted where it ends.
const WORDS: usize = 3;
/// How long a program that has closed its output may take to end.
const END: Duration = Duration::from_secs(1);

/// What is run, and how.
pub struct Program {
    pub run: Vec<String>,
    pub timeout: Duration,
    /// The longest line that it may answer, in bytes.
    pub largest: usize,
    /// The most memory that it may use, in bytes.
    pub memory: Option<u64>,
    pub env: BTreeMap<String, String>,
}

/// Why a program is no longer of use.
pub struct Failure {
    /// One sentence.
    pub message: String,
    /// Whether it did not answer in time.
    pub hangs: bool,
}

impl Failure {
    /// Its name, as `[retry.NAME]` has it.
    pub fn name(&self) -> &'static str {
        if self.hangs { TIMEOUT } else { PROGRAM_ENDED }
    }
}

/// A program that runs. It is killed when it is dropped.
pub struct Child {
    name: String,
    process: process::Child,
    input: ChildStdin,
    output: FramedRead<ChildStdout, LinesCodec>,
    /// What it said last on its standard error.
    last_words: Arc<Mutex<VecDeque<String>>>,
    timeout: Duration,
    /// The number of the next record.
    next: u64,
    has_answered: bool,
}

impl Program {
    /// Starts it, without a shell.
    ///
    /// # Errors
    /// It cannot be started: nothing can be computed.
    pub fn start(&self) -> Result<Child, OperatorError> {
        let name = self.run[0].clone();
        let mut command = process::Command::new(&name);
        command
            .args(&self.run[1..])
            .env_clear()
            .envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        bound(&mut command, self.memory);
        let cannot = |error: io::Error| OperatorError::Fatal {
            message: format!(
                "cannot start the program `{name}`: {error}; see `run`, and whether it is installed"
            ),
        };
        let mut process = command.spawn().map_err(cannot)?;
        let (Some(input), Some(output), Some(errors)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(cannot(io::Error::other("it has no pipes")));
        };
        let last_words = Arc::<Mutex<VecDeque<String>>>::default();
        tokio::spawn(log(name.clone(), errors, last_words.clone()));
        Ok(Child {
            name,
            process,
            input,
            output: FramedRead::new(output, LinesCodec::new_with_max_length(self.largest)),
            last_words,
            timeout: self.timeout,
            next: 0,
            has_answered: false,
        })
    }
}

/// Has it end with the worker, and bounds its memory.
#[cfg(target_os = "linux")]
fn bound(command: &mut process::Command, memory: Option<u64>) {
    // SAFETY: between fork and exec only system calls are made, which is what is allowed there.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            if let Some(bytes) = memory {
                let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
                if libc::setrlimit(libc::RLIMIT_AS, &limit) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn bound(_: &mut process::Command, _: Option<u64>) {}

impl Child {
    /// Whether it has answered about any record.
    pub fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Gives it the records of these places, and takes its answers in any order. `None` where it has answered all.
    pub async fn ask(
        &mut self,
        questions: &[(usize, &[u8])],
        read: impl Fn(usize, &line::Answer<'_>) -> Answer,
        answers: &mut [Option<Answer>],
    ) -> Option<Failure> {
        let first = self.next;
        self.next += questions.len() as u64;
        let mut text = Vec::with_capacity(questions.iter().map(|(_, line)| line.len() + 24).sum());
        for (number, (_, line)) in (first..).zip(questions) {
            text.extend_from_slice(format!("{{\"id\":{number}").as_bytes());
            text.extend_from_slice(line);
        }
        let (input, output) = (&mut self.input, &mut self.output);
        // Both at once: it may answer before it has read all.
        let writing = async {
            // If it does not read, it has ended or hangs, which shows below.
            let _ = input.write_all(&text).await;
            future::pending::<()>().await;
        };
        let (limit, has_answered) = (self.timeout, &mut self.has_answered);
        let reading = async {
            for _ in questions {
                let line = match timeout(limit, output.next()).await {
                    Err(_) => return Some(Trouble::Silent),
                    Ok(None) => return Some(Trouble::Ended),
                    Ok(Some(Err(error))) => return Some(Trouble::Garbage(error.to_string())),
                    Ok(Some(Ok(line))) => line,
                };
                let answer = match line::Answer::read(&line) {
                    Ok(answer) => answer,
                    Err(reason) => return Some(Trouble::Garbage(reason)),
                };
                let asked = answer.id.checked_sub(first).and_then(|at| questions.get(at as usize));
                match asked {
                    Some((place, _)) if answers[*place].is_none() => {
                        answers[*place] = Some(read(*place, &answer));
                        *has_answered = true;
                    }
                    _ => {
                        return Some(Trouble::Garbage(format!(
                            "it answered about {}, which is not asked",
                            answer.id
                        )));
                    }
                }
            }
            None
        };
        let trouble = tokio::select! {
            biased;
            trouble = reading => trouble,
            () = writing => None,
        };
        Some(self.failure(trouble?).await)
    }

    /// What went wrong, as a sentence.
    async fn failure(&mut self, trouble: Trouble) -> Failure {
        let (name, hangs) = (&self.name, matches!(trouble, Trouble::Silent));
        let message = match trouble {
            Trouble::Silent => {
                format!(
                    "the program `{name}` did not answer within {:?}, and is killed; does it flush what it prints?",
                    self.timeout
                )
            }
            Trouble::Garbage(reason) => format!("the program `{name}` is killed: {reason}"),
            Trouble::Ended => {
                let ended = timeout(END, self.process.wait()).await;
                let how = ended
                    .ok()
                    .and_then(Result::ok)
                    .map_or("has closed its output".to_owned(), |s| format!("has ended ({s})"));
                let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
                let words = words.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" / ");
                let said = if words.is_empty() { words } else { format!("; it said: {words}") };
                format!("the program `{name}` {how}{said}")
            }
        };
        Failure { message, hangs }
    }
}

enum Trouble {
    /// No answer in time.
    Silent,
    Ended,
    /// An answer that is none.
    Garbage(String),
}

/// Logs what it says on its standard error, until it ends: some lines a second, and of each the beginning.
async fn log(name: String, errors: ChildStderr, last_words: Arc<Mutex<VecDeque<String>>>) {
    let mut errors = BufReader::new(errors);
    let (mut lines, mut line) = (Lines::default(), Vec::new());
    loop {
        line.clear();
        match (&mut errors).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if text.is_empty() {
            continue;
        }
        {
            let mut words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
            if words.len() == WORDS {
                words.pop_front();
            }
            words.push_back(text.to_owned());
        }
        lines.line(
            || tracing::info!(program = name, "{text}"),
            |lines| tracing::warn!(program = name, lines, "the program said more on its standard error"),
        );
    }
}
