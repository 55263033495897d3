//! `[control]`: the port at which workers are told what is wanted of them.

use std::net::{Ipv4Addr, SocketAddr};

use super::Secret;
use crate::settings::{Reader, Value};

/// The fewest bytes of a token: shorter ones are guessed.
const TOKEN: usize = 16;

/// Where a pipeline's control is served, and to whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControlSettings {
    /// Where it listens; 127.0.0.1:9465 by default.
    pub listen: SocketAddr,
    /// What a client must present.
    pub token: Secret,
}

/// The table; `None` where there is none, or it is wrong.
pub fn read(root: &Reader<'_>) -> Option<ControlSettings> {
    let given = root.node("control").is_some_and(|node| matches!(&node.value, Value::Table(_)));
    let table = root.table("control");
    let listen = table.address("listen").unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 9465)));
    let token = table.string("token");
    if let Some(short) = token.as_ref().filter(|token| token.len() < TOKEN) {
        let origin = table.node("token").map_or(table.origin(), |node| &node.origin);
        // Its length alone: what it is stays secret.
        let sentence = format!("`control.token` has {} characters, and {TOKEN} are the fewest", short.len());
        table.say(origin, sentence, Some("`openssl rand -hex 32` makes one".to_owned()));
    }
    let token = if given {
        table.required(
            "token",
            token,
            "what a client must present, as whoever has it may pause the workers: `token = \"${env:CONTROL_TOKEN}\"`",
        )
    } else {
        token
    };
    table.finish();
    token.filter(|token| token.len() >= TOKEN).map(|token| ControlSettings { listen, token: Secret(token) })
}
