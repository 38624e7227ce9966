//! `cargo xtask TASK`: everything that is done to this repository besides `cargo build`.
#![expect(
    clippy::disallowed_methods,
    reason = "a tool for people: it measures and prints real time"
)]

mod bench;
mod build;
mod commands;
mod demo;
mod fuzz;
mod install;
mod step;
mod suites;
mod test;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Redkeel's tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what is missing and runs all that CI runs.
    Test,
    /// Plays failures of real servers before a running Redkeel, and counts what its clients see.
    ///
    /// A primary, two replicas and three Sentinels under a load of reads and writes: a replica is
    /// killed and revived, the primary is killed, Sentinel promotes a replica. Then again, until
    /// Enter is pressed.
    Demo(demo::Options),
    /// Measures: `bench compare` against no proxy, HAProxy, twemproxy and Envoy.
    #[command(subcommand)]
    Bench(bench::Benchmark),
    /// Runs Redis' own tests and redis-py's, directly and through Redkeel, and compares.
    ///
    /// Prints what passed, failed and was skipped; exits with 1 where a test passes directly and not through Redkeel
    /// without being named in `xtask/suites/differences.toml`, or is named there and passes.
    Suites(suites::Options),
    /// Runs the fuzzers, one after the other, each from its corpus in `fuzz/corpus`.
    ///
    /// Installs what is missing: a nightly compiler, cargo-fuzz. What is found stands in `fuzz/artifacts`; new inputs are
    /// kept in `target/fuzz-corpus`.
    Fuzz(fuzz::Options),
    /// Writes the table of Redis commands from what the installed redis-server says.
    Commands {
        /// Write nothing; fail if the table would change.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test => test::run(),
        Task::Demo(options) => demo::run(&options),
        Task::Bench(benchmark) => bench::run(&benchmark),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Suites(options) => suites::run(&options),
        Task::Commands { check } => commands::generate(check).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The workspace's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
