//! A pool's servers, and the addresses that their names stand for.

use std::time::Duration;

use crate::{Address, Server, Time};

/// Between two lookups of a name whose nodes all answer.
const REGULARLY: Duration = Duration::from_secs(30);
/// Between two lookups of a name that fails, or whose nodes do.
const IN_TROUBLE: Duration = Duration::from_secs(2);
/// Addresses of one name that are used.
const MAX_ADDRESSES: usize = 128;

/// The last answers of the resolver.
#[derive(Clone, Debug)]
pub(crate) struct Names(Vec<Name>);

#[derive(Clone, Debug)]
struct Name {
    /// Not looked up: an address is configured.
    fixed: bool,
    addresses: Vec<Address>,
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
    pub(crate) fn addresses_of(&self, server: usize) -> &[Address] {
        self.0.get(server).map_or(&[], |name| &name.addresses)
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
        let interval = if trouble || name.failing { IN_TROUBLE } else { REGULARLY };
        name.last_sent.map_or(Time::ZERO, |last| last + interval)
    }

    pub(crate) fn sent(&mut self, server: usize, now: Time) {
        if let Some(name) = self.0.get_mut(server) {
            name.in_flight = true;
            name.last_sent = Some(now);
        }
    }

    /// Keeps an answer; where there is none, the last one stays. Has it begun, or ceased, to fail?
    pub(crate) fn answered(&mut self, server: usize, addresses: Option<Vec<Address>>) -> bool {
        let Some(name) = self.0.get_mut(server) else { return false };
        let failed_before = name.failing;
        name.in_flight = false;
        name.heard = true;
        match addresses {
            Some(mut addresses) if !addresses.is_empty() => {
                addresses.sort();
                addresses.truncate(MAX_ADDRESSES);
                name.addresses = addresses;
                name.failing = false;
            }
            _ => name.failing = true,
        }
        name.failing != failed_before
    }

    /// Every address once, with its server: in configuration order, then by address.
    pub(crate) fn addresses(&self) -> Vec<(usize, Address)> {
        let mut all: Vec<(usize, Address)> = Vec::new();
        for (server, name) in self.0.iter().enumerate() {
            for address in &name.addresses {
                if !all.iter().any(|(_, known)| known == address) {
                    all.push((server, address.clone()));
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
            addresses: address.into_iter().collect(),
            heard: fixed,
            failing: false,
            in_flight: false,
            last_sent: None,
        }
    }
}
