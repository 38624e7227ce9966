//! What becomes of commands whose connection is lost: sent again where that is safe, answered with what is known where not.
//!
//! What is to be sent again goes back to the front of the client's input, in order, with the replies that stand between
//! such commands marked by their place ([`Trouble::ready`]); from there it takes the same way as anything a client sends.

use session::{Transaction, error};
use topology::{ErrorKind, Sighting};

use crate::Engine;
use crate::command::EXEC_ABORT;
use crate::conn::{Action, ConnId};
use crate::connect::BUSY;
use crate::desk::Inquiry;
use crate::slots::Key;
use crate::upstream::{Pending, PendingKind, Sharing, Upstream};

/// Why a connection to a node is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The node closed or reset it.
    Lost,
    /// The connect was refused.
    Refused,
    /// No answer in time.
    Silent,
    /// Not what a node may say.
    Garbage(String),
    /// The node refused the client's standing with this error line.
    Handshake(Vec<u8>),
    /// The node refused the command at the front because of its role or state; that command did not run.
    Refusal,
    /// The control plane found the node down, or it left the pool.
    NodeGone,
    /// The node lives, but is not what its clients need any more.
    Demoted,
}

impl Engine {
    /// Gives a connection up and decides for each unanswered command.
    pub(crate) fn upstream_lost(&mut self, key: Key, cause: &Cause) {
        let Some(upstream) = self.remove_upstream(key) else {
            return;
        };
        self.actions.push(Action::Close(ConnId::upstream(key)));
        self.note_loss(&upstream, cause);
        if let Sharing::Raw(owner) = upstream.sharing {
            if let Some(client) = self.clients.get_mut(owner) {
                client.bound = None;
            }
            return self.finish(owner);
        }
        if let Sharing::Hub(index) = upstream.sharing {
            for waiter in &upstream.waiters {
                self.queue(*waiter);
            }
            upstream.requests.free(&mut self.buffers);
            return self.hub_lost(upstream.pool, index, cause);
        }
        if let Sharing::Receiver(owner) = upstream.sharing {
            upstream.requests.free(&mut self.buffers);
            return self.receiver_lost(owner, key, cause);
        }
        self.drop_half_message(&upstream);
        let refused_everywhere = matches!(cause, Cause::Handshake(_))
            && self.pools[upstream.pool].primary == Some(upstream.node);
        let restart = self.owner_restarts(&upstream);
        let sent = if upstream.is_ready() { upstream.requests.sent_len() } else { 0 };
        let mut offset = 0;
        let mut touched: Vec<Key> = Vec::new();
        for (position, pending) in upstream.queue.iter().enumerate() {
            let bytes = upstream.requests.slice(offset, pending.len as usize);
            let was_sent = offset < sent || (pending.kind.is_streamed() && upstream.stream_begun);
            offset += pending.len as usize;
            let Some(client_key) = pending.client.filter(|_| !pending.flags.swallow) else {
                continue;
            };
            let Some(client) = self.clients.get_mut(client_key) else {
                continue;
            };
            client.unanswered = client.unanswered.saturating_sub(1);
            if position == 0 {
                if upstream.value.streamed {
                    // Half of the reply is with the client: there is nothing honest left to say.
                    self.close_slow_or_broken(client_key);
                    continue;
                }
                client.output.rollback();
            }
            let first = !touched.contains(&client_key);
            if first {
                touched.push(client_key);
            }
            let lost = Lost {
                pending,
                bytes,
                was_sent,
                first_of_client: first,
                front: position == 0,
                restart,
                refused_everywhere,
            };
            self.fate(client_key, &upstream, &lost, cause);
        }
        self.orphan_owner(&upstream, restart, cause);
        for client in touched {
            self.client_progressed(client);
        }
        let refusal = match cause {
            Cause::Handshake(line) => Some(line),
            _ => None,
        };
        for waiter in &upstream.waiters {
            if let (Some(client), Some(line)) = (self.clients.get_mut(*waiter), refusal) {
                client.special_mut().standing_error = Some(line.clone());
            }
            self.queue(*waiter);
        }
        if let Some(stall) = upstream.stalled
            && let Some(client) = self.clients.get_mut(stall.client)
            && let Some(special) = client.special.as_deref_mut()
        {
            special.stalls = None;
        }
        upstream.requests.free(&mut self.buffers);
    }

    /// A message comes unasked: no command in the queue stands for the half of it that its client may have.
    fn drop_half_message(&mut self, upstream: &Upstream) {
        let Some(owner) = upstream.owner().filter(|_| upstream.value.len > 0) else {
            return;
        };
        if upstream.value.streamed {
            return self.close_slow_or_broken(owner);
        }
        if let Some(client) = self.clients.get_mut(owner) {
            client.output.rollback();
        }
    }

    /// Counts the loss, stops giving the node commands until it is probed, and asks for that probe.
    fn note_loss(&mut self, upstream: &Upstream, cause: &Cause) {
        let (pool, node) = (upstream.pool, upstream.node);
        // It may have restarted, or not have got the scripts that it was given.
        self.pools[pool].nodes[node].scripts.clear();
        let counts = &mut self.pools[pool].nodes[node].counts;
        if upstream.is_ready() {
            counts.lost_total += u64::from(matches!(cause, Cause::Lost | Cause::Garbage(_)));
        } else {
            counts.connect_failures_total += 1;
        }
        let sighting = match cause {
            // An idle connection that the node closes (its `timeout` setting) is worth a probe, no more.
            Cause::Lost if upstream.is_ready() && upstream.queue.is_empty() => {
                return self.evidence(pool, node, Sighting::Lost);
            }
            Cause::Lost | Cause::Garbage(_) => Sighting::Lost,
            Cause::Refused => Sighting::Refused,
            Cause::Silent => Sighting::Silent,
            Cause::Refusal => Sighting::RefusedCommand,
            Cause::Handshake(_) => {
                if self.pools[pool].primary != Some(node) {
                    let refused = (std::rc::Rc::clone(&upstream.standing), self.now);
                    self.pools[pool].nodes[node].refuses.push(refused);
                }
                return;
            }
            Cause::NodeGone | Cause::Demoted => return,
        };
        self.pools[pool].suspect(node, self.now);
        self.evidence(pool, node, sighting);
    }

    /// Was nothing of the owner's transaction or WATCH sent yet, so that all of it can begin again elsewhere?
    fn owner_restarts(&self, upstream: &Upstream) -> bool {
        upstream.owner().is_some()
            && !upstream.engaged
            && (!upstream.is_ready() || upstream.requests.sent_len() == 0)
    }

    /// One unanswered command of a lost connection.
    fn fate(&mut self, client_key: Key, upstream: &Upstream, lost: &Lost<'_>, cause: &Cause) {
        let Lost { pending, bytes, .. } = *lost;
        if let (Cause::Handshake(line), true) =
            (cause, lost.refused_everywhere || upstream.owner().is_some())
        {
            if line.starts_with(BUSY) {
                // Redis takes both while a script keeps it busy; the transaction fails at its end.
                match pending.kind {
                    PendingKind::Multi => {
                        return self.canned(client_key, pending, b"+OK\r\n".to_vec());
                    }
                    PendingKind::Exec => {
                        return self.canned_error(
                            client_key,
                            pending,
                            ErrorKind::ExecAbort,
                            EXEC_ABORT,
                        );
                    }
                    _ => {}
                }
            }
            return self.canned(client_key, pending, line.clone());
        }
        let (pool, node) = (upstream.pool, upstream.node);
        let node_name = std::sync::Arc::clone(&self.pools[pool].nodes[node].name);
        let pool_name = self.pools[pool].settings.name.clone();
        let did_not_run = !lost.was_sent || (*cause == Cause::Refusal && lost.front);
        match pending.kind {
            _ if lost.restart && !pending.kind.is_streamed() => {
                self.again(client_key, pending, bytes, upstream);
            }
            PendingKind::Multi => self.canned(client_key, pending, b"+OK\r\n".to_vec()),
            PendingKind::Queued | PendingKind::StreamedQueued => {
                self.canned(client_key, pending, b"+QUEUED\r\n".to_vec());
            }
            // On whichever side of it the connection was lost: nothing of the transaction will run, nothing is watched.
            PendingKind::Discard => self.canned(client_key, pending, b"+OK\r\n".to_vec()),
            PendingKind::Exec if did_not_run => {
                let text = self.exec_abort_text(client_key);
                self.canned_error(client_key, pending, ErrorKind::ExecAbort, &text);
            }
            PendingKind::Streamed if did_not_run || self.is_streaming_in(client_key) => {
                let text = error(
                    ErrorKind::Limit,
                    format_args!(
                        "the command did not run on node {node_name} of pool {pool_name}, and was too large to be \
                         held; send it again"
                    ),
                );
                self.canned_error(client_key, pending, ErrorKind::Limit, &text);
            }
            PendingKind::Monitor => self.close_slow_or_broken(client_key),
            _ if did_not_run => self.again(client_key, pending, bytes, upstream),
            _ if pending.flags.repeatable => {
                if lost.first_of_client && !self.may_retry(client_key, pool) {
                    let text = error(
                        ErrorKind::NoReplica,
                        format_args!(
                            "the connection to node {node_name} of pool {pool_name} was lost, as were those before it \
                             (limits.retries, or the pool's retry budget)"
                        ),
                    );
                    return self.canned_error(client_key, pending, ErrorKind::NoReplica, &text);
                }
                self.again(client_key, pending, bytes, upstream);
            }
            _ if self.may_repeat_write(pool, bytes) && self.may_retry(client_key, pool) => {
                self.again(client_key, pending, bytes, upstream);
            }
            _ => {
                let text = outcome_unknown(&node_name, &pool_name, cause);
                self.canned_error(client_key, pending, ErrorKind::OutcomeUnknown, &text);
            }
        }
    }

    fn is_streaming_in(&self, client_key: Key) -> bool {
        self.clients.get(client_key).is_some_and(crate::client::Client::is_streaming)
    }

    /// Has the operator allowed to send this write again, and does it have the same effect twice?
    fn may_repeat_write(&self, pool: usize, bytes: &[u8]) -> bool {
        let pool = &self.pools[pool];
        if pool.settings.retry_writes == config::RetryWrites::Never {
            return false;
        }
        let mut scanner = resp::RequestScanner::new();
        if scanner.scan(bytes, &pool.limits).is_err() {
            return false;
        }
        let call = session::Call::new(bytes, scanner.args());
        commands::lookup(call.name()).is_some_and(|command| {
            commands::idempotent(command, call.len(), |index| call.arg(index))
        })
    }

    /// Counts a lost connection against the client's command; false: it has had enough of them.
    fn may_retry(&mut self, client_key: Key, pool: usize) -> bool {
        let pool = &mut self.pools[pool];
        let Some(client) = self.clients.get_mut(client_key) else {
            return false;
        };
        let trouble = client.trouble_mut();
        trouble.losses += 1;
        if trouble.losses > pool.settings.limits.retries {
            return false;
        }
        let allowed = trouble.losses == 1 || pool.budget.spend(self.now);
        pool.counts.retries_refused_total += u64::from(!allowed);
        allowed
    }

    /// The owner of a lost pinned connection: what it had there is lost, or is set up again.
    fn orphan_owner(&mut self, upstream: &Upstream, restart: bool, cause: &Cause) {
        let Some(owner) = upstream.owner() else {
            return;
        };
        let Some(client) = self.clients.get_mut(owner) else {
            return;
        };
        client.bound = None;
        if let Some(streaming) =
            client.special.as_mut().and_then(|special| special.streaming.as_mut())
        {
            streaming.upstream = None;
        }
        if restart {
            let denied = matches!(cause, Cause::Handshake(line) if line.starts_with(BUSY));
            if let Some(special) = client.special.as_deref_mut() {
                special.transaction = if denied && special.transaction.is_open() {
                    Transaction::Denied
                } else {
                    Transaction::None
                };
                special.watching = false;
            }
        } else {
            self.set_lost_transaction(owner);
        }
        let Some(client) = self.clients.get_mut(owner) else {
            return;
        };
        let Some(special) = client.special.as_deref_mut() else {
            return self.queue(owner);
        };
        special.watching = false;
        special.tainted = false;
        let receiver = special.receiver.take();
        if matches!(
            special.inquiry,
            Some(Inquiry::Functions | Inquiry::Found | Inquiry::Tracking(_))
        ) {
            special.inquiry = None;
        }
        if matches!(special.inquiry, Some(Inquiry::Permission)) {
            special.inquiry = match cause {
                Cause::Handshake(line) => Some(Inquiry::Refused(line.clone())),
                _ => None,
            };
        }
        if special.monitoring {
            return self.close_slow_or_broken(owner);
        }
        if let Cause::Handshake(line) = cause
            && special.standing_error.is_none()
            && special.tracking.is_some()
        {
            special.standing_error = Some(line.clone());
        }
        special.orphaned = special.listens_itself() || special.tracking.is_some();
        if let Some(receiver) = receiver {
            self.close_upstream(receiver.upstream);
        }
        self.queue(owner);
    }

    fn close_slow_or_broken(&mut self, client_key: Key) {
        if self.clients.get(client_key).is_some() {
            self.close_client(client_key);
        }
    }
}

/// One command of a lost connection, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Lost<'a> {
    pending: &'a Pending,
    bytes: &'a [u8],
    was_sent: bool,
    /// No other command of this client was on the connection before it.
    first_of_client: bool,
    front: bool,
    restart: bool,
    refused_everywhere: bool,
}

pub(crate) fn outcome_unknown(node: &str, pool: &str, cause: &Cause) -> String {
    let what = match cause {
        Cause::Silent => "did not answer in time",
        Cause::NodeGone => "went down",
        _ => "closed the connection",
    };
    error(
        ErrorKind::OutcomeUnknown,
        format_args!(
            "node {node} of pool {pool} {what} before it answered; the command may have run"
        ),
    )
}
