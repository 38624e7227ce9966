//! CLIENT TRACKING. With REDIRECT it takes three steps, with the command at the front of its client's input meanwhile: is there
//! such a client, whichever worker has it; a connection that receives the node's messages for it; the node's own answer.

use std::rc::Rc;

use resp::{Protocol, Skip};
use session::{Standing, Tracking, invalidated};
use topology::{ClientsOrder, ClientsReport, ErrorKind};

use crate::Engine;
use crate::client::{Hook, Parked};
use crate::desk::Inquiry;
use crate::dispatch::NoWay;
use crate::input::Step;
use crate::recover::Cause;
use crate::slots::Key;
use crate::upstream::{PendingKind, Sharing};

/// In Redis' words (networking.c `clientCommand`).
const NO_SUCH_CLIENT: &str = "ERR The client ID you want redirect to does not exist";

/// The connection that gets the messages which a node would send to the tracking client itself.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) upstream: Key,
    /// The part of a message that has come.
    partial: Vec<u8>,
}

impl Engine {
    /// CLIENT TRACKING, for the first time or again.
    pub(crate) fn tracking(
        &mut self,
        key: Key,
        bytes: &[u8],
        wanted: Option<Box<Tracking>>,
    ) -> Step {
        if wanted.is_none() && !self.has_pin(key) {
            self.forget_tracking(key);
            return self.reply_simple(key, "OK");
        }
        match wanted {
            Some(wanted) if wanted.redirect.is_some() => self.tracking_redirected(key, wanted),
            wanted => {
                let home = self.home(key);
                if let Err(why) = self.pin(key, home) {
                    return self.no_way(key, home, why);
                }
                // A REDIRECT beside OFF would name a connection of the node's.
                let off = b"*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$3\r\nOFF\r\n";
                let bytes = if wanted.is_some() { bytes } else { off };
                self.hooked(key, bytes, Hook::Tracking(wanted))
            }
        }
    }

    fn tracking_redirected(&mut self, key: Key, wanted: Box<Tracking>) -> Step {
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        let pool = client.pool;
        let target = wanted.redirect.unwrap_or(0);
        let found = match client.special_mut().inquiry.take() {
            Some(Inquiry::Tracked(line)) => {
                if line.starts_with(b"-") {
                    self.pools[pool].counts.errors_total[ErrorKind::Command as usize] += 1;
                }
                self.drop_unused_receiver(key);
                self.reply(key, |out, _| out.extend_from_slice(&line));
                return Step::Done;
            }
            Some(asked @ Inquiry::Tracking(_)) => return self.wait_for(key, asked),
            Some(Inquiry::Found) => true,
            Some(Inquiry::Asked(asked)) if asked.is_over(self.now) => asked.found() > 0,
            Some(Inquiry::Asked(asked)) => return self.wait_for(key, Inquiry::Asked(asked)),
            _ => match self.worker_of(target) {
                None => false,
                Some(own) if own == self.worker => self.client_called(pool, target).is_some(),
                Some(other) => {
                    let order = ClientsOrder::Find(target);
                    let report = ClientsReport::default();
                    let asked = self.ask_workers(key, pool, order, Some(other), report);
                    return self.wait_for(key, Inquiry::Asked(asked));
                }
            },
        };
        if found { self.redirect(key, wanted) } else { self.not_tracked(key, NO_SUCH_CLIENT) }
    }

    /// The client that gets the messages exists.
    fn redirect(&mut self, key: Key, wanted: Box<Tracking>) -> Step {
        let special = self.clients.get_mut(key).and_then(|client| client.special.as_mut());
        if let Some(line) = special.and_then(|special| special.standing_error.take()) {
            self.drop_unused_receiver(key);
            self.queue(key);
            self.reply(key, |out, _| out.extend_from_slice(&line));
            return Step::Done;
        }
        let home = self.home(key);
        let receiver = self.pin(key, home).and_then(|own| Ok((own, self.receiver(key, own)?)));
        match receiver {
            Ok((upstream, Some(id))) => {
                let command = wanted.command(Some(id));
                self.own_command(key, upstream, &command, 1, PendingKind::Tracking);
                self.wait_for(key, Inquiry::Tracking(wanted))
            }
            Ok((_, None)) => {
                if let Some(client) = self.clients.get_mut(key) {
                    client.special_mut().inquiry = Some(Inquiry::Found);
                }
                self.park(key, Parked::Upstream, 0);
                Step::Wait
            }
            Err(why) => {
                // Its own connection is given back if it was had for this alone.
                self.queue(key);
                self.no_way(key, home, why)
            }
        }
    }

    fn not_tracked(&mut self, key: Key, text: &str) -> Step {
        self.reply_error(key, ErrorKind::Command, text);
        if let Some(client) = self.clients.get_mut(key) {
            client.special.take_if(|special| special.is_trivial());
        }
        Step::Done
    }

    /// What a node calls the connection that receives the messages for this client's own one; `None`: the client is told when
    /// that is known.
    pub(crate) fn receiver(&mut self, key: Key, pinned: Key) -> Result<Option<u64>, NoWay> {
        let special = self.clients.get(key).and_then(|client| client.special.as_ref());
        let present = special.and_then(|special| special.receiver.as_ref());
        if let Some(key_of) = present.map(|receiver| receiver.upstream)
            && let Some(upstream) = self.upstreams.get_mut(key_of)
        {
            if upstream.is_ready() {
                return Ok(upstream.node_client);
            }
            upstream.waiters.push(key);
            return Ok(None);
        }
        let own = self.upstreams.get_mut(pinned).ok_or(NoWay::NoNode)?;
        if own.retired {
            // It goes when what was sent is answered; then both are had at another node.
            own.waiters.push(key);
            return Ok(None);
        }
        let (pool, node, login) = (own.pool, own.node, own.standing.login.clone());
        self.make_room_for_pin(pool)?;
        let standing = Standing { protocol: Protocol::Resp3, login, ..Standing::default() };
        let standing: Rc<Standing> = self.intern(standing);
        let upstream = self.open(pool, node, &standing, Sharing::Receiver(key));
        self.pools[pool].counts.pinned += 1;
        self.pools[pool].nodes[node].counts.pinned += 1;
        if let Some(own) = self.upstreams.get_mut(upstream) {
            own.waiters.push(key);
        }
        if let Some(client) = self.clients.get_mut(key) {
            let receiver = Receiver { upstream, partial: Vec::new() };
            client.special_mut().receiver = Some(receiver);
        }
        Ok(None)
    }

    /// The node has answered to a TRACKING with REDIRECT.
    pub(crate) fn tracking_answered(&mut self, key: Key, len: usize) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let line = client.output.tail(len).to_vec();
        let special = client.special_mut();
        let Some(Inquiry::Tracking(wanted)) = special.inquiry.take() else {
            return;
        };
        if !line.starts_with(b"-") {
            special.is_redirect_broken = false;
            special.tracking = Some(Box::new(wanted.after(special.tracking.as_deref())));
        }
        special.inquiry = Some(Inquiry::Tracked(line));
        self.queue(key);
    }

    /// A TRACKING without REDIRECT has succeeded.
    pub(crate) fn tracking_changed(&mut self, key: Key, wanted: Option<Box<Tracking>>) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let special = client.special_mut();
        // What the node still remembers of its tracking ends with the connection.
        special.tainted |= wanted.is_none();
        special.is_redirect_broken = false;
        let earlier = special.tracking.take();
        special.tracking = wanted.map(|wanted| Box::new(wanted.after(earlier.as_deref())));
        self.drop_unused_receiver(key);
    }

    /// A client without a connection of its own tracks nothing more.
    pub(crate) fn forget_tracking(&mut self, key: Key) {
        if let Some(special) = self.clients.get_mut(key).and_then(|own| own.special.as_deref_mut())
        {
            special.tracking = None;
            special.is_redirect_broken = false;
            special.orphaned &= special.listens_itself();
        }
        self.drop_unused_receiver(key);
    }

    /// Closes the connection that receives messages if none are redirected.
    pub(crate) fn drop_unused_receiver(&mut self, key: Key) {
        let special = self.clients.get_mut(key).and_then(|own| own.special.as_deref_mut());
        let redirects = |special: &crate::client::Special| {
            special.tracking.as_ref().is_some_and(|tracking| tracking.redirect.is_some())
        };
        let unused = special.filter(|special| !redirects(special));
        if let Some(receiver) = unused.and_then(|special| special.receiver.take()) {
            self.close_upstream(receiver.upstream);
        }
    }

    /// The connection that received a client's messages is gone: what it was for ends with the client's own one, and both are
    /// set up again.
    pub(crate) fn receiver_lost(&mut self, owner: Key, lost: Key, cause: &Cause) {
        let Some(client) = self.clients.get_mut(owner) else {
            return;
        };
        let special = client.special_mut();
        if special.receiver.take_if(|receiver| receiver.upstream == lost).is_none() {
            return;
        }
        match cause {
            Cause::Handshake(line) if matches!(special.inquiry, Some(Inquiry::Found)) => {
                special.standing_error = Some(line.clone());
                self.queue(owner);
            }
            // It was let in once: perhaps it will be again.
            Cause::Handshake(_) => {
                client.parked = Parked::No;
                self.stay_orphaned(owner);
            }
            _ => match client.bound.filter(|bound| bound.pinned) {
                Some(bound) => self.upstream_lost(bound.upstream, cause),
                None => self.queue(owner),
            },
        }
    }

    /// Bytes of a connection that receives: returns how many were one value, or the part of it that has come.
    pub(crate) fn receiver_value(&mut self, key: Key, owner: Key, data: &[u8]) -> usize {
        let Some(upstream) = self.upstreams.get_mut(key) else {
            return data.len();
        };
        let scanned = upstream.scanner.scan(data);
        let most = self.pools[upstream.pool].limits.max_request;
        let special = self.clients.get_mut(owner).and_then(|client| client.special.as_mut());
        let Some(receiver) = special.and_then(|special| special.receiver.as_mut()) else {
            return data.len();
        };
        let garbage = match scanned {
            Ok(Skip::Complete(len)) => {
                if receiver.partial.is_empty() {
                    self.received_push(owner, &data[..len]);
                } else {
                    let mut value = std::mem::take(&mut receiver.partial);
                    value.extend_from_slice(&data[..len]);
                    self.received_push(owner, &value);
                }
                return len;
            }
            Ok(Skip::Incomplete) if (receiver.partial.len() + data.len()) as u64 <= most => {
                receiver.partial.extend_from_slice(data);
                return data.len();
            }
            Ok(Skip::Incomplete) => "a message over max_request".to_owned(),
            Err(error) => error.to_string(),
        };
        self.upstream_lost(key, &Cause::Garbage(garbage));
        data.len()
    }

    fn received_push(&mut self, owner: Key, push: &[u8]) {
        if let Some(keys) = invalidated(push) {
            self.send_invalidation(owner, keys);
        }
    }
}
