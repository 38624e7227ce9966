//! What the tests of the importers share.

#![allow(dead_code, reason = "each test uses a part")]

use std::path::{Path, PathBuf};

use config::{Context, Secrets};
use import::{Files, Format};

/// Every format, with the folder of its fixtures.
pub(crate) const FORMATS: [(Format, &str); 4] = [
    (Format::Haproxy, "haproxy"),
    (Format::Nutcracker, "nutcracker"),
    (Format::Envoy, "envoy"),
    (Format::Predixy, "predixy"),
];

/// Every secret is there.
struct Vault;

impl Secrets for Vault {
    fn env(&self, _: &str) -> Option<String> {
        Some("from-the-environment".to_owned())
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Ok("from-a-file".to_owned())
    }
}

/// With which what was imported is checked.
pub(crate) const CONTEXT: Context<'static> = Context { secrets: &Vault, default_workers: 2 };

/// Includes are looked for in one folder.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Files for Folder {
    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(self.0.join(path)).map_err(|error| error.to_string())
    }
}

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The files of a folder that are imported: neither expectations nor what is included.
pub(crate) fn inputs(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(name)).expect("a folder of fixtures");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a fixture").path())
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("cfg" | "yml" | "yaml" | "json" | "conf"))
        })
        .collect();
    files.sort();
    files
}
