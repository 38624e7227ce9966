//! What a majority of the Sentinels says.
//!
//! Sentinel itself moves a master only with the votes of a majority of all Sentinels that it knows, and the higher
//! `config-epoch` wins (sentinel.c, sentinelStartFailover, sentinelProcessHelloMessage). So a majority that agrees is
//! believed; a smaller number, however many of them can be reached, is not.

use std::sync::Arc;
use std::time::Duration;

use super::watcher::Watcher;
use crate::Time;

/// After a promotion every Sentinel knows of it within this time: they greet each other every 2 s
/// (sentinel.c, sentinel_publish_period), and measured it took 0.8 to 1.2 s.
const SPREAD: Duration = Duration::from_secs(3);

/// What a majority says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The primary's name.
    pub(crate) primary: Arc<str>,
    /// The highest of those who agree.
    pub(crate) epoch: u64,
    /// Some Sentinel is replacing that primary, or has done so already.
    pub(crate) failover: bool,
    /// All who agree were asked at this time or later.
    heard: Time,
    /// All Sentinels there are were; `None`: some are silent.
    all_heard: Option<Time>,
}

impl Word {
    /// Is it known that nobody was replacing the primary at the time `at`?
    pub(crate) fn excludes_failover(&self, at: Time) -> bool {
        !self.failover
            && (self.all_heard.is_some_and(|heard| heard > at) || self.heard > at + SPREAD)
    }
}

/// The electorate and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Belief {
    /// Of so many Sentinels.
    pub(crate) electorate: usize,
    pub(crate) word: Result<Word, Arc<str>>,
}

impl Belief {
    /// `configured`: so many are named in the configuration.
    pub(crate) fn of(watchers: &[Watcher], configured: usize) -> Self {
        let mut sentinels: Vec<&Watcher> = Vec::new();
        for watcher in watchers {
            match sentinels.iter_mut().find(|other| other.is_same(watcher)) {
                Some(other) if watcher.asked_at() > other.asked_at() => *other = watcher,
                Some(_) => {}
                None => sentinels.push(watcher),
            }
        }
        // One that is configured and never answered is probably among those that the others know.
        let is_known = |watcher: &&&Watcher| watcher.identifier.is_some() || !watcher.configured;
        let known = sentinels.iter().filter(is_known).count();
        let electorate = known.max(configured);
        Self { electorate, word: word(&sentinels, electorate) }
    }
}

fn word(sentinels: &[&Watcher], electorate: usize) -> Result<Word, Arc<str>> {
    let votes = || sentinels.iter().filter_map(|sentinel| Some((sentinel, sentinel.vote()?)));
    let support = |primary: &str| votes().filter(|(_, vote)| &*vote.primary == primary).count();
    let needed = electorate / 2 + 1;
    let Some((_, chosen)) = votes().find(|(_, vote)| support(&vote.primary) >= needed) else {
        return Err(discord(
            &votes().map(|(_, vote)| &*vote.primary).collect::<Vec<_>>(),
            electorate,
        ));
    };
    let primary = Arc::clone(&chosen.primary);
    let agreeing = || votes().filter(|(_, vote)| vote.primary == primary);
    let epoch = agreeing().map(|(_, vote)| vote.epoch).max().unwrap_or(0);
    let overtaken = votes().any(|(_, vote)| vote.primary != primary && vote.epoch > epoch);
    let failover = overtaken || sentinels.iter().any(|sentinel| sentinel.replaces(&primary));
    let heard = agreeing().filter_map(|(sentinel, _)| sentinel.asked_at()).min();
    let all_heard = (votes().count() >= electorate)
        .then(|| votes().filter_map(|(sentinel, _)| sentinel.asked_at()).min())
        .flatten();
    Ok(Word { primary, epoch, failover, heard: heard.unwrap_or(Time::ZERO), all_heard })
}

/// Why there is no majority.
fn discord(votes: &[&str], electorate: usize) -> Arc<str> {
    let needed = electorate / 2 + 1;
    let says = if votes.len() == 1 { "says" } else { "say" };
    if votes.len() < needed {
        format!(
            "only {} of {electorate} Sentinels {says} who is the primary, {needed} are needed",
            votes.len()
        )
    } else {
        let mut named = votes.to_vec();
        named.sort_unstable();
        named.dedup();
        format!(
            "the Sentinels name {}, and none of them has a majority of {electorate}",
            named.join(" and ")
        )
    }
    .into()
}
