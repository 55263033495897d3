//! A consumer's membership of its group, as librdkafka's main thread keeps it: heartbeats, joining,
//! assignment.
//!
//! It has the poll thread (`poll.rs`) run the callbacks when partitions come or go, and waits for it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    task::Waker,
    time::Duration,
};

use super::{
    group::{GroupError, MemberId},
    poll::{Callback, Command, Position, Thread},
    script::Role,
    world::{ClientId, World},
};
use crate::{
    engine::{Budget, SourceEvent, Stop},
    record::Offset,
};

/// `heartbeat.interval.ms`.
const HEARTBEAT: Duration = Duration::from_secs(1);

pub struct Consumer {
    /// `None` if it is not a member.
    pub member: Option<MemberId>,
    /// -1 while it is not in the group.
    pub generation: i32,
    joining: bool,
    /// Whether a callback is running on the poll thread, or due.
    rebalancing: bool,
    /// The assignment that follows the revocation.
    added: Vec<i32>,
    rejoin: bool,
    /// Whether the assigned partitions may belong to another member by now.
    pub lost: bool,
    /// The same, noticed during a callback.
    lost_meanwhile: bool,
    /// Whether it is leaving the group, or has left it.
    pub leaving: bool,
    assigned: BTreeSet<i32>,

    pub thread: Thread,
    /// Whether the poll thread's next turn is scheduled.
    pub poked: bool,
    pub commands: VecDeque<Command>,
    pub callbacks: VecDeque<Callback>,
    /// The positions that the poll thread reads from.
    pub positions: BTreeMap<i32, Position>,
    /// The ends of partitions when they were first fetched.
    pub targets: BTreeMap<i32, Offset>,
    pub input: Budget,

    /// Events that the engine has not taken yet.
    pub events: VecDeque<Result<SourceEvent, Stop>>,
    pub ended: bool,
    pub waker: Option<Waker>,
    /// How often each partition was assigned to the engine.
    pub taken: BTreeMap<i32, u32>,
    /// Set by the script: the next commit is refused.
    pub refuse_commit: bool,
}

impl Consumer {
    pub fn new(input: Budget) -> Consumer {
        Consumer {
            member: None,
            generation: -1,
            joining: false,
            rebalancing: false,
            added: Vec::new(),
            rejoin: false,
            lost: false,
            lost_meanwhile: false,
            leaving: false,
            assigned: BTreeSet::new(),
            thread: Thread::Free,
            poked: false,
            commands: VecDeque::new(),
            callbacks: VecDeque::new(),
            positions: BTreeMap::new(),
            targets: BTreeMap::new(),
            input,
            events: VecDeque::new(),
            ended: false,
            waker: None,
            taken: BTreeMap::new(),
            refuse_commit: false,
        }
    }

    /// The member id and generation, for commits.
    pub fn place(&self) -> Option<(MemberId, i32)> {
        self.member.filter(|_| self.generation > 0).map(|id| (id, self.generation))
    }
}

impl World {
    /// Starts a consumer.
    pub fn subscribe(&mut self, client: ClientId) {
        self.join(client);
        self.later(HEARTBEAT, client, move |world| world.heartbeat(client));
    }

    pub fn consumer(&mut self, client: ClientId) -> &mut Consumer {
        &mut self.clients[client].consumer
    }

    fn join(&mut self, client: ClientId) {
        let consumer = self.consumer(client);
        consumer.joining = true;
        consumer.rejoin = false;
        let (known, owned, claimed) = (consumer.member, consumer.assigned.clone(), consumer.generation);
        self.request(Role::Group, move |world| world.join_group(client, known, owned, claimed));
    }

    /// The answer to JoinGroup.
    pub fn joined(&mut self, client: ClientId, answer: Result<(MemberId, i32), GroupError>) {
        let consumer = self.consumer(client);
        if consumer.leaving {
            // The answer comes too late; it tells which member has to leave.
            match answer {
                Ok((id, _)) if consumer.ended => {
                    self.request(Role::Group, move |world| world.leave_group(id))
                }
                Ok((id, _)) => consumer.member = Some(id),
                Err(_) => {}
            }
            return;
        }
        match answer {
            Ok((id, generation)) => {
                let consumer = self.consumer(client);
                (consumer.member, consumer.generation) = (Some(id), generation);
                self.request(Role::Group, move |world| world.sync_group(client, id, generation));
            }
            Err(_) => {
                self.consumer(client).joining = false;
                self.lose_assignment(client);
            }
        }
    }

    /// The answer to SyncGroup.
    pub fn synced(&mut self, client: ClientId, generation: i32, answer: Result<BTreeSet<i32>, GroupError>) {
        let consumer = self.consumer(client);
        if consumer.leaving || consumer.generation != generation {
            return;
        }
        consumer.joining = false;
        let partitions = match answer {
            Ok(partitions) => partitions,
            Err(GroupError::RebalanceInProgress) => return self.join(client),
            Err(_) => return self.lose_assignment(client),
        };
        let revoked: Vec<i32> = consumer.assigned.difference(&partitions).copied().collect();
        let added: Vec<i32> = partitions.difference(&consumer.assigned).copied().collect();
        if !revoked.is_empty() {
            (consumer.added, consumer.rejoin) = (added, true);
            self.call_back(client, Callback::Revoke(revoked));
        } else if !added.is_empty() {
            self.call_back(client, Callback::Assign(added));
        }
    }

    fn heartbeat(&mut self, client: ClientId) {
        let consumer = self.consumer(client);
        if consumer.leaving {
            return;
        }
        if let (Some((id, generation)), false) = (consumer.place(), consumer.joining) {
            self.request(Role::Group, move |world| {
                let answer = world.group_heartbeat(id, generation);
                world.respond(client, move |world| world.heard(client, (id, generation), answer));
            });
        }
        self.later(HEARTBEAT, client, move |world| world.heartbeat(client));
    }

    /// The answer to a heartbeat.
    fn heard(&mut self, client: ClientId, of: (MemberId, i32), answer: Result<(), GroupError>) {
        let consumer = self.consumer(client);
        if consumer.leaving || consumer.place() != Some(of) || consumer.joining {
            return;
        }
        match answer {
            Ok(()) => {}
            // It joins again once its current rebalance is over.
            Err(GroupError::RebalanceInProgress) if consumer.rebalancing => consumer.rejoin = true,
            Err(GroupError::RebalanceInProgress) => self.join(client),
            Err(_) => self.lose_assignment(client),
        }
    }

    /// The group has removed the member.
    fn lose_assignment(&mut self, client: ClientId) {
        let consumer = self.consumer(client);
        (consumer.member, consumer.generation) = (None, -1);
        if consumer.rebalancing {
            consumer.lost = true;
            consumer.lost_meanwhile = true;
        } else if consumer.assigned.is_empty() {
            self.join(client);
        } else {
            consumer.lost = true;
            consumer.rejoin = true;
            let all = consumer.assigned.iter().copied().collect();
            self.call_back(client, Callback::Revoke(all));
        }
        self.say_of(client, |_| "is no member of its group any more".to_owned());
    }

    fn call_back(&mut self, client: ClientId, callback: Callback) {
        let consumer = self.consumer(client);
        consumer.rebalancing = true;
        consumer.callbacks.push_back(callback);
        self.poke(client);
    }

    /// The callback has run: partitions were assigned.
    pub fn assigned(&mut self, client: ClientId, partitions: &[i32]) {
        self.consumer(client).assigned.extend(partitions);
        self.called_back(client);
    }

    /// The callback has run: partitions were revoked.
    pub fn revoked(&mut self, client: ClientId, partitions: &[i32]) {
        let consumer = self.consumer(client);
        consumer.assigned.retain(|partition| !partitions.contains(partition));
        self.called_back(client);
    }

    fn called_back(&mut self, client: ClientId) {
        let consumer = self.consumer(client);
        let added = std::mem::take(&mut consumer.added);
        if !added.is_empty() && !consumer.lost && !consumer.leaving {
            return self.call_back(client, Callback::Assign(added));
        }
        let all: Vec<i32> = consumer.assigned.iter().copied().collect();
        let lost_meanwhile = std::mem::take(&mut consumer.lost_meanwhile);
        if (lost_meanwhile || consumer.leaving) && !all.is_empty() {
            consumer.rejoin = true;
            return self.call_back(client, Callback::Revoke(all));
        }
        consumer.rebalancing = false;
        consumer.lost = false;
        if consumer.leaving {
            self.leave(client);
        } else if consumer.rejoin || lost_meanwhile {
            self.join(client);
        }
    }

    /// Gives back all partitions through the same callbacks, then leaves the group.
    pub fn unsubscribe(&mut self, client: ClientId) {
        let consumer = self.consumer(client);
        if consumer.leaving {
            return;
        }
        consumer.leaving = true;
        if consumer.rebalancing {
            return;
        }
        let all: Vec<i32> = consumer.assigned.iter().copied().collect();
        if all.is_empty() {
            self.leave(client);
        } else {
            self.call_back(client, Callback::Revoke(all));
        }
    }

    /// Sends LeaveGroup; the source's stream ends.
    pub fn leave(&mut self, client: ClientId) {
        let consumer = self.consumer(client);
        consumer.leaving = true;
        consumer.generation = -1;
        consumer.thread = Thread::Gone;
        consumer.ended = true;
        if let Some(waker) = consumer.waker.take() {
            waker.wake();
        }
        if let Some(id) = consumer.member.take() {
            self.request(Role::Group, move |world| world.leave_group(id));
        }
    }
}
