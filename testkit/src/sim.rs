//! The core in a simulated world: real engines and the real reducers of the control plane, among simulated clients,
//! links, servers and faults, in simulated time. One seed decides everything, so a failure can be repeated.
//!
//! What it asserts:
//!
//! - each request gets one reply, in order, that belongs to it; an error only where a fault explains it (`judge`);
//! - no command leaves for a node whose role, in the Snapshot in force, does not fit, and none that may write for a primary
//!   whose writes are held and answered (`tap`);
//! - an acknowledged write ran once, in its client's order, in its database, at a primary; one with an unknown outcome
//!   at most once; any other not at all (`ledger`);
//! - when everything is whole again, everybody is answered in time, and at the end nothing is left (`world`);
//! - after every turn the engine agrees with itself, and keeps its limits (`Engine::check`).
//!
//! To repeat a run: `REDKEEL_SEED=17 cargo nextest run -p engine --test simulation`; `REDKEEL_SEEDS=5000` tries more.

mod agenda;
pub(crate) mod ask;
mod client;
mod cluster;
mod control;
mod execute;
mod fault;
mod journal;
mod judge;
mod ledger;
pub(crate) mod net;
mod plan;
mod script;
pub(crate) mod server;
mod store;
pub(crate) mod tap;
pub(crate) mod wire;
mod worker;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use plan::Weather;

use journal::Journal;
use world::World;

/// What a run was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Events of the simulated world.
    pub events: u64,
    /// Requests of its clients.
    pub requests: u64,
    /// Errors that they got, and that a fault explains.
    pub errors: u64,
}

/// Runs the seeds of one test: `seeds`, unless the environment says otherwise.
///
/// # Panics
///
/// Where a promise is broken; the message has the seed and the last events.
pub fn run_all(weather: Weather, seeds: Range<u64>) -> Summary {
    let seeds = match (number("REDKEEL_SEED"), number("REDKEEL_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => seeds.start..seeds.start + count,
        (None, None) => seeds,
    };
    let mut sum = Summary::default();
    for seed in seeds {
        let summary = run(weather, seed);
        sum.events += summary.events;
        sum.requests += summary.requests;
        sum.errors += summary.errors;
    }
    sum
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs one seed; if it fails, runs it again and says what happened last.
fn run(weather: Weather, seed: u64) -> Summary {
    let failed = match catch_unwind(|| once(weather, seed, Journal::default())) {
        Ok(summary) => return summary,
        Err(failed) => failed,
    };
    let why = failed
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| failed.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text");
    let journal = Journal::keeping();
    let again = catch_unwind(AssertUnwindSafe(|| once(weather, seed, journal.clone())));
    let repeated = if again.is_err() { "" } else { " (but not when it was repeated)" };
    panic!(
        "seed {seed} in the weather {weather:?} failed{repeated}: {why}\n\nthe last events:\n{}\nto repeat it: \
         REDKEEL_SEED={seed} cargo nextest run -p engine --test simulation {}",
        journal.lines(),
        format!("{weather:?}").to_lowercase(),
    );
}

fn once(weather: Weather, seed: u64, journal: Journal) -> Summary {
    let mut world = World::new(seed, weather, journal);
    world.run();
    Summary {
        events: world.agenda.count(),
        requests: world.ledger.len() as u64,
        errors: world.errors,
    }
}
