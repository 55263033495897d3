//! Computes chunks on the machine's cores: results, dead letters, and retries.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    Large, Length, Retries, Runtime, Stop, Topology,
    away::Away,
    chunk::Chunk,
    dead_letter::{self, Origin},
    later::{self, Taken},
    outcome::{Outcome, Outgoing, Part},
    reply,
    segment::Segment,
    state::ChunkState,
    topology::Scratch,
    trace,
    work::Work,
};
use crate::{
    operator::{Cancel, OperatorError, SharedState},
    pieces::{self, Cut, Stored},
    plant::{Fault, planted},
    record::{Batch, Destination, Offset, PerTopic, Record, ResultTopic, TopicPartition, classes, wire_size},
    trace::Span,
};

/// Everything that computing a chunk needs.
pub struct Compute {
    pub topology: Topology,
    pub retries: Retries,
    pub runtime: Arc<dyn Runtime>,
    /// Whether records are requests, whose headers may say where the reply is wanted, and until when.
    pub requests: bool,
    /// The largest record that each topic takes, in bytes as [`wire_size`] counts.
    pub largest: PerTopic<AtomicU64>,
    /// What becomes of larger results.
    pub large: Large,
    /// What operators wait for.
    pub away: Away,
    /// The operators, cut where some wait; empty where none does.
    pub segments: Vec<Segment>,
    /// Where it is written what operators remember, where they do.
    pub changelog: Option<ResultTopic>,
}

/// What becomes of a record after an error.
pub enum Verdict {
    DeadLetter {
        class: &'static str,
        message: String,
    },
    /// It is tried again after this pause.
    Again(Duration),
    /// It is tried again after a wait in the retry topic of that place.
    Later(usize),
    /// The pipeline stops.
    Fatal(String),
}

/// A chunk that is being computed: it goes to the pool and comes back, for each retry again.
struct Job {
    chunk: Chunk,
    outcome: Outcome,
    /// The index of the next record.
    next: usize,
    /// How often that record has failed; 0 once the chunk is finished.
    failed: u32,
    /// The pause before it is tried again.
    pause: Duration,
    /// What operators remember, as this chunk sees it.
    state: Option<Arc<Mutex<ChunkState>>>,
}

impl Compute {
    /// Computes a chunk, with pauses after failures that may pass, until it is finished or cancelled.
    /// `calling` counts those that wait for what is outside.
    pub async fn run(
        self: Arc<Self>,
        chunk: Chunk,
        cancel: Cancel,
        calling: Arc<AtomicUsize>,
    ) -> (Chunk, Outcome) {
        let (chunk, mut outcome) = match self.segments.is_empty() {
            true => self.clone().run_alone(chunk, cancel.clone()).await,
            false => self.clone().run_calls(chunk, cancel.clone(), calling.clone()).await,
        };
        if !outcome.objects.is_empty() {
            self.put_objects(&mut outcome, &cancel, &calling).await;
        }
        (chunk, outcome)
    }

    /// As [`Compute::run`], where no operator waits.
    async fn run_alone(self: Arc<Self>, chunk: Chunk, cancel: Cancel) -> (Chunk, Outcome) {
        let outcome = Outcome { work: Work::new(self.topology.len(), chunk.len()), ..Outcome::default() };
        let state = chunk.state().map(|state| Arc::new(Mutex::new(ChunkState::new(state.clone()))));
        let mut job = Job { chunk, outcome, next: 0, failed: 0, pause: Duration::ZERO, state };
        loop {
            let (fallback, cancel) = (job.chunk.clone(), cancel.clone());
            let length = Length::of(job.chunk.nanos);
            let computed = self.on_pool(length, job, move |compute, job| {
                let start = compute.runtime.now();
                compute.step(job, &cancel);
                compute.write_changes(job);
                job.outcome.work.took += compute.runtime.now() - start;
            });
            job = match computed.await {
                Some(job) => job,
                None => return (fallback, Outcome::without_threads()),
            };
            if job.failed == 0 {
                return (job.chunk, job.outcome);
            }
            self.runtime.sleep(job.pause).await;
        }
    }

    /// Has a job done on the pool; `None` where the pool is gone.
    pub(super) async fn on_pool<J: Send + 'static>(
        self: &Arc<Self>,
        length: Length,
        mut job: J,
        work: impl FnOnce(&Compute, &mut J) + Send + 'static,
    ) -> Option<J> {
        let (sender, receiver) = oneshot::channel();
        let compute = self.clone();
        let work = move || {
            work(&compute, &mut job);
            // If the lane is gone, nobody receives it.
            let _ = sender.send(job);
        };
        self.runtime.compute(length, Box::new(work));
        receiver.await.ok()
    }

    /// The record, and where it was read first.
    pub(super) fn take(&self, batch: &Batch, index: usize) -> Taken {
        later::take(&self.retries.topics, batch, index)
    }

    /// What becomes of a record that has failed so many times since it was read, and has waited so often in retry topics.
    pub(super) fn verdict(&self, error: OperatorError, attempts: u32, waited: usize) -> Verdict {
        match error {
            OperatorError::BadInput { class, message } => Verdict::DeadLetter { class, message },
            OperatorError::Passing { failure, message } => match self.retries.of(failure) {
                retry if attempts < retry.attempts => {
                    Verdict::Again(retry.pause(attempts, self.runtime.random()))
                }
                _ if waited < self.retries.topics.len() => Verdict::Later(waited),
                _ => Verdict::DeadLetter {
                    class: classes::RETRIES_EXHAUSTED,
                    message: match waited {
                        0 => format!("{message} (gave up after {attempts} attempts)"),
                        1 => format!("{message} (gave up after {attempts} attempts, and a wait before them)"),
                        _ => format!(
                            "{message} (gave up after {attempts} attempts, and {waited} waits before them)"
                        ),
                    },
                },
            },
            OperatorError::Away { message } => {
                self.away.say(self.runtime.now(), &message);
                Verdict::Again(self.retries.otherwise.pause(attempts, self.runtime.random()))
            }
            OperatorError::Fatal { message } => Verdict::Fatal(message),
        }
    }

    /// Goes on until the chunk is finished (`failed` is 0), or a record has to be tried again later.
    fn step(&self, job: &mut Job, cancel: &Cancel) {
        let Job { chunk, outcome, next, failed, pause, state } = job;
        let (mut results, mut scratch) = (Vec::new(), Scratch::until(cancel));
        if let Some(state) = state {
            scratch.set_state(SharedState::new(state.clone()));
        }
        for (cause, (held, index)) in chunk.places().enumerate().skip(*next) {
            if cancel.is_cancelled() {
                (outcome.cancelled, *failed) = (true, 0);
                return;
            }
            let taken = self.take(&held.batch, index);
            let (place, offset) = taken.place(&held.batch, index);
            scratch.set_place(place, offset);
            let Taken { record, waited, .. } = taken;
            if self.requests && reply::is_expired(&record, || self.runtime.unix_millis()) {
                outcome.expired.push(held.batch.offset(index));
                *failed = 0;
                continue;
            }
            if let Some(behind) = self.behind(held, index) {
                self.wait_behind(cause, held, index, behind, outcome);
                *failed = 0;
                continue;
            }
            let span = trace::below(&record.headers, &*self.runtime)
                .map(|span| (span, self.runtime.now(), outcome.outgoing.len()));
            let mut watch = outcome.work.watch(cause, &*self.runtime);
            let applied = panicked(|| {
                let after = |place, records| watch.after(place, records);
                self.topology.apply(record, &mut results, &mut scratch, after)
            });
            if let Some(state) = state {
                lock(state).end_record(applied.is_ok());
            }
            let attempts = *failed + 1;
            let Err(error) = applied else {
                self.collect(cause, &held.batch, index, attempts, &mut results, outcome);
                self.end_span(span, &held.batch, index, outcome);
                *failed = 0;
                continue;
            };
            results.clear();
            match self.verdict(error, attempts, waited) {
                Verdict::DeadLetter { class, message } => {
                    self.dead_letter(cause, &held.batch, index, class, &message, attempts, outcome);
                }
                Verdict::Again(before) => {
                    outcome.retries += 1;
                    (*next, *failed, *pause) = (cause, attempts, before);
                    return;
                }
                Verdict::Later(topic) => {
                    self.later(cause, held, index, topic, attempts, outcome);
                }
                Verdict::Fatal(message) => {
                    let at = format!("{} offset {}", held.batch.partition, held.batch.offset(index));
                    outcome.fatal = Some(Stop::Fatal(format!("at {at}: {message}")));
                    *failed = 0;
                    return;
                }
            }
            self.end_span(span, &held.batch, index, outcome);
            *failed = 0;
        }
    }

    /// Once a chunk is computed, what its operators remember is written too.
    fn write_changes(&self, job: &mut Job) {
        let Job { chunk, outcome, state, .. } = job;
        let (Some(state), Some(to)) = (state, self.changelog) else { return };
        if job.failed > 0 || outcome.cancelled || outcome.fatal.is_some() {
            return;
        }
        let Some(changes) = lock(state).finish() else { return };
        let (cause, to) = (chunk.len() - 1, Destination::Result(to));
        outcome.outgoing.extend(changes.changes.iter().map(|(key, value)| {
            let record = Record { key: Some(key.clone()), value: value.clone(), ..Record::default() };
            Outgoing::whole(cause, to, record)
        }));
        outcome.changes = Some(changes);
    }

    /// Makes everything that a record has caused, from the `first` outgoing record on, a part of its trace.
    pub(super) fn end_span(
        &self,
        span: Option<(Span, Duration, usize)>,
        batch: &Batch,
        index: usize,
        outcome: &mut Outcome,
    ) {
        let Some((span, began, first)) = span else { return };
        let caused = &mut outcome.outgoing[first..];
        caused.iter_mut().for_each(|outgoing| trace::adopt(&span, &mut outgoing.record.headers));
        let dead = caused.iter().any(|outgoing| outgoing.to == Destination::DeadLetter);
        let (took, outcome) = (self.runtime.now() - began, if dead { "dead-letter" } else { "ok" });
        trace::log_computed(&span, &batch.partition, batch.offset(index), took, outcome);
    }

    /// Takes a record's results; makes it a dead letter where one is larger than the topic takes, and is not to be cut.
    pub(super) fn collect(
        &self,
        cause: usize,
        batch: &Batch,
        index: usize,
        attempts: u32,
        results: &mut Vec<Record>,
        outcome: &mut Outcome,
    ) {
        outcome.dropped += u64::from(results.is_empty());
        if self.requests && reply::partition(&batch.record(index)).is_some() {
            results.iter_mut().for_each(|result| reply::sign(result, self.runtime.name()));
        }
        let (first, first_object) = (outcome.outgoing.len(), outcome.objects.len());
        for record in results.drain(..) {
            let to = Destination::Result(record.to);
            let (size, largest) = (wire_size(&record), self.largest[to].load(Ordering::Relaxed));
            if size <= largest {
                outcome.outgoing.push(Outgoing::whole(cause, to, record));
            } else if !self.part(cause, &batch.partition, batch.offset(index), record, largest, outcome) {
                outcome.outgoing.truncate(first);
                outcome.objects.truncate(first_object);
                let message = format!("the result needs {size} bytes, and its topic takes {largest}");
                self.dead_letter(cause, batch, index, classes::RESULT_TOO_LARGE, &message, attempts, outcome);
                return;
            }
        }
    }

    /// Parts a result, for pieces or the store; `false` where it is for neither, or its topic takes too little even for that.
    fn part(
        &self,
        cause: usize,
        partition: &TopicPartition,
        offset: Offset,
        record: Record,
        largest: u64,
        outcome: &mut Outcome,
    ) -> bool {
        let (at, to) = (usize::from(record.to.0), Destination::Result(record.to));
        let formats = match &self.large {
            Large::DeadLetter => return false,
            Large::Pieces(formats) | Large::Store(_, formats) => formats,
        };
        let Some(format) = formats.get(at) else { return false };
        if let Large::Store(..) = self.large {
            let Some(stored) = pieces::store(&record, format, largest) else { return false };
            let Stored { object, bytes, manifest } = stored;
            outcome.objects.push((object, bytes));
            outcome.outgoing.push(Outgoing::whole(cause, to, manifest));
            return true;
        }
        let attempt = (self.runtime.random() * f64::from(u32::MAX)) as u32;
        let id = format!("{}-{}-{offset}-{attempt:08x}", partition.topic, partition.partition);
        let Some(Cut { pieces, manifest }) = pieces::cut(&record, &id, format, largest) else { return false };
        let pieces = pieces.into_iter().map(|record| Outgoing { cause, to, part: Part::Piece, record });
        outcome.outgoing.extend(pieces);
        outcome.outgoing.push(Outgoing { cause, to, part: Part::Manifest, record: manifest });
        true
    }

    /// Makes a dead letter, and the reply for the caller that waits for one.
    #[expect(clippy::too_many_arguments, reason = "all that a dead letter says")]
    pub(super) fn dead_letter(
        &self,
        cause: usize,
        batch: &Batch,
        index: usize,
        class: &'static str,
        message: &str,
        attempts: u32,
        outcome: &mut Outcome,
    ) {
        if planted(Fault::DeadLetterDropped) {
            return;
        }
        let taken = self.take(batch, index);
        let (partition, offset) = taken.place(batch, index);
        let (origin, attempts) = (Origin { partition, offset }, taken.tried.saturating_add(attempts));
        let letter = dead_letter::of(taken.record.clone(), &origin, class, message, attempts);
        if let Some(reply) = self.reply_to(&letter) {
            outcome.outgoing.push(Outgoing::whole(cause, Destination::SINK, reply));
        }
        let record = dead_letter::fit(letter, self.largest.dead_letters.load(Ordering::Relaxed));
        outcome.outgoing.push(Outgoing::whole(cause, Destination::DeadLetter, record));
        outcome.dead_letters.push(class);
    }

    /// The reply that reports a dead letter to the caller, where one is wanted and the result topic takes it.
    pub fn reply_to(&self, letter: &Record) -> Option<Record> {
        if !self.requests || reply::partition(letter).is_none() {
            return None;
        }
        let reply = reply::of_dead_letter(letter, self.runtime.name());
        (wire_size(&reply) <= self.largest.results[0].load(Ordering::Relaxed)).then_some(reply)
    }
}

fn lock(state: &Mutex<ChunkState>) -> MutexGuard<'_, ChunkState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs an operator; its panic is an error of the record.
pub fn panicked(apply: impl FnOnce() -> Result<(), OperatorError>) -> Result<(), OperatorError> {
    catch_unwind(AssertUnwindSafe(apply)).unwrap_or_else(|panic| Err(panic_error(&*panic)))
}

/// A panic as the error of a record.
pub fn panic_error(panic: &(dyn Any + Send)) -> OperatorError {
    OperatorError::BadInput {
        class: classes::OPERATOR_PANICKED,
        message: format!("an operator panicked: {}", panic_message(panic)),
    }
}

/// The message of a panic, where it is text.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
