//! Samples of the counters, so that rates and recent percentiles can be told.
//!
//! Workers keep totals only. What happened lately is the difference of two copies: while somebody
//! reads the status (in the last minute), a copy is taken every second and those of the last ten
//! seconds are kept. Who asks first finds none, and waits a quarter of a second for a second copy
//! rather than be shown zeros. While nobody asks, nothing is sampled and no worker is woken.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use topology::{Time, WorkerCounts};

use crate::counts::{Counted, Counters};
use crate::serve::Sources;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(1);
/// How far back samples are kept.
const WINDOW: Duration = Duration::from_secs(10);
/// After the last question, sampling goes on for this long.
const INTEREST: Duration = Duration::from_secs(60);
/// The least time that rates are told over.
const SHORTEST: Duration = Duration::from_millis(250);

/// The counters at two moments.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) earlier: WorkerCounts,
    pub(crate) later: Counted,
    /// From one to the other.
    pub(crate) seconds: f64,
}

/// Asks the workers and keeps what was said lately.
#[derive(Debug)]
pub(crate) struct Sampler {
    counters: Mutex<Counters>,
    history: Mutex<History>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct History {
    /// Oldest first.
    samples: VecDeque<(Time, WorkerCounts)>,
    last_asked: Time,
}

impl Sampler {
    /// For this many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            counters: Mutex::new(Counters::new(workers)),
            history: Mutex::default(),
            asked: Notify::new(),
        }
    }

    /// What the workers count now.
    pub(crate) async fn now(&self, sources: &Sources) -> Counted {
        self.counters.lock().await.ask(&sources.workers).await
    }

    /// What the workers count now, and what they counted up to ten seconds ago.
    pub(crate) async fn window(&self, sources: &Sources) -> Window {
        self.history.lock().await.last_asked = sources.now();
        self.asked.notify_one();
        let (since, earlier) = match self.oldest(sources.now()).await {
            Some(sample) => sample,
            None => {
                let earlier = self.now(sources).await.sum;
                let since = sources.now();
                tokio::time::sleep(SHORTEST).await;
                (since, earlier)
            }
        };
        let later = self.now(sources).await;
        Window { earlier, later, seconds: sources.now().since(since).as_secs_f64() }
    }

    /// Samples for as long as somebody is interested, forever.
    pub(crate) async fn run(&self, sources: &Sources) {
        loop {
            self.asked.notified().await;
            while self.interesting(sources.now()).await {
                let counted = self.now(sources).await;
                self.history.lock().await.push(sources.now(), counted.sum);
                tokio::time::sleep(PERIOD).await;
            }
            self.history.lock().await.samples.clear();
        }
    }

    async fn interesting(&self, now: Time) -> bool {
        now.since(self.history.lock().await.last_asked) < INTEREST
    }

    async fn oldest(&self, now: Time) -> Option<(Time, WorkerCounts)> {
        self.history.lock().await.oldest(now).cloned()
    }
}

impl History {
    fn push(&mut self, now: Time, counts: WorkerCounts) {
        self.forget(now);
        self.samples.push_back((now, counts));
    }

    fn oldest(&mut self, now: Time) -> Option<&(Time, WorkerCounts)> {
        self.forget(now);
        self.samples.front().filter(|(at, _)| now.since(*at) >= SHORTEST)
    }

    /// Half a period's grace, or the eleventh sample would come and go with the timer's jitter.
    fn forget(&mut self, now: Time) {
        while self.samples.front().is_some_and(|(at, _)| now.since(*at) > WINDOW + PERIOD / 2) {
            self.samples.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, FakeWorker, counts};

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    #[test]
    fn samples_older_than_the_window_are_forgotten() {
        let mut history = History::default();
        for second in 0..30 {
            history.push(at(second), WorkerCounts::default());
        }
        assert_eq!(history.oldest(at(30)).map(|(at, _)| *at), Some(at(20)));
        assert!(history.oldest(at(100)).is_none());
    }

    #[test]
    fn a_sample_just_taken_is_too_young_to_tell_a_rate() {
        let mut history = History::default();
        history.push(at(5), WorkerCounts::default());
        assert!(history.oldest(at(5)).is_none());
        assert!(history.oldest(at(6)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_first_waits_for_a_second_sample_and_the_next_one_does_not() {
        let worker = std::sync::Arc::new(FakeWorker::with(counts(1)));
        let sources = fixture::sources(vec![worker.clone()]);
        let sampler = Sampler::new(1);
        let reader = async {
            let first = sampler.window(&sources).await;
            assert!((0.25..0.5).contains(&first.seconds), "{}", first.seconds);
            for _ in 0..20 {
                tokio::time::sleep(PERIOD).await;
                let next = sampler.window(&sources).await;
                assert!(next.seconds <= 10.6, "{}", next.seconds);
            }
            let last = sampler.window(&sources).await;
            assert!(last.seconds > 9.0, "{}", last.seconds);
        };
        tokio::select! {
            () = sampler.run(&sources) => {}
            () = reader => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_nobody_asks_no_worker_is_woken() {
        let worker = std::sync::Arc::new(FakeWorker::with(counts(1)));
        let sources = fixture::sources(vec![worker.clone()]);
        let sampler = Sampler::new(1);
        let reader = async {
            sampler.window(&sources).await;
            tokio::time::sleep(INTEREST + PERIOD * 2).await;
            let letters = worker.letters();
            tokio::time::sleep(INTEREST * 10).await;
            assert_eq!(worker.letters(), letters);
            assert!(sampler.history.lock().await.samples.is_empty());
        };
        tokio::select! {
            () = sampler.run(&sources) => {}
            () = reader => {}
        }
    }
}
