//! When to commit, and how: the one place where the two guarantees differ.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};

use super::{
    CommitError, CommitOffset, Guarantee, Plan, Sink, Source, Stop,
    lane::Lane,
    run::{Engine, LAG_AFTER_COMMIT},
    shared::LaneId,
    window::Window,
};
use crate::{
    plant::{Fault, planted},
    record::Offset,
};

/// The state of committing.
#[derive(Default)]
pub struct Committer {
    state: State,
    transactional: bool,
    /// How many bytes may be with the producer.
    window: Window,
    /// When the first record since the last commit was done.
    since: Option<Duration>,
    /// Records done since then.
    records: u64,
    /// Whether a transaction is open: something has been sent since the last commit.
    open: bool,
    /// When the last transaction was opened.
    opened: Duration,
    /// When the commit under way began, and how many records it covers.
    began: (Duration, u64),
    /// Failed commits since the last one that succeeded.
    failures: u32,
    /// Consecutive transactions that were aborted for trouble that may last.
    aborts: u32,
    /// The earliest time for the next commit, after one that failed.
    not_before: Duration,
}

/// How many consecutive failures are logged as one line.
const FAILURES_A_LINE: u32 = 30;
/// The pause after a failed commit, and after the second consecutive abort of a transaction, doubled for each
/// next one.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause after consecutive aborts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Default)]
enum State {
    #[default]
    Idle,
    /// Exactly-once: nothing new is sent until all that was sent is acknowledged.
    Settling,
    Committing(Vec<(LaneId, Offset, String)>, BoxFuture<'static, Result<(), CommitError>>),
    Aborting(BoxFuture<'static, Result<(), Stop>>),
    /// After an abort, until the source has gone back: whatever comes before then comes again.
    Rewinding,
}

/// A commit or an abort that has ended.
pub enum Finished {
    Commit(Result<(), CommitError>),
    Abort(Result<(), Stop>),
}

impl Committer {
    /// A committer for a producer that may hold `largest` bytes.
    pub fn new(guarantee: Guarantee, largest: u64) -> Self {
        let transactional = guarantee == Guarantee::ExactlyOnce;
        let window = if transactional { Window::growing(largest) } else { Window::fixed(largest) };
        Committer { transactional, window, ..Committer::default() }
    }

    /// Whether another chunk may be handed over while this many bytes are not acknowledged.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.window.has_room(bytes)
    }

    pub fn is_transactional(&self) -> bool {
        self.transactional
    }

    /// Whether new records may be handed to the sink.
    pub fn may_send(&self) -> bool {
        !self.transactional || matches!(self.state, State::Idle)
    }

    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Whether a commit or an abort has begun and has not ended.
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, State::Committing(..) | State::Aborting(_))
    }

    /// Whether a transaction is being taken back and its records are not read again yet.
    pub fn is_going_back(&self) -> bool {
        matches!(self.state, State::Aborting(_) | State::Rewinding)
    }

    /// The source has gone back.
    pub fn rewound(&mut self) {
        self.state = State::Idle;
    }

    /// Whether a transaction is open, or being committed.
    pub fn has_transaction(&self) -> bool {
        self.open || (self.transactional && matches!(self.state, State::Committing(..)))
    }

    /// A record has been handed to the sink.
    pub fn sent(&mut self, now: Duration) {
        if self.transactional && !self.open {
            (self.open, self.opened) = (true, now);
        }
    }

    /// Records are done, and can be committed.
    pub fn done(&mut self, records: u64, now: Duration) {
        self.since.get_or_insert(now);
        self.records += records;
    }

    /// When the next commit is due by time.
    pub fn due(&self, plan: &Plan) -> Option<Duration> {
        self.is_idle().then_some((self.since? + plan.commit_interval).max(self.not_before))
    }

    /// When a failed commit may be tried again; `None` where none has failed, or it may now.
    pub fn retry_at(&self, now: Duration) -> Option<Duration> {
        (self.not_before > now).then_some(self.not_before)
    }

    /// Waits for the commit or abort that is under way; never resolves where there is none.
    pub async fn finished(&mut self) -> Finished {
        match &mut self.state {
            State::Committing(_, commit) => Finished::Commit(commit.await),
            State::Aborting(abort) => Finished::Abort(abort.await),
            State::Idle | State::Settling | State::Rewinding => futures::future::pending().await,
        }
    }
}

impl<S: Source, K: Sink> Engine<S, K> {
    /// Commits where it is due by time or number of records, or where all work is finished.
    pub(super) fn commit_what_is_due(&mut self, now: Duration) {
        if matches!(self.committer.state, State::Idle) {
            let Some(due) = self.committer.due(&self.plan) else { return };
            // A transaction's results are seen by nobody until it ends, so it ends as soon as all is done.
            let finished = self.committer.transactional && self.is_finished();
            if now < due && self.committer.records < self.plan.commit_records && !finished {
                return;
            }
            self.commit(now);
        }
        if matches!(self.committer.state, State::Settling) && self.outbox.is_settled() {
            self.start_commit(now);
        }
    }

    /// Commits all that is done, as soon as possible.
    pub(super) fn commit(&mut self, now: Duration) {
        if !self.committer.is_idle() || now < self.committer.not_before {
            return;
        }
        if self.committer.transactional {
            self.committer.state = State::Settling;
            if !self.outbox.is_settled() {
                return;
            }
        }
        self.start_commit(now);
    }

    fn start_commit(&mut self, now: Duration) {
        self.committer.began = (now, self.committer.records);
        self.committer.since = None;
        self.committer.records = 0;
        self.committer.state = State::Idle;
        let lanes: Vec<_> = self
            .lanes
            .iter()
            .filter_map(|(id, lane)| {
                lane.uncommitted().map(|(offset, metadata)| (*id, lane, offset, metadata))
            })
            .collect();
        if lanes.is_empty() && !self.committer.open {
            return;
        }
        let offsets = lanes
            .iter()
            .map(|(_, lane, offset, metadata)| CommitOffset {
                partition: lane.partition.clone(),
                offset: if planted(Fault::OffsetTooHigh) { offset.next() } else { *offset },
                metadata: metadata.clone(),
            })
            .collect();
        let commit = if self.committer.transactional {
            if !std::mem::take(&mut self.committer.open) {
                self.committer.opened = now;
            }
            self.sink.commit(offsets)
        } else {
            self.source.commit(offsets)
        };
        let committing = lanes.into_iter().map(|(id, _, offset, metadata)| (id, offset, metadata)).collect();
        self.committer.state = State::Committing(committing, commit);
    }

    /// Handles the end of a commit or an abort.
    pub(super) fn committed(&mut self, finished: Finished) -> Result<(), Stop> {
        let state = std::mem::take(&mut self.committer.state);
        self.letting_go = None;
        match (finished, state) {
            (Finished::Commit(Ok(())), State::Committing(lanes, _)) => {
                let (began, records) = self.committer.began;
                let took = self.runtime.now() - began;
                (self.committer.failures, self.committer.aborts) = (0, 0);
                self.progress.committed(records, took);
                self.next_lag = self.next_lag.min(self.runtime.now() + LAG_AFTER_COMMIT);
                if self.committer.transactional {
                    let lasted = began + took - self.committer.opened;
                    self.committer.window.committed(lasted);
                    self.progress.transaction_committed(lasted);
                }
                self.apply_state()?;
                for (id, offset, metadata) in lanes {
                    if let Some(lane) = self.lanes.get_mut(&id) {
                        lane.set_committed((offset, metadata));
                        self.suspects.committed(&lane.partition, offset);
                    }
                }
            }
            (Finished::Commit(Err(CommitError::Passing(reason))), _) => {
                self.progress.commit_failed();
                self.committer.failures += 1;
                // A group in a rebalance refuses commits for a moment, which is normal.
                if self.committer.failures.is_multiple_of(FAILURES_A_LINE) {
                    let failures = self.committer.failures;
                    tracing::warn!(reason, failures, "commits fail; they are tried again");
                }
                let now = self.runtime.now();
                self.committer.since = Some(now);
                self.committer.not_before = now + RETRY_PAUSE;
            }
            (Finished::Commit(Err(CommitError::Abort(reason))), _) => self.abort_in_trouble(&reason),
            (Finished::Commit(Err(CommitError::Stop(stop))), _) => return Err(stop),
            (Finished::Abort(result), _) => {
                result?;
                let send = planted(Fault::SendWhileRewinding);
                self.committer.state = if send { State::Idle } else { State::Rewinding };
                self.source.rewind();
            }
            (Finished::Commit(Ok(())), _) => {}
        }
        Ok(())
    }

    /// Takes the open transaction back for trouble that may last, with a growing pause.
    pub(super) fn abort_in_trouble(&mut self, reason: &str) {
        self.committer.window.aborted();
        let doublings = self.committer.aborts.min(16);
        self.committer.aborts += 1;
        let pause = match doublings {
            0 => Duration::ZERO,
            _ => RETRY_PAUSE.saturating_mul(1 << (doublings - 1)).min(LONGEST_PAUSE),
        };
        self.take_back(reason, pause);
    }

    /// Takes the open transaction back; its records are read again from the committed offsets. At-least-once
    /// does the same without a transaction: what was written stays.
    pub(super) fn abort(&mut self, reason: &str) {
        self.take_back(reason, Duration::ZERO);
    }

    fn take_back(&mut self, reason: &str, pause: Duration) {
        if self.committer.is_going_back() {
            return;
        }
        let lanes: Vec<LaneId> = self.lanes.keys().copied().collect();
        self.remove_lanes(&lanes);
        self.outbox.clear();
        let transactional = self.committer.transactional;
        let abort = if transactional {
            tracing::warn!(reason, "the transaction is aborted, and its records are done again");
            self.progress.transaction_aborted(self.runtime.now() - self.committer.opened);
            self.sink.abort()
        } else {
            tracing::warn!(
                reason,
                "everything that is not committed is done again, so that the order is kept"
            );
            self.sink.discard();
            self.end_of_commit()
        };
        let pause = (!pause.is_zero()).then(|| self.runtime.sleep(pause));
        let aborting = async move {
            abort.await?;
            if let Some(pause) = pause {
                pause.await;
            }
            Ok(())
        };
        self.committer = Committer {
            state: State::Aborting(aborting.boxed()),
            transactional,
            window: self.committer.window,
            aborts: self.committer.aborts,
            ..Committer::default()
        };
    }

    /// Resolves once no commit is under way: one that took effect after the source has gone back would be
    /// ahead of it.
    fn end_of_commit(&mut self) -> BoxFuture<'static, Result<(), Stop>> {
        let state = std::mem::take(&mut self.committer.state);
        async move {
            if let State::Committing(_, commit) = state {
                // Whether it succeeded shows in the offsets that the source asks for.
                let _ = commit.await;
            }
            Ok(())
        }
        .boxed()
    }

    /// Whether everything that was read is done.
    fn is_finished(&self) -> bool {
        self.outbox.is_empty() && self.lanes.values().all(Lane::is_idle)
    }
}
