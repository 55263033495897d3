//! Whether a transaction hangs. Pure, with the time as an argument.

use std::{collections::BTreeSet, time::Duration};

use crate::record::TopicPartition;

/// A transaction that is open at a partition, as its leader says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Open {
    /// Where.
    pub partition: TopicPartition,
    /// The producer's id.
    pub producer: i64,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of the coordinator that last ended a transaction of it here; -1 where none has.
    pub coordinator_epoch: i32,
    /// Its first offset here.
    pub start: i64,
    /// When the producer last wrote here, in milliseconds since 1970 UTC.
    pub last_write: i64,
}

/// What a coordinator knows of a transactional id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coordinated {
    /// The transactional id.
    pub id: String,
    /// The id of the broker that coordinates it.
    pub coordinator: i32,
    /// Kafka's name of its state.
    pub state: String,
    /// Its time-out.
    pub timeout: Duration,
    /// When its transaction began, in milliseconds since 1970 UTC; `None` where none is open.
    pub start: Option<i64>,
    /// Its producer's id.
    pub producer: i64,
    /// Its producer's epoch.
    pub epoch: i16,
    /// The partitions that are part of its transaction and do not have its end yet.
    pub partitions: BTreeSet<TopicPartition>,
}

impl Coordinated {
    /// Whether a transaction is open, or its end is being written.
    pub fn is_open(&self) -> bool {
        self.state == "Ongoing" || self.is_ending()
    }

    /// Whether its end is decided and being written.
    pub fn is_ending(&self) -> bool {
        self.state.starts_with("Prepare")
    }
}

/// What is to be thought of an open transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Its producer is at it, and its coordinator ends it at its time-out.
    Fine,
    /// Its coordinator has decided how it ends, and is writing that: it must not be aborted by hand, as it may be a commit.
    Ending,
    /// Nobody ends it.
    Hangs(Why),
    /// It cannot be said yet, or not by this user.
    Unknown(String),
}

/// Why a transaction hangs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Its coordinator has not aborted it at its time-out.
    TooOld,
    /// The coordinator of its transactional id has no open transaction with this partition in it.
    NotIncluded,
    /// No coordinator knows its producer.
    NotKnown,
}

/// Judges a transaction that was open at its partition both before and after the coordinators were asked. `of` is what they said of its
/// producer. `unseen` is why there may be some that they did not say, if there may; `interval` is how often a coordinator looks for
/// transactions that are too old.
///
/// The age of its records says nothing: their timestamps are what the producer wants them to be.
pub fn judge(
    open: &Open,
    of: Option<&Coordinated>,
    unseen: Option<&str>,
    now: i64,
    interval: Duration,
) -> Verdict {
    let age = |since: i64| Duration::from_millis(now.saturating_sub(since).try_into().unwrap_or(0));
    match (of, unseen) {
        (Some(of), _) if of.is_open() && of.partitions.contains(&open.partition) => match of.start {
            _ if of.is_ending() => Verdict::Ending,
            // A coordinator that has just looked does so again after that time, and then has to write the end.
            Some(start) if age(start) > of.timeout + interval * 2 => Verdict::Hangs(Why::TooOld),
            _ => Verdict::Fine,
        },
        // It was open here all the time, so a coordinator that was going to end it would have said so.
        (Some(_), _) => Verdict::Hangs(Why::NotIncluded),
        (None, None) => Verdict::Hangs(Why::NotKnown),
        (None, Some(why)) => Verdict::Unknown(why.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 10_000_000;
    const INTERVAL: Duration = Duration::from_secs(10);

    fn open() -> Open {
        Open {
            partition: TopicPartition::new("t", 1),
            producer: 7,
            epoch: 0,
            coordinator_epoch: -1,
            start: 5,
            last_write: 0,
        }
    }

    /// A transaction of a minute's time-out that began so long ago.
    fn coordinated(state: &str, seconds_ago: i64, partition: i32) -> Coordinated {
        Coordinated {
            id: "id".to_owned(),
            coordinator: 1,
            state: state.to_owned(),
            timeout: Duration::from_secs(60),
            start: (seconds_ago >= 0).then(|| NOW - seconds_ago * 1_000),
            producer: 7,
            epoch: 0,
            partitions: [TopicPartition::new("t", partition)].into(),
        }
    }

    fn of(coordinated: &Coordinated) -> Verdict {
        judge(&open(), Some(coordinated), None, NOW, INTERVAL)
    }

    #[test]
    fn what_its_coordinator_will_abort_does_not_hang_until_it_should_have() {
        assert_eq!(of(&coordinated("Ongoing", 5, 1)), Verdict::Fine);
        // The coordinator looks every ten seconds.
        assert_eq!(of(&coordinated("Ongoing", 79, 1)), Verdict::Fine);
        assert_eq!(of(&coordinated("Ongoing", 81, 1)), Verdict::Hangs(Why::TooOld));
        // A clock that is behind the broker's.
        assert_eq!(of(&coordinated("Ongoing", -1, 1)), Verdict::Fine);
    }

    #[test]
    fn what_is_being_ended_is_left_alone_however_old_it_is() {
        assert_eq!(of(&coordinated("PrepareCommit", 9_000, 1)), Verdict::Ending);
        assert_eq!(of(&coordinated("PrepareAbort", 5, 1)), Verdict::Ending);
    }

    #[test]
    fn what_its_coordinator_does_not_know_as_open_hangs_at_once() {
        assert_eq!(of(&coordinated("CompleteCommit", -1, 1)), Verdict::Hangs(Why::NotIncluded));
        assert_eq!(of(&coordinated("Empty", -1, 1)), Verdict::Hangs(Why::NotIncluded));
        // Another partition is part of the one that is open, and this one is not.
        assert_eq!(of(&coordinated("Ongoing", 5, 0)), Verdict::Hangs(Why::NotIncluded));
        assert_eq!(of(&coordinated("PrepareCommit", 5, 0)), Verdict::Hangs(Why::NotIncluded));
    }

    #[test]
    fn what_nobody_knows_hangs_where_everybody_was_asked_and_has_said_all() {
        assert_eq!(judge(&open(), None, None, NOW, INTERVAL), Verdict::Hangs(Why::NotKnown));
        let unseen = judge(&open(), None, Some("broker 2 was not asked"), NOW, INTERVAL);
        assert_eq!(unseen, Verdict::Unknown("broker 2 was not asked".to_owned()));
        // What its own coordinator says counts, whoever else was not asked.
        let over = coordinated("CompleteAbort", -1, 1);
        let verdict = judge(&open(), Some(&over), Some("broker 2 was not asked"), NOW, INTERVAL);
        assert_eq!(verdict, Verdict::Hangs(Why::NotIncluded));
    }
}
