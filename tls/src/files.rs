//! PEM files.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use config::{Certificate, CertificateFile};

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Error {
    /// Which.
    pub file: PathBuf,
    /// With the file's name.
    pub why: String,
}

impl Error {
    pub(crate) fn new(file: &Path, why: String) -> Self {
        Self { file: file.to_owned(), why }
    }
}

/// Can the certificate be used, and does the key belong to it? For the check of a configuration.
pub fn check_certificate(files: &Certificate) -> Result<(), (CertificateFile, String)> {
    let chain = certificates(&files.cert).map_err(|error| (CertificateFile::Cert, error.why))?;
    let fault = |error: Error| {
        let file =
            if error.file == files.key { CertificateFile::Key } else { CertificateFile::Cert };
        (file, error.why)
    };
    certified(files, chain).map(drop).map_err(fault)
}

/// Does the file hold certificates of authorities? For the check of a configuration.
pub fn check_authorities(file: &Path) -> Result<(), String> {
    authorities(file).map(drop).map_err(|error| error.why)
}

/// A certificate with its key.
pub(crate) fn certificate(files: &Certificate) -> Result<CertifiedKey, Error> {
    certified(files, certificates(&files.cert)?)
}

fn certified(
    files: &Certificate,
    chain: Vec<CertificateDer<'static>>,
) -> Result<CertifiedKey, Error> {
    use rustls::InconsistentKeys::KeyMismatch;
    let key = private_key(&files.key)?;
    let (cert_name, key_name) = (files.cert.display(), files.key.display());
    CertifiedKey::from_der(chain, key, &crate::provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(KeyMismatch) => Error::new(
            &files.key,
            format!("the key in `{key_name}` does not belong to the certificate in `{cert_name}`"),
        ),
        rustls::Error::InvalidCertificate(why) => {
            Error::new(&files.cert, format!("`{cert_name}` is no usable certificate: {why}"))
        }
        error => Error::new(&files.key, format!("`{key_name}` is no usable key: {error}")),
    })
}

/// All certificates in a file; at least one.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let found: Vec<_> = read.map_err(|error| unreadable(file, &error))?;
    if found.is_empty() {
        let why = format!("there is no certificate in `{}`", file.display());
        return Err(Error::new(file, why));
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let hint = "; one with a passphrase cannot be used";
            Error::new(file, format!("there is no private key in `{}`{hint}", file.display()))
        }
        error => unreadable(file, &error),
    })
}

/// The authorities in a file, all of which must be usable.
pub(crate) fn authorities(file: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| {
            let why = format!("`{}` has an unusable certificate: {error}", file.display());
            Error::new(file, why)
        })?;
    }
    Ok(roots)
}

/// The authorities that the system trusts; some of them may be unusable.
pub(crate) fn system_authorities() -> Result<RootCertStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = "the system has no authorities (on Debian they are in the package \
                   ca-certificates); name them with `ca`";
        return Err(Error::new(Path::new(""), why.to_owned()));
    }
    Ok(roots)
}

fn unreadable(file: &Path, error: &pem::Error) -> Error {
    let name = file.display();
    let why = match error {
        pem::Error::Io(error) => format!("cannot read `{name}`: {}", error),
        error => format!("`{name}` is not PEM: {error}"),
    };
    Error::new(file, why)
}
