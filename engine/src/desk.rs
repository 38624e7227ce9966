//! CLIENT LIST, KILL, UNBLOCK, PAUSE and UNPAUSE, and INFO: they speak of all clients of the pool, so every worker is asked. The
//! command stays at the front of its client's input until all have answered.

use std::sync::Arc;
use std::time::Duration;

use config::Auth;
use session::{ClientCounts, ClientsRequest, Tracking};
use topology::{
    ClientFilter, ClientsOrder, ClientsReport, ErrorKind, PeerMail, PoolId, Ticket, Time,
};

use crate::Engine;
use crate::client::{Client, Parked};
use crate::conn::{Action, ConnId};
use crate::front::{Owed, Owing};
use crate::input::Step;
use crate::slots::Key;
use crate::upstream::PendingKind;

/// A worker that has not answered by then has ended: it has no clients.
const PATIENCE: Duration = Duration::from_secs(1);
/// How Redis says that CLIENT KILL USER names nobody.
const NO_SUCH_USER: &[u8] = b"-ERR No such user";
/// No client has this identifier.
const NOBODY: &[u8] = b"9223372036854775807";

/// How far a client's question about the pool's clients has come.
#[derive(Debug)]
pub(crate) enum Inquiry {
    /// A node is asked whether its user may ask that.
    Permission,
    /// The node's answer is not that it may not.
    Permitted,
    /// The node's refusal.
    Refused(Vec<u8>),
    /// The other workers are asked.
    Asked(Asked),
    /// A node is asked which functions only read.
    Functions,
    /// There is the client that a TRACKING redirects to.
    Found,
    /// A node is asked to track.
    Tracking(Box<Tracking>),
    /// What it has answered.
    Tracked(Vec<u8>),
    /// They have answered: a node is asked for the rest of INFO.
    Counted(ClientCounts),
}

/// What the other workers were asked, and have said.
#[derive(Debug)]
pub(crate) struct Asked {
    number: u64,
    waiting: usize,
    until: Time,
    pub(crate) report: ClientsReport,
    /// It kills itself as well.
    ends: bool,
}

impl Asked {
    /// All have answered, or will not.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        self.waiting == 0 || now >= self.until
    }

    /// How many clients the others have found.
    pub(crate) fn found(&self) -> u64 {
        self.report.count
    }
}

/// The same kind of command, in a form that does nothing.
fn harmless(request: &ClientsRequest) -> Vec<u8> {
    let words: &[&[u8]] = match request {
        // It also knows who there is.
        ClientsRequest::Kill { filter: ClientFilter { user: Some(user), .. }, .. } => {
            &[b"CLIENT", b"KILL", b"USER", user, b"ID", NOBODY]
        }
        ClientsRequest::List(_) => &[b"CLIENT", b"LIST", b"ID", NOBODY],
        ClientsRequest::Kill { .. } => &[b"CLIENT", b"KILL", b"ID", NOBODY],
        ClientsRequest::Unblock { .. } => &[b"CLIENT", b"UNBLOCK", NOBODY],
        // Without a number it pauses nothing.
        ClientsRequest::Pause { .. } | ClientsRequest::Unpause => &[b"CLIENT", b"PAUSE", b"-"],
    };
    let mut command = Vec::new();
    resp::write_command(&mut command, words);
    command
}

impl Engine {
    /// One of these commands, for the first time or again.
    pub(crate) fn clients_command(&mut self, key: Key, request: ClientsRequest) -> Step {
        let Some(pool) = self.clients.get(key).map(|client| client.pool) else {
            return Step::Done;
        };
        if let ClientsRequest::Kill { filter: ClientFilter { user: Some(user), .. }, .. } = &request
            && self.pools[pool].settings.auth == Auth::Users
            && !self.pools[pool].settings.users.iter().any(|own| own.name.as_bytes() == &**user)
        {
            let text = format!("ERR No such user '{}'", String::from_utf8_lossy(user));
            self.reply_error(key, ErrorKind::Command, &text);
            return Step::Done;
        }
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        match client.special_mut().inquiry.take() {
            // Who may is known to the nodes alone.
            None | Some(Inquiry::Counted(_))
                if self.pools[pool].settings.auth == Auth::PassThrough =>
            {
                self.ask_permission(key, &request)
            }
            None | Some(Inquiry::Counted(_) | Inquiry::Permitted) => {
                self.inquire(key, pool, request)
            }
            Some(Inquiry::Refused(line)) => {
                self.pools[pool].counts.errors_total[ErrorKind::Command as usize] += 1;
                self.reply(key, |out, _| out.extend_from_slice(&line));
                Step::Done
            }
            Some(Inquiry::Asked(asked)) if asked.is_over(self.now) => {
                self.report(key, &request, asked)
            }
            Some(inquiry) => self.wait_for(key, inquiry),
        }
    }

    pub(crate) fn wait_for(&mut self, key: Key, inquiry: Inquiry) -> Step {
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        client.parked = Parked::Peers;
        let until = match &inquiry {
            Inquiry::Asked(asked) => Some(asked.until),
            _ => None,
        };
        client.special_mut().inquiry = Some(inquiry);
        if let Some(until) = until {
            self.arm_client(key, until);
        }
        Step::Wait
    }

    /// Sends the node the same kind of command, in a form that does nothing.
    fn ask_permission(&mut self, key: Key, request: &ClientsRequest) -> Step {
        if self.clients.get(key).is_some_and(Client::is_front) {
            return self.ask_leg_permission(key, request);
        }
        let home = self.home(key);
        let upstream = match self.pin(key, home) {
            Ok(upstream) => upstream,
            Err(why) => return self.no_way(key, home, why),
        };
        let command = harmless(request);
        self.own_command(key, upstream, &command, 1, PendingKind::Permission);
        self.wait_for(key, Inquiry::Permission)
    }

    /// One of the client's legs asks, as it does for any client of its shard.
    fn ask_leg_permission(&mut self, key: Key, request: &ClientsRequest) -> Step {
        let place = self.any_place(key);
        self.feed(key, place, &harmless(request));
        let at = self.now;
        self.owe_as(key, Owed { owing: Owing::Permission(place), mute: true, at });
        self.wait_for(key, Inquiry::Permission)
    }

    /// The node has answered to that.
    pub(crate) fn permission(&mut self, key: Key, len: usize) {
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let reply = client.output.tail(len).to_vec();
        self.permission_of(key, &reply);
    }

    pub(crate) fn permission_of(&mut self, key: Key, reply: &[u8]) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let refusals: [&[u8]; 3] = [b"-NOPERM", b"-NOAUTH", NO_SUCH_USER];
        let refused = refusals.iter().any(|start| reply.starts_with(start));
        let answer = if refused { Inquiry::Refused(reply.to_vec()) } else { Inquiry::Permitted };
        if let Some(special) = client.special.as_deref_mut()
            && matches!(special.inquiry, Some(Inquiry::Permission))
        {
            special.inquiry = Some(answer);
            self.queue(key);
        }
    }

    fn inquire(&mut self, key: Key, pool: usize, request: ClientsRequest) -> Step {
        let Some(client) = self.clients.get(key) else {
            return Step::Done;
        };
        let order = self.order(request.clone(), client.id);
        let asked = self.ask_peers(key, pool, order);
        if asked.waiting == 0 {
            return self.report(key, &request, asked);
        }
        self.wait_for(key, Inquiry::Asked(asked))
    }

    /// What every worker is to do. `own`: the CLIENT ID of the one that asks.
    pub(crate) fn order(&self, request: ClientsRequest, own: u64) -> ClientsOrder {
        match request {
            ClientsRequest::List(filter) => ClientsOrder::List(filter),
            ClientsRequest::Kill { mut filter, skip_me, .. } => {
                filter.except = skip_me.then_some(own);
                ClientsOrder::Kill(filter)
            }
            ClientsRequest::Unblock { id, with_error } => ClientsOrder::Unblock { id, with_error },
            ClientsRequest::Pause { millis, writes_only } => {
                let until = self.now + Duration::from_millis(millis.min(u64::from(u32::MAX)));
                ClientsOrder::Pause { until, writes_only }
            }
            ClientsRequest::Unpause => ClientsOrder::Unpause,
        }
    }

    /// Carries an order out here, and tells the other workers to.
    pub(crate) fn ask_peers(&mut self, key: Key, pool: usize, order: ClientsOrder) -> Asked {
        let ends = match &order {
            ClientsOrder::Kill(filter) => self.matching(pool, filter).contains(&key),
            _ => false,
        };
        let report = self.carry_out(pool, &order, Some(key));
        Asked { ends, ..self.ask_workers(key, pool, order, None, report) }
    }

    /// Asks one other worker, or all of them. `report`: what there is to say here.
    pub(crate) fn ask_workers(
        &mut self,
        key: Key,
        pool: usize,
        order: ClientsOrder,
        worker: Option<usize>,
        report: ClientsReport,
    ) -> Asked {
        self.inquiries += 1;
        let number = self.inquiries;
        let waiting = if worker.is_some() { 1 } else { self.workers - 1 };
        if waiting > 0 {
            let client = ConnId::client(key).to_bits();
            let mail = PeerMail::Order {
                ticket: Ticket { worker: self.worker, client, number },
                pool: self.pools[pool].id,
                order: Arc::new(order),
            };
            self.actions.push(Action::Tell { worker, mail });
        }
        Asked { number, waiting, until: self.now + PATIENCE, report, ends: false }
    }

    /// Another worker's client asks.
    pub(crate) fn order_from_peer(&mut self, ticket: Ticket, pool: PoolId, order: &ClientsOrder) {
        if (pool.0 as usize) < self.pools.len() {
            let report = self.carry_out(pool.0 as usize, order, None);
            let mail = PeerMail::Report { ticket, report };
            self.actions.push(Action::Tell { worker: Some(ticket.worker), mail });
        }
    }

    /// Another worker has answered.
    pub(crate) fn report_from_peer(&mut self, ticket: Ticket, report: ClientsReport) {
        let key = ConnId::from_bits(ticket.client).key();
        let special = self.clients.get_mut(key).and_then(|client| client.special.as_deref_mut());
        let Some(Inquiry::Asked(asked)) = special.and_then(|special| special.inquiry.as_mut())
        else {
            return;
        };
        if asked.number != ticket.number {
            return;
        }
        asked.waiting = asked.waiting.saturating_sub(1);
        asked.report.count += report.count;
        asked.report.blocked += report.blocked;
        asked.report.lines.extend(report.lines);
        if asked.waiting == 0 {
            self.queue(key);
        }
    }

    /// All have answered: so is the client.
    fn report(&mut self, key: Key, request: &ClientsRequest, asked: Asked) -> Step {
        let Asked { mut report, ends, .. } = asked;
        if let Some(client) = self.clients.get_mut(key) {
            client.special.take_if(|special| special.is_trivial());
        }
        match request {
            ClientsRequest::List(_) => {
                report.lines.sort_unstable_by_key(|(id, _)| *id);
                let text: String = report.lines.into_iter().map(|(_, line)| line).collect();
                self.reply(key, |out, protocol| {
                    resp::write_verbatim(out, text.as_bytes(), protocol);
                });
            }
            ClientsRequest::Kill { old_form: true, .. } if report.count == 0 => {
                self.reply_error(key, ErrorKind::Command, "ERR No such client");
            }
            ClientsRequest::Kill { old_form: false, .. } | ClientsRequest::Unblock { .. } => {
                let count = i64::try_from(report.count).unwrap_or(i64::MAX);
                self.reply(key, |out, _| resp::write_integer(out, count));
            }
            ClientsRequest::Kill { .. }
            | ClientsRequest::Pause { .. }
            | ClientsRequest::Unpause => {
                self.reply_simple(key, "OK");
            }
        }
        if ends {
            self.finish(key);
        }
        Step::Done
    }
}
