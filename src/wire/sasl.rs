//! Shows a broker who this user is (KIP-43, KIP-152).

use super::{
    Connection, WireError,
    bytes::Writer,
    connection::Api,
    error::meaning,
    scram::{Hash, Scram},
};

const HANDSHAKE: Api = Api { key: 17, name: "SaslHandshake", version: 1, flexible: false };
const AUTHENTICATE: Api = Api { key: 36, name: "SaslAuthenticate", version: 0, flexible: false };

/// How a user shows who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mechanism {
    /// The password itself.
    Plain,
    /// That it knows the password (RFC 5802).
    Scram(Hash),
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Mechanism::Scram(Hash::Sha512) => "SCRAM-SHA-512",
        }
    }

    /// The mechanism of that name, if it is one of those here.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Mechanism::Plain, Mechanism::Scram(Hash::Sha256), Mechanism::Scram(Hash::Sha512)];
        all.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }
}

/// A user and its password. Has no `Debug`, so that it is printed nowhere.
pub struct Credentials {
    pub mechanism: Mechanism,
    pub user: String,
    pub password: String,
}

/// Has the broker let this user in.
pub fn show(connection: &mut Connection, credentials: &Credentials) -> Result<(), WireError> {
    let not_let_in = |connection: &Connection, reason: String| WireError::NotLetIn {
        address: connection.address().to_owned(),
        reason,
    };
    let mechanism = credentials.mechanism.name();
    let (code, offered) = connection.ask(
        HANDSHAKE,
        |body| body.string(mechanism),
        |answer| Ok((answer.i16()?, answer.array(|of| of.string())?)),
    )?;
    if code != 0 {
        let reason = format!("{}; it knows {}", meaning(code), offered.join(", "));
        return Err(not_let_in(connection, reason));
    }
    let Credentials { user, password, .. } = credentials;
    let hash = match credentials.mechanism {
        Mechanism::Plain => {
            let message = format!("\0{user}\0{password}");
            return authenticate(connection, message.as_bytes()).map(drop);
        }
        Mechanism::Scram(hash) => hash,
    };
    let scram = Scram::new(hash, user, password, nonce());
    let challenge = authenticate(connection, scram.first().as_bytes())?;
    let (proof, expected) = scram.answer(&challenge).map_err(|reason| not_let_in(connection, reason))?;
    let signature = authenticate(connection, proof.as_bytes())?;
    match expected.is(&signature) {
        true => Ok(()),
        false => Err(not_let_in(
            connection,
            "it does not know the password itself, so it may be another".to_owned(),
        )),
    }
}

fn authenticate(connection: &mut Connection, message: &[u8]) -> Result<Vec<u8>, WireError> {
    let body = |body: &mut Writer| body.bytes(message);
    let (code, words, answer) = connection.ask(AUTHENTICATE, body, |answer| {
        Ok((answer.i16()?, answer.nullable()?, answer.bytes()?.to_vec()))
    })?;
    if code == 0 {
        return Ok(answer);
    }
    let reason = words.filter(|words| !words.is_empty()).unwrap_or_else(|| meaning(code));
    Err(WireError::NotLetIn { address: connection.address().to_owned(), reason })
}

/// What nobody can have seen before.
fn nonce() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
