//! Computes chunks of pipelines in which some operators wait for what is outside, or compute many records at once.
//!
//! Each record of a chunk goes its own way: one that fails is tried again alone, and no other waits for it but for its place in
//! the order.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::{
    FutureExt,
    future::{Either, select},
};

use super::{
    Length, Runtime, Stop,
    chunk::Chunk,
    compute::{Compute, Verdict, panic_error, panicked},
    later::Taken,
    outcome::Outcome,
    parked::Waits,
    reply,
    topology::Scratch,
    trace,
    work::Work,
};
use crate::{
    operator::{Call, Cancel, OperatorError},
    record::{Offset, Record, TopicPartition},
    trace::Span,
};

/// How often a call that is under way looks whether its answer is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// What an operator has made of one record.
type Answer = Result<Vec<Record>, OperatorError>;

/// How far a record is.
struct Item {
    /// Where the record was read first.
    place: (TopicPartition, Offset),
    segment: usize,
    /// What the operators before have made of it.
    records: Vec<Record>,
    /// Whether those wait for the call of the segment.
    calls: bool,
    /// How often it has waited in retry topics.
    waited: usize,
    /// How often its next step has failed.
    failed: u32,
    /// When it may be tried again, where it has failed.
    not_before: Option<Duration>,
    end: Option<End>,
    span: Option<(Span, Duration)>,
}

/// What became of a record.
enum End {
    Results,
    DeadLetter {
        class: &'static str,
        message: String,
    },
    /// It waits in the retry topic of that place.
    Later(usize),
    /// An earlier one of its key waits there.
    Behind(Waits),
    Expired,
}

impl Item {
    /// Whether something can be done for it now.
    fn is_ready(&self) -> bool {
        self.end.is_none() && self.not_before.is_none()
    }
}

/// A chunk that is being computed.
struct Job {
    chunk: Chunk,
    items: Vec<Item>,
    outcome: Outcome,
}

impl Job {
    /// The first segment that some records wait to be called in, among those that have such an operator.
    fn first_to_call<O>(&self, operator: impl Fn(usize) -> Option<O>) -> Option<(usize, O)> {
        let waiting = self.items.iter().filter(|item| item.is_ready() && item.calls);
        let first = waiting.filter_map(|item| Some((item.segment, operator(item.segment)?)));
        first.min_by_key(|(segment, _)| *segment)
    }

    /// What a segment's operator is given: whose records these are, and the records.
    fn calls_of(&self, segment: usize) -> (Vec<usize>, Vec<Call>) {
        let (mut owners, mut calls) =
            (Vec::with_capacity(self.items.len()), Vec::with_capacity(self.items.len()));
        for (index, item) in self.items.iter().enumerate() {
            if !(item.is_ready() && item.calls && item.segment == segment) {
                continue;
            }
            owners.push(index);
            let records = item.records.iter().cloned().enumerate();
            calls.extend(records.map(|(part, record)| Call {
                record,
                place: Some(item.place.clone()),
                part,
            }));
        }
        (owners, calls)
    }

    /// Whether nothing is left to do. A job that is finished has no items any more.
    fn is_over(&self) -> bool {
        self.outcome.cancelled || self.outcome.fatal.is_some() || self.items.iter().all(|i| i.end.is_some())
    }
}

impl Compute {
    /// As [`Compute::run`], where operators wait.
    pub(super) async fn run_calls(
        self: Arc<Self>,
        chunk: Chunk,
        cancel: Cancel,
        calling: Arc<AtomicUsize>,
    ) -> (Chunk, Outcome) {
        let outcome = Outcome { work: Work::new(self.topology.len(), chunk.len()), ..Outcome::default() };
        let mut job = Job { chunk, items: Vec::new(), outcome };
        loop {
            let (fallback, cancelled) = (job.chunk.clone(), cancel.clone());
            let computed = self.on_pool(Length::Short, job, move |compute, job| {
                let start = compute.runtime.now();
                if job.items.is_empty() {
                    job.items = compute.begin(&job.chunk);
                }
                compute.advance(job, &cancelled);
                job.outcome.work.took += compute.runtime.now() - start;
            });
            job = match computed.await {
                Some(job) => job,
                None => return (fallback, Outcome::without_threads()),
            };
            if job.is_over() {
                return (job.chunk, job.outcome);
            }
            calling.fetch_add(1, Relaxed);
            if job.items.iter().any(Item::is_ready) {
                self.call(&mut job, &cancel).await;
            } else {
                self.pause(&mut job, &cancel).await;
            }
            calling.fetch_sub(1, Relaxed);
        }
    }

    fn begin(&self, chunk: &Chunk) -> Vec<Item> {
        let mut items = Vec::with_capacity(chunk.len());
        items.extend(chunk.places().map(|(held, index)| {
            let taken = self.take(&held.batch, index);
            let (partition, offset) = taken.place(&held.batch, index);
            let place = (partition.clone(), offset);
            let Taken { record, waited, .. } = taken;
            let expired = self.requests && reply::is_expired(&record, || self.runtime.unix_millis());
            let behind = self.behind(held, index).map(End::Behind);
            let span = trace::below(&record.headers, &*self.runtime).map(|span| (span, self.runtime.now()));
            Item {
                place,
                segment: 0,
                records: vec![record],
                calls: false,
                waited,
                failed: 0,
                not_before: None,
                end: if expired { Some(End::Expired) } else { behind },
                span,
            }
        }));
        items
    }

    /// Takes every record as far as it goes without waiting, and collects what they have become once all are at their end.
    fn advance(&self, job: &mut Job, cancel: &Cancel) {
        let mut scratch = Scratch::until(cancel);
        loop {
            for index in 0..job.items.len() {
                while job.items[index].is_ready() && !job.items[index].calls {
                    if cancel.is_cancelled() {
                        job.outcome.cancelled = true;
                        return;
                    }
                    let (partition, offset) = &job.items[index].place;
                    scratch.set_place(partition, *offset);
                    self.compute_segment(index, job, &mut scratch);
                    if job.outcome.fatal.is_some() {
                        return;
                    }
                }
            }
            if !self.compute_batch(job, cancel) {
                break;
            }
        }
        if job.is_over() {
            self.finish(job);
        }
    }

    /// Has the first operator that takes many at once compute the records that wait for it. Whether there was one.
    fn compute_batch(&self, job: &mut Job, cancel: &Cancel) -> bool {
        let Some((segment, operator)) = job.first_to_call(|segment| self.segments[segment].batched()) else {
            return false;
        };
        let (owners, calls) = job.calls_of(segment);
        let (given, began) = (calls.len(), self.runtime.now());
        let compute = |calls| catch_unwind(AssertUnwindSafe(|| operator.apply_batch(calls, cancel)));
        let answers = match compute(calls) {
            // One of them is to blame.
            Err(_) if given > 1 => {
                let alone = job.calls_of(segment).1.into_iter().map(|call| {
                    let answer = compute(vec![call]).map(|mut answers| answers.pop());
                    answer.unwrap_or_else(|panic| Some(Err(panic_error(&*panic))))
                });
                Ok(alone.flatten().collect())
            }
            answers => answers,
        };
        job.outcome.cancelled = cancel.is_cancelled();
        let took = self.runtime.now() - began;
        job.outcome.work.worked(self.segments[segment].place_of_call(), given, took);
        self.take_answers(&owners, given, answers, job);
        !job.outcome.cancelled && job.outcome.fatal.is_none()
    }

    /// The operators of one segment, for one record.
    fn compute_segment(&self, index: usize, job: &mut Job, scratch: &mut Scratch) {
        let item = &mut job.items[index];
        let segment = &self.segments[item.segment];
        if segment.operators.is_empty() {
            // They go on as they are.
            item.calls = segment.call.is_some() && !item.records.is_empty();
            item.end = (!item.calls).then_some(End::Results);
            return;
        }
        let mut results = Vec::new();
        let mut watch = job.outcome.work.watch(index, &*self.runtime);
        let applied = panicked(|| {
            item.records.iter().try_for_each(|record| {
                let after = |place, records| watch.after(segment.first + place, records);
                segment.operators.apply(record.clone(), &mut results, scratch, after)
            })
        });
        match applied {
            Ok(()) => {
                item.failed = 0;
                item.records = results;
                item.calls = segment.call.is_some() && !item.records.is_empty();
                if !item.calls {
                    item.end = Some(End::Results);
                }
            }
            Err(error) => self.failed(index, job, error),
        }
    }

    /// What becomes of a record after an error.
    fn failed(&self, index: usize, job: &mut Job, error: OperatorError) {
        let item = &mut job.items[index];
        match self.verdict(error, item.failed + 1, item.waited) {
            Verdict::DeadLetter { class, message } => {
                item.failed += 1;
                item.end = Some(End::DeadLetter { class, message });
            }
            Verdict::Later(topic) => {
                item.failed += 1;
                item.end = Some(End::Later(topic));
            }
            Verdict::Again(pause) => {
                item.failed += 1;
                item.not_before = Some(self.runtime.now() + pause);
                job.outcome.retries += 1;
            }
            Verdict::Fatal(message) => {
                let (partition, offset) = &item.place;
                job.outcome.fatal = Some(Stop::Fatal(format!("at {partition} offset {offset}: {message}")));
            }
        }
    }

    /// Makes the call of the first segment where records wait for one.
    async fn call(&self, job: &mut Job, cancel: &Cancel) {
        let Some((segment, operator)) = job.first_to_call(|segment| self.segments[segment].asynchronous())
        else {
            return;
        };
        let (owners, calls) = job.calls_of(segment);
        let (given, began) = (calls.len(), self.runtime.now());
        let called = AssertUnwindSafe(operator.call(calls)).catch_unwind();
        let Some(answers) = unless_cancelled(called, cancel, &*self.runtime).await else {
            job.outcome.cancelled = true;
            return;
        };
        job.outcome.work.waited(self.segments[segment].place_of_call(), given, self.runtime.now() - began);
        self.take_answers(&owners, given, answers, job);
    }

    /// What becomes of records after a call: the answers are one for each that was given, or a panic.
    fn take_answers(
        &self,
        owners: &[usize],
        given: usize,
        answers: std::thread::Result<Vec<Answer>>,
        job: &mut Job,
    ) {
        let answers = answers.unwrap_or_else(|panic| {
            let error = panic_error(&*panic);
            (0..given).map(|_| Err(error.clone())).collect()
        });
        if answers.len() != given {
            let message = format!("an operator gave {} answers to {given} records", answers.len());
            job.outcome.fatal = Some(Stop::Fatal(message));
            return;
        }
        let mut answers = answers.into_iter();
        for index in owners {
            let item = &mut job.items[*index];
            // All of its answers are taken, whether one of them is an error or not.
            let results = match item.records.len() {
                1 => answers.next().unwrap_or_else(|| Ok(Vec::new())),
                many => {
                    let own: Vec<Answer> = answers.by_ref().take(many).collect();
                    own.into_iter()
                        .collect::<Result<Vec<_>, _>>()
                        .map(|all| all.into_iter().flatten().collect())
                }
            };
            match results {
                Ok(results) => {
                    item.records = results;
                    (item.calls, item.failed) = (false, 0);
                    item.segment += 1;
                }
                Err(error) => self.failed(*index, job, error),
            }
        }
    }

    /// Waits until the first of those that have failed may be tried again.
    async fn pause(&self, job: &mut Job, cancel: &Cancel) {
        let now = self.runtime.now();
        let Some(first) = job.items.iter().filter_map(|item| item.not_before).min() else { return };
        let slept =
            unless_cancelled(self.runtime.sleep(first.saturating_sub(now)), cancel, &*self.runtime).await;
        job.outcome.cancelled = slept.is_none();
        let now = self.runtime.now().max(first);
        job.items.iter_mut().for_each(|item| item.not_before = item.not_before.filter(|time| *time > now));
    }

    /// Takes what the records have become, in their order.
    fn finish(&self, job: &mut Job) {
        let Job { chunk, items, outcome } = job;
        // They are dropped here, on the thread that has made them.
        let items = std::mem::take(items);
        for ((cause, (held, index)), mut item) in chunk.places().enumerate().zip(items) {
            let (batch, attempts) = (&held.batch, item.failed.max(1));
            let span = item.span.take().map(|(span, began)| (span, began, outcome.outgoing.len()));
            // One of its key that came before it in the chunk may have to wait.
            if !matches!(item.end, Some(End::Expired | End::Behind(_))) {
                item.end = self.behind(held, index).map(End::Behind).or(item.end);
            }
            match &item.end {
                Some(End::Results) => self.collect(cause, batch, index, attempts, &mut item.records, outcome),
                Some(End::DeadLetter { class, message }) => {
                    self.dead_letter(cause, batch, index, class, message, attempts, outcome);
                }
                Some(End::Later(topic)) => self.later(cause, held, index, *topic, attempts, outcome),
                Some(End::Behind(waits)) => self.wait_behind(cause, held, index, *waits, outcome),
                Some(End::Expired) => {
                    outcome.expired.push(batch.offset(index));
                    continue;
                }
                None => continue,
            }
            self.end_span(span, batch, index, outcome);
        }
    }
}

/// What a future gives; `None` where it is no longer wanted before.
pub async fn unless_cancelled<F: Future>(
    future: F,
    cancel: &Cancel,
    runtime: &dyn Runtime,
) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    loop {
        match select(future, runtime.sleep(LOOK)).await {
            Either::Left((output, _)) => return Some(output),
            Either::Right((_, rest)) => {
                if cancel.is_cancelled() {
                    return None;
                }
                future = rest;
            }
        }
    }
}
