//! What a pipeline's `[kafka]` says of how brokers are reached.

use std::sync::Arc;

use tokio_rustls::rustls::ClientConfig;

use super::{
    sasl::{Credentials, Mechanism},
    tls,
};

/// How brokers are reached. Has no `Debug`, so that no secret is printed.
pub struct Security {
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) sasl: Option<Credentials>,
}

impl Security {
    /// From librdkafka's properties.
    ///
    /// # Errors
    /// A property asks for something that is not here; says which, and what is.
    pub fn of<'a>(property: impl Fn(&str) -> Option<&'a str>) -> Result<Self, String> {
        let protocol = property("security.protocol").unwrap_or("plaintext").to_lowercase();
        let (with_tls, with_sasl) = match protocol.as_str() {
            "plaintext" => (false, false),
            "ssl" => (true, false),
            "sasl_plaintext" => (false, true),
            "sasl_ssl" => (true, true),
            other => {
                return Err(format!("`security.protocol` in [kafka] is `{other}`, which is none of Kafka's"));
            }
        };
        let sasl = if with_sasl { Some(credentials(&property)?) } else { None };
        let tls = if with_tls { Some(tls::config(&property)?) } else { None };
        Ok(Security { tls, sasl })
    }
}

fn credentials<'a>(property: &impl Fn(&str) -> Option<&'a str>) -> Result<Credentials, String> {
    // librdkafka's own default.
    let name = property("sasl.mechanism").or_else(|| property("sasl.mechanisms")).unwrap_or("GSSAPI");
    let mechanism = Mechanism::named(name).ok_or_else(|| {
        format!(
            "this command shows a password to the brokers by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, and `sasl.mechanism` in [kafka] \
             is {name}: give it another way in, such as --set kafka.sasl.mechanism=SCRAM-SHA-512, or use Kafka's own kafka-transactions.sh"
        )
    })?;
    let of = |name: &str| {
        property(name)
            .map(str::to_owned)
            .ok_or_else(|| format!("`{name}` is missing in [kafka], and SASL needs it"))
    };
    Ok(Credentials { mechanism, user: of("sasl.username")?, password: of("sasl.password")? })
}
