//! A batch finds its node and is appended to a lane, or to the client's own connection.

use session::{ReplyMode, Target, error};
use topology::{ErrorKind, Time};

use crate::Engine;
use crate::choice::Wish;
use crate::client::{Bound, HoldLimit, Parked};
use crate::slots::Key;
use crate::upstream::{Flags, Pending, PendingKind};

/// One request of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) source: Source,
    /// Where it began in the input, and how much of the input it used up.
    pub(crate) at: usize,
    pub(crate) used: usize,
    pub(crate) target: Target,
    pub(crate) replies: u32,
    pub(crate) kind: PendingKind,
    pub(crate) repeatable: bool,
    pub(crate) opaque: bool,
    /// The scripts that it calls are sent before it.
    pub(crate) loaded: bool,
}

/// Where a request's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// In the input.
    Input { at: usize, len: usize },
    /// Rewritten from an inline command.
    Inline { at: usize, len: usize },
}

impl Source {
    pub(crate) fn of<'a>(self, input: &'a [u8], inline: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Input { at, len } => input.get(at..at + len).unwrap_or_default(),
            Self::Inline { at, len } => inline.get(at..at + len).unwrap_or_default(),
        }
    }

    pub(crate) fn input_at(self) -> Option<usize> {
        match self {
            Self::Input { at, .. } => Some(at),
            Self::Inline { .. } => None,
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Input { len, .. } | Self::Inline { len, .. } => len,
        }
    }
}

impl Request {
    pub(crate) fn ordinary(
        source: Source,
        at: usize,
        used: usize,
        target: Target,
        repeatable: bool,
        opaque: bool,
    ) -> Self {
        let kind = PendingKind::Plain;
        Self { source, at, used, target, replies: 1, kind, repeatable, opaque, loaded: false }
    }

    /// A whole transaction of `len` bytes.
    pub(crate) fn unit(len: usize, replies: u32, target: Target, repeatable: bool) -> Self {
        let source = Source::Input { at: 0, len };
        let kind = PendingKind::Unit;
        let (opaque, loaded) = (false, false);
        Self { source, at: 0, used: len, target, replies, kind, repeatable, opaque, loaded }
    }

    /// Bytes that Redis ignores.
    pub(crate) fn nothing(at: usize, used: usize) -> Self {
        let source = Source::Input { at, len: 0 };
        let kind = PendingKind::Plain;
        let target = Target::Reads;
        let (repeatable, opaque, loaded) = (true, false, false);
        Self { source, at, used, target, replies: 0, kind, repeatable, opaque, loaded }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.replies == 0
    }

    pub(crate) fn shifted(self, by: usize) -> Self {
        let source = match self.source {
            Source::Input { at, len } => Source::Input { at: at + by, len },
            inline @ Source::Inline { .. } => inline,
        };
        Self { source, at: self.at + by, ..self }
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dispatched {
    /// All of it is on its way, or answered; so many bytes of the input are used up.
    All(usize),
    /// Only this much; the rest is to be gathered again.
    Some(usize),
    /// None of it: the client waits.
    Parked,
}

/// Why there is no connection for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoWay {
    /// No node can take it now.
    NoNode,
    /// A limit: what to tell the client.
    Limit(String),
}

impl Engine {
    /// Sends the gathered batch. `input` is what it was gathered from.
    pub(crate) fn dispatch(&mut self, key: Key, input: &[u8]) -> Dispatched {
        let used = self.batch.last().map_or(0, |last| last.at + last.used);
        let Some(target) =
            self.batch.iter().filter(|request| !request.is_nothing()).map(|r| r.target).max()
        else {
            return Dispatched::All(used);
        };
        let Some(client) = self.clients.get(key) else {
            return Dispatched::All(used);
        };
        let present = client.bound.filter(|bound| bound.pinned || client.unanswered > 0);
        let upstream = match present {
            Some(bound) if bound.pinned && self.is_held_on(bound.upstream) => {
                return self.dispatch_beside_hold(key, bound.upstream, input);
            }
            Some(bound) => bound.upstream,
            // It had a connection of its own, and lost it.
            None if client.needs_pin() => return self.nowhere(key, target),
            None => match self.lane_for(key, target, input) {
                Ok(upstream) => {
                    if let Some(client) = self.clients.get_mut(key) {
                        client.bound = Some(Bound { upstream, target, pinned: false });
                        client.behind_write = client.for_primary > 0;
                    }
                    upstream
                }
                Err(NoWay::NoNode) => return self.nowhere(key, target),
                Err(NoWay::Limit(text)) => {
                    self.answer_batch(key, ErrorKind::Limit, &text);
                    return Dispatched::All(used);
                }
            },
        };
        if self.upstreams.get(upstream).is_none() {
            return self.nowhere(key, target);
        }
        if self.append_or_wait(key, upstream, input) {
            Dispatched::All(used)
        } else {
            Dispatched::Parked
        }
    }

    /// Appends the batch; false: the connection has no room, and the client waits until it has.
    pub(crate) fn append_or_wait(&mut self, key: Key, upstream: Key, input: &[u8]) -> bool {
        if let Some(connection) = self.upstreams.get_mut(upstream).filter(|own| !own.has_room()) {
            connection.waiters.push(key);
            self.park(key, Parked::Upstream, 0);
            return false;
        }
        if self.batch_scripts {
            self.give_scripts(key, upstream, input);
        }
        self.append_batch(key, upstream, input);
        true
    }

    /// No node can take the batch now: it is held, or, when its time is up, answered.
    pub(crate) fn nowhere(&mut self, key: Key, target: Target) -> Dispatched {
        let expired = self
            .clients
            .get(key)
            .and_then(|client| client.trouble.as_ref())
            .map_or(0, |trouble| trouble.expired);
        if expired == 0 {
            self.hold(key);
            return Dispatched::Parked;
        }
        self.batch.retain(|request| request.at < expired);
        let Some(last) = self.batch.last() else {
            self.hold(key);
            return Dispatched::Parked;
        };
        let used = last.at + last.used;
        let (kind, text) = self.nobody(key, target);
        self.answer_batch(key, kind, &text);
        Dispatched::Some(used)
    }

    /// The error for a command that no node can take.
    pub(crate) fn nobody(&self, key: Key, target: Target) -> (ErrorKind, String) {
        let Some(client) = self.clients.get(key) else {
            return (ErrorKind::NoPrimary, String::new());
        };
        let pool = &self.pools[client.pool];
        if let Some(over) = client.trouble.as_ref().and_then(|trouble| trouble.over_limit) {
            let (name, limits) = (pool.name(), &pool.settings.limits);
            let (what, limit) = match over {
                HoldLimit::Bytes => ("bytes (hold_bytes) of commands", limits.hold_bytes),
                HoldLimit::Requests => ("commands (hold_requests)", limits.hold_requests as u64),
            };
            let text = format_args!("pool {name} already holds {limit} {what}");
            return (ErrorKind::Limit, error(ErrorKind::Limit, text));
        }
        let hold = pool.settings.timeouts.hold;
        if let (Target::Primary, Some(why)) = (target, &pool.writes_held) {
            let name = pool.name();
            let text = format_args!("pool {name} held its writes for {hold:?}: {why}");
            return (ErrorKind::NoPrimary, error(ErrorKind::NoPrimary, text));
        }
        let (kind, what) = match target {
            Target::Primary => (ErrorKind::NoPrimary, "no primary that takes writes"),
            Target::Reads | Target::Replica | Target::First => {
                (ErrorKind::NoReplica, "no node that takes reads")
            }
        };
        let name = pool.name();
        (kind, error(kind, format_args!("pool {name} had {what} within {hold:?}; see its status")))
    }

    /// Gives every request of the batch the same error.
    fn answer_batch(&mut self, key: Key, kind: ErrorKind, text: &str) {
        let batch = std::mem::take(&mut self.batch);
        for request in batch.iter().filter(|request| !request.is_nothing()) {
            if request.kind == PendingKind::Unit {
                self.reply(key, |out, _| crate::again::unit_replies(out, request.replies, text));
            } else {
                self.reply_error(key, kind, text);
            }
        }
        self.batch = batch;
    }

    /// The lane for the client's next batch.
    fn lane_for(&mut self, key: Key, target: Target, input: &[u8]) -> Result<Key, NoWay> {
        let client = self.clients.get(key).ok_or(NoWay::NoNode)?;
        let standing = std::rc::Rc::clone(&client.talk.standing);
        let wish = Wish {
            target,
            standing: &standing,
            key: self.batch_key.clone().and_then(|range| input.get(range)),
            avoid: client.trouble.as_ref().and_then(|trouble| trouble.avoid),
            now: self.now,
        };
        let pool = client.pool;
        let node = self.pools[pool].choose(&wish).ok_or(NoWay::NoNode)?;
        let scripts = self.batch.iter().any(|request| request.opaque);
        self.lane(pool, node, &standing, scripts)
    }

    fn append_batch(&mut self, key: Key, upstream_key: Key, input: &[u8]) {
        let (Some(client), Some(upstream)) =
            (self.clients.get_mut(key), self.upstreams.get_mut(upstream_key))
        else {
            return;
        };
        let pool = &mut self.pools[client.pool];
        let due = due(self.now, client.trouble.as_deref(), &pool.settings.timeouts);
        let at = client.trouble.as_ref().and_then(|trouble| trouble.since).unwrap_or(self.now);
        let mute = client.is_mute();
        let mut run: Option<(usize, usize)> = None;
        let mut count = 0;
        for request in self.batch.iter().filter(|request| !request.is_nothing()) {
            match request.source {
                Source::Input { at, len } => match &mut run {
                    Some((_, end)) if *end == at => *end = at + len,
                    Some((start, end)) => {
                        upstream.requests.append(&input[*start..*end], &mut self.buffers);
                        run = Some((at, at + len));
                    }
                    None => run = Some((at, at + len)),
                },
                Source::Inline { at, len } => {
                    if let Some((start, end)) = run.take() {
                        upstream.requests.append(&input[start..end], &mut self.buffers);
                    }
                    upstream.requests.append(&self.inline[at..at + len], &mut self.buffers);
                }
            }
            let primary = request.target == Target::Primary;
            if primary && !request.repeatable {
                pool.counts.writes_total += 1;
                client.last_write = Some(pool.nodes[upstream.node].id);
            } else {
                pool.counts.reads_total += 1;
            }
            upstream.queue.push_back(Pending {
                client: Some(key),
                at,
                due,
                len: u32::try_from(request.source.len()).unwrap_or(u32::MAX),
                replies: request.replies,
                replies_in_all: request.replies,
                kind: request.kind,
                flags: Flags {
                    repeatable: request.repeatable,
                    opaque: request.opaque,
                    mute,
                    swallow: false,
                    read: !primary,
                    primary,
                    loaded: request.loaded,
                },
            });
            count += 1;
        }
        if let Some((start, end)) = run {
            upstream.requests.append(&input[start..end], &mut self.buffers);
        }
        client.unanswered += count;
        pool.budget.earn(count);
        let node = &mut pool.nodes[upstream.node];
        node.counts.in_flight += u64::from(count);
        node.counts.commands_total += u64::from(count);
        upstream.last_used = self.now;
        if mute
            && let Some(special) = client.special.as_deref_mut()
            && special.reply_mode == ReplyMode::Skip
        {
            special.reply_mode = ReplyMode::On;
        }
        self.arm_upstream(upstream_key, due);
        self.touch_upstream(upstream_key);
    }
}

/// When a command that is sent now is given up: after `request`, but not later than `hold` and `request` after it came.
pub(crate) fn due(
    now: Time,
    trouble: Option<&crate::client::Trouble>,
    timeouts: &config::Timeouts,
) -> Time {
    let due = now + timeouts.request;
    match trouble.and_then(|trouble| trouble.since) {
        Some(since) => due.min(since + timeouts.hold + timeouts.request),
        None => due,
    }
}
