//! What the tests share: a place for secrets, and files that tests compare and rewrite.

#![allow(dead_code, reason = "each test uses a part of this")]

use std::path::{Path, PathBuf};

use config::{Certificate, CertificateFile, Context, Secrets};

/// An environment and files that exist in the tests only.
pub(crate) struct Vault;

impl Secrets for Vault {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "REDIS_PASSWORD" | "SENTINEL_PASSWORD" => Some("from-the-environment".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("/run/secrets/admin" | "/run/secrets/redis") => Ok("from-a-file\n".to_owned()),
            Some("/run/secrets/empty") => Ok("\n".to_owned()),
            _ => Err("No such file or directory".to_owned()),
        }
    }

    fn certificate(&self, certificate: &Certificate) -> Result<(), (CertificateFile, String)> {
        if certificate.cert.ends_with("missing.pem") {
            let why = "cannot read `missing.pem`: No such file or directory".to_owned();
            return Err((CertificateFile::Cert, why));
        }
        if certificate.key.ends_with("other.key") {
            let why = "the key of `other.key` does not belong to the certificate".to_owned();
            return Err((CertificateFile::Key, why));
        }
        Ok(())
    }

    fn authorities(&self, path: &Path) -> Result<(), String> {
        match path.to_str() {
            Some("empty.pem") => Err("there is no certificate in `empty.pem`".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Two workers where nothing is said.
pub(crate) const CONTEXT: Context<'static> = Context { secrets: &Vault, default_workers: 2 };

/// Compares a file with what it should be; rewrites it instead if the environment says so.
pub(crate) fn compare(path: &Path, expected: &str, rewrite: &str) {
    if std::env::var_os(rewrite).is_some() {
        std::fs::write(path, expected).expect("a file that can be written");
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not as it should be; {rewrite}=1 rewrites it.\n--- it should be:\n{expected}\n--- it is:\n{found}",
        path.display()
    );
}

/// The files of a folder under `tests/fixtures` that end in `.toml`, sorted.
pub(crate) fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("a folder of fixtures")
        .map(|entry| entry.expect("a fixture").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}
