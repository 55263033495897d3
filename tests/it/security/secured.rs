//! A broker that lets in whom it knows: by certificate, or by name and password over TLS.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::OnceLock,
};

use pipeline::broker::{LocalCluster, Settings};
use tempfile::TempDir;

use super::certificates::{Authority, Identity};
use crate::harness::{broker_settings, start_broker};

/// The broker, and what signs for it.
pub struct Secured {
    _cluster: LocalCluster,
    pub authority: Authority,
    ports: Ports,
}

struct Ports {
    plain: u16,
    mutual: u16,
    scram: u16,
    expired: u16,
}

/// The broker of this test run.
pub fn secured() -> &'static Secured {
    static SECURED: OnceLock<Secured> = OnceLock::new();
    SECURED.get_or_init(Secured::start)
}

impl Secured {
    fn start() -> Secured {
        let authority = Authority::new("the brokers' authority");
        let [plain, controller, mutual, scram, expired] = free_ports();
        let ports = Ports { plain, mutual, scram, expired };
        let listeners = format!(
            "PLAINTEXT://127.0.0.1:{plain},MUTUAL://127.0.0.1:{mutual},SCRAM://127.0.0.1:{scram},EXPIRED://127.0.0.1:{expired}"
        );
        let mut settings = broker_settings(&[
            ("controller.quorum.voters", &format!("1@127.0.0.1:{controller}")),
            ("listeners", &format!("{listeners},CONTROLLER://127.0.0.1:{controller}")),
            ("advertised.listeners", &listeners),
            (
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,MUTUAL:SSL,SCRAM:SASL_SSL,EXPIRED:SSL",
            ),
            ("listener.name.mutual.ssl.client.auth", "required"),
            // CN=worker is the user `worker`.
            ("ssl.principal.mapping.rules", "RULE:^CN=([^,]+).*$/$1/"),
            ("listener.name.scram.sasl.enabled.mechanisms", "SCRAM-SHA-512"),
            (
                "listener.name.scram.scram-sha-512.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            ),
            // A connected client has to show its password again after so long (KIP-368).
            ("listener.name.scram.connections.max.reauth.ms", "4000"),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            // Records of transactions that no coordinator knows are taken.
            ("transaction.partition.verification.enable", "false"),
            // The tests themselves, and the node to itself.
            ("super.users", "User:ANONYMOUS"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.certificates", &in_a_line(&authority.certificate())),
        ]);
        for (listener, has_expired) in [("mutual", false), ("scram", false), ("expired", true)] {
            let Identity { certificate, key } = authority.sign("broker", has_expired);
            let name = |rest: &str| format!("listener.name.{listener}.ssl.keystore.{rest}");
            settings.properties.push((name("type"), "PEM".to_owned()));
            settings.properties.push((name("certificate.chain"), in_a_line(&certificate)));
            settings.properties.push((name("key"), in_a_line(&key)));
        }
        let settings = Settings { port: Some(plain), heap_mib: 512, ..settings };
        let cluster = start_broker(&settings);
        Secured { _cluster: cluster, authority, ports }
    }

    /// Where all may do everything: for the tests themselves.
    pub fn plain(&self) -> String {
        address(self.ports.plain)
    }

    /// Where both sides show a certificate.
    pub fn mutual(&self) -> String {
        address(self.ports.mutual)
    }

    /// Where a user shows a password.
    pub fn scram(&self) -> String {
        address(self.ports.scram)
    }

    /// Where the broker's own certificate has expired.
    pub fn expired(&self) -> String {
        address(self.ports.expired)
    }
}

/// The settings of a client that takes a broker for the right one if that authority says so.
pub fn trusting(authority: &Authority, folder: &TempDir, protocol: &str) -> Vec<String> {
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.certificate()).unwrap();
    vec![format!("kafka.security.protocol={protocol}"), format!("kafka.ssl.ca.location={}", file.display())]
}

/// The settings of a user whose password is in the environment's variable `PASSWORD`.
pub fn scram_user(name: &str) -> Vec<String> {
    vec![
        "kafka.sasl.mechanism=SCRAM-SHA-512".to_owned(),
        format!("kafka.sasl.username={name}"),
        "kafka.sasl.password=${env:PASSWORD}".to_owned(),
    ]
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// As Java's properties have lines in a value.
fn in_a_line(pem: &str) -> String {
    pem.replace("\r\n", "\n").replace('\n', "\\n")
}

/// Ports that are free now, below those that the system gives to connections.
fn free_ports<const N: usize>() -> [u16; N] {
    let mut held: Vec<(u16, TcpListener)> = Vec::new();
    while held.len() < N {
        let port = fastrand::u16(12_000..20_000);
        // A listener that is held keeps the next one from being the same.
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    std::array::from_fn(|index| held[index].0)
}
