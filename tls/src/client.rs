//! TLS towards nodes and Sentinels.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;

use crate::files::{self, Error};
use crate::from_files::{FromFiles, Look};
use crate::unverified::Unverified;

/// The side of a pool that connects to nodes, or to Sentinels.
pub struct Client {
    source: FromFiles<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
}

/// Servers whose sessions are kept, to resume them.
const SESSIONS: usize = 256;

impl Client {
    /// Reads the files.
    pub fn new(settings: &config::ClientTls) -> Result<Self, Error> {
        let mut files: Vec<PathBuf> = settings.ca.iter().cloned().collect();
        if let Some(certificate) = &settings.certificate {
            files.extend([certificate.cert.clone(), certificate.key.clone()]);
        }
        let server_name = match &settings.server_name {
            Some(name) => Some(parse(name).map_err(|why| Error::new(Path::new(""), why))?),
            None => None,
        };
        let settings = settings.clone();
        // A session is resumed only with the authorities and the certificate that it began with: rustls sees to it.
        let sessions = Resumption::in_memory_sessions(SESSIONS);
        let make = move |_: Option<&Arc<ClientConfig>>| make(&settings, &sessions);
        Ok(Self { source: FromFiles::new(files, Box::new(make))?, server_name })
    }

    /// For a new connection.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.source.current())
    }

    /// What the certificate of `server` must be for, which is `host:port` as configured or as Sentinel lists it.
    pub fn name(&self, server: &str) -> Result<ServerName<'static>, String> {
        match &self.server_name {
            Some(name) => Ok(name.clone()),
            None => parse(host(server)),
        }
    }

    pub(crate) fn look(&self) -> Look {
        self.source.look()
    }

    pub(crate) fn files(&self) -> &[PathBuf] {
        self.source.files()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("files", &self.files()).finish_non_exhaustive()
    }
}

fn make(settings: &config::ClientTls, sessions: &Resumption) -> Result<Arc<ClientConfig>, Error> {
    let provider = crate::provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let builder = if settings.verify {
        builder.with_root_certificates(match &settings.ca {
            Some(file) => files::authorities(file)?,
            None => files::system_authorities()?,
        })
    } else {
        let verifier = Arc::new(Unverified(provider));
        builder.dangerous().with_custom_certificate_verifier(verifier)
    };
    let mut config = match &settings.certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let certified = files::certificate(certificate)?;
            let resolver = rustls::sign::SingleCertAndKey::from(certified);
            builder.with_client_cert_resolver(Arc::new(resolver))
        }
    };
    config.resumption = sessions.clone();
    Ok(Arc::new(config))
}

fn unusable(error: &rustls::Error) -> Error {
    Error::new(Path::new(""), format!("TLS cannot be used: {error}"))
}

fn parse(name: &str) -> Result<ServerName<'static>, String> {
    // A name may end with the root's dot; those of certificates do not.
    let name = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(name.to_owned())
        .map_err(|_| format!("`{name}` is no name that a certificate can have; set `server_name`"))
}

/// Without the port.
fn host(server: &str) -> &str {
    if server.parse::<IpAddr>().is_ok() {
        return server;
    }
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (server, expected) in [
            ("10.0.0.1:6379", "10.0.0.1"),
            ("[::1]:6379", "::1"),
            ("redis.internal:6379", "redis.internal"),
            ("redis.internal", "redis.internal"),
            ("::1", "::1"),
        ] {
            assert_eq!(host(server), expected);
        }
    }
}
