//! What all lanes of a pipeline share, and how they are told apart.

use std::sync::Arc;

use super::{Budget, FairBy, Order, compute::Compute, duplicates::Deduplication};

/// Names a lane; a partition that comes back gets a new one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LaneId(pub u64);

/// What all lanes of a pipeline share.
pub struct Shared {
    pub order: Order,
    /// What tells requesters apart, where they get fair shares.
    pub fair_by: Option<FairBy>,
    /// Which records are the same, where those that come again are left out.
    pub deduplication: Option<Arc<Deduplication>>,
    pub compute: Arc<Compute>,
    /// The budget for results.
    pub budget: Budget,
    /// How many chunks of one lane may be computing, or computed and waiting for an earlier one.
    pub width: usize,
}
