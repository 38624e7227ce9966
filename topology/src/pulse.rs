//! Does a node answer? Counted as HAProxy counts: `rise` good probes, `fall` failed ones.

use crate::Health;

/// A node's health, and the probes in a row that may change it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    health: Health,
    successes: u32,
    failures: u32,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { health: Health::Unproven, successes: 0, failures: 0 }
    }
}

impl Pulse {
    pub(crate) fn health(&self) -> Health {
        self.health
    }

    pub(crate) fn is_up(&self) -> bool {
        self.health == Health::Up
    }

    /// Did the last probe say the same as the health does?
    pub(crate) fn is_steady(&self) -> bool {
        match self.health {
            Health::Unproven => false,
            Health::Up => self.failures == 0,
            Health::Down => self.successes == 0,
        }
    }

    /// A good probe. The first one ever suffices; a node that was down needs `rise` in a row.
    pub(crate) fn answered(&mut self, rise: u32) {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        if self.health != Health::Down || self.successes >= rise {
            self.health = Health::Up;
            self.successes = 0;
        }
    }

    /// A failed probe. A `proof` counts as `fall` of them.
    pub(crate) fn failed(&mut self, proof: bool, fall: u32) {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        if proof || self.failures >= fall {
            self.health = Health::Down;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RISE: u32 = 2;
    const FALL: u32 = 3;

    /// `+`: a good probe, `-`: a failed one, `!`: a refused connect. What the health is after each.
    fn run(probes: &str) -> String {
        let mut pulse = Pulse::default();
        let step = |probe| {
            match probe {
                '+' => pulse.answered(RISE),
                '-' => pulse.failed(false, FALL),
                _ => pulse.failed(true, FALL),
            }
            match pulse.health() {
                Health::Unproven => '?',
                Health::Up => 'U',
                Health::Down => 'D',
            }
        };
        probes.chars().map(step).collect()
    }

    #[test]
    fn rise_and_fall_are_counted_in_a_row() {
        for (probes, healths) in [
            ("+", "U"),
            ("-+", "?U"),
            ("---", "??D"),
            ("!", "D"),
            ("+--+--+", "UUUUUUU"),
            ("+---", "UUUD"),
            ("+!", "UD"),
            ("!++", "DDU"),
            ("!+-+-++", "DDDDDDU"),
            ("!+!++", "DDDDU"),
            ("!++--+", "DDUUUU"),
        ] {
            assert_eq!(run(probes), healths, "{probes}");
        }
    }

    #[test]
    fn steady_is_what_the_last_probe_confirmed() {
        let mut pulse = Pulse::default();
        assert!(!pulse.is_steady());
        pulse.failed(false, FALL);
        assert!(!pulse.is_steady());
        pulse.answered(RISE);
        assert!(pulse.is_steady());
        pulse.failed(false, FALL);
        assert!(!pulse.is_steady());
        pulse.failed(true, FALL);
        assert!(pulse.is_steady());
        pulse.answered(RISE);
        assert!(!pulse.is_steady());
    }
}
