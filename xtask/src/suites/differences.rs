//! The tests that pass with a server and not through a proxy: each with the reason, in `xtask/suites/differences.toml`.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Differences {
    #[serde(default, rename = "difference")]
    all: Vec<Difference>,
}

/// Tests of one suite that differ for one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Difference {
    /// A unit of the Tcl suite, or `redis-py`.
    pub(super) suite: String,
    pub(super) tests: Vec<String>,
    pub(super) reason: String,
    /// Not run at all: the nodes would be left in a state that fails the tests after it.
    #[serde(default)]
    pub(super) skip: bool,
}

impl Differences {
    pub(super) fn read() -> Result<Self> {
        let path = crate::root().join("xtask/suites/differences.toml");
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let differences: Self = toml::from_str(text)?;
        for difference in &differences.all {
            let says = !difference.tests.is_empty() && !difference.reason.trim().is_empty();
            anyhow::ensure!(says, "a difference of {} has no test or no reason", difference.suite);
        }
        Ok(differences)
    }

    /// Those of one suite.
    pub(super) fn of(&self, suite: &str) -> impl Iterator<Item = &Difference> {
        self.all.iter().filter(move |difference| difference.suite == suite)
    }

    /// Why `test` is known to differ, if it is.
    pub(super) fn reason(&self, suite: &str, test: &str) -> Option<&str> {
        let difference = self.of(suite).find(|own| own.tests.iter().any(|own| own == test))?;
        Some(&difference.reason)
    }

    /// The tests of `suite` that are not run.
    pub(super) fn skipped(&self, suite: &str) -> Vec<&str> {
        let skipped = self.of(suite).filter(|difference| difference.skip);
        skipped.flat_map(|difference| difference.tests.iter().map(String::as_str)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_well_formed() {
        Differences::read().unwrap();
    }

    #[test]
    fn a_difference_needs_a_reason() {
        let error = Differences::parse(
            "[[difference]]\nsuite = \"unit/x\"\ntests = [\"A\"]\nreason = \" \"\n",
        );
        assert!(error.unwrap_err().to_string().contains("unit/x"));
        assert!(Differences::parse("[[difference]]\nsuite = \"unit/x\"\n").is_err());
    }
}
