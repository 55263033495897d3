//! One running program.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::future;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{self, ChildStderr, ChildStdin, ChildStdout},
    time::timeout,
};

use super::{
    super::{
        Call, OperatorError,
        error::{PROGRAM_ENDED, TIMEOUT},
        line::{self, PROGRAM},
        outside::{LONGEST_LINE, Lines},
    },
    Answer, system,
};
use crate::format::Formats;

/// The variables of the worker's environment that a program is given; the others may be secrets.
const ENVIRONMENT: &[&str] = &["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];
/// How much is read of what it answers at once, in bytes: as much as a pipe holds.
const READ: usize = 1 << 16;
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
    /// How many cores it may use.
    pub cores: Option<usize>,
    pub env: BTreeMap<String, String>,
    /// How many were started: each has the next cores.
    pub started: AtomicUsize,
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
    output: Output,
    /// What it said last on its standard error.
    last_words: Arc<Mutex<VecDeque<String>>>,
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
        let turn = self.started.fetch_add(1, Relaxed);
        system::bound(&mut command, self.memory, self.cores.map(|cores| (cores, turn)));
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
            output: Output {
                pipe: BufReader::with_capacity(READ, output),
                line: Vec::new(),
                largest: self.largest,
                timeout: self.timeout,
            },
            last_words,
            next: 0,
            has_answered: false,
        })
    }
}

impl Child {
    /// Whether it has answered about any record.
    pub fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Gives it the records that have no answer yet, and takes its answers in any order. `None` where it has answered all.
    pub async fn ask(
        &mut self,
        calls: &[Call],
        formats: &Formats,
        answers: &mut [Option<Answer>],
    ) -> Option<Failure> {
        let first = self.next;
        let (mut text, mut places) = (Vec::new(), Vec::with_capacity(calls.len()));
        for (place, open) in answers.iter_mut().enumerate().filter(|(_, answer)| answer.is_none()) {
            match line::write(&mut text, self.next, &calls[place], &formats.input) {
                Ok(()) => {
                    text.push(b'\n');
                    places.push(place);
                    self.next += 1;
                }
                Err(error) => *open = Some(Err(error)),
            }
        }
        let (input, output) = (&mut self.input, &mut self.output);
        // Both at once: it may answer before it has read all.
        let writing = async {
            // If it does not read, it has ended or hangs, which shows below.
            let _ = input.write_all(&text).await;
            future::pending::<()>().await;
        };
        let has_answered = &mut self.has_answered;
        let reading = async {
            for _ in &places {
                let answer =
                    output.line().await.and_then(|line| line::Answer::read(line).map_err(Trouble::Garbage));
                let answer = match answer {
                    Ok(answer) => answer,
                    Err(trouble) => return Some(trouble),
                };
                let place = answer.id.checked_sub(first).and_then(|at| places.get(at as usize));
                match place {
                    Some(place) if answers[*place].is_none() => {
                        answers[*place] = Some(answer.records(&calls[*place], &formats.output, &PROGRAM));
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
                    self.output.timeout
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

/// What a program answers, line by line.
struct Output {
    pipe: BufReader<ChildStdout>,
    /// The last line.
    line: Vec<u8>,
    /// The longest line, in bytes.
    largest: usize,
    /// How long a line may take.
    timeout: Duration,
}

impl Output {
    /// The next line, without its end.
    async fn line(&mut self) -> Result<&[u8], Trouble> {
        self.line.clear();
        let is_here = self.pipe.buffer().contains(&b'\n');
        // One byte more shows that it is longer, and the last one is its end.
        let mut pipe = (&mut self.pipe).take(self.largest as u64 + 2);
        let reading = pipe.read_until(b'\n', &mut self.line);
        // A timer costs more than a line that is here.
        let read = if is_here { Ok(reading.await) } else { timeout(self.timeout, reading).await };
        match read {
            Err(_) => return Err(Trouble::Silent),
            Ok(Err(error)) => return Err(Trouble::Garbage(error.to_string())),
            Ok(Ok(0)) => return Err(Trouble::Ended),
            Ok(Ok(_)) => {}
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        if line.len() > self.largest {
            let reason =
                format!("it answered more than the {} bytes of `max_response` in a line", self.largest);
            return Err(Trouble::Garbage(reason));
        }
        Ok(line)
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
