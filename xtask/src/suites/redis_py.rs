//! redis-py's own tests, which its source distribution has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::outcome::{Outcome, Outcomes};
use super::scene::Scene;
use super::{Protocol, bounded, folder};
use crate::install;
use crate::step::run_command;

pub(super) const NAME: &str = "redis-py";

/// All of it takes six minutes.
const LIMIT: Duration = Duration::from_secs(30 * 60);
const LIMIT_PER_TEST: &str = "60";
/// Those of clusters, modules, TLS and clouds have no server here.
const MARKED: &str = "not onlycluster and not redismod and not ssl and not cp_integration and not multidb_integration";
/// Tests that need no server, or another kind of one.
const IGNORED: &[&str] = &[
    "tests/maint_notifications",
    "tests/test_asyncio/test_multidb",
    "tests/test_asyncio/test_scenario",
    "tests/test_asyncio/test_sentinel.py",
    "tests/test_auth",
    "tests/test_multidb",
    "tests/test_observability",
    "tests/test_scenario",
    "tests/test_sentinel.py",
];

/// The library, its tests, and what they import.
pub(super) struct RedisPy {
    libraries: PathBuf,
    tests: PathBuf,
}

impl RedisPy {
    /// Installs what is missing below `target/suites`.
    pub(super) fn install() -> Result<Self> {
        install::python()?;
        let requirements = plugin_folder().join("requirements.txt");
        let libraries = folder().join("python");
        install::once(&requirements, &libraries, |folder| {
            let mut pip = install::pip("install");
            pip.arg("--target").arg(folder).arg("--requirement").arg(&requirements);
            run_command(pip)?;
            let pins = fs::read_to_string(&requirements)?;
            let own = pins.lines().find(|line| line.starts_with("redis=="));
            let mut pip = install::pip("download");
            pip.args(["--no-binary", "redis", "--no-deps", "--dest"]).arg(folder);
            pip.arg(own.context("the requirements pin no redis")?);
            run_command(pip)?;
            let archive = fs::read_dir(folder)?
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .find(|path| path.extension().is_some_and(|extension| extension == "gz"))
                .context("redis-py has no source distribution")?;
            let tests = folder.join("source");
            fs::create_dir(&tests)?;
            let mut tar = Command::new("tar");
            tar.arg("-xf").arg(archive).arg("-C").arg(tests).arg("--strip-components=1");
            run_command(tar)
        })?;
        let tests = libraries.join("source");
        Ok(Self { libraries, tests })
    }

    pub(super) fn run(&self, protocol: Protocol, scene: &Scene, log: &Path) -> Result<Outcomes> {
        let (host, port) = scene.host_and_port()?;
        let results = log.with_extension("jsonl");
        let path = std::env::join_paths([&self.libraries, &plugin_folder()])?;
        let mut pytest = Command::new("python3");
        pytest.current_dir(&self.tests).env("PYTHONPATH", path);
        pytest.env("PYTHONDONTWRITEBYTECODE", "1").env("SUITE_OUTCOMES", &results);
        pytest.args(["-m", "pytest", "-q", "-p", "suite_outcomes", "-p", "no:cacheprovider"]);
        pytest.args(["--timeout", LIMIT_PER_TEST, "-m", MARKED]);
        pytest.arg(format!("--redis-url=redis://{host}:{port}/0"));
        pytest.args(["--protocol", &protocol.number().to_string()]);
        for path in IGNORED {
            pytest.args(["--ignore", path]);
        }
        pytest.arg("tests");
        let in_time = bounded::run(pytest, log, LIMIT)?;
        let text = fs::read_to_string(&results)
            .with_context(|| format!("pytest did not begin: see {}", log.display()))?;
        let mut outcomes = parse(&text)?;
        if !in_time {
            let text = format!("pytest was ended after {LIMIT:?}");
            outcomes.add("(the suite ends)", Outcome::Failed(text));
        }
        Ok(outcomes)
    }
}

fn plugin_folder() -> PathBuf {
    crate::root().join("xtask/suites/python")
}

/// What `suite_outcomes.py` writes of each test.
#[derive(Deserialize)]
struct Line {
    test: String,
    outcome: String,
    text: String,
}

fn parse(text: &str) -> Result<Outcomes> {
    let mut outcomes = Outcomes::default();
    for line in text.lines() {
        let line: Line = serde_json::from_str(line)?;
        let outcome = match line.outcome.as_str() {
            "passed" => Outcome::Passed,
            "failed" => Outcome::Failed(line.text),
            _ => Outcome::Skipped,
        };
        outcomes.add(&line.test, outcome);
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_each_test() {
        let outcomes = parse(
            "{\"test\": \"t.py::a\", \"outcome\": \"passed\", \"text\": \"\"}\n\
             {\"test\": \"t.py::b[x]\", \"outcome\": \"failed\", \"text\": \"assert 0\"}\n",
        )
        .unwrap();
        assert_eq!(outcomes.get("t.py::a"), Some(&Outcome::Passed));
        assert_eq!(outcomes.get("t.py::b[x]"), Some(&Outcome::Failed("assert 0".into())));
    }
}
