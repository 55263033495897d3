//! Cuts, holds and slows requests by their kind, at the proxies.

use std::time::{Duration, Instant};

use super::workers;
use crate::verify::{
    proxy::{Api, Effect, Held, Proxy, SASL_AUTHENTICATION_FAILED},
    world::World,
};

/// How long to wait for a request to hold.
const COMES: Duration = Duration::from_secs(8);
/// How long the broker may take to answer a late request.
const ANSWER: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

pub fn cut_all(world: &mut World) -> Result<String, String> {
    let cut: usize = proxies(world)?.iter().map(Proxy::cut_all).sum();
    Ok(format!("{cut} connections"))
}

pub fn disturb(
    world: &mut World,
    api: Api,
    effect: Effect,
    lasts: Duration,
    kills: Option<usize>,
) -> Result<String, String> {
    let before = hits(world)?;
    proxies(world)?.iter().for_each(|proxy| proxy.disturb(Some(api), effect));
    let killed = meanwhile(world, api, lasts, kills);
    proxies(world)?.iter().for_each(Proxy::calm);
    Ok(format!("{} requests{}", hits(world)? - before, killed?))
}

/// Waits, and kills a worker halfway if one is given. Returns its name.
fn meanwhile(world: &mut World, api: Api, lasts: Duration, kills: Option<usize>) -> Result<String, String> {
    provoke(world, api)?;
    world.wait(lasts / 2)?;
    let killed = match kills {
        Some(who) => format!("; {}", workers::kill(world, who, Duration::ZERO)?),
        None => String::new(),
    };
    world.wait(lasts / 2)?;
    Ok(killed)
}

/// How long a worker that is not let in may take to end.
const NOTICED: Duration = Duration::from_secs(5);

/// Refuses new logins and closes existing connections.
pub fn refuse_credentials(world: &mut World, lasts: Duration) -> Result<String, String> {
    let before = hits(world)?;
    for proxy in proxies(world)? {
        proxy.disturb(Some(Api::SaslAuthenticate), Effect::Refuse(SASL_AUTHENTICATION_FAILED));
        proxy.cut_all();
    }
    world.refused_until = Some(Instant::now() + lasts + NOTICED);
    let waited = world.wait(lasts);
    proxies(world)?.iter().for_each(Proxy::calm);
    waited?;
    Ok(format!("{} attempts", hits(world)? - before))
}

pub fn hold(world: &mut World, api: Api, held_for: Duration, late: Duration) -> Result<String, String> {
    let held = Held::new();
    proxies(world)?.iter().for_each(|proxy| proxy.hold_next(api, &held));
    let result = hold_until_late(world, api, &held, held_for, late);
    // Whatever happened, nothing stays held.
    held.release();
    result
}

fn hold_until_late(
    world: &mut World,
    api: Api,
    held: &Held,
    held_for: Duration,
    late: Duration,
) -> Result<String, String> {
    provoke(world, api)?;
    let mut waited = Duration::ZERO;
    while !held.caught(Duration::ZERO) {
        if waited >= COMES || !world.interrupt.goes_on() {
            return Ok("no such request came".to_owned());
        }
        world.wait(LOOK)?;
        waited += LOOK;
    }
    world.wait(held_for)?;
    held.cut();
    world.wait(late)?;
    held.release();
    match held.answer(ANSWER) {
        Some(answer) => Ok(format!("answered late: {}", hex(&answer))),
        None => Ok("not answered".to_owned()),
    }
}

/// Members only join when the group changes, so this changes it.
fn provoke(world: &mut World, api: Api) -> Result<(), String> {
    if api == Api::JoinGroup { workers::terminate(world, 0).map(|_| ()) } else { Ok(()) }
}

fn hits(world: &World) -> Result<u64, String> {
    Ok(proxies(world)?.iter().map(Proxy::hits).sum())
}

fn proxies(world: &World) -> Result<&[Proxy], String> {
    let cluster = world.cluster.as_ref().ok_or("the brokers are given, and have no proxy")?;
    Ok(cluster.proxies())
}

/// The first bytes, which contain the error codes.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
