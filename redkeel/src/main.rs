//! Redkeel: one address in front of a Redis or Valkey primary and its replicas.
//!
//! The table of contents: [`cli`] says what may be typed, and each subcommand has a module of its
//! own. `run` is the story of the process: its configuration is checked ([`source`]), sockets are
//! bound and the planes started ([`run`]), and a signal drains them ([`signals`]).

mod check;
mod cli;
mod descriptors;
mod explain;
mod failure;
mod http;
mod import;
mod logging;
mod output;
mod reload;
mod run;
mod signals;
mod source;
mod status;
mod switchover;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// jemalloc, as Redis itself uses: a proxy runs for months with buffers of all sizes, and what counts is
/// how little stays resident after a burst, which its background thread returns to the system. The hot path
/// does not allocate, so its speed decides nothing. Cost: half a megabyte of binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::of_command_line(&error),
    };
    let outcome = match cli.command {
        Command::Run(args) => failure::catching_panics(|| run::run(&args)),
        Command::Check(args) => check::check(&args),
        Command::Import(args) => import::import(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Status(args) => status::status(&args),
        Command::Switchover(args) => switchover::switchover(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
