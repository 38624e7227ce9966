//! When a node is probed next, and how much it is asked.

use std::time::Duration;

use crate::{Settings, Time};

/// Between two probes of one node, however much is suspected of it.
const MIN_GAP: Duration = Duration::from_millis(5);
/// Every so many probes ask for `INFO replication` too.
const FULL_EVERY: u32 = 5;

/// How urgently a node is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Up, and nothing is in doubt.
    Calm,
    /// Something is in doubt.
    Fast,
    /// Down, and nobody waits for it.
    Down,
}

impl Pace {
    fn interval(self, settings: &Settings) -> Duration {
        match self {
            Self::Calm => settings.interval,
            Self::Fast => settings.fast_interval,
            Self::Down => settings.down_interval,
        }
    }
}

/// The probes of one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule {
    last_sent: Option<Time>,
    in_flight: bool,
    /// Since the last answer that had `INFO replication`.
    since_full: u32,
    /// The next answer must have it.
    wants_full: bool,
    /// ROLE is refused: every answer must have it.
    role_refused: bool,
    /// Probe at once.
    urgent: bool,
    /// The newest thing that the data plane saw and that no answer has settled.
    suspected: Option<Time>,
    /// Tenths of a percent by which the next interval is stretched, so that nodes are not probed in step.
    stretch: u32,
}

impl Schedule {
    /// When the next probe is due; never while one is on its way.
    pub(crate) fn due(&self, pace: Pace, settings: &Settings) -> Time {
        let Some(last) = self.last_sent else { return Time::ZERO };
        if self.in_flight {
            return Time::MAX;
        }
        if self.urgent || self.suspected.is_some_and(|at| at >= last) {
            return last + MIN_GAP;
        }
        last + pace.interval(settings) / 1000 * self.stretch
    }

    /// A probe leaves now. `draw` is a random number.
    pub(crate) fn sent(&mut self, now: Time, draw: u64) {
        self.last_sent = Some(now);
        self.in_flight = true;
        self.urgent = false;
        self.stretch = 900 + (draw % 201) as u32;
    }

    /// Is the next probe to ask for `INFO replication`?
    pub(crate) fn asks_all(&self) -> bool {
        self.wants_full || self.role_refused || self.since_full + 1 >= FULL_EVERY
    }

    /// A probe has ended; `full` if it was answered and had `INFO replication`.
    pub(crate) fn ended(&mut self, full: bool) {
        self.in_flight = false;
        if full {
            self.since_full = 0;
            self.wants_full = false;
        } else {
            self.since_full = self.since_full.saturating_add(1);
        }
    }

    /// Does the node refuse ROLE?
    pub(crate) fn note_role(&mut self, refused: bool) {
        self.role_refused = refused;
    }

    /// Probe at once.
    pub(crate) fn hurry(&mut self) {
        self.urgent = true;
    }

    /// Probe at once, and ask for everything until it is answered.
    pub(crate) fn want_full(&mut self) {
        self.wants_full = true;
        self.urgent = true;
    }

    pub(crate) fn suspect(&mut self, at: Time) {
        self.suspected = self.suspected.max(Some(at));
    }

    pub(crate) fn is_suspected(&self) -> bool {
        self.suspected.is_some()
    }

    /// The node is down: there is nothing left to suspect.
    pub(crate) fn drop_suspicion(&mut self) {
        self.suspected = None;
    }

    /// An answer to a probe sent at `sent` confirmed the node's state: is a suspicion settled by it?
    pub(crate) fn settle(&mut self, sent: Time) -> bool {
        let settled = self.suspected.is_some_and(|at| sent > at);
        if settled {
            self.suspected = None;
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            interval: Duration::from_millis(200),
            fast_interval: Duration::from_millis(50),
            down_interval: Duration::from_millis(400),
            ..Settings::default()
        }
    }

    /// Sent at 1000 ms and ended, with a stretch of 1.
    fn probed() -> Schedule {
        let mut schedule = Schedule::default();
        schedule.sent(Time::from_millis(1000), 100);
        schedule.ended(true);
        schedule
    }

    #[test]
    fn the_first_probe_is_due_at_once_and_none_while_one_is_on_its_way() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due(Pace::Calm, &settings()), Time::ZERO);
        schedule.sent(Time::from_millis(10), 0);
        assert_eq!(schedule.due(Pace::Fast, &settings()), Time::MAX);
    }

    #[test]
    fn the_pace_decides_the_interval() {
        let due = |pace| probed().due(pace, &settings());
        assert_eq!(due(Pace::Calm), Time::from_millis(1200));
        assert_eq!(due(Pace::Fast), Time::from_millis(1050));
        assert_eq!(due(Pace::Down), Time::from_millis(1400));
    }

    #[test]
    fn intervals_are_stretched_by_a_tenth_at_most() {
        for draw in 0..1000 {
            let mut schedule = Schedule::default();
            schedule.sent(Time::from_millis(1000), draw * 7919);
            schedule.ended(true);
            let due = schedule.due(Pace::Calm, &settings());
            assert!(due >= Time::from_millis(1180) && due <= Time::from_millis(1220));
        }
    }

    #[test]
    fn a_suspicion_is_urgent_until_a_probe_was_sent_for_it_and_open_until_one_answers() {
        let mut schedule = probed();
        schedule.suspect(Time::from_millis(1100));
        assert_eq!(schedule.due(Pace::Calm, &settings()), Time::from_millis(1005));
        assert!(!schedule.settle(Time::from_millis(1100)));
        schedule.sent(Time::from_millis(1101), 100);
        schedule.ended(false);
        assert_eq!(schedule.due(Pace::Fast, &settings()), Time::from_millis(1151));
        assert!(schedule.is_suspected());
        assert!(schedule.settle(Time::from_millis(1101)));
        assert!(!schedule.is_suspected() && !schedule.settle(Time::from_millis(1101)));
    }

    #[test]
    fn every_fifth_probe_asks_for_all() {
        let mut schedule = probed();
        let mut asked = String::new();
        for _ in 0..10 {
            let all = schedule.asks_all();
            asked.push(if all { 'A' } else { '.' });
            schedule.sent(Time::from_millis(1000), 100);
            schedule.ended(all);
        }
        assert_eq!(asked, "....A....A");
        schedule.want_full();
        assert!(schedule.asks_all());
        assert_eq!(schedule.due(Pace::Calm, &settings()), Time::from_millis(1005));
        // Unanswered: asked again, at the usual pace.
        schedule.sent(Time::from_millis(1000), 100);
        schedule.ended(false);
        assert!(schedule.asks_all());
        assert_eq!(schedule.due(Pace::Calm, &settings()), Time::from_millis(1200));
    }
}
