//! The requests to a registry.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use ureq::{
    Agent,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem},
};

/// How long an answer may take: a thread that computes waits for it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const LARGEST: u64 = 16 << 20;
/// References of references of a schema.
const REFERENCES: usize = 100;
/// The registry's own code for a schema that is not there.
const NO_SCHEMA: u32 = 40_403;
/// The same for a subject, and for its version.
const NO_SUBJECT: [u32; 2] = [40_401, 40_402];

/// Where a registry is, and how it is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegistrySettings {
    /// Its address: `http://127.0.0.1:8081`.
    pub url: String,
    /// Who asks.
    pub auth: Auth,
    /// The text of a PEM file with the certificates that are trusted; the system's where `None`.
    pub ca: Option<String>,
}

/// Who asks a registry. Prints no secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody in particular.
    #[default]
    None,
    /// A user with a password.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token.
    Token(String),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Auth::None => "None",
            Auth::Basic { .. } => "Basic(***)",
            Auth::Token(_) => "Token(***)",
        })
    }
}

/// Why a registry did not give what it was asked for.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum RegistryError {
    /// It does not answer, or not now.
    #[error("{0}")]
    Away(String),
    /// It has no such schema.
    #[error("{0}")]
    Unknown(String),
    /// It refuses, and will again.
    #[error("{0}")]
    Refused(String),
}

/// A schema as a registry has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// What the registry calls its kind: `AVRO`, `PROTOBUF` or `JSON`.
    pub kind: String,
    /// Its text.
    pub text: String,
    /// Names and texts of what it refers to, each before those that refer to it.
    pub references: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    id: u32,
    schema: String,
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    schema: &'a str,
    schema_type: &'a str,
}

#[derive(Deserialize)]
struct Id {
    id: u32,
}

#[derive(Deserialize)]
struct Compatibility {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

#[derive(Deserialize)]
struct Trouble {
    error_code: u32,
    #[serde(default)]
    message: String,
}

/// A registry.
#[derive(Debug)]
pub struct Registry {
    settings: RegistrySettings,
    agent: Agent,
}

impl Registry {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// The certificates are none.
    pub fn new(settings: RegistrySettings) -> Result<Self, String> {
        let roots = match &settings.ca {
            None => RootCerts::PlatformVerifier,
            Some(text) => {
                let certificates: Result<Vec<Certificate<'static>>, _> = parse_pem(text.as_bytes())
                    .filter_map(|item| match item {
                        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
                        Ok(_) => None,
                        Err(error) => Some(Err(error.to_string())),
                    })
                    .collect();
                match certificates? {
                    none if none.is_empty() => return Err("there is no certificate in it".to_owned()),
                    certificates => RootCerts::Specific(Arc::new(certificates)),
                }
            }
        };
        let crypto = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(crypto)
            .root_certs(roots)
            .build();
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .tls_config(tls)
            .user_agent(concat!("pipeline/", env!("CARGO_PKG_VERSION")));
        Ok(Registry { settings, agent: config.build().new_agent() })
    }

    /// Its settings.
    pub fn settings(&self) -> &RegistrySettings {
        &self.settings
    }

    /// The schema with that id.
    ///
    /// # Errors
    /// There is none, or the registry does not say.
    pub fn by_id(&self, id: u32) -> Result<Written, RegistryError> {
        let answer: Answer = self.get(&format!("/schemas/ids/{id}"), &format!("the schema {id}"))?;
        self.whole(answer)
    }

    /// The newest schema of a subject, and its id.
    ///
    /// # Errors
    /// There is none, or the registry does not say.
    pub fn latest(&self, subject: &str) -> Result<(u32, Written), RegistryError> {
        let path = format!("/subjects/{}/versions/latest", escaped(subject));
        let answer: Answer = self.get(&path, &format!("the subject {subject}"))?;
        Ok((answer.id, self.whole(answer)?))
    }

    /// The id that a schema has in a subject.
    ///
    /// # Errors
    /// It is not there, or the registry does not say.
    pub fn id_of(&self, subject: &str, kind: &str, schema: &str) -> Result<u32, RegistryError> {
        let path = format!("/subjects/{}", escaped(subject));
        let id: Id = self.post(&path, kind, schema, &format!("that schema in the subject {subject}"))?;
        Ok(id.id)
    }

    /// Registers a schema, unless it is there; its id.
    ///
    /// # Errors
    /// The registry does not take it, or does not answer.
    pub fn register(&self, subject: &str, kind: &str, schema: &str) -> Result<u32, RegistryError> {
        let path = format!("/subjects/{}/versions", escaped(subject));
        let id: Id = self.post(&path, kind, schema, &format!("the subject {subject}"))?;
        Ok(id.id)
    }

    /// Whether a schema may follow the newest one of a subject; why not, where it may not. Where there is none yet, any may.
    ///
    /// # Errors
    /// The registry does not say.
    pub fn is_compatible(
        &self,
        subject: &str,
        kind: &str,
        schema: &str,
    ) -> Result<Result<(), String>, RegistryError> {
        let path = format!("/compatibility/subjects/{}/versions/latest?verbose=true", escaped(subject));
        match self.post(&path, kind, schema, &format!("the subject {subject}")) {
            Ok(Compatibility { is_compatible: true, .. }) | Err(RegistryError::Unknown(_)) => Ok(Ok(())),
            Ok(Compatibility { messages, .. }) if messages.is_empty() => {
                Ok(Err("the registry does not say why".to_owned()))
            }
            Ok(Compatibility { messages, .. }) => Ok(Err(messages.join("; "))),
            Err(error) => Err(error),
        }
    }

    /// The id of a schema in a subject, which is registered there if it may be.
    ///
    /// # Errors
    /// It is not there and may not be, or the registry does not say.
    pub fn id_or_new(
        &self,
        subject: &str,
        kind: &str,
        schema: &str,
        register: bool,
    ) -> Result<u32, RegistryError> {
        match self.id_of(subject, kind, schema) {
            Err(RegistryError::Unknown(_)) if register => self.register(subject, kind, schema),
            Err(RegistryError::Unknown(sentence)) => Err(RegistryError::Refused(format!(
                "{sentence}: register it there, or say `register = true`"
            ))),
            found => found,
        }
    }

    /// Whether values may be written with a schema: it is in its subject, or may be registered there and fits; without one, whether
    /// the subject has any. Changes nothing, and returns what is fine.
    ///
    /// # Errors
    /// Why not.
    pub fn may_write(
        &self,
        subject: &str,
        kind: &str,
        schema: Option<&str>,
        register: bool,
    ) -> Result<String, RegistryError> {
        let Some(schema) = schema else {
            let (id, _) = self.latest(subject)?;
            return Ok(format!(
                "values are written with the schema {id}, the newest of the subject {subject}"
            ));
        };
        match self.id_or_new(subject, kind, schema, false) {
            Ok(id) => Ok(format!("values are written with the schema {id} of the subject {subject}")),
            Err(RegistryError::Refused(_)) if register => match self.is_compatible(subject, kind, schema)? {
                Ok(()) => Ok(format!("the schema fits the subject {subject}, and `run` registers it there")),
                Err(reasons) => Err(RegistryError::Refused(format!(
                    "the schema may not follow the newest one of the subject {subject}: {reasons}"
                ))),
            },
            Err(error) => Err(error),
        }
    }

    /// That the registry answers, in a sentence.
    ///
    /// # Errors
    /// It does not.
    pub fn answers(&self) -> Result<String, RegistryError> {
        let _: serde_json::Value = self.get("/subjects", "its subjects")?;
        Ok(format!("the schema registry answers at {}", self.settings.url))
    }

    /// A schema with all that it refers to.
    fn whole(&self, answer: Answer) -> Result<Written, RegistryError> {
        let mut references = Vec::new();
        self.refer(&answer.references, &mut references, &mut 0)?;
        let kind = answer.schema_type.unwrap_or_else(|| "AVRO".to_owned());
        Ok(Written { kind, text: answer.schema, references })
    }

    fn refer(
        &self,
        references: &[Reference],
        found: &mut Vec<(String, String)>,
        asked: &mut usize,
    ) -> Result<(), RegistryError> {
        for Reference { name, subject, version } in references {
            if found.iter().any(|(known, _)| known == name) {
                continue;
            }
            *asked += 1;
            if *asked > REFERENCES {
                return Err(RegistryError::Unknown(format!(
                    "a schema refers to more than {REFERENCES} others"
                )));
            }
            let path = format!("/subjects/{}/versions/{version}", escaped(subject));
            let answer: Answer = self.get(&path, &format!("the subject {subject}"))?;
            self.refer(&answer.references, found, asked)?;
            found.push((name.clone(), answer.schema));
        }
        Ok(())
    }

    fn get<T: for<'de> Deserialize<'de>>(&self, path: &str, what: &str) -> Result<T, RegistryError> {
        let mut request = self.agent.get(self.address(path));
        if let Some(header) = self.authorization() {
            request = request.header("authorization", header);
        }
        self.read(request.call(), what)
    }

    fn post<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        schema_type: &str,
        schema: &str,
        what: &str,
    ) -> Result<T, RegistryError> {
        let mut request = self
            .agent
            .post(self.address(path))
            .header("content-type", "application/vnd.schemaregistry.v1+json");
        if let Some(header) = self.authorization() {
            request = request.header("authorization", header);
        }
        let question = serde_json::to_string(&Question { schema, schema_type }).unwrap_or_default();
        self.read(request.send(question), what)
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.settings.url.trim_end_matches('/'))
    }

    fn authorization(&self) -> Option<String> {
        match &self.settings.auth {
            Auth::None => None,
            Auth::Basic { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            Auth::Token(token) => Some(format!("Bearer {token}")),
        }
    }

    fn read<T: for<'de> Deserialize<'de>>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
        what: &str,
    ) -> Result<T, RegistryError> {
        let url = &self.settings.url;
        let away = |reason: &dyn fmt::Display| {
            RegistryError::Away(format!("the schema registry at {url} does not answer: {reason}"))
        };
        let mut answer = answer.map_err(|error| away(&error))?;
        let body = answer.body_mut().with_config().limit(LARGEST).read_to_string();
        let status = answer.status();
        let body = body.map_err(|error| away(&error))?;
        if status.is_success() {
            return serde_json::from_str(&body).map_err(|error| {
                RegistryError::Refused(format!("{url} does not answer as a schema registry does: {error}"))
            });
        }
        let trouble: Option<Trouble> = serde_json::from_str(&body).ok();
        let said =
            trouble.as_ref().map_or_else(String::new, |trouble| format!(": {}", short(&trouble.message)));
        let code = trouble.as_ref().map(|trouble| trouble.error_code);
        Err(match (status.as_u16(), code) {
            (404, Some(code)) if code == NO_SCHEMA || NO_SUBJECT.contains(&code) => {
                RegistryError::Unknown(format!("the schema registry at {url} does not have {what}"))
            }
            (408 | 429 | 500.., _) => away(&format!("{status}{said}")),
            _ => {
                RegistryError::Refused(format!("the schema registry at {url} refuses {what}: {status}{said}"))
            }
        })
    }
}

/// A subject within a path.
fn escaped(subject: &str) -> String {
    let mut escaped = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn short(text: &str) -> String {
    let short: String = text.chars().take(300).collect();
    if short.len() < text.len() { short + "…" } else { short }
}
