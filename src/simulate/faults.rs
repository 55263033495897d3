//! What a script does to its workers and to Kafka.

use std::time::Duration;

use super::{
    history::{History, PAUSES, Phase},
    script::Fault,
    world::{Client, Step, World, lock},
};

impl History {
    pub(super) fn fault(&mut self, fault: Fault) {
        lock(&self.world).say(|_| format!("FAULT: {fault}"));
        match fault {
            Fault::Crash { worker, down } => {
                self.kill(worker);
                lock(&self.world).plan(down, None, Step::Start(worker));
            }
            Fault::Terminate { worker, down } => self.terminate(worker, down),
            Fault::Stop { worker, lasts } => {
                let mut world = lock(&self.world);
                let until = world.now + lasts;
                if let Some(client) = self.workers[worker].client {
                    world.clients[client].stopped = until;
                }
            }
            Fault::Away { role, lasts } => lock(&self.world).go_away(role, lasts),
            Fault::LateEndTxn { worker, lasts } => {
                self.arm(worker, |client| client.producer.late_end = Some(lasts))
            }
            Fault::LostAcknowledgement { worker, lasts } => {
                self.arm(worker, |client| client.producer.lost_acknowledgement = Some(lasts));
            }
            Fault::CommitRefused { worker } => self.arm(worker, |client| {
                (client.producer.refuse_commit, client.consumer.refuse_commit) = (true, true);
            }),
            Fault::DeliveryFailed { worker } => {
                self.arm(worker, |client| client.producer.fail_delivery = true)
            }
            Fault::DeliveredAgain { worker } => {
                self.arm(worker, |client| client.producer.deliver_again = true)
            }
            Fault::Deleted { partition, records } => lock(&self.world).delete_records(partition, records),
        }
    }

    fn arm(&self, worker: usize, arm: impl FnOnce(&mut Client)) {
        if let Some(client) = self.workers[worker].client {
            arm(&mut lock(&self.world).clients[client]);
        }
    }

    /// `kill -9`: nothing of the process goes on.
    fn kill(&mut self, number: usize) {
        let mut world = lock(&self.world);
        world.clients.iter_mut().filter(|of| of.worker == number).for_each(|of| of.alive = false);
        drop(world);
        if let Some(client) = self.workers[number].client.take() {
            self.workers[number].again = None;
            self.workers[number].pause = PAUSES.0;
            drop(self.engines[client].take());
        }
    }

    pub(super) fn terminate(&mut self, number: usize, again: Duration) {
        let Some(client) = self.workers[number].client else { return };
        let Some(stop) = self.engines[client].as_mut().and_then(|running| running.stop.take()) else {
            return;
        };
        self.workers[number].again = Some(again);
        self.workers[number].in_trouble = self.phase == Phase::Working;
        // The engine may be gone by then.
        let _ = stop.send(());
    }
}

impl World {
    fn delete_records(&mut self, partition: i32, records: usize) {
        let committed = self.group.committed(partition).map_or(0, |committed| committed.offset);
        let of = &mut self.topics.source[partition as usize];
        let last = of.from(committed).get(..records).and_then(|deleted| deleted.last());
        of.low = last.map_or(of.high, |last| last.offset + 1);
    }
}
