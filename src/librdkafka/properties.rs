//! librdkafka's own table of its properties; needs no broker.

use std::collections::BTreeMap;

use rdkafka::{ClientConfig, error::KafkaError, types::RDKafkaConfRes};

/// Which clients have a property.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Consumers and producers.
    Both,
    /// Consumers only.
    Consumer,
    /// Producers only.
    Producer,
}

/// Every property by name, aliases included, from librdkafka's own table. Empty if no temporary file can be
/// made, because librdkafka writes that table to a file only.
pub fn known() -> BTreeMap<String, Scope> {
    printed_table().lines().filter_map(property).collect()
}

/// Parses a line such as `client.id   |  *  |  | rdkafka | low | Client identifier.`
fn property(line: &str) -> Option<(String, Scope)> {
    let mut cells = line.split('|').map(str::trim);
    let name = cells.next()?;
    let scope = match cells.next()? {
        "*" => Scope::Both,
        "C" => Scope::Consumer,
        "P" => Scope::Producer,
        _ => return None,
    };
    Some((name.to_owned(), scope))
}

fn printed_table() -> String {
    let mut table = Vec::new();
    // SAFETY: the stream is not null, and from `tmpfile` to `fclose` only librdkafka and this function use
    // it; `fread` gets a buffer of the given length.
    unsafe {
        let stream = libc::tmpfile();
        if stream.is_null() {
            return String::new();
        }
        rdkafka::bindings::rd_kafka_conf_properties_show(stream);
        libc::rewind(stream);
        let mut chunk = [0_u8; 16 * 1024];
        loop {
            let read = libc::fread(chunk.as_mut_ptr().cast(), 1, chunk.len(), stream);
            if read == 0 {
                break;
            }
            table.extend_from_slice(&chunk[..read]);
        }
        libc::fclose(stream);
    }
    String::from_utf8_lossy(&table).into_owned()
}

/// Why librdkafka refuses a property's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no property of that name.
    Unknown,
    /// The value is invalid; librdkafka's own words, which may repeat the value.
    Invalid(String),
}

/// Sets one property on a configuration that is used for nothing else.
///
/// # Errors
/// librdkafka refuses it.
pub fn validate(name: &str, value: &str) -> Result<(), Refusal> {
    match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => Err(Refusal::Unknown),
        Err(KafkaError::ClientConfig(_, words, ..)) => Err(Refusal::Invalid(words)),
        Err(other) => Err(Refusal::Invalid(other.to_string())),
    }
}

/// A property's default, as librdkafka prints it.
pub fn default_of(name: &str) -> Option<String> {
    ClientConfig::new().create_native_config().ok()?.get(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn librdkafka_lists_its_properties_with_the_clients_they_are_for() {
        let known = known();
        assert_eq!(known.get("bootstrap.servers"), Some(&Scope::Both));
        assert_eq!(known.get("sasl.password"), Some(&Scope::Both), "a property without a default");
        assert_eq!(known.get("linger.ms"), Some(&Scope::Producer));
        assert_eq!(known.get("acks"), Some(&Scope::Producer), "an alias");
        assert_eq!(known.get("auto.offset.reset"), Some(&Scope::Consumer), "a property of a topic");
        assert_eq!(known.get("Property"), None);
    }

    #[test]
    fn a_property_is_refused_for_its_name_or_for_its_value() {
        assert_eq!(validate("fetch.min.bytes", "5"), Ok(()));
        assert_eq!(validate("fetch.min.byte", "5"), Err(Refusal::Unknown));
        let Err(Refusal::Invalid(words)) = validate("fetch.min.bytes", "many") else { panic!("accepted") };
        assert!(words.contains("fetch.min.bytes"), "{words}");
    }

    #[test]
    fn defaults_are_librdkafkas_own() {
        assert_eq!(default_of("max.poll.interval.ms").as_deref(), Some("300000"));
        assert_eq!(default_of("no.such.property"), None);
    }
}
