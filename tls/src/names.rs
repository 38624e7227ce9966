//! Which certificate a client is shown.

use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The first certificate that is for the name which the client asks for (SNI), else the first of all.
#[derive(Debug)]
pub(crate) struct ByName(Vec<Arc<CertifiedKey>>);

impl ByName {
    pub(crate) fn new(certificates: Vec<CertifiedKey>) -> Self {
        Self(certificates.into_iter().map(Arc::new).collect())
    }

    fn of(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = ServerName::try_from(name).ok()?;
        self.0.iter().find(|certificate| is_for(certificate, &name))
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = match &*self.0 {
            [_] => None,
            _ => hello.server_name().and_then(|name| self.of(name)),
        };
        named.or(self.0.first()).cloned()
    }
}

fn is_for(certificate: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = certificate.end_entity_cert().and_then(ParsedCertificate::try_from);
    parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}
