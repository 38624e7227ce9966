//! `cargo xtask bench`: measurements, as ratios of what ran in turns on the same machine.

mod benchmark_tool;
mod bounds;
mod contestant;
mod idle;
pub(crate) mod instructions;
mod load;
mod report;
mod single;

use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::build;
use crate::install::{self, HAPROXY, REDIS_BENCHMARK, REDIS_SERVER, TWEMPROXY};
use crate::step::step;
use contestant::Contestant;
use load::{LOADS, Load};

#[derive(Subcommand)]
pub(crate) enum Benchmark {
    /// Compares Redkeel with no proxy, HAProxy, twemproxy and, where it is installed, Envoy.
    ///
    /// Each proxy has one thread, bound to CPU 1, before one redis-server; redis-server and the
    /// load share CPU 0. Rounds take turns over the contestants; medians are printed, then the
    /// ratios that Redkeel promises: of those of the rounds the median.
    Compare(Options),
    /// Counts the instructions that a command costs the core; fails where a budget is exceeded.
    Instructions,
}

/// What is compared, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// How often each contestant has its turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a turn takes, about.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only the loads whose name has this in it; may be repeated. `idle` is the idle memory.
    #[arg(long, value_name = "NAME")]
    load: Vec<String>,
    /// Writes all measurements to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Exit with 1 where a bound is missed.
    #[arg(long)]
    assert: bool,
    /// Use this binary instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// All that was measured.
#[derive(Serialize)]
struct Measurements {
    loads: Vec<LoadResult>,
    idle: Vec<idle::IdleMemory>,
}

/// One load, by contestant.
#[derive(Serialize)]
struct LoadResult {
    load: &'static str,
    contestants: Vec<ContestantResult>,
}

/// What one contestant did with a load.
#[derive(Serialize)]
struct ContestantResult {
    contestant: &'static str,
    median: load::Turn,
    turns: Vec<load::Turn>,
}

pub(crate) fn run(benchmark: &Benchmark) -> Result<ExitCode> {
    match benchmark {
        Benchmark::Compare(options) => run_comparison(options),
        Benchmark::Instructions => instructions::run().map(|()| ExitCode::SUCCESS),
    }
}

fn run_comparison(options: &Options) -> Result<ExitCode> {
    let contestants = step("preparation", || prepare(options))?;
    let wanted = |name: &str| {
        options.load.is_empty() || options.load.iter().any(|part| name.contains(part.as_str()))
    };
    ensure!(
        LOADS.iter().map(|load| load.name).chain([idle::NAME]).any(wanted),
        "no such load; there are {}, {}",
        LOADS.map(|load| load.name).join(", "),
        idle::NAME
    );
    let mut measurements = Measurements { loads: Vec::new(), idle: Vec::new() };
    for load in LOADS.iter().filter(|load| wanted(load.name)) {
        let result = compare(load, &contestants, options)?;
        print!("{}", report::table(load, &result));
        measurements.loads.push(result);
    }
    if wanted(idle::NAME) {
        measurements.idle = idle::measure(&contestants)?;
        print!("{}", report::idle_table(&measurements.idle));
    }
    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_string_pretty(&measurements)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let bounds = bounds::check(&measurements);
    if !bounds.is_empty() {
        print!("{}", report::bounds_table(&bounds));
    }
    let missed = bounds.iter().any(|bound| !bound.is_met());
    Ok(if options.assert && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn prepare(options: &Options) -> Result<Vec<Contestant>> {
    ensure!(cfg!(target_os = "linux"), "this needs Linux: it binds processes to CPUs");
    let cpus = std::thread::available_parallelism()?.get();
    ensure!(cpus >= 2, "this needs two CPUs: one for the proxy, one for Redis and the load");
    install::programs(&[REDIS_SERVER, REDIS_BENCHMARK, HAPROXY, TWEMPROXY])?;
    let binary = options.binary.clone().map_or_else(build::release, Ok)?;
    Ok(contestant::all(binary))
}

fn compare(load: &Load, contestants: &[Contestant], options: &Options) -> Result<LoadResult> {
    let contestants: Vec<&Contestant> =
        contestants.iter().filter(|contestant| load.suits(contestant)).collect();
    let redis = load.start_redis();
    let mut turns: Vec<Vec<load::Turn>> = contestants.iter().map(|_| Vec::new()).collect();
    for round in 0..options.rounds {
        if io::stderr().is_terminal() {
            eprint!("\r{}: round {} of {} \r", load.name, round + 1, options.rounds);
        }
        for (contestant, turns) in contestants.iter().zip(&mut turns) {
            let turn = load
                .turn(contestant, &redis, options.seconds)
                .with_context(|| format!("{} with {}", load.name, contestant.name()))?;
            turns.push(turn);
        }
    }
    let results = contestants.iter().zip(turns).map(|(contestant, turns)| ContestantResult {
        contestant: contestant.name(),
        median: load::Turn::median(&turns),
        turns,
    });
    Ok(LoadResult { load: load.name, contestants: results.collect() })
}
