//! Builds the proxy as its users run it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::root;

/// The binary of a release build.
pub(crate) fn release() -> Result<PathBuf> {
    build(&["--release"])
}

/// The binary of a debug build, as the integration tests have it.
pub(crate) fn debug() -> Result<PathBuf> {
    build(&[])
}

fn build(options: &[&str]) -> Result<PathBuf> {
    println!("    $ cargo build --package redkeel {}", options.join(" "));
    let output = Command::new("cargo")
        .args(["build", "--locked", "--package", "redkeel"])
        .args(options)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "the build failed");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "redkeel")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("the build made no binary named redkeel")
}
