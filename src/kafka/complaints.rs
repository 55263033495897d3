//! What librdkafka's complaints about a connection mean, and which setting may help.

use rdkafka::error::RDKafkaErrorCode as Code;

/// The meaning of a complaint, where trying again does not help.
pub fn no_way_in(code: Code, text: &str) -> Option<String> {
    let said = words(text);
    if code == Code::Authentication {
        return Some(format!("{said}; see `sasl.mechanism`, `sasl.username` and `sasl.password` in [kafka]"));
    }
    if text.contains("certificate verify failed") {
        return Some(
            "their certificate cannot be verified: it has expired, or is for another name, or none of the authorities in \
             `ssl.ca.location` in [kafka] has signed it"
                .to_owned(),
        );
    }
    if let Some((_, alert)) = said.split_once(" alert ") {
        let alert = alert.split(':').next().unwrap_or_default();
        return Some(format!(
            "they refuse this client's certificate ({alert}): is there one, has it expired, and do they know who signed it? \
             See `ssl.certificate.location` and `ssl.key.location` in [kafka]"
        ));
    }
    (code == Code::SSL).then(|| format!("{said}; see `security.protocol` and `ssl.…` in [kafka]"))
}

/// The meaning of a complaint, where a broker may only be starting or stopping.
pub fn hung_up(text: &str) -> String {
    let said = words(text);
    if said.contains("Disconnected") {
        return format!("{said}; does `security.protocol` in [kafka] say what that port speaks?");
    }
    said.to_owned()
}

/// librdkafka's words, without the name of the connection before them and its age after them.
fn words(text: &str) -> &str {
    let text = text.rsplit_once(" (after ").map_or(text, |(said, _)| said);
    text.split_once("/bootstrap: ").map_or(text, |(_, said)| said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_error_names_the_setting_that_may_cause_it() {
        for (code, text, parts) in [
            (
                Code::Authentication,
                "sasl_ssl://b:1/bootstrap: SASL authentication error: Authentication failed during authentication due to \
                 invalid credentials with SASL mechanism SCRAM-SHA-512 (after 351ms in state AUTH_REQ)",
                ["SASL authentication error: Authentication failed", "SCRAM-SHA-512; see `sasl.mechanism`"],
            ),
            (
                Code::SSL,
                "ssl://b:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker \
                 certificate could not be verified (after 9ms in state SSL_HANDSHAKE)",
                ["their certificate cannot be verified: it has expired", "`ssl.ca.location`"],
            ),
            (
                Code::BrokerTransportFailure,
                "ssl://b:1/bootstrap: Receive failed: error:0A000416:SSL routines::ssl/tls alert certificate unknown: SSL \
                 alert number 46 (after 10ms in state APIVERSION_QUERY)",
                ["they refuse this client's certificate (certificate unknown)", "`ssl.certificate.location`"],
            ),
        ] {
            let sentence = no_way_in(code, text).unwrap();
            assert!(parts.iter().all(|part| sentence.contains(part)), "{sentence}");
            assert!(!sentence.contains("after ") && !sentence.contains("b:1"), "{sentence}");
        }
        let refused = "b:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)";
        assert_eq!(no_way_in(Code::BrokerTransportFailure, refused), None, "a broker may come");
        assert_eq!(hung_up(refused), "Connect to ipv4#127.0.0.1:1 failed: Connection refused");
        let closed =
            "ssl://b:1/bootstrap: Disconnected: SSL connection closed by peer (after 0ms in state UP)";
        assert_eq!(no_way_in(Code::BrokerTransportFailure, closed), None);
        assert!(hung_up(closed).ends_with("what that port speaks?"));
    }
}
