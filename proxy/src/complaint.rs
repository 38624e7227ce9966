//! Log lines about what strangers do: one in a while, with how many more there were.

use std::time::Duration;

use topology::Time;

const EVERY: Duration = Duration::from_secs(10);

/// When something was last said, and what was not since.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    last: Option<Time>,
    unsaid: u64,
}

impl Complaint {
    /// Is it to be said now? Then with the number of those that were not said since the last time.
    pub(crate) fn say(&mut self, now: Time) -> Option<u64> {
        if self.last.is_some_and(|last| now.since(last) < EVERY) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_ten_seconds_with_the_number_of_the_others() {
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let mut complaint = Complaint::default();
        let said: Vec<_> =
            [0, 1, 9, 10, 25, 26, 36].map(|seconds| complaint.say(at(seconds))).into();
        assert_eq!(said, [Some(0), None, None, Some(2), Some(0), None, Some(1)]);
    }
}
