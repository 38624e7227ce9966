//! `cargo xtask bench instructions`: what a command costs the core, in instructions. They are the same on a busy machine
//! as on a quiet one, so this is what guards the speed.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::install::{self, VALGRIND};
use crate::root;
use crate::step::step;

/// Turns of the shorter and of the longer run; what both do at their start cancels out.
const TURNS: [u64; 2] = [500, 1500];
/// Clients of `engine/examples/turns.rs`, each of which sends its pipeline in every turn.
const CLIENTS: u64 = 50;

/// A scenario of `engine/examples/turns.rs` and what one command of it may cost.
struct Budget {
    scenario: &'static str,
    pipeline: u64,
    /// What was measured with Rust 1.95, and a tenth: another compiler gives another number.
    instructions: u64,
}

const BUDGETS: [Budget; 3] = [
    Budget { scenario: "get", pipeline: 1, instructions: 2_750 },
    Budget { scenario: "get-pipeline-16", pipeline: 16, instructions: 1_500 },
    Budget { scenario: "set", pipeline: 1, instructions: 2_750 },
];

/// Counts, prints, and fails where a budget is exceeded.
pub(crate) fn run() -> Result<()> {
    step("preparation", || {
        install::programs(&[VALGRIND])?;
        build()
    })?;
    let mut exceeded = Vec::new();
    println!("{:<18} {:>22} {:>8}", "scenario", "instructions/command", "budget");
    for budget in &BUDGETS {
        let [short, long] = TURNS.map(|turns| count(budget.scenario, turns));
        let commands = (TURNS[1] - TURNS[0]) * CLIENTS * budget.pipeline;
        let each = (long? - short?) / commands;
        let verdict = if each <= budget.instructions { "ok" } else { "EXCEEDED" };
        if each > budget.instructions {
            exceeded.push(budget.scenario);
        }
        println!("{:<18} {each:>22} {:>8} {verdict}", budget.scenario, budget.instructions);
    }
    ensure!(exceeded.is_empty(), "a command costs more than its budget: {}", exceeded.join(", "));
    Ok(())
}

fn build() -> Result<()> {
    let arguments = ["build", "--locked", "--release", "--package", "engine", "--example", "turns"];
    crate::step::run("cargo", &arguments)
}

/// The instructions of one whole run.
fn count(scenario: &str, turns: u64) -> Result<u64> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(target.join("release/examples/turns"))
        .args([scenario, &turns.to_string()])
        .output()
        .context("cannot start valgrind")?;
    ensure!(output.status.success(), "`turns {scenario} {turns}` failed under valgrind");
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.context("valgrind printed no count")?;
    count.trim().parse().with_context(|| format!("valgrind counted `{count}`"))
}
