//! Kills, stops and restarts brokers.

use std::time::Duration;

use crate::verify::{ProxiedCluster, world::World};

pub fn kill(world: &mut World, who: usize, pause: Duration) -> Result<String, String> {
    let node = pick(world, who)?;
    cluster(world)?.nodes.kill_node(node);
    restart(world, node, pause)
}

pub fn stop(world: &mut World, who: usize, lasts: Duration) -> Result<String, String> {
    let node = pick(world, who)?;
    cluster(world)?.nodes.freeze_node(node);
    let waited = world.wait(lasts);
    cluster(world)?.nodes.thaw_node(node);
    waited.map(|()| format!("node {node}"))
}

pub fn move_coordinator(world: &mut World, pause: Duration) -> Result<String, String> {
    let node = match world.changes.coordinator(&world.names.group) {
        Ok(node) if node > 0 => node as usize,
        // The coordinator is moving already.
        Ok(_) | Err(_) => pick(world, 0)?,
    };
    cluster(world)?.nodes.stop_node(node);
    restart(world, node, pause)
}

fn restart(world: &mut World, node: usize, pause: Duration) -> Result<String, String> {
    world.wait(pause)?;
    cluster(world)?.nodes.start_node(node).map_err(|error| error.to_string())?;
    Ok(format!("node {node}"))
}

fn pick(world: &mut World, who: usize) -> Result<usize, String> {
    Ok(who % cluster(world)?.proxies().len() + 1)
}

fn cluster(world: &mut World) -> Result<&mut ProxiedCluster, String> {
    world.cluster.as_mut().ok_or_else(|| "the brokers are not ours to break".to_owned())
}
