//! `cargo xtask test`: all that CI runs.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::bench::instructions;
use crate::commands;
use crate::install::{self, HAPROXY, IP, REDIS_BENCHMARK, REDIS_CLI, REDIS_SERVER, TWEMPROXY};
use crate::root;
use crate::step::{output, run as run_program, step};
use crate::suites;

const NEXTEST_VERSION: &str = "0.9.143";
const DENY_VERSION: &str = "0.20.2";

/// Runs every step; the first that fails ends it.
pub(crate) fn run() -> Result<ExitCode> {
    let start = Instant::now();
    steps()?;
    println!("all passed in {:.0} s", start.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

fn steps() -> Result<()> {
    step("system packages", || {
        install::programs(&[REDIS_SERVER, REDIS_CLI, REDIS_BENCHMARK, HAPROXY, TWEMPROXY])?;
        if cfg!(target_os = "linux") {
            install::programs(&[IP])?;
        }
        Ok(())
    })?;
    step("client libraries", install::client_libraries)?;
    step("cargo tools", || {
        install::cargo_tool("cargo-nextest", NEXTEST_VERSION)?;
        install::cargo_tool("cargo-deny", DENY_VERSION)
    })?;
    cargo("fmt", "fmt --all --check")?;
    cargo("clippy", "clippy --locked --workspace --all-targets -- --deny warnings")?;
    // Advisories need the network and change without us: they are looked at by hand.
    cargo("deny", "deny --locked --workspace check bans licenses sources")?;
    step("command table", check_command_table)?;
    cargo("build", "build --locked --workspace --all-targets")?;
    cargo("tests", "nextest run --locked --workspace --no-fail-fast")?;
    cargo("doc tests", "test --locked --workspace --doc --quiet")?;
    step("Redis' own tests", suites::fast)?;
    step("instruction budgets", instructions::run)
}

fn cargo(name: &str, arguments: &str) -> Result<()> {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    step(name, || run_program("cargo", &arguments))
}

/// Another version of redis-server describes other commands, so the check is for machines that
/// have the table's.
fn check_command_table() -> Result<()> {
    let path = root().join("commands/src/table.rs");
    let table = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let installed = output("redis-server", &["--version"]).unwrap_or_default();
    let version = |text: &str, before: &str, after: char| {
        let rest = text.split_once(before)?.1;
        Some(rest.split(after).next()?.trim_end_matches(',').to_owned())
    };
    let ours = version(&table, "redis-server ", ' ');
    let theirs = version(&installed, " v=", ' ');
    if ours.is_none() || ours != theirs {
        println!("    skipped: the table is of {ours:?}, installed is {theirs:?}");
        return Ok(());
    }
    commands::generate(true)
}
