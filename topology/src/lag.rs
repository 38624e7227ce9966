//! How far a replica is behind, in bytes and in time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::{Lag, Time};

/// Samples kept. When there are more they are thinned out.
const MAX_SAMPLES: usize = 256;
/// Thinned samples lie at most this share of their age apart: a day of them is fewer than 200.
const SHARE_OF_AGE: u32 = 8;

/// The offsets that the most advanced node of a lineage was seen at.
#[derive(Clone, Debug, Default)]
pub(crate) struct OffsetSamples(VecDeque<Sample>);

#[derive(Clone, Copy, Debug)]
struct Sample {
    offset: u64,
    /// When the offset was first seen to be this.
    since: Time,
    /// When it was last seen to be this.
    at: Time,
}

impl OffsetSamples {
    /// The most advanced living node was seen at `offset`. Samples beyond it were of a node that is gone.
    pub(crate) fn record(&mut self, offset: u64, at: Time) {
        while self.0.back().is_some_and(|sample| sample.offset > offset) {
            self.0.pop_back();
        }
        match self.0.back_mut() {
            Some(sample) if sample.offset == offset => sample.at = at,
            _ => self.0.push_back(Sample { offset, since: at, at }),
        }
        if self.0.len() > MAX_SAMPLES {
            self.thin(at);
        }
    }

    /// The lag of a replica that had applied `offset` at this time.
    pub(crate) fn lag(&self, offset: u64, at: Time) -> Lag {
        let none = Lag { bytes: 0, time: Duration::ZERO };
        let Some(newest) = self.0.iter().rev().find(|sample| sample.since <= at) else {
            return none;
        };
        if offset >= newest.offset {
            return none;
        }
        let reached = self.0.iter().rev().find(|sample| sample.offset <= offset);
        // Behind all samples: at least since the oldest.
        let behind_since = || self.0.front().map_or(at, |sample| sample.since);
        let since = reached.map_or_else(behind_since, |sample| sample.at);
        Lag { bytes: newest.offset - offset, time: at.since(since) }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Keeps the recent ones, and of the older ones the fewer the older they are.
    /// Drops each sample whose neighbours are close enough together for their age.
    fn thin(&mut self, now: Time) {
        let mut kept: VecDeque<Sample> = VecDeque::with_capacity(MAX_SAMPLES + 1);
        let mut from_newest = self.0.drain(..).rev().peekable();
        while let Some(sample) = from_newest.next() {
            let without_it = kept.front().zip(from_newest.peek());
            let gap = without_it.map(|(newer, older)| newer.at.since(older.at));
            if gap.is_none_or(|gap| gap > now.since(sample.at) / SHARE_OF_AGE) {
                kept.push_front(sample);
            }
        }
        drop(from_newest);
        kept.drain(..kept.len().saturating_sub(MAX_SAMPLES));
        self.0 = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(of: &[(u64, u64)]) -> OffsetSamples {
        let mut samples = OffsetSamples::default();
        for (millis, offset) in of {
            samples.record(*offset, Time::from_millis(*millis));
        }
        samples
    }

    fn lag(samples: &OffsetSamples, millis: u64, offset: u64) -> (u64, u64) {
        let lag = samples.lag(offset, Time::from_millis(millis));
        (lag.bytes, u64::try_from(lag.time.as_millis()).unwrap())
    }

    #[test]
    fn seconds_are_the_age_of_the_newest_offset_reached() {
        let samples = samples(&[(1000, 100), (1200, 200), (1400, 300)]);
        for (millis, offset, expected) in [
            (1500, 300, (0, 0)),
            (1500, 350, (0, 0)),
            (1500, 299, (1, 300)),
            (1500, 200, (100, 300)),
            (1500, 150, (150, 500)),
            // Behind every sample: at least since the first.
            (1500, 50, (250, 500)),
            // Answered before the primary wrote on.
            (1300, 200, (0, 0)),
            (900, 0, (0, 0)),
        ] {
            assert_eq!(lag(&samples, millis, offset), expected, "{millis} {offset}");
        }
    }

    #[test]
    fn a_replica_behind_an_idle_primary_gets_older() {
        let samples = samples(&[(1000, 100), (60_000, 100)]);
        assert_eq!(lag(&samples, 60_010, 90), (10, 59_010));
    }

    #[test]
    fn an_idle_primary_does_not_make_old_data_of_the_newest() {
        let samples = samples(&[(1000, 100), (60_000, 100), (60_200, 150)]);
        assert_eq!(lag(&samples, 60_210, 100), (50, 210));
    }

    #[test]
    fn offsets_that_died_with_a_primary_are_forgotten() {
        let mut samples = samples(&[(1000, 100), (1200, 200), (1400, 300)]);
        samples.record(250, Time::from_millis(1600));
        assert_eq!(lag(&samples, 1700, 250), (0, 0));
        assert_eq!(lag(&samples, 1700, 200), (50, 500));
    }

    #[test]
    fn many_samples_reach_far_back_and_stay_few() {
        let mut samples = OffsetSamples::default();
        for step in 0..100_000u64 {
            samples.record(step, Time::from_millis(step * 200));
        }
        assert!(samples.0.len() <= MAX_SAMPLES);
        let now = 99_999 * 200;
        for steps_behind in [50, 300, 18_000] {
            let (_, millis) = lag(&samples, now, 99_999 - steps_behind);
            let exact = steps_behind * 200;
            assert!((exact..=exact + exact / 8).contains(&millis), "{exact} {millis}");
        }
    }
}
