//! Operators: what is done to a record between source and sink.
//!
//! An operator is synchronous and pure: bytes in, bytes out. One that has to wait for something outside is an [`AsyncOperator`].
//! Its settings are a plain struct that serde reads. A new operator is one file here and one line in [`registry`].
//!
//! Knows: expression, factorial, format, record, telemetry, trace, value. Must not know: rdkafka, clap.

mod aggregate;
mod asynchronous;
mod batch;
mod command;
mod deduplicate;
mod drop_tombstones;
mod error;
mod evaluate;
mod factorial;
mod fields;
mod filter;
mod headers;
mod http;
mod identity;
mod intake;
mod join;
mod key;
mod keys;
mod letter_filter;
mod line;
mod map;
mod number;
mod outside;
mod record_id;
mod registry;
mod replay;
mod router;
mod sample;
mod settings;
mod split;
mod state;
mod table;
mod timestamp;
mod trouble;
mod wasm;
mod windows;

pub use asynchronous::{AsyncOperator, Call};
pub use batch::BatchOperator;
#[cfg_attr(not(internals), doc(hidden))]
pub use error::FAILURES;
pub use error::OperatorError;
pub use factorial::Factorial;
pub use filter::Filter;
pub use identity::Identity;
pub use intake::Intake;
pub use letter_filter::{LetterCondition, LetterFilter};
#[cfg_attr(not(internals), doc(hidden))]
pub use record_id::RecordId;
pub use registry::Configured;
pub(crate) use registry::add;
#[cfg_attr(not(internals), doc(hidden))]
pub use registry::{Factory, registry};
pub use replay::{Replay, Replayed};
pub use router::{Route, Router};
pub use settings::SettingError;
#[cfg_attr(not(internals), doc(hidden))]
pub use state::{SharedState, State};
#[cfg_attr(not(internals), doc(hidden))]
pub use table::{MANIFEST_OF, Table, TableKind, TableOf, WHOLE};

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::record::{Offset, Record, TopicPartition};

/// Says that nobody wants what is being computed any more. Cheap to clone; all clones are one.
#[derive(Clone, Default, Debug)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// What is being computed is given up soon.
    pub fn cancel(&self) {
        self.0.store(true, Relaxed);
    }

    /// What [`cancel`](Cancel::cancel) sets, for those who know nothing of operators.
    #[cfg_attr(not(internals), doc(hidden))]
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// What an operator makes of one record: none, one or many.
#[derive(Default, Debug)]
pub struct Output {
    records: Vec<Record>,
    cancel: Cancel,
    place: Option<(TopicPartition, Offset)>,
    state: Option<SharedState>,
    scope: u8,
}

impl Output {
    /// An empty output, wanted until `cancel` says otherwise.
    pub fn until(cancel: &Cancel) -> Self {
        Output { cancel: cancel.clone(), ..Output::default() }
    }

    /// Whether nobody wants the output any more. An operator that takes long asks for it now and then, and returns
    /// any error once it is so.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Where the record that is computed was read; `None` where there is no topic, as in `pipeline test`.
    pub fn place(&self) -> Option<(&TopicPartition, Offset)> {
        self.place.as_ref().map(|(partition, offset)| (partition, *offset))
    }

    /// The next record was read there. Cheap where it is the partition of the one before.
    #[cfg_attr(not(internals), doc(hidden))]
    pub fn set_place(&mut self, partition: &TopicPartition, offset: Offset) {
        match &mut self.place {
            Some((known, place)) if known.is_same(partition) => *place = offset,
            place => *place = Some((partition.clone(), offset)),
        }
    }

    /// What the operators remember of earlier records; `None` where none of them remembers anything.
    #[cfg_attr(not(internals), doc(hidden))]
    pub fn state(&self) -> Option<&SharedState> {
        self.state.as_ref()
    }

    /// That is where they remember it.
    #[cfg_attr(not(internals), doc(hidden))]
    pub fn set_state(&mut self, state: SharedState) {
        self.state = Some(state);
    }

    /// What tells apart what operators remember: how many of those before it do.
    pub(crate) fn scope(&self) -> u8 {
        self.scope
    }

    /// The next operator has so many before it that remember something.
    pub(crate) fn set_scope(&mut self, scope: u8) {
        self.scope = scope;
    }

    /// Hands a record on to the next operator, or to the sink.
    pub fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Takes what was pushed, in order, and leaves the output empty.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Record> {
        self.records.drain(..)
    }
}

/// What computing a record is expected to take, good to a factor of two. The engine cuts batches by it, so
/// that a costly record gets a core of its own, and reserves room for the result before computing it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Cost {
    /// One core's time, in nanoseconds.
    pub nanos: u64,
    /// The output's size, in bytes.
    pub bytes: u64,
}

/// How long a core is busy with the records that the engine computes as one, about, in nanoseconds: so a costly record gets a core of
/// its own, and nobody waits long behind the records of others.
pub(crate) const NANOS_OF_A_CHUNK: u64 = 2_000_000;

/// What building an operator gives: itself, or what is wrong with its settings.
pub type Built = Result<Box<dyn Operator>, SettingError>;

/// One step of a pipeline.
///
/// ```
/// use pipeline::{operator::{Operator, OperatorError, Output}, record::Record};
///
/// /// Drops the value and keeps the rest.
/// struct Forget;
///
/// impl Operator for Forget {
///     fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
///         out.push(Record { value: None, ..record });
///         Ok(())
///     }
/// }
/// ```
pub trait Operator: Send + Sync + 'static {
    /// What [`apply`](Operator::apply) will take for this record. The default suits work that hardly costs
    /// more than a copy.
    fn cost(&self, record: &Record) -> Cost {
        Cost { nanos: 100, bytes: record.size() as u64 }
    }

    /// Computes one record, on a thread where it may take its time.
    ///
    /// # Errors
    /// See [`OperatorError`]: bad input becomes a dead letter, a passing failure is tried again, and a fatal
    /// one stops the pipeline. What was pushed before an error is thrown away.
    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError>;

    /// Registers metrics of its own, under the pipeline's name, where it has any.
    fn observe(&self, _pipeline: &str) {}

    /// The largest value that this operator can produce, in bytes, where that is known. `pipeline check`
    /// holds it against what a record may have.
    fn largest_output(&self) -> Option<u64> {
        None
    }

    /// Whether a value goes through as it came, so that its format must be the same on both sides.
    fn keeps_value(&self) -> bool {
        false
    }

    /// Whether a key goes through as it came, likewise.
    fn keeps_key(&self) -> bool {
        true
    }

    /// The operator as one that is waited for, where it is one.
    fn asynchronous(&self) -> Option<&dyn AsyncOperator> {
        None
    }

    /// The operator as one that computes many records at once, where it is one.
    fn batched(&self) -> Option<&dyn BatchOperator> {
        None
    }

    /// Whether it remembers earlier records, so that those of a partition have to come one after the other.
    #[cfg_attr(not(internals), doc(hidden))]
    fn remembers(&self) -> bool {
        false
    }

    /// The table that it looks into, where it does.
    #[cfg_attr(not(internals), doc(hidden))]
    fn table(&self) -> Option<&TableOf> {
        None
    }

    /// What `pipeline check` says of it beyond its settings, in a few words.
    fn about(&self) -> Option<String> {
        None
    }

    /// The bytes that it holds now beside records, where they are worth counting towards `limits.memory`.
    fn holds(&self) -> u64 {
        0
    }
}
