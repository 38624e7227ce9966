//! A pool's servers, and the addresses that their names stand for.

use std::time::Duration;

use crate::{Address, Resolved, Server, Target, Time};

/// An answer is used for as long as it says, but not shorter than this, which also limits how often a name is looked up
/// that fails, or whose nodes do.
const LEAST: Duration = Duration::from_secs(1);
/// Nor longer: many a record lives for hours, and its addresses do not.
const MOST: Duration = Duration::from_secs(300);
/// Addresses of one name that are used.
const MAX_ADDRESSES: usize = 128;

/// The last answers of the resolver.
#[derive(Clone, Debug)]
pub(crate) struct Names(Vec<Name>);

#[derive(Clone, Debug)]
struct Name {
    /// Not looked up: an address is configured.
    fixed: bool,
    targets: Vec<Target>,
    /// How long the last answer may be used.
    ttl: Duration,
    /// Has been resolved, or failed to, at least once.
    heard: bool,
    failing: bool,
    in_flight: bool,
    last_sent: Option<Time>,
}

impl Names {
    pub(crate) fn new(servers: &[Server]) -> Self {
        Self(servers.iter().map(|server| Name::new(server.address.clone())).collect())
    }

    /// The same for other servers: what is known of those that stay is kept.
    pub(crate) fn renewed(&self, before: &[Server], after: &[Server]) -> Self {
        let known = |server: &Server| {
            let index = before.iter().position(|before| before.name == server.name)?;
            self.0.get(index).cloned()
        };
        let name = |server| known(server).unwrap_or_else(|| Name::new(server.address.clone()));
        Self(after.iter().map(name).collect())
    }

    /// The addresses of one server.
    pub(crate) fn addresses_of(&self, server: usize) -> impl Iterator<Item = &Address> {
        self.0.get(server).into_iter().flat_map(|name| &name.targets).map(|target| &target.address)
    }

    /// Has every name been resolved, or failed to, at least once?
    pub(crate) fn are_heard(&self) -> bool {
        self.0.iter().all(|name| name.heard)
    }

    /// When the name is to be looked up; `trouble`: one of its nodes does not answer.
    pub(crate) fn due(&self, server: usize, trouble: bool) -> Time {
        let Some(name) = self.0.get(server).filter(|name| !name.fixed && !name.in_flight) else {
            return Time::MAX;
        };
        let interval = if trouble || name.failing { LEAST } else { name.ttl.clamp(LEAST, MOST) };
        name.last_sent.map_or(Time::ZERO, |last| last + interval)
    }

    pub(crate) fn sent(&mut self, server: usize, now: Time) {
        if let Some(name) = self.0.get_mut(server) {
            name.in_flight = true;
            name.last_sent = Some(now);
        }
    }

    /// Keeps an answer; where there is none, the last one stays. Has it begun, or ceased, to fail?
    pub(crate) fn answered(&mut self, server: usize, answer: Option<Resolved>) -> bool {
        let Some(name) = self.0.get_mut(server) else { return false };
        let failed_before = name.failing;
        name.in_flight = false;
        name.heard = true;
        name.failing = answer.is_none();
        if let Some(mut answer) = answer {
            if !answer.complete {
                answer.targets.append(&mut name.targets);
            }
            answer.targets.sort();
            answer.targets.truncate(MAX_ADDRESSES);
            name.targets = answer.targets;
            name.ttl = if answer.complete { answer.ttl } else { LEAST };
        }
        name.failing != failed_before
    }

    /// Every address once, with its server: in configuration order, then backups last, then by address.
    pub(crate) fn targets(&self) -> Vec<(usize, Target)> {
        let mut all: Vec<(usize, Target)> = Vec::new();
        for (server, name) in self.0.iter().enumerate() {
            for target in &name.targets {
                if !all.iter().any(|(_, known)| known.address == target.address) {
                    all.push((server, target.clone()));
                }
            }
        }
        all
    }
}

impl Name {
    fn new(address: Option<Address>) -> Self {
        let fixed = address.is_some();
        Self {
            fixed,
            targets: address.map(|address| Target { backup: false, address }).into_iter().collect(),
            ttl: LEAST,
            heard: fixed,
            failing: false,
            in_flight: false,
            last_sent: None,
        }
    }
}
