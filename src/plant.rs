//! Faults that can be put into the engine on purpose, so that `verify` can be seen to find them.
//!
//! Only in builds with debug assertions: in a release build [`planted`] is always false, and nothing is left of it.

use std::{cell::Cell, env, fmt, str::FromStr, sync::OnceLock};

/// The environment variable that names the fault of a whole process.
pub const VARIABLE: &str = "PIPELINE_PLANT";

/// A fault that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A record is done once it was handed to the producer.
    CommitBeforeAcknowledgement,
    /// One record more is committed than is done.
    OffsetTooHigh,
    /// Partitions that are revoked are handed over at once.
    NoDrain,
    /// Where partitions were lost, or a commit refused, the transaction goes on.
    NoAbort,
    /// Bad input leads to nothing.
    DeadLetterDropped,
    /// The bitmap of a commit is laid onto a start that it was not made for.
    OldBitmap,
    /// Partitions that are assigned while an abort or its rewind is under way send and commit.
    SendWhileRewinding,
    /// The hand-over of some partitions waits until no transaction is open, which the others keep open.
    WaitForNoTransaction,
    /// A producer goes on although the end of its transaction was not plain (KIP-890).
    NoGuard,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 9] = [
        Fault::CommitBeforeAcknowledgement,
        Fault::OffsetTooHigh,
        Fault::NoDrain,
        Fault::NoAbort,
        Fault::DeadLetterDropped,
        Fault::OldBitmap,
        Fault::SendWhileRewinding,
        Fault::WaitForNoTransaction,
        Fault::NoGuard,
    ];

    /// As [`VARIABLE`] names it.
    pub fn name(self) -> &'static str {
        match self {
            Fault::CommitBeforeAcknowledgement => "commit-before-acknowledgement",
            Fault::OffsetTooHigh => "offset-too-high",
            Fault::NoDrain => "no-drain",
            Fault::NoAbort => "no-abort",
            Fault::DeadLetterDropped => "dead-letter-dropped",
            Fault::OldBitmap => "old-bitmap",
            Fault::SendWhileRewinding => "send-while-rewinding",
            Fault::WaitForNoTransaction => "wait-for-no-transaction",
            Fault::NoGuard => "no-guard",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Fault::ALL.into_iter().find(|fault| fault.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
            format!("there is no fault `{name}` to plant; there are {}", names.join(", "))
        })
    }
}

thread_local! {
    static HERE: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// Plants a fault in what this thread runs, in place of the one before.
pub fn plant(fault: Option<Fault>) {
    HERE.set(fault);
}

/// What is planted in this thread, for others that do the same work.
pub fn planted_here() -> Option<Fault> {
    HERE.get()
}

/// Whether that fault is planted, in this thread or by [`VARIABLE`] in the whole process.
pub fn planted(fault: Fault) -> bool {
    cfg!(debug_assertions) && (HERE.get() == Some(fault) || of_process() == Some(fault))
}

fn of_process() -> Option<Fault> {
    static PROCESS: OnceLock<Option<Fault>> = OnceLock::new();
    *PROCESS.get_or_init(|| {
        let name = env::var(VARIABLE).ok()?;
        name.parse()
            .inspect(
                |fault| tracing::warn!(%fault, "{VARIABLE} plants a fault: this worker is broken on purpose"),
            )
            .inspect_err(|error: &String| tracing::error!("{VARIABLE}: {error}"))
            .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_fault_is_there_in_this_thread_alone_until_it_is_taken_out() {
        plant(Some(Fault::NoDrain));
        assert!(planted(Fault::NoDrain) && !planted(Fault::NoGuard));
        assert!(!std::thread::spawn(|| planted(Fault::NoDrain)).join().unwrap());
        plant(None);
        assert!(!planted(Fault::NoDrain));
    }

    #[test]
    fn every_fault_is_found_by_its_name() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert!("nothing".parse::<Fault>().unwrap_err().contains("no-guard"));
    }
}
