//! The kinds of Kafka requests, and the part of a request's header that the proxy reads.

use std::fmt;

/// A kind of request (Kafka protocol guide, *API keys*).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(i16)]
pub enum Api {
    /// Records to a partition.
    Produce = 0,
    /// Records from partitions.
    Fetch = 1,
    /// Who leads which partition.
    Metadata = 3,
    /// Offsets of a group, without a transaction.
    OffsetCommit = 8,
    /// Fetches committed offsets.
    OffsetFetch = 9,
    /// Who coordinates a group or a transaction.
    FindCoordinator = 10,
    /// A member joins its group.
    JoinGroup = 11,
    /// A member reports that it is alive.
    Heartbeat = 12,
    /// A member asks for its partitions.
    SyncGroup = 14,
    /// A producer asks for its id.
    InitProducerId = 22,
    /// A transaction is about to write to partitions.
    AddPartitionsToTxn = 24,
    /// A transaction is about to commit offsets.
    AddOffsetsToTxn = 25,
    /// A transaction is committed or aborted.
    EndTxn = 26,
    /// Offsets of a group, in a transaction.
    TxnOffsetCommit = 28,
    /// Credentials.
    SaslAuthenticate = 36,
}

impl Api {
    /// All kinds.
    pub const ALL: [Api; 15] = [
        Api::Produce,
        Api::Fetch,
        Api::Metadata,
        Api::OffsetCommit,
        Api::OffsetFetch,
        Api::FindCoordinator,
        Api::JoinGroup,
        Api::Heartbeat,
        Api::SyncGroup,
        Api::InitProducerId,
        Api::AddPartitionsToTxn,
        Api::AddOffsetsToTxn,
        Api::EndTxn,
        Api::TxnOffsetCommit,
        Api::SaslAuthenticate,
    ];

    fn of_key(key: i16) -> Option<Api> {
        Api::ALL.into_iter().find(|api| *api as i16 == key)
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What every request begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// `None` for a kind that is not listed here.
    pub api: Option<Api>,
    pub version: i16,
    pub correlation: i32,
}

impl Head {
    /// The least bytes of a request without its size.
    pub const SIZE: usize = 8;

    /// Reads the header of a request without its size; `None` if it is too short.
    pub fn read(request: &[u8]) -> Option<Head> {
        let two = |at: usize| Some(i16::from_be_bytes(request.get(at..at + 2)?.try_into().ok()?));
        let correlation = correlation(request.get(4..)?)?;
        Some(Head { api: Api::of_key(two(0)?), version: two(2)?, correlation })
    }
}

/// The correlation id that an answer without its size begins with.
pub(super) fn correlation(answer: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(answer.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_it_is() {
        let end_txn = [0, 26, 0, 1, 0, 0, 1, 2, 0xff, 0xff];
        let head = Head { api: Some(Api::EndTxn), version: 1, correlation: 258 };
        assert_eq!(Head::read(&end_txn), Some(head));
        assert_eq!(Head::read(&end_txn[..8]), Some(head));
        assert_eq!(Head::read(&end_txn[..7]), None);
        let unknown = [0, 99, 0, 0, 0, 0, 0, 1];
        assert_eq!(Head::read(&unknown), Some(Head { api: None, version: 0, correlation: 1 }));
    }
}
