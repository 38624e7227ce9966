//! What became of the tests of one run of a suite.

use std::collections::BTreeMap;
use std::fmt;

/// One test's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    /// With what it said.
    Failed(String),
    Skipped,
}

/// The tests of one run by name; the second of the same name has ` #2` behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcomes {
    by_test: BTreeMap<String, Outcome>,
}

impl Outcomes {
    pub(super) fn add(&mut self, test: &str, outcome: Outcome) {
        let mut name = test.to_owned();
        let mut number = 1;
        while self.by_test.contains_key(&name) {
            number += 1;
            name = format!("{test} #{number}");
        }
        self.by_test.insert(name, outcome);
    }

    /// Takes over what passed in a second attempt and not in this one; returns those tests.
    pub(super) fn take_passed(&mut self, again: &Self) -> Vec<String> {
        let passed = again.iter().filter(|(_, outcome)| **outcome == Outcome::Passed);
        let mut taken = Vec::new();
        for (test, _) in passed.filter(|(test, _)| self.get(test) != Some(&Outcome::Passed)) {
            taken.push(test.to_owned());
        }
        self.by_test.extend(taken.iter().map(|test| (test.clone(), Outcome::Passed)));
        // What kept the first attempt from going on did not keep the second.
        self.by_test.retain(|test, _| !test.starts_with('(') || again.get(test).is_some());
        taken
    }

    pub(super) fn get(&self, test: &str) -> Option<&Outcome> {
        self.by_test.get(test)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Outcome)> {
        self.by_test.iter().map(|(test, outcome)| (test.as_str(), outcome))
    }

    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for outcome in self.by_test.values() {
            match outcome {
                Outcome::Passed => tally.passed += 1,
                Outcome::Failed(_) => tally.failed += 1,
                Outcome::Skipped => tally.skipped += 1,
            }
        }
        tally
    }
}

/// How many passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {}", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_attempt_adds_what_passed() {
        let mut first = Outcomes::default();
        first.add("A", Outcome::Passed);
        first.add("B", Outcome::Failed("no".into()));
        first.add("C", Outcome::Failed("no".into()));
        first.add("(the unit goes on)", Outcome::Failed("hangs".into()));
        let mut second = Outcomes::default();
        second.add("B", Outcome::Passed);
        second.add("C", Outcome::Failed("no".into()));
        second.add("D", Outcome::Passed);
        assert_eq!(first.take_passed(&second), ["B", "D"]);
        assert_eq!(first.tally().to_string(), "3 / 1 / 0");
    }

    #[test]
    fn tests_of_the_same_name_are_told_apart() {
        let mut outcomes = Outcomes::default();
        outcomes.add("DEL", Outcome::Passed);
        outcomes.add("DEL", Outcome::Failed("no".into()));
        outcomes.add("DEL", Outcome::Skipped);
        assert_eq!(outcomes.get("DEL #2"), Some(&Outcome::Failed("no".into())));
        assert_eq!(outcomes.tally().to_string(), "1 / 1 / 1");
    }
}
