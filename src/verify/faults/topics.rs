//! Changes topics: partitions, limits, retention, and the topic itself.

use std::time::{Duration, Instant};

use crate::verify::{clock::now, history::Deleted, setup::PARTITIONS, world::World};

/// The most partitions that a topic gets.
const MOST: usize = 12;
/// How many records of the partition stay.
const KEPT: i64 = 50;
/// How long deleting or recreating a topic may take.
const GONE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

pub fn grow(world: &mut World, requests: bool) -> Result<String, String> {
    let topic = if requests { &world.names.requests } else { &world.names.written.results[0] };
    let partitions = world.changes.leaders(topic)?.len() + 1;
    if partitions > MOST {
        return Ok(format!("{topic} has {MOST} partitions already"));
    }
    world.changes.grow(topic, partitions)?;
    Ok(format!("{topic} has {partitions} partitions"))
}

pub fn shrink_records(world: &mut World, limit: u64, lasts: Duration) -> Result<String, String> {
    let (topics, configs) = (world.names.written.results.clone(), world.results_configs.clone());
    world.smallest_limit = Some(world.smallest_limit.map_or(limit, |smallest| smallest.min(limit)));
    for (topic, config) in topics.iter().zip(&configs) {
        let low = config.clone().into_iter().chain([("max.message.bytes".to_owned(), limit.to_string())]);
        world.changes.configure(topic, &low.collect())?;
    }
    let waited = world.wait(lasts);
    for (topic, config) in topics.iter().zip(&configs) {
        again(|| world.changes.configure(topic, config))?;
    }
    waited.map(|()| topics.join(", "))
}

/// Stops all workers gracefully, and deletes what they have not read of a partition, except the last records.
pub fn forget(world: &mut World, who: usize, pause: Duration) -> Result<String, String> {
    let (topic, count) = (world.names.requests.clone(), world.workers.count());
    world.terminate_all();
    let result = world.wait(pause).and_then(|()| {
        let partition = (who % world.changes.leaders(&topic)?.len().max(1)) as i32;
        let (first, end) = again(|| world.changes.offsets(&topic, partition))?;
        let before = (end - KEPT).max(first);
        let from = world.recording.waiting_from().get(&partition).copied().unwrap_or(0);
        let generation = world.recording.generation();
        world.deleted.push(Deleted { generation, partition, from, before });
        again(|| world.changes.delete_records(&topic, partition, before))?;
        Ok(format!("{topic}[{partition}] begins at {before}"))
    });
    for _ in 0..count {
        world.start_worker()?;
    }
    result
}

/// No requests are produced meanwhile, so that it is known what the deleted topic contained.
pub fn make_again(world: &mut World) -> Result<String, String> {
    world.pause_asking()?;
    let made = delete_and_create(world);
    world.resume_asking()?;
    made
}

fn delete_and_create(world: &mut World) -> Result<String, String> {
    let (topic, waiting) = (world.names.requests.clone(), world.recording.waiting_from());
    world.changes.delete(&topic)?;
    let generation = world.recording.next_generation();
    world.made_again.push(now());
    let gone = |(partition, from)| Deleted { generation, partition, from, before: i64::MAX };
    world.deleted.extend(waiting.into_iter().map(gone));
    again(|| match world.changes.leaders(&topic)?.iter().any(|leader| *leader >= 0) {
        true => Err(format!("{topic} is still there")),
        false => Ok(()),
    })?;
    again(|| world.changes.create(&topic, PARTITIONS, world.requests_replicas, &world.requests_config))?;
    again(|| match world.changes.leaders(&topic)? {
        leaders if leaders.len() == PARTITIONS as usize && leaders.iter().all(|leader| *leader >= 0) => {
            Ok(())
        }
        leaders => Err(format!("{topic} has leaders {leaders:?}")),
    })?;
    Ok(topic)
}

/// Retries: a broker that is restarting may refuse what it takes a moment later.
fn again<T>(mut change: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + GONE;
    loop {
        match change() {
            Err(_) if Instant::now() < deadline => std::thread::sleep(LOOK),
            result => return result,
        }
    }
}
