//! `cargo xtask fuzz`: the fuzz targets, one after the other.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::install;
use crate::root;
use crate::step::{output, run as run_program, step};

const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// Each with the longest input that is tried, and its dictionary.
const TARGETS: [(&str, usize, Option<&str>); 5] = [
    ("request", 4096, None),
    ("reply", 4096, None),
    ("proxy_protocol", 1024, None),
    ("config", 2048, Some("fuzz/config.dict")),
    ("session", 800, None),
];

#[derive(Args)]
pub(crate) struct Options {
    /// request, reply, proxy_protocol, config or session; all if none is named
    target: Option<String>,
    /// How long each of them runs
    #[arg(long, value_name = "N", default_value_t = 600)]
    seconds: u64,
}

/// Runs them; the first that finds something ends it.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let named = |name: &str| options.target.as_deref().is_none_or(|target| target == name);
    let targets: Vec<_> = TARGETS.into_iter().filter(|(name, ..)| named(name)).collect();
    if targets.is_empty() {
        let names = TARGETS.map(|(name, ..)| name).join(", ");
        bail!("there is no such target; there are {names}");
    }
    step("fuzzing tools", || {
        if output("rustup", &["run", "nightly", "cargo", "--version"]).is_none() {
            run_program("rustup", &["toolchain", "install", "nightly", "--profile", "minimal"])?;
        }
        install::cargo_tool("cargo-fuzz", CARGO_FUZZ_VERSION)
    })?;
    for (name, longest, dictionary) in targets {
        step(name, || fuzz(name, longest, dictionary, options.seconds))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn fuzz(name: &str, longest: usize, dictionary: Option<&str>, seconds: u64) -> Result<()> {
    let found = format!("target/fuzz-corpus/{name}");
    let seeds = format!("fuzz/corpus/{name}");
    for folder in [&found, &seeds] {
        fs::create_dir_all(root().join(folder)).with_context(|| format!("cannot make {folder}"))?;
    }
    // There is no unsafe code to be watched; without that it is several times as fast.
    let mut arguments: Vec<String> =
        ["run", "nightly", "cargo", "fuzz", "run", "--sanitizer", "none"]
            .map(str::to_owned)
            .to_vec();
    arguments.extend([name.to_owned(), found, seeds, "--".to_owned()]);
    arguments.push(format!("-max_total_time={seconds}"));
    arguments.push(format!("-max_len={longest}"));
    arguments.extend(["-timeout=20", "-len_control=10", "-print_final_stats=1"].map(str::to_owned));
    arguments.extend(dictionary.map(|path| format!("-dict={path}")));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run_program("rustup", &arguments)
}
