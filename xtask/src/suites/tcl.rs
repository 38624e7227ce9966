//! Redis' own test suite, unit by unit, in its mode for an external server.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::find_program;

use super::outcome::{Outcome, Outcomes};
use super::scene::Scene;
use super::{Protocol, bounded};

/// The units that have tests for an external server.
pub(super) const UNITS: &[&str] = &[
    "unit/type/string",
    "unit/type/incr",
    "unit/type/list",
    "unit/type/list-2",
    "unit/type/list-3",
    "unit/type/set",
    "unit/type/zset",
    "unit/type/hash",
    "unit/type/stream",
    "unit/type/stream-cgroups",
    "unit/sort",
    "unit/expire",
    "unit/keyspace",
    "unit/scan",
    "unit/multi",
    "unit/bitops",
    "unit/bitfield",
    "unit/geo",
    "unit/hyperloglog",
    "unit/pubsub",
    "unit/scripting",
    "unit/functions",
    "unit/info-command",
    "unit/introspection",
    "unit/introspection-2",
    "unit/tracking",
    "unit/dump",
    "unit/protocol",
    "unit/quit",
    "unit/other",
    "unit/pause",
    "unit/slowlog",
    "unit/latency-monitor",
    "unit/lazyfree",
    "unit/violations",
    "unit/replybufsize",
];

/// The units that `cargo xtask test` runs.
pub(super) const FAST: &[&str] = &["unit/type/string", "unit/multi", "unit/pubsub", "unit/quit"];

/// Without progress for this long, the suite ends itself and says which test it was.
const NO_PROGRESS: Duration = Duration::from_secs(60);
/// A whole unit takes a minute at most.
const LIMIT: Duration = Duration::from_secs(400);
/// The suite's processes listen on one of 32 ports for each other.
const PORTS: u16 = 21_000;
const PORTS_PER_JOB: u16 = 64;

/// One unit, and how it is run.
pub(super) struct Unit<'a> {
    pub(super) name: &'a str,
    pub(super) protocol: Protocol,
    /// Tests that are not run.
    pub(super) skip: Vec<&'a str>,
    /// The folder with the suite's `tests`.
    pub(super) source: &'a Path,
    /// Told from others that run at the same time.
    pub(super) job: u16,
}

impl Unit<'_> {
    pub(super) fn run(&self, scene: &Scene, log: &Path) -> Result<Outcomes> {
        let folder = testkit::Folder::new("tcl");
        // The suite calls these by their place in a tree where Redis was built.
        std::fs::create_dir(folder.path().join("src"))?;
        for program in ["redis-server", "redis-cli", "redis-benchmark"] {
            let found = find_program(program).with_context(|| format!("no {program}"))?;
            symlink(found, folder.path().join("src").join(program))?;
        }
        symlink(self.source.join("tests"), folder.path().join("tests"))?;
        let (host, port) = scene.host_and_port()?;
        let base = PORTS + self.job * PORTS_PER_JOB + 32;
        let mut tclsh = Command::new("tclsh");
        tclsh.current_dir(folder.path()).arg("tests/test_helper.tcl");
        tclsh.args(["--host", &host, "--port", &port.to_string()]);
        tclsh.args(["--single", self.name, "--tags", "-slow", "--durable", "--dont-clean"]);
        tclsh.args(["--baseport", &base.to_string()]);
        tclsh.args(["--timeout", &NO_PROGRESS.as_secs().to_string()]);
        for test in &self.skip {
            tclsh.args(["--skiptest", test]);
        }
        // The suite colours what it prints on terminals that can.
        tclsh.env("TERM", "dumb").env("SUITE_SHIM", shim());
        tclsh.env("SUITE_NODE", scene.primary());
        tclsh.env("SUITE_RESP", self.protocol.number().to_string());
        let in_time = bounded::run(tclsh, log, LIMIT)?;
        let text = std::fs::read(log)?;
        let mut outcomes = parse(&String::from_utf8_lossy(&text));
        if !in_time {
            let text = format!("the unit was ended after {LIMIT:?}");
            outcomes.add("(the unit ends)", Outcome::Failed(text));
        }
        Ok(outcomes)
    }
}

fn shim() -> PathBuf {
    crate::root().join("xtask/suites/tcl/shim.tcl")
}

/// Reads what the suite prints: `[ok]: NAME (12 ms)`, `[err]: NAME in tests/FILE` with an explanation in the lines
/// that follow, `[ignore]: NAME: REASON`.
fn parse(text: &str) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((status, said)) = line.strip_prefix('[').and_then(|line| line.split_once("]: "))
        else {
            continue;
        };
        let mut rest = || {
            let mut rest = String::new();
            while let Some(line) = lines.next_if(|line| !is_heading(line)) {
                rest.push_str(line);
                rest.push('\n');
            }
            rest
        };
        match status {
            "ok" => outcomes.add(without_time(said), Outcome::Passed),
            "skip" => outcomes.add(said, Outcome::Skipped),
            "ignore" => {
                let name = said.split_once(": Tag: ").or_else(|| said.rsplit_once(": "));
                outcomes.add(name.map_or(said, |(name, _)| name), Outcome::Skipped);
            }
            "err" => {
                let name = said.rsplit_once(" in tests/").map_or(said, |(name, _)| name);
                outcomes.add(name, Outcome::Failed(rest()));
            }
            "TIMEOUT" => {
                let text = rest();
                outcomes.add("(the unit goes on)", Outcome::Failed(format!("{said}\n{text}")));
            }
            "exception" => {
                let text = rest();
                outcomes.add("(the unit ends)", Outcome::Failed(format!("{said}\n{text}")));
            }
            _ => {}
        }
    }
    outcomes
}

/// Does a line end the explanation of the failure before it?
fn is_heading(line: &str) -> bool {
    let status = line.strip_prefix('[').and_then(|line| line.split_once(']'));
    status.is_some_and(|(_, rest)| rest.starts_with(": ")) || line.trim() == "The End"
}

fn without_time(said: &str) -> &str {
    let cut = said.strip_suffix(" ms)").and_then(|said| said.rsplit_once(" ("));
    cut.map_or(said, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_suite_prints() {
        let outcomes = parse(
            "Starting test server at port 21111\n[ready]: 123\nTesting unit/x\n[ok]: SET (a) (3 ms)\n\
             [err]: GET [x] in tests/unit/x.tcl\nExpected '1' (context: y)\nmore\n\
             [ignore]: SLOW: Tag: slow denied\n[skip]: LEFT\n[ok]: SET (a) (0 ms)\n\
             [TIMEOUT]: clients state report follows.\nsock1 => (IN PROGRESS) BLPOP\n\n                   The End\n\
             \n*** [err]: GET in tests/unit/x.tcl\n",
        );
        assert_eq!(outcomes.get("SET (a)"), Some(&Outcome::Passed));
        assert_eq!(outcomes.get("SET (a) #2"), Some(&Outcome::Passed));
        let failed = Outcome::Failed("Expected '1' (context: y)\nmore\n".into());
        assert_eq!(outcomes.get("GET [x]"), Some(&failed));
        assert_eq!(outcomes.get("SLOW"), Some(&Outcome::Skipped));
        assert_eq!(outcomes.get("LEFT"), Some(&Outcome::Skipped));
        let hung = outcomes.get("(the unit goes on)");
        assert!(matches!(hung, Some(Outcome::Failed(text)) if text.contains("BLPOP")));
        assert_eq!(outcomes.iter().count(), 6);
    }
}
