//! Writes are held because the primary is about to be replaced: nothing that may write leaves, and the control plane is
//! told when nothing that has left is unanswered.
//!
//! A blocked command does not count (the node ends it when it is demoted, and it is issued again), nor does an open
//! transaction whose EXEC has not come. Bytes of `tcp` listeners are not looked into, and pass.

use session::Target;
use topology::{ErrorKind, Evidence};

use crate::Engine;
use crate::client::Parked;
use crate::conn::Action;
use crate::dispatch::{Dispatched, NoWay, Request};
use crate::input::Step;

use crate::pool::Drain;
use crate::slots::Key;
use crate::upstream::{Pending, PendingKind, Upstream};

impl Engine {
    /// A Snapshot was taken over: if it holds writes, takes back what has not left.
    pub(crate) fn hold_writes(&mut self, pool: usize) {
        let version = self.snapshot_version;
        let state = &mut self.pools[pool];
        state.drain = state.writes_held.is_some().then_some(Drain { version, told: false });
        let (Some(_), Some(primary)) = (state.drain, state.primary) else {
            return;
        };
        let lanes: Vec<Key> = state.nodes[primary].lanes.iter().map(|(_, lane)| *lane).collect();
        for lane in lanes {
            self.take_back_unsent(lane);
            self.wake_waiters(lane);
        }
    }

    /// Tells the control plane how many writes are unanswered where it waits for that, and when none is any more.
    pub(crate) fn tell_drained(&mut self) {
        for index in 0..self.pools.len() {
            let Some(drain) = self.pools[index].drain else {
                continue;
            };
            let unanswered = self.unanswered_writes(index);
            if drain.told && unanswered > 0 {
                continue;
            }
            let state = &mut self.pools[index];
            state.drain = (unanswered > 0).then_some(Drain { told: true, ..drain });
            let (worker, pool, version) = (self.worker, state.id, drain.version);
            let evidence = Evidence::WritesHeld { worker, pool, version, unanswered };
            self.actions.push(Action::Evidence(evidence));
        }
    }

    fn unanswered_writes(&self, pool: usize) -> usize {
        let state = &self.pools[pool];
        // One that does not answer is none, and may yet run what it has got.
        let Some(primary) = state.primary.or(state.last_primary) else {
            return 0;
        };
        let connections = state.nodes[primary].connections.iter();
        connections.filter_map(|key| self.upstreams.get(*key)).map(writes_on).sum()
    }

    /// Is this connection one to the primary, or to the one that does not answer, while writes are held?
    pub(crate) fn is_held_on(&self, upstream: Key) -> bool {
        self.upstreams.get(upstream).is_some_and(|upstream| {
            let pool = &self.pools[upstream.pool];
            let of_primary = pool.primary == Some(upstream.node) || upstream.frozen;
            pool.writes_held.is_some() && of_primary
        })
    }

    /// As [`Self::is_held_on`], of the client's own connection.
    pub(crate) fn own_connection_is_held(&self, key: Key) -> bool {
        let bound = self.clients.get(key).and_then(|client| client.bound);
        bound.is_some_and(|bound| bound.pinned && self.is_held_on(bound.upstream))
    }

    /// A batch for a client's own connection to the primary: what may write waits in the input, with all behind it.
    pub(crate) fn dispatch_beside_hold(
        &mut self,
        key: Key,
        upstream: Key,
        input: &[u8],
    ) -> Dispatched {
        let first = self.batch.iter().position(may_write);
        if first != Some(0) {
            self.batch.truncate(first.unwrap_or(self.batch.len()));
            let used = self.batch.last().map_or(0, |last| last.at + last.used);
            return match first {
                _ if !self.append_or_wait(key, upstream, input) => Dispatched::Parked,
                Some(_) => Dispatched::Some(used),
                None => Dispatched::All(used),
            };
        }
        let unanswered = self.clients.get(key).is_some_and(|client| client.unanswered > 0);
        if unanswered || self.is_amid_message(key) {
            self.park(key, Parked::Answers, 0);
            return Dispatched::Parked;
        }
        let others = self.batch.iter().position(|request| !may_write(request));
        self.batch.truncate(others.unwrap_or(self.batch.len()));
        self.nowhere(key, Target::Primary)
    }

    /// EXEC waits as a write does. When its time is up, the transaction is over, as after any EXEC that fails.
    pub(crate) fn hold_exec(&mut self, key: Key) -> Step {
        let trouble = self.clients.get(key).and_then(|client| client.trouble.as_ref());
        if trouble.is_none_or(|trouble| trouble.expired == 0) {
            return self.no_way(key, Target::Primary, NoWay::NoNode);
        }
        let (_, why) = self.nobody(key, Target::Primary);
        let why = why.split_once(' ').map_or("", |(_, why)| why);
        self.drop_pin(key);
        let text = format!("EXECABORT {why}; nothing of the transaction ran");
        self.reply_error(key, ErrorKind::ExecAbort, &text);
        Step::Done
    }
}

/// May the request change data when it reaches the primary?
fn may_write(request: &Request) -> bool {
    // What is sent as `Replica` a replica would refuse if it writes; the primary does not.
    matches!(request.target, Target::Primary | Target::Replica)
        && matches!(request.kind, PendingKind::Plain | PendingKind::Unit | PendingKind::Exec)
        && !request.repeatable
        && !request.is_nothing()
}

fn writes_on(upstream: &Upstream) -> usize {
    let sent = if upstream.is_ready() { upstream.requests.sent_len() } else { 0 };
    let mut at = 0;
    let count = |pending: &&Pending| {
        let begun = at < sent;
        at += pending.len as usize;
        match pending.kind {
            PendingKind::Plain | PendingKind::Unit | PendingKind::Exec | PendingKind::Streamed => {
                !pending.flags.repeatable
            }
            // Blocked at the node, it does nothing until the node says so; on its way there it may yet write.
            PendingKind::Blocking => !pending.flags.repeatable && !begun,
            _ => false,
        }
    };
    upstream.queue.iter().filter(count).count()
}
