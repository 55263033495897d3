//! Kills, stops and restarts workers.

use std::time::Duration;

use crate::verify::world::World;

/// The pause between two workers of a rolling restart.
const BETWEEN: Duration = Duration::from_secs(2);
/// How long a new worker usually takes to get its share of the partitions.
const SETTLED: Duration = Duration::from_secs(4);

pub fn kill(world: &mut World, who: usize, pause: Duration) -> Result<String, String> {
    let name = pick(world, who)?;
    world.workers.kill(&name);
    world.wait(pause)?;
    let next = world.start_worker()?;
    Ok(format!("{name}, then {next}"))
}

pub fn terminate(world: &mut World, who: usize) -> Result<String, String> {
    let name = pick(world, who)?;
    world.terminate_worker(&name);
    let next = world.start_worker()?;
    Ok(format!("{name}, then {next}"))
}

pub fn stop(world: &mut World, who: usize, both: bool, lasts: Duration) -> Result<String, String> {
    let mut names = vec![pick(world, who)?];
    if both && world.workers.count() > 1 {
        names.push(pick(world, who + 1)?);
    }
    names.iter().for_each(|name| world.workers.freeze(name));
    let waited = world.wait(lasts);
    names.iter().for_each(|name| world.workers.thaw(name));
    waited.map(|()| names.join(" and "))
}

pub fn more(world: &mut World, lasts: Duration) -> Result<String, String> {
    let name = world.start_worker()?;
    world.wait(lasts)?;
    world.terminate_worker(&name);
    Ok(name)
}

pub fn fewer(world: &mut World, who: usize, lasts: Duration) -> Result<String, String> {
    let name = pick(world, who)?;
    world.terminate_worker(&name);
    world.wait(lasts)?;
    let next = world.start_worker()?;
    Ok(format!("{name}, then {next}"))
}

/// Starts one more worker; once it has its share, its clock jumps, and later back.
pub fn jump(world: &mut World, by: i64, lasts: Duration) -> Result<String, String> {
    let started = world.workers.start_with_clock();
    let (name, clock) =
        started.map_err(|error| format!("a worker with a clock cannot be started: {error}"))?;
    let set = |world: &mut World, seconds, time| {
        clock.set(seconds).map_err(|error| format!("the clock of {name} cannot be set: {error}"))?;
        world.wait(time)
    };
    set(world, 0, SETTLED)?;
    set(world, by, lasts)?;
    set(world, 0, BETWEEN)?;
    world.terminate_worker(&name);
    Ok(name)
}

pub fn roll(world: &mut World) -> Result<String, String> {
    let mut done = Vec::new();
    for _ in 0..world.workers.count() {
        // The first is the oldest; a new one is added at the end.
        let name = pick(world, 0)?;
        world.terminate_worker(&name);
        let next = world.start_worker()?;
        world.wait(BETWEEN)?;
        done.push(format!("{name}, then {next}"));
    }
    Ok(done.join("; "))
}

fn pick(world: &World, who: usize) -> Result<String, String> {
    world.workers.name(who).map(str::to_owned).ok_or_else(|| "no worker runs".to_owned())
}
