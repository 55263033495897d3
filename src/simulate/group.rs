//! The group coordinator: members, generations, cooperative assignment, and committed offsets.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    transactions::TransactionId,
    world::{ClientId, Step, World},
};
use crate::engine::CommitOffset;

/// `session.timeout.ms`.
const SESSION: Duration = Duration::from_secs(10);
/// `max.poll.interval.ms`: how long a rebalance waits for members that do not rejoin.
const REBALANCE: Duration = Duration::from_secs(60);
/// `group.initial.rebalance.delay.ms`.
const INITIAL: Duration = Duration::from_millis(300);

pub type MemberId = u32;

/// Why the coordinator refused a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupError {
    UnknownMember,
    IllegalGeneration,
    RebalanceInProgress,
}

#[derive(Default)]
pub struct Group {
    members: BTreeMap<MemberId, Member>,
    last: MemberId,
    pub generation: i32,
    state: State,
    /// The number of the current generation.
    rebalances: u32,
    /// The assignment of this generation, by member.
    assignment: BTreeMap<MemberId, BTreeSet<i32>>,
    committed: BTreeMap<i32, Committed>,
    /// Offsets of open transactions.
    pending: Vec<(TransactionId, i32, Committed)>,
    /// All commits, in log order.
    log: u64,
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Committed {
    pub offset: i64,
    pub metadata: String,
    log: u64,
}

struct Member {
    client: ClientId,
    /// Whether its JoinGroup waits for the other members.
    joined: bool,
    /// Whether its SyncGroup waits for the assignment.
    syncing: bool,
    /// The partitions that it reports as owned, and their generation.
    owned: BTreeSet<i32>,
    claimed: i32,
    /// Counts its heartbeats, so that an old session timer can be told from the current one.
    beats: u32,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum State {
    #[default]
    Empty,
    Preparing,
    Completing,
    Stable,
}

impl World {
    /// JoinGroup: answered once all members have joined.
    pub fn join_group(
        &mut self,
        client: ClientId,
        known: Option<MemberId>,
        owned: BTreeSet<i32>,
        claimed: i32,
    ) {
        let group = &mut self.group;
        let id = match known {
            Some(id) if !group.members.contains_key(&id) => {
                return self
                    .respond(client, move |world| world.joined(client, Err(GroupError::UnknownMember)));
            }
            Some(id) => id,
            None => {
                group.last += 1;
                group.last
            }
        };
        let beats = group.members.get(&id).map_or(0, |member| member.beats);
        let member = Member { client, joined: true, syncing: false, owned, claimed, beats };
        group.members.insert(id, member);
        self.heard_of(id);
        if self.group.state == State::Empty {
            self.group.state = State::Preparing;
            self.plan(INITIAL, None, Step::Call(Box::new(World::complete_rebalance)));
        } else {
            self.prepare_rebalance();
            self.complete_rebalance();
        }
    }

    /// SyncGroup: answered once that of the leader, the first member, has come.
    pub fn sync_group(&mut self, client: ClientId, id: MemberId, generation: i32) {
        let refused = match self.check_member(id, generation) {
            Ok(()) if self.group.state == State::Preparing => Some(GroupError::RebalanceInProgress),
            Ok(()) => None,
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            return self.respond(client, move |world| world.synced(client, generation, Err(error)));
        }
        if let Some(member) = self.group.members.get_mut(&id) {
            member.syncing = true;
        }
        if self.group.members.keys().next() == Some(&id) {
            self.group.state = State::Stable;
        }
        if self.group.state == State::Stable {
            self.answer_syncs();
        }
    }

    fn answer_syncs(&mut self) {
        let generation = self.group.generation;
        let waiting: Vec<(ClientId, BTreeSet<i32>)> = self
            .group
            .members
            .iter_mut()
            .filter_map(|(id, member)| std::mem::take(&mut member.syncing).then_some((id, member.client)))
            .map(|(id, client)| (client, self.group.assignment.get(id).cloned().unwrap_or_default()))
            .collect();
        for (client, partitions) in waiting {
            self.respond(client, move |world| world.synced(client, generation, Ok(partitions)));
        }
    }

    pub fn group_heartbeat(&mut self, id: MemberId, generation: i32) -> Result<(), GroupError> {
        self.check_member(id, generation)?;
        self.heard_of(id);
        if self.group.state == State::Preparing { Err(GroupError::RebalanceInProgress) } else { Ok(()) }
    }

    pub fn leave_group(&mut self, id: MemberId) {
        if self.group.members.remove(&id).is_some() {
            self.say(|_| format!("Kafka: member {id} has left the group"));
            self.member_is_gone();
        }
    }

    fn member_is_gone(&mut self) {
        self.prepare_rebalance();
        self.complete_rebalance();
    }

    fn prepare_rebalance(&mut self) {
        if self.group.state == State::Preparing {
            return;
        }
        self.group.state = State::Preparing;
        self.group.rebalances += 1;
        let number = self.group.rebalances;
        // Members that wait for an assignment of this generation get none.
        let generation = self.group.generation;
        let syncing: Vec<ClientId> = self
            .group
            .members
            .values_mut()
            .filter_map(|member| std::mem::take(&mut member.syncing).then_some(member.client))
            .collect();
        for client in syncing {
            let error = GroupError::RebalanceInProgress;
            self.respond(client, move |world| world.synced(client, generation, Err(error)));
        }
        let late = move |world: &mut World| {
            if world.group.state == State::Preparing && world.group.rebalances == number {
                world.group.members.retain(|_, member| member.joined);
                world.complete_rebalance();
            }
        };
        self.plan(REBALANCE, None, Step::Call(Box::new(late)));
    }

    /// Once all members have joined: begins the next generation, with a new assignment.
    fn complete_rebalance(&mut self) {
        let group = &mut self.group;
        if group.state != State::Preparing || !group.members.values().all(|member| member.joined) {
            return;
        }
        group.generation += 1;
        group.state = if group.members.is_empty() { State::Empty } else { State::Completing };
        group.assignment = group.assign(self.script.settings.partitions);
        let generation = group.generation;
        let joined: Vec<(MemberId, ClientId)> = group
            .members
            .iter_mut()
            .map(|(id, member)| {
                member.joined = false;
                (*id, member.client)
            })
            .collect();
        self.say(|world| format!("Kafka: generation {generation}: {:?}", world.group.assignment));
        for (id, client) in joined {
            self.heard_of(id);
            self.respond(client, move |world| world.joined(client, Ok((id, generation))));
        }
    }

    /// Renews the session, which times out without another heartbeat.
    fn heard_of(&mut self, id: MemberId) {
        let Some(member) = self.group.members.get_mut(&id) else { return };
        member.beats += 1;
        let beats = member.beats;
        let end = move |world: &mut World| world.end_session(id, beats);
        self.plan(SESSION, None, Step::Call(Box::new(end)));
    }

    fn end_session(&mut self, id: MemberId, beats: u32) {
        let Some(member) = self.group.members.get(&id).filter(|member| member.beats == beats) else { return };
        // The broker itself delays it.
        if member.joined {
            return self.heard_of(id);
        }
        self.group.members.remove(&id);
        self.say(|_| format!("Kafka: member {id}'s session has timed out"));
        self.member_is_gone();
    }

    fn check_member(&self, id: MemberId, generation: i32) -> Result<(), GroupError> {
        match self.group.members.get(&id) {
            None => Err(GroupError::UnknownMember),
            Some(_) if generation != self.group.generation => Err(GroupError::IllegalGeneration),
            Some(_) => Ok(()),
        }
    }

    /// OffsetCommit.
    pub fn commit_offsets(
        &mut self,
        (id, generation): (MemberId, i32),
        offsets: Vec<CommitOffset>,
    ) -> Result<(), GroupError> {
        self.check_member(id, generation)?;
        if self.group.state == State::Completing {
            return Err(GroupError::RebalanceInProgress);
        }
        for offset in offsets {
            let (partition, committed) = self.group.append(offset);
            self.apply_offset(partition, committed);
        }
        Ok(())
    }

    /// TxnOffsetCommit (KIP-447): takes effect once the transaction is committed.
    pub fn commit_offsets_in_transaction(
        &mut self,
        transaction: TransactionId,
        (id, generation): (MemberId, i32),
        offsets: Vec<CommitOffset>,
    ) -> Result<(), GroupError> {
        self.check_member(id, generation)?;
        for offset in offsets {
            let (partition, committed) = self.group.append(offset);
            self.group.pending.push((transaction, partition, committed));
        }
        Ok(())
    }

    /// Applies a transaction's marker to the offsets.
    pub fn end_offsets(&mut self, transaction: TransactionId, commit: bool) {
        let ended: Vec<_> = self.group.pending.extract_if(.., |(id, ..)| *id == transaction).collect();
        for (_, partition, committed) in ended {
            if commit {
                self.apply_offset(partition, committed);
            }
        }
    }

    fn apply_offset(&mut self, partition: i32, committed: Committed) {
        if self.group.committed.get(&partition).is_some_and(|earlier| earlier.log > committed.log) {
            return;
        }
        let bits = if committed.metadata.is_empty() { "" } else { ", and some above it" };
        self.say(|_| {
            format!("Kafka: offset {} of partition {partition} is committed{bits}", committed.offset)
        });
        let Committed { offset, metadata, .. } = &committed;
        self.judge.committed(partition, *offset, metadata, self.topics.of(partition));
        self.group.committed.insert(partition, committed);
    }
}

impl Group {
    pub fn committed(&self, partition: i32) -> Option<&Committed> {
        self.committed.get(&partition)
    }

    /// Whether an open transaction has pending offsets: then committed ones are not returned (KIP-447).
    pub fn is_unstable(&self, partition: i32) -> bool {
        self.pending.iter().any(|(_, of, _)| *of == partition)
    }

    fn append(&mut self, offset: CommitOffset) -> (i32, Committed) {
        self.log += 1;
        let CommitOffset { partition, offset, metadata } = offset;
        (partition.partition, Committed { offset: offset.0, metadata, log: self.log })
    }

    /// Each member keeps what it has, up to its share. A partition that moves stays unassigned at first: its
    /// new owner gets it in the next generation, once the old one has revoked it (KIP-429).
    fn assign(&self, partitions: i32) -> BTreeMap<MemberId, BTreeSet<i32>> {
        let mut owners: BTreeMap<i32, (i32, MemberId)> = BTreeMap::new();
        for (id, member) in &self.members {
            for partition in &member.owned {
                let owner = owners.entry(*partition).or_insert((member.claimed, *id));
                *owner = (*owner).max((member.claimed, *id));
            }
        }
        let mut shares: BTreeMap<MemberId, BTreeSet<i32>> =
            self.members.keys().map(|id| (*id, BTreeSet::new())).collect();
        let (count, members) = (partitions as usize, shares.len().max(1));
        let mut larger = count % members;
        let mut free: BTreeSet<i32> = (0..partitions).collect();
        for (partition, (_, owner)) in &owners {
            let Some(share) = shares.get_mut(owner) else { continue };
            let fits = share.len() < count / members || (share.len() == count / members && larger > 0);
            if fits {
                larger -= usize::from(share.len() == count / members);
                share.insert(*partition);
                free.remove(partition);
            }
        }
        let mut counts: BTreeMap<MemberId, usize> =
            shares.iter().map(|(id, share)| (*id, share.len())).collect();
        for partition in free {
            // The member with the fewest; `None` if the group is empty.
            let Some((id, count)) = counts.iter_mut().min_by_key(|(id, count)| (**count, **id)) else {
                break;
            };
            *count += 1;
            let Some(share) = shares.get_mut(id) else { break };
            if owners.get(&partition).is_none_or(|(_, owner)| owner == id) {
                share.insert(partition);
            }
        }
        shares
    }
}
