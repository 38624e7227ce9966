//! What passes directly must pass through Redkeel, unless it is known to differ; and what is known to differ must.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::differences::Differences;
use super::outcome::{Outcome, Outcomes, Tally};
use super::scene::{Nodes, Route};
use super::{Protocol, Run};

/// How much of what a failed test said is shown; the rest is in its log.
const LINES: usize = 4;

/// One suite in one protocol before the same nodes, directly and through Redkeel.
pub(super) struct Case {
    pub(super) suite: &'static str,
    pub(super) protocol: Protocol,
    pub(super) nodes: Nodes,
    pub(super) direct: Outcomes,
    pub(super) through: Outcomes,
}

/// What a comparison found.
#[derive(Default)]
pub(super) struct Verdict {
    /// A line for each case, in Markdown.
    pub(super) table: String,
    /// What passes directly, fails through Redkeel and is not known to.
    pub(super) worse: Vec<String>,
    /// What is said to differ and does not, or is no test at all.
    pub(super) stale: Vec<String>,
}

impl Verdict {
    pub(super) fn of(cases: &[Case], differences: &Differences) -> Self {
        let mut verdict = Self::default();
        verdict.table.push_str(
            "| suite | protocol | nodes | direct: passed / failed / skipped | through Redkeel | known to differ |\n\
             | --- | --- | --- | --- | --- | --- |\n",
        );
        let mut totals: BTreeMap<(Protocol, Nodes), (Tally, Tally, usize)> = BTreeMap::new();
        let mut differing = BTreeSet::new();
        for case in cases {
            let (worse, known) = case.worse(differences);
            verdict.worse.extend(worse);
            let (direct, through) = (case.direct.tally(), case.through.tally());
            verdict.line(case.suite, case.protocol, case.nodes, direct, through, known.len());
            if case.suite.starts_with("unit/") {
                let total = totals.entry((case.protocol, case.nodes)).or_default();
                total.0 += direct;
                total.1 += through;
                total.2 += known.len();
            }
            differing.extend(known.into_iter().map(|test| (case.suite, test)));
        }
        for ((protocol, nodes), (direct, through, known)) in totals {
            verdict.line("all units", protocol, nodes, direct, through, known);
        }
        let suites: BTreeSet<&str> = cases.iter().map(|case| case.suite).collect();
        for suite in suites {
            let tests = differences.of(suite).flat_map(|difference| &difference.tests);
            for test in tests.filter(|test| !differing.contains(&(suite, (*test).clone()))) {
                verdict.stale.push(format!("{suite}: {test}"));
            }
        }
        verdict
    }

    fn line(
        &mut self,
        suite: &str,
        protocol: Protocol,
        nodes: Nodes,
        direct: Tally,
        through: Tally,
        known: usize,
    ) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            self.table,
            "| {suite} | {protocol} | {nodes} | {direct} | {through} | {known} |"
        );
    }
}

impl Case {
    /// The same through Redkeel, once more.
    pub(super) fn again(&self) -> Run {
        let Self { suite, protocol, nodes, .. } = *self;
        Run { suite, protocol, nodes, route: Route::Through, attempt: 2 }
    }

    /// What is worse through Redkeel, and the tests that differ as they are known to.
    pub(super) fn worse(&self, differences: &Differences) -> (Vec<String>, Vec<String>) {
        let Self { suite, protocol, nodes, direct, through } = self;
        let mut worse = Vec::new();
        let mut known: Vec<String> =
            differences.skipped(suite).into_iter().map(str::to_owned).collect();
        known.retain(|test| direct.get(test) == Some(&Outcome::Skipped));
        let mut not_reached = 0;
        let mut differs = |test: &str, why: &str| {
            if differences.reason(suite, test).is_some() {
                known.push(test.to_owned());
            } else {
                let why: Vec<&str> = why.lines().take(LINES).collect();
                let why = why.join("\n    ");
                worse.push(format!("{suite}, {protocol}, {nodes}: {test}\n    {why}"));
            }
        };
        for (test, _) in direct.iter().filter(|(_, outcome)| **outcome == Outcome::Passed) {
            match through.get(test) {
                Some(Outcome::Passed) => {}
                Some(Outcome::Failed(why)) => differs(test, why),
                Some(Outcome::Skipped) => differs(test, "was skipped"),
                None => not_reached += 1,
            }
        }
        for (test, outcome) in through.iter().filter(|(test, _)| direct.get(test).is_none()) {
            if let Outcome::Failed(why) = outcome {
                differs(test, why);
            }
        }
        if not_reached > 0 {
            let text =
                format!("{suite}, {protocol}, {nodes}: {not_reached} tests were not reached");
            worse.push(text);
        }
        (worse, known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(tests: &[(&str, Outcome)]) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for (test, outcome) in tests {
            outcomes.add(test, outcome.clone());
        }
        outcomes
    }

    fn verdict(direct: &[(&str, Outcome)], through: &[(&str, Outcome)], known: &str) -> Verdict {
        let case = Case {
            suite: "unit/x",
            protocol: Protocol::Resp2,
            nodes: Nodes::One,
            direct: outcomes(direct),
            through: outcomes(through),
        };
        let text = format!(
            "[[difference]]\nsuite = \"unit/x\"\ntests = [\"{known}\"]\nreason = \"a reason\"\n"
        );
        Verdict::of(&[case], &Differences::parse(&text).unwrap())
    }

    const PASSED: Outcome = Outcome::Passed;

    fn failed() -> Outcome {
        Outcome::Failed("no".into())
    }

    #[test]
    fn what_passes_directly_must_pass_through() {
        let direct = [("A", PASSED), ("B", PASSED), ("C", failed()), ("D", PASSED), ("E", PASSED)];
        let through = [("A", PASSED), ("B", failed()), ("C", failed()), ("E", failed())];
        let verdict = verdict(&direct, &through, "E");
        let case = "unit/x, RESP2, one node, split:";
        let not_reached = format!("{case} 1 tests were not reached");
        assert_eq!(verdict.worse, [format!("{case} B\n    no"), not_reached]);
        assert!(verdict.stale.is_empty());
        assert!(
            verdict
                .table
                .contains("| unit/x | RESP2 | one node, split | 4 / 1 / 0 | 1 / 3 / 0 | 1 |")
        );
    }

    #[test]
    fn a_unit_that_ends_early_only_through_redkeel_is_worse() {
        let verdict = verdict(&[("A", PASSED)], &[("A", PASSED), ("(ends)", failed())], "(ends)");
        assert!(verdict.worse.is_empty() && verdict.stale.is_empty());
    }

    #[test]
    fn what_no_longer_differs_is_stale() {
        let verdict = verdict(&[("A", PASSED)], &[("A", PASSED)], "A");
        assert_eq!(verdict.stale, ["unit/x: A"]);
    }
}
