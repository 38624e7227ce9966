//! TLS towards clients.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::files::{self, Error};
use crate::from_files::{FromFiles, Look};
use crate::names::ByName;

/// The side of a pool that clients connect to.
pub struct Server {
    source: FromFiles<Made>,
}

struct Made {
    config: Arc<ServerConfig>,
    /// Whose certificates clients must have.
    authorities: Vec<CertificateDer<'static>>,
}

impl Server {
    /// Reads the files.
    pub fn new(settings: &config::ServerTls) -> Result<Self, Error> {
        let mut files: Vec<PathBuf> = Vec::new();
        for certificate in &settings.certificates {
            files.extend([certificate.cert.clone(), certificate.key.clone()]);
        }
        files.extend(settings.client_ca.clone());
        let settings = settings.clone();
        let make = move |before: Option<&Made>| make(&settings, before);
        Ok(Self { source: FromFiles::new(files, Box::new(make))? })
    }

    /// For a new connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.source.current().config)
    }

    pub(crate) fn look(&self) -> Look {
        self.source.look()
    }

    pub(crate) fn files(&self) -> &[PathBuf] {
        self.source.files()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("files", &self.files()).finish_non_exhaustive()
    }
}

fn make(settings: &config::ServerTls, before: Option<&Made>) -> Result<Made, Error> {
    let certificates: Result<_, _> = settings.certificates.iter().map(files::certificate).collect();
    let certificates = ByName::new(certificates?);
    let provider = crate::provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(settings, &error))?;
    let mut authorities = Vec::new();
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let (roots, ders) = client_authorities(file)?;
            authorities = ders;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier
                .build()
                .map_err(|error| Error::new(file, format!("`{}`: {error}", file.display())))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(certificates));
    match before.filter(|before| before.authorities == authorities) {
        // Sessions that began before the change can be resumed after it.
        Some(before) => {
            config.ticketer = Arc::clone(&before.config.ticketer);
            config.session_storage = Arc::clone(&before.config.session_storage);
        }
        // With other authorities they cannot: who resumes one is not asked for a certificate again.
        None => config.ticketer = Ticketer::new().map_err(|error| unusable(settings, &error))?,
    }
    Ok(Made { config: Arc::new(config), authorities })
}

fn client_authorities(
    file: &std::path::Path,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), Error> {
    let ders = files::certificates(file)?;
    Ok((files::authorities(file)?, ders))
}

/// Not the files' fault.
fn unusable(settings: &config::ServerTls, error: &rustls::Error) -> Error {
    let file = settings.certificates.first().map_or_else(PathBuf::new, |first| first.cert.clone());
    Error::new(&file, format!("TLS cannot be used: {error}"))
}
