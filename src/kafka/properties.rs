//! What librdkafka's properties are called, and what it takes for them.

use std::{ffi::CStr, sync::OnceLock};

use rdkafka::{ClientConfig, bindings as rd, error::KafkaError};

/// The names of all properties, sorted, as this librdkafka knows them.
pub fn known() -> &'static [String] {
    static KNOWN: OnceLock<Vec<String>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut names = dump();
        // Aliases, and what has no default, are not in the dump.
        names.extend(MORE.iter().map(|name| (*name).to_owned()));
        names.sort();
        names.dedup();
        names
    })
}

/// Whether librdkafka takes that value.
///
/// # Errors
/// Its own words.
pub fn check(name: &str, value: &str) -> Result<(), String> {
    match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(_, reason, _, _)) => Err(reason),
        Err(error) => Err(error.to_string()),
    }
}

/// Properties that `rd_kafka_conf_dump` leaves out as they have no default, from CONFIGURATION.md.
const MORE: &[&str] = &[
    "acks",
    "bootstrap.servers",
    "client.rack",
    "compression.type",
    "debug",
    "delivery.timeout.ms",
    "group.id",
    "group.instance.id",
    "group.remote.assignor",
    "https.ca.location",
    "https.ca.pem",
    "linger.ms",
    "max.in.flight",
    "metadata.broker.list",
    "partitioner",
    "plugin.library.paths",
    "retries",
    "sasl.mechanism",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.engine.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.providers",
    "ssl.sigalgs.list",
    "transactional.id",
    "auto.offset.reset",
    "message.timeout.ms",
    "request.timeout.ms",
    "request.required.acks",
    "compression.level",
    "queuing.strategy",
];

fn dump() -> Vec<String> {
    let Ok(native) = ClientConfig::new().create_native_config() else { return Vec::new() };
    let mut count = 0;
    let mut names = Vec::new();
    // SAFETY: the configuration is live; the dump is `count` pairs of strings, freed below.
    unsafe {
        let pairs = rd::rd_kafka_conf_dump(native.ptr(), &mut count);
        for index in (0..count).step_by(2) {
            names.push(CStr::from_ptr(*pairs.add(index)).to_string_lossy().into_owned());
        }
        rd::rd_kafka_conf_dump_free(pairs, count);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_properties_that_people_set_are_known() {
        for name in ["bootstrap.servers", "session.timeout.ms", "compression.type", "sasl.password", "acks"] {
            assert!(known().iter().any(|known| known == name), "{name}");
        }
        assert!(!known().iter().any(|known| known == "bootstrap.server"));
    }

    #[test]
    fn every_name_of_ours_is_one_of_librdkafka() {
        for name in MORE {
            let refused = check(name, "");
            assert!(!refused.is_err_and(|reason| reason.contains("No such")), "{name}");
        }
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_its_range() {
        assert!(check("session.timeout.ms", "0").unwrap_err().contains("1..3600000"));
        assert!(check("compression.type", "lz5").is_err());
        check("compression.type", "lz4").unwrap();
    }
}
