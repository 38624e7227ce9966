//! Requests too large to be gathered pass through a connection of the client's own, as they come.

use resp::{ReplyScanner, Skip};
use session::{Call, PinReason, Rules, Target, Transaction, Way, classify_begun, error};
use topology::{ErrorKind, Time};

use crate::Engine;
use crate::client::{Parked, Streaming};
use crate::dispatch::NoWay;
use crate::input::Step;
use crate::listening::LISTENS;
use crate::repair::called_script;
use crate::slots::Key;
use crate::upstream::{Flags, LANE_FULL, Pending, PendingKind};

impl Engine {
    /// `input` is the beginning of a request of at least `known` bytes; `self.scanner` has the arguments so far.
    pub(crate) fn stream_begin(&mut self, key: Key, input: &[u8], known: u64) -> Step {
        let amid = self.is_amid_message(key);
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        if client.unanswered > 0 || amid {
            client.parked = Parked::Answers;
            return Step::Wait;
        }
        let (pool, mode) = (client.pool, client.mode);
        let only_listens = client.only_shares();
        let imaginary = client.transaction().is_imaginary();
        let queued = client.transaction().is_open();
        let rules = Rules {
            mode,
            refuse: &self.pools[pool].settings.refuse,
            learned: &self.pools[pool].learned,
            access: self.pools[pool].access(client.talk.who),
        };
        let scanner = std::mem::take(&mut self.scanner);
        let call = Call::begun(input, scanner.args(), scanner.argc());
        let way = if call.is_empty() { None } else { Some(classify_begun(call, &rules).0) };
        let target = match way {
            _ if only_listens => {
                self.reply_error(key, ErrorKind::Command, LISTENS);
                return self.stream_start(key, input, None);
            }
            Some(Way::Lane { target, .. }) => target,
            Some(Way::Pinned { target, reason }) if is_unfollowed(reason) => target,
            Some(Way::Everywhere) => Target::Primary,
            Some(Way::Reject(rejection)) => {
                self.reject(key, call, rejection);
                return self.stream_start(key, input, None);
            }
            Some(Way::Local(_) | Way::Pinned { .. }) | None => {
                let text = error(
                    ErrorKind::Limit,
                    format_args!("a command of {known} bytes is too large for its kind"),
                );
                if queued {
                    self.set_transaction(key, Transaction::Refused);
                }
                self.reply_error(key, ErrorKind::Limit, &text);
                return self.stream_start(key, input, None);
            }
        };
        if imaginary {
            self.reply_simple(key, "QUEUED");
            return self.stream_start(key, input, None);
        }
        let target = self.orphans_target(key, target);
        let held = !queued && target != Target::Reads && self.own_connection_is_held(key);
        let pinned = if held { Err(NoWay::NoNode) } else { self.pin(key, target) };
        let upstream = match pinned {
            Ok(upstream) => upstream,
            Err(why) => {
                let step = self.no_way(key, target, why);
                return if step == Step::Done { self.stream_start(key, input, None) } else { step };
            }
        };
        if let Some(sha) = called_script(call) {
            self.give_script(key, upstream, sha);
        }
        let unfollowed = matches!(way, Some(Way::Pinned { .. }));
        let is_script = matches!(way, Some(Way::Lane { opaque: true, .. }));
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        if unfollowed {
            client.special_mut().tainted = true;
        }
        let pending = Pending {
            client: Some(key),
            at: self.now,
            // Set when the request has passed.
            due: Time::MAX,
            len: 0,
            replies: 1,
            replies_in_all: 1,
            kind: if queued { PendingKind::StreamedQueued } else { PendingKind::Streamed },
            flags: Flags {
                mute: client.is_mute(),
                opaque: unfollowed || (is_script && !queued),
                primary: target == Target::Primary,
                read: target != Target::Primary,
                ..Flags::default()
            },
        };
        self.append_pinned(key, upstream, b"", b"", pending);
        self.stream_start(key, input, Some(upstream))
    }

    fn stream_start(&mut self, key: Key, input: &[u8], upstream: Option<Key>) -> Step {
        if let Some(client) = self.clients.get_mut(key) {
            let scanner = ReplyScanner::new();
            client.special_mut().streaming = Some(Streaming { scanner, upstream, len: 0 });
            // The request is incomplete: all of the input belongs to it.
            client.for_primary = 0;
            self.stream_on(key, input);
        }
        Step::Done
    }

    /// More of the request; returns how many bytes belonged to it.
    pub(crate) fn stream_on(&mut self, key: Key, data: &[u8]) -> usize {
        let Some(client) = self.clients.get_mut(key) else {
            return data.len();
        };
        let pool = client.pool;
        let Some(streaming) =
            client.special.as_deref_mut().and_then(|special| special.streaming.as_mut())
        else {
            return 0;
        };
        let (used, complete) = match streaming.scanner.scan(data) {
            Ok(Skip::Complete(used)) => (used, true),
            Ok(Skip::Incomplete) => (data.len(), false),
            Err(_) => {
                self.stream_broken(key, "ERR Protocol error: invalid bulk length");
                return data.len();
            }
        };
        streaming.len += used as u64;
        let too_long = streaming.len > self.pools[pool].limits.max_request;
        let upstream_key = streaming.upstream;
        if too_long {
            self.stream_broken(key, "ERR Protocol error: request is larger than max_request");
            return data.len();
        }
        let mut full = false;
        if let Some(upstream_key) = upstream_key
            && let Some(upstream) = self.upstreams.get_mut(upstream_key)
        {
            upstream.requests.append(&data[..used], &mut self.buffers);
            full = upstream.requests.unsent().len() > LANE_FULL;
            if complete {
                let due = self.now + self.pools[pool].settings.timeouts.request;
                if let Some(pending) = upstream.queue.back_mut() {
                    pending.due = due;
                }
                self.arm_upstream(upstream_key, due);
            } else if full {
                upstream.waiters.push(key);
            }
            self.touch_upstream(upstream_key);
        }
        if complete {
            if let Some(special) =
                self.clients.get_mut(key).and_then(|client| client.special.as_mut())
            {
                special.streaming = None;
            }
            // Its reply may have come before its end.
            self.queue(key);
        } else if full {
            self.park(key, Parked::Upstream, 0);
        }
        used
    }

    /// The rest cannot be told from another request: the client is closed, and so is the connection that has half of it.
    fn stream_broken(&mut self, key: Key, text: &str) {
        if let Some(special) = self.clients.get_mut(key).and_then(|client| client.special.as_mut())
        {
            special.streaming = None;
        }
        self.drop_pin(key);
        if let Some(client) = self.clients.get_mut(key) {
            client.unanswered = 0;
            client.output.rollback();
        }
        self.reply_error(key, ErrorKind::Protocol, text);
        self.finish(key);
    }
}

/// Is nothing known of what it does to the connection? What is known of others (for how long they wait, what they watch)
/// depends on all of their arguments.
fn is_unfollowed(reason: PinReason) -> bool {
    matches!(reason, PinReason::Unknown | PinReason::Module | PinReason::WhileBusy)
}
