//! TLS, as librdkafka's `ssl.…` properties say.

use std::{path::Path, sync::Arc};

use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// What this command does not have, and what it has instead. Silence about any of them could be less safe than the file says, or
/// fail with an error that names none of them.
const REFUSED: &[(&str, &str)] = &[
    ("ssl.keystore.location", "set ssl.certificate.location and ssl.key.location, to PEM files"),
    ("ssl.key.password", "set ssl.key.location to a key that is not encrypted, and that only you may read"),
    ("ssl.crl.location", "this command knows no list of revoked certificates"),
    ("ssl.engine.location", "this command uses no engine of OpenSSL"),
    ("ssl.providers", "this command uses no provider of OpenSSL"),
];

/// Of these properties only that value.
const ONLY: &[(&str, &str)] =
    &[("enable.ssl.certificate.verification", "true"), ("ssl.endpoint.identification.algorithm", "https")];

pub fn config<'a>(property: &impl Fn(&str) -> Option<&'a str>) -> Result<Arc<ClientConfig>, String> {
    for (name, instead) in REFUSED {
        if property(name).is_some_and(|value| !value.is_empty()) {
            return Err(format!("this command cannot use `{name}` of [kafka]: {instead}"));
        }
    }
    for (name, only) in ONLY {
        if let Some(value) = property(name).filter(|value| !value.eq_ignore_ascii_case(only)) {
            return Err(format!(
                "this command always holds the brokers' certificates against their names, and `{name}` of [kafka] is {value}: give \
                 it --set kafka.{name}={only}, and with kafka.ssl.ca.location the certificate of who signs for the brokers"
            ));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots(property)?);
    let (chain, key) = ("ssl.certificate", "ssl.key");
    let config = match (given(property, chain), given(property, key)) {
        (None, None) => builder.with_no_client_auth(),
        (None, Some(_)) => return Err(missing(chain, key)),
        (Some(_), None) => return Err(missing(key, chain)),
        (Some(certificate), Some(of_key)) => {
            let certificates = certificate.certificates()?;
            let refused = |error| format!("`{chain}` and `{key}` of [kafka] cannot be used: {error}");
            builder
                .with_client_auth_cert(certificates, of_key.key()?)
                .map_err(|error| refused(error.to_string()))?
        }
    };
    Ok(Arc::new(config))
}

fn missing(name: &str, other: &str) -> String {
    format!("[kafka] has `{other}.location` and no `{name}.location`: a client's certificate needs both")
}

/// Who may sign for brokers: as the file says, otherwise whom this system trusts.
fn roots<'a>(property: &impl Fn(&str) -> Option<&'a str>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match given(property, "ssl.ca") {
        Some(Pem::File("probe")) => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(given) => {
            for certificate in given.certificates()? {
                roots.add(certificate).map_err(|error| given.unusable(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err("nobody is trusted to sign for the brokers: set `ssl.ca.location` in [kafka]".to_owned());
    }
    Ok(roots)
}

/// PEM, written out in a property or in a file that it names.
enum Pem<'a> {
    Text(&'a str, String),
    File(&'a str),
}

fn given<'a>(property: &impl Fn(&str) -> Option<&'a str>, name: &str) -> Option<Pem<'a>> {
    let text = format!("{name}.pem");
    match property(&text) {
        Some(pem) => Some(Pem::Text(pem, text)),
        None => property(&format!("{name}.location")).filter(|file| !file.is_empty()).map(Pem::File),
    }
}

impl Pem<'_> {
    fn unusable(&self, why: &dyn std::fmt::Display) -> String {
        match self {
            Pem::Text(_, name) => format!("`{name}` of [kafka] cannot be used for TLS: {why}"),
            Pem::File(file) => format!("{file} cannot be used for TLS: {why}"),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let read: Result<Vec<_>, _> = match self {
            Pem::Text(pem, _) => CertificateDer::pem_slice_iter(pem.as_bytes()).collect(),
            Pem::File(file) => CertificateDer::pem_file_iter(Path::new(file)).and_then(Iterator::collect),
        };
        match read {
            Ok(certificates) if certificates.is_empty() => Err(self.unusable(&"it has no certificate")),
            read => read.map_err(|error| self.unusable(&error)),
        }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let read = match self {
            Pem::Text(pem, _) => PrivateKeyDer::from_pem_slice(pem.as_bytes()),
            Pem::File(file) => PrivateKeyDer::from_pem_file(Path::new(file)),
        };
        read.map_err(|error| self.unusable(&error))
    }
}
