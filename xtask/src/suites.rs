//! `cargo xtask suites`: other people's tests of Redis, directly and through Redkeel, as judges of the difference.

mod bounded;
mod differences;
mod outcome;
mod redis_py;
mod scene;
mod source;
mod tcl;
mod verdict;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};

use crate::build;
use crate::install::{self, REDIS_BENCHMARK, REDIS_CLI, REDIS_SERVER, TCLSH};
use crate::step::step;
use differences::Differences;
use outcome::Outcomes;
use redis_py::RedisPy;
use scene::{Nodes, Route, Scene};
use verdict::{Case, Verdict};

/// A unit that hung has many tests that pass when it is repeated.
const REPEATED_SHOWN: usize = 5;

/// Which suites are run, and how.
#[derive(Args)]
pub(crate) struct Options {
    /// Only the suites whose name has this in it, such as `unit/type` or `redis-py`; may be repeated.
    #[arg(long, value_name = "NAME")]
    suite: Vec<String>,
    /// Only this protocol.
    #[arg(long)]
    protocol: Option<Protocol>,
    /// Only before these nodes.
    #[arg(long)]
    nodes: Option<NodesArgument>,
    /// Use this binary instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// How many runs at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    jobs: u16,
}

/// The protocol that a suite's clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Protocol {
    /// RESP2.
    #[value(name = "2")]
    Resp2,
    /// RESP3.
    #[value(name = "3")]
    Resp3,
}

impl Protocol {
    fn number(self) -> u8 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RESP{}", self.number())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NodesArgument {
    /// One node behind a `split` listener.
    One,
    /// A primary and two replicas behind a `write` listener.
    Three,
}

/// One suite, once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    suite: &'static str,
    protocol: Protocol,
    nodes: Nodes,
    route: Route,
    /// From 1.
    attempt: u8,
}

/// What the runs need.
struct Stage {
    binary: PathBuf,
    redis_tests: PathBuf,
    redis_py: Option<RedisPy>,
    differences: Differences,
}

/// Below `target`: what was fetched, and what the suites printed.
fn folder() -> PathBuf {
    crate::root().join("target/suites")
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let nodes: &[Nodes] = match options.nodes {
        None => &[Nodes::One, Nodes::Three],
        Some(NodesArgument::One) => &[Nodes::One],
        Some(NodesArgument::Three) => &[Nodes::Three],
    };
    let protocols: &[Protocol] = match options.protocol {
        None => &[Protocol::Resp2, Protocol::Resp3],
        Some(Protocol::Resp2) => &[Protocol::Resp2],
        Some(Protocol::Resp3) => &[Protocol::Resp3],
    };
    let wanted = |suite: &&&str| {
        options.suite.is_empty() || options.suite.iter().any(|part| suite.contains(part.as_str()))
    };
    // The longest first.
    let suites: Vec<&'static str> =
        [redis_py::NAME].iter().chain(tcl::UNITS).filter(wanted).copied().collect();
    ensure!(
        !suites.is_empty(),
        "no such suite; there are {}, {}",
        redis_py::NAME,
        tcl::UNITS.join(", ")
    );
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => step("build", build::release)?,
    };
    judge(&suites, protocols, nodes, binary, options.jobs)
}

/// The small part that belongs to `cargo xtask test`.
pub(crate) fn fast() -> Result<()> {
    let passed = judge(tcl::FAST, &[Protocol::Resp2], &[Nodes::One], build::debug()?, 2)?;
    ensure!(passed == ExitCode::SUCCESS, "Redis' own tests find a difference");
    Ok(())
}

fn judge(
    suites: &[&'static str],
    protocols: &[Protocol],
    nodes: &[Nodes],
    binary: PathBuf,
    jobs: u16,
) -> Result<ExitCode> {
    let differences = Differences::read()?;
    install::programs(&[REDIS_SERVER, REDIS_CLI, REDIS_BENCHMARK, TCLSH])?;
    let redis_py = suites.contains(&redis_py::NAME).then(RedisPy::install).transpose()?;
    let redis_tests = source::redis_tests()?;
    let stage = Stage { binary, redis_tests, redis_py, differences };
    let mut runs = Vec::new();
    for &suite in suites {
        for &protocol in protocols {
            for &nodes in nodes {
                let run = |route| Run { suite, protocol, nodes, route, attempt: 1 };
                runs.extend([run(Route::Direct), run(Route::Through)]);
            }
        }
    }
    let start = Instant::now();
    let outcomes = run_all(&runs, &stage, jobs)?;
    let mut cases = cases(&runs, outcomes);
    let repeated = repeat_worse(&mut cases, &stage, jobs)?;
    let verdict = Verdict::of(&cases, &stage.differences);
    println!("\n{}", verdict.table);
    for test in &repeated {
        println!("passes through Redkeel at the second attempt: {test}");
    }
    for worse in &verdict.worse {
        println!("passes directly, not through Redkeel: {worse}");
    }
    for stale in &verdict.stale {
        println!("said to differ in xtask/suites/differences.toml, and does not: {stale}");
    }
    println!(
        "{} runs in {:.0} s; what they printed is in {}",
        runs.len(),
        start.elapsed().as_secs_f64(),
        folder().join("logs").display()
    );
    let passed = verdict.worse.is_empty() && verdict.stale.is_empty();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_all(runs: &[Run], stage: &Stage, jobs: u16) -> Result<BTreeMap<Run, Outcomes>> {
    let logs = folder().join("logs");
    fs::create_dir_all(&logs).with_context(|| format!("creating {}", logs.display()))?;
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    let (next, done, logs) = (&next, &done, &logs);
    let work = |job: u16| {
        while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = Instant::now();
            let outcomes = run_one(run, stage, job, logs);
            let took = start.elapsed().as_secs_f64();
            let Run { suite, protocol, nodes, route, attempt: _ } = run;
            let said = outcomes
                .as_ref()
                .map_or_else(|error| format!("{error:#}"), |outcomes| outcomes.tally().to_string());
            println!("    {suite}, {protocol}, {nodes}, {route}: {said} ({took:.0} s)");
            done.lock()
                .map_err(|_| anyhow!("another run panicked"))?
                .insert(run.clone(), outcomes?);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|job| scope.spawn(move || work(job))).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(anyhow!("a run panicked"))))
    })?;
    let mut done = done.lock().map_err(|_| anyhow!("a run panicked"))?;
    Ok(std::mem::take(&mut *done))
}

fn run_one(run: &Run, stage: &Stage, job: u16, logs: &Path) -> Result<Outcomes> {
    let scene = Scene::start(run.nodes, run.route, &stage.binary);
    let Run { suite, protocol, .. } = *run;
    let nodes = if run.nodes == Nodes::One { "one" } else { "three" };
    let attempt = if run.attempt > 1 { "-again" } else { "" };
    let suite_name = suite.replace('/', "-");
    let name = format!("{suite_name}-{protocol}-{nodes}-{}{attempt}.txt", run.route);
    let log = logs.join(name);
    let outcomes = match &stage.redis_py {
        Some(redis_py) if suite == redis_py::NAME => redis_py.run(protocol, &scene, &log)?,
        _ => {
            let skip = stage.differences.skipped(suite);
            let unit = tcl::Unit { name: suite, protocol, skip, source: &stage.redis_tests, job };
            unit.run(&scene, &log)?
        }
    };
    scene.stop()?;
    Ok(outcomes)
}

/// Some tests rely on the order in which a server hears its clients, or on time, and fail now and then with a bare server
/// as well: what is worse through Redkeel is run once more. Returns the tests that passed then.
fn repeat_worse(cases: &mut [Case], stage: &Stage, jobs: u16) -> Result<Vec<String>> {
    let worse = |case: &Case| !case.worse(&stage.differences).0.is_empty();
    let runs: Vec<Run> = cases.iter().filter(|case| worse(case)).map(Case::again).collect();
    let mut outcomes = run_all(&runs, stage, jobs)?;
    let mut passed = Vec::new();
    for case in cases {
        if let Some(again) = outcomes.remove(&case.again()) {
            let Case { suite, protocol, nodes, .. } = case;
            let found = case.through.take_passed(&again);
            let shown = found.iter().take(REPEATED_SHOWN);
            passed.extend(shown.map(|test| format!("{suite}, {protocol}, {nodes}: {test}")));
            if found.len() > REPEATED_SHOWN {
                let more = found.len() - REPEATED_SHOWN;
                passed.push(format!("{suite}, {protocol}, {nodes}: {more} more"));
            }
        }
    }
    Ok(passed)
}

fn cases(runs: &[Run], mut outcomes: BTreeMap<Run, Outcomes>) -> Vec<Case> {
    let through = runs.iter().filter(|run| run.route == Route::Through);
    through
        .filter_map(|run| {
            Some(Case {
                suite: run.suite,
                protocol: run.protocol,
                nodes: run.nodes,
                direct: outcomes.remove(&Run { route: Route::Direct, ..run.clone() })?,
                through: outcomes.remove(run)?,
            })
        })
        .collect()
}
