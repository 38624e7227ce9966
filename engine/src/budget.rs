//! How many reads may be sent a third time or more: repeats must not become most of what failing nodes get.

use std::time::Duration;

use topology::Time;

/// Per command sent, in hundredths of a repeat: a fifth of the traffic may be repeats, as Linkerd has it.
const PER_COMMAND: u64 = 20;
/// Per second, whatever the traffic.
const PER_SECOND: u64 = 10 * ONE;
/// What one repeat costs.
const ONE: u64 = 100;
/// What may be saved up.
const MOST: u64 = 10_000 * ONE;

/// One pool's budget in one worker. A command's first repeat is free: only that hides the loss of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    saved: u64,
    at: Time,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { saved: PER_SECOND, at: Time::ZERO }
    }

    /// So many commands were sent.
    pub(crate) fn earn(&mut self, commands: u32) {
        self.saved = (self.saved + u64::from(commands) * PER_COMMAND).min(MOST);
    }

    /// May one more be repeated?
    pub(crate) fn spend(&mut self, now: Time) -> bool {
        let passed = now.since(self.at).min(Duration::from_secs(60));
        let earned = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX) * PER_SECOND / 1000;
        self.saved = (self.saved + earned).min(MOST);
        self.at = now;
        let enough = self.saved >= ONE;
        if enough {
            self.saved -= ONE;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_traffic_and_ten_a_second_may_be_repeats() {
        let mut budget = Budget::new();
        let spent = |budget: &mut Budget, at| (0..1000).filter(|_| budget.spend(at)).count();
        assert_eq!(spent(&mut budget, Time::ZERO), 10);
        budget.earn(500);
        assert_eq!(spent(&mut budget, Time::ZERO), 100);
        assert_eq!(spent(&mut budget, Time::from_millis(2000)), 20);
        assert_eq!(spent(&mut budget, Time::from_millis(2000)), 0);
    }

    #[test]
    fn no_more_than_ten_thousand_are_saved_up() {
        let mut budget = Budget::new();
        budget.earn(u32::MAX);
        let spent = (0..20_000).filter(|_| budget.spend(Time::ZERO)).count();
        assert_eq!(spent, 10_000);
    }
}
