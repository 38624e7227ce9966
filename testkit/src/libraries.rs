//! Client libraries of other languages, which `cargo xtask test` installs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the client libraries are installed; always below the workspace's own `target`.
pub fn client_libraries() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target").join("test-clients")
}

/// A `python3` that can import redis-py.
///
/// # Panics
///
/// When the library is not installed; so does [`node`].
#[track_caller]
pub fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", installed("python")).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A `node` whose scripts can `require("ioredis")`.
#[track_caller]
pub fn node() -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", installed("node").join("node_modules"));
    command
}

#[track_caller]
fn installed(language: &str) -> PathBuf {
    let folder = client_libraries().join(language);
    // Written when the installation is complete.
    let complete = folder.join("installed").is_file();
    assert!(complete, "{} is missing: run `cargo xtask test`, it installs it", folder.display());
    folder
}

/// Where a program is: on the path, or where Debian puts programs for root.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    env::split_paths(&folders)
        .chain(system)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
