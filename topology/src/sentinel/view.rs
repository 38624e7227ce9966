//! The Sentinels as status and metrics show them.

use std::sync::Arc;

use super::belief::Belief;
use super::watcher::Watcher;

/// What the Sentinels of a pool say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelsView {
    /// What they call the primary.
    pub master: Arc<str>,
    /// The primary that a majority names.
    pub primary: Option<Arc<str>>,
    /// The configuration epoch of that; 0 without a majority.
    pub epoch: u64,
    /// How many there are known to be.
    pub known: usize,
    /// How many are a majority.
    pub needed: usize,
    /// Why a majority names nobody; empty where it does.
    pub why: Arc<str>,
    /// Each address at which one is asked.
    pub sentinels: Vec<SentinelView>,
}

/// One Sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelView {
    /// `host:port`
    pub name: Arc<str>,
    /// It stands in the configuration; else another Sentinel knows it.
    pub configured: bool,
    /// Does it answer?
    pub answers: bool,
    /// Does it name the primary that the majority names? One in TILT does not count.
    pub agrees: bool,
    /// It does not trust its clock.
    pub tilt: bool,
    /// It leads a failover, or has not finished with its last.
    pub failing_over: bool,
    /// The primary that it names.
    pub primary: Option<Arc<str>>,
    /// Its configuration epoch; 0 where it does not answer.
    pub epoch: u64,
    /// Why it does not count, or that it does; for an operator.
    pub why: Arc<str>,
}

pub(super) fn of(master: &Arc<str>, watchers: &[Watcher], belief: &Belief) -> SentinelsView {
    let (word, why) = match &belief.word {
        Ok(word) => (Some(word), "".into()),
        Err(why) => (None, Arc::clone(why)),
    };
    let primary = word.map(|word| Arc::clone(&word.primary));
    SentinelsView {
        master: Arc::clone(master),
        epoch: word.map_or(0, |word| word.epoch),
        known: belief.electorate,
        needed: belief.electorate / 2 + 1,
        why,
        sentinels: watchers.iter().map(|watcher| one(watcher, primary.as_ref())).collect(),
        primary,
    }
}

fn one(watcher: &Watcher, primary: Option<&Arc<str>>) -> SentinelView {
    let answer = watcher.answer();
    let names = answer.map(|answer| Arc::clone(&answer.primary));
    let agrees = watcher.vote().is_some_and(|vote| primary == Some(&vote.primary));
    let why = match (watcher.silence(), answer) {
        (Some(why), _) => why,
        (None, _) if watcher.is_in_tilt() => "is in TILT: it does not trust its clock".into(),
        (None, Some(answer)) if answer.failing_over => "replaces the primary".into(),
        _ if agrees => "agrees".into(),
        _ if primary.is_none() => "is too few".into(),
        _ => "names another than the majority".into(),
    };
    SentinelView {
        name: Arc::clone(&watcher.name),
        configured: watcher.configured,
        answers: answer.is_some(),
        agrees,
        tilt: watcher.is_in_tilt(),
        failing_over: answer.is_some_and(|answer| answer.failing_over),
        primary: names,
        epoch: answer.map_or(0, |answer| answer.epoch),
        why,
    }
}
