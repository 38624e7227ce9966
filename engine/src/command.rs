//! Commands that are handled alone, when everything before them is answered.

use commands::Kind;
use config::Mode;
use session::{Call, PinReason, Rejection, Target, Transaction, Way, error};
use topology::{ErrorKind, Evidence, Sighting};

use crate::Engine;
use crate::client::Parked;
use crate::conn::Action;
use crate::dispatch::{Dispatched, NoWay, Request, Source};
use crate::input::Step;
use crate::login::denial;
use crate::slots::Key;
use crate::upstream::{Flags, Pending, PendingKind};

/// The longest name of an unknown command that the nodes are asked about.
const UNKNOWN_NAME_MAX: usize = 64;

/// Redis, `execCommand`.
pub(crate) const EXEC_ABORT: &str = "EXECABORT Transaction discarded because of previous errors.";

impl Engine {
    /// Handles one command; `self.scanner` has its arguments.
    pub(crate) fn single(
        &mut self,
        key: Key,
        input: &[u8],
        way: Way,
        kind: Option<Kind>,
        source: Source,
    ) -> Step {
        let amid = self.is_amid_message(key);
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        if client.unanswered > 0 || amid {
            client.parked = Parked::Answers;
            return Step::Wait;
        }
        // The call borrows the arguments and, for an inline command, its rewritten bytes.
        let scanner = std::mem::take(&mut self.scanner);
        let inline = std::mem::take(&mut self.inline);
        let call = Call::new(source.of(input, &inline), scanner.args());
        let bytes = source.of(input, &inline);
        let step = self.single_call(key, call, bytes, way, kind);
        self.scanner = scanner;
        self.inline = inline;
        step
    }

    /// Has a part of a message come for it? A reply of ours may not stand in its middle.
    pub(crate) fn is_amid_message(&self, key: Key) -> bool {
        let bound = self.clients.get(key).and_then(|client| client.bound);
        let pinned = bound.filter(|bound| bound.pinned);
        pinned
            .and_then(|bound| self.upstreams.get(bound.upstream))
            .is_some_and(|upstream| upstream.value.len > 0)
    }

    fn single_call(
        &mut self,
        key: Key,
        call: Call<'_>,
        bytes: &[u8],
        way: Way,
        kind: Option<Kind>,
    ) -> Step {
        let transaction = self.transaction_of(key);
        if transaction.is_imaginary() && !matches!(kind, Some(Kind::Reset | Kind::Quit)) {
            return self.imaginary(key, kind);
        }
        if self.clients.get(key).is_some_and(|client| client.only_shares()) {
            let command = self.clients.get(key).and_then(|client| client.last_command);
            if let Some(step) = self.refuse_beside_listening(key, call, command) {
                return step;
            }
        }
        match way {
            Way::Reject(rejection) => self.reject(key, call, rejection),
            Way::Everywhere => self.everywhere(key, bytes),
            Way::Local(local) => self.local(key, call, bytes, local),
            Way::Pinned { reason: PinReason::Multi, .. }
                if transaction == Transaction::WatchLost =>
            {
                self.set_transaction(key, Transaction::WatchLostOpen);
                self.reply_simple(key, "OK")
            }
            Way::Pinned { target, reason } => self.pinned_command(key, call, bytes, target, reason),
            Way::Lane { target, repeatable, .. } => {
                self.one(key, bytes, target, repeatable, PendingKind::Plain)
            }
        }
    }

    pub(crate) fn transaction_of(&self, key: Key) -> Transaction {
        self.clients.get(key).map_or(Transaction::None, crate::client::Client::transaction)
    }

    pub(crate) fn set_transaction(&mut self, key: Key, transaction: Transaction) {
        if let Some(client) = self.clients.get_mut(key)
            && (transaction != Transaction::None || client.special.is_some())
        {
            client.special_mut().transaction = transaction;
        }
    }

    /// Between MULTI and EXEC of a transaction whose connection, or whose WATCH, was lost.
    fn imaginary(&mut self, key: Key, kind: Option<Kind>) -> Step {
        let transaction = self.transaction_of(key);
        match kind {
            Some(Kind::Exec) => {
                self.set_transaction(key, Transaction::None);
                match transaction {
                    Transaction::Lost => {
                        let text = self.exec_abort_text(key);
                        self.reply_error(key, ErrorKind::ExecAbort, &text);
                    }
                    Transaction::Denied => {
                        self.reply_error(key, ErrorKind::ExecAbort, EXEC_ABORT);
                    }
                    // As if a watched key had changed.
                    _ => self.reply(key, resp::write_null_array),
                }
                Step::Done
            }
            Some(Kind::Discard) => {
                self.set_transaction(key, Transaction::None);
                self.reply_simple(key, "OK")
            }
            _ => self.reply_simple(key, "QUEUED"),
        }
    }

    pub(crate) fn exec_abort_text(&self, key: Key) -> String {
        let pool = self.clients.get(key).map_or("", |client| self.pools[client.pool].name());
        error(
            ErrorKind::ExecAbort,
            format_args!(
                "the connection to the node of pool {pool} was lost before EXEC; nothing of the transaction ran"
            ),
        )
    }

    pub(crate) fn reject(&mut self, key: Key, call: Call<'_>, rejection: Rejection) -> Step {
        let mut name = String::from_utf8_lossy(call.name()).to_ascii_lowercase();
        if rejection == (Rejection::Command { with_subcommand: true }) {
            name = format!("{name}|{}", String::from_utf8_lossy(call.arg(1)).to_ascii_lowercase());
        }
        let (kind, text) = match rejection {
            // Redis' own words for a write on a replica.
            Rejection::ReadOnly => (
                ErrorKind::ReadOnly,
                "READONLY You can't write against a read only replica.".to_owned(),
            ),
            Rejection::Replication => (
                ErrorKind::Refused,
                error(ErrorKind::Refused, format_args!("'{name}' is not passed on by a proxy")),
            ),
            Rejection::Configured if call.len() > 1 && has_subcommands(call) => (
                ErrorKind::Refused,
                error(
                    ErrorKind::Refused,
                    format_args!(
                        "'{name} {}' is refused by this pool's configuration",
                        String::from_utf8_lossy(call.arg(1)).to_ascii_lowercase()
                    ),
                ),
            ),
            Rejection::Configured => (
                ErrorKind::Refused,
                error(
                    ErrorKind::Refused,
                    format_args!("'{name}' is refused by this pool's configuration"),
                ),
            ),
            denied => (ErrorKind::Denied, denial(denied, &name).unwrap_or_default()),
        };
        if self.transaction_of(key).is_open() {
            self.set_transaction(key, Transaction::Refused);
        }
        self.reply_error(key, kind, &text);
        Step::Done
    }

    /// One command over a lane, or over the client's own connection if it has one.
    pub(crate) fn one(
        &mut self,
        key: Key,
        bytes: &[u8],
        target: Target,
        repeatable: bool,
        kind: PendingKind,
    ) -> Step {
        self.batch.clear();
        self.batch_key = None;
        self.batch_scripts = false;
        let source = Source::Input { at: 0, len: bytes.len() };
        let mut request = Request::ordinary(source, 0, bytes.len(), target, repeatable, false);
        request.kind = if self.transaction_of(key).is_open()
            && matches!(kind, PendingKind::Plain | PendingKind::Script)
        {
            PendingKind::Queued
        } else {
            kind
        };
        self.batch.push(request);
        match self.dispatch(key, bytes) {
            Dispatched::All(_) | Dispatched::Some(_) => Step::Done,
            Dispatched::Parked => Step::Wait,
        }
    }

    /// SCRIPT LOAD and its like: the primary's reply is the client's; the other nodes get a copy each.
    fn everywhere(&mut self, key: Key, bytes: &[u8]) -> Step {
        let Some(client) = self.clients.get(key) else {
            return Step::Done;
        };
        let target = if client.mode == Mode::Read { Target::Reads } else { Target::Primary };
        let (pool, standing) = (client.pool, std::rc::Rc::clone(&client.talk.standing));
        let pinned = client.bound.is_some_and(|bound| bound.pinned);
        if self.pools[pool].writes_held.is_some() && !self.transaction_of(key).is_open() {
            // FUNCTION LOAD writes, and a copy would go to the primary.
            return self.no_way(key, Target::Primary, NoWay::NoNode);
        }
        let step = self.one(key, bytes, target, true, PendingKind::Script);
        if step == Step::Wait || pinned {
            return step;
        }
        let own = self
            .clients
            .get(key)
            .and_then(|client| client.bound)
            .and_then(|bound| self.upstreams.get(bound.upstream).map(|upstream| upstream.node));
        let others: Vec<usize> = (0..self.pools[pool].nodes.len())
            .filter(|node| Some(*node) != own && self.pools[pool].fits(*node, Target::Reads))
            .collect();
        for node in others {
            if let Ok(lane) = self.lane(pool, node, &standing, false) {
                self.send_copy(lane, bytes);
            }
        }
        step
    }

    /// A command whose reply nobody waits for.
    pub(crate) fn send_copy(&mut self, lane: Key, bytes: &[u8]) {
        let Some(upstream) = self.upstreams.get_mut(lane) else {
            return;
        };
        let pool = &mut self.pools[upstream.pool];
        let due = self.now + pool.settings.timeouts.request;
        upstream.requests.append(bytes, &mut self.buffers);
        upstream.queue.push_back(Pending {
            client: None,
            at: self.now,
            due,
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            replies: 1,
            replies_in_all: 1,
            kind: PendingKind::Plain,
            flags: Flags { repeatable: true, ..Flags::default() },
        });
        let counts = &mut pool.nodes[upstream.node].counts;
        counts.in_flight += 1;
        counts.commands_total += 1;
        self.arm_upstream(lane, due);
        self.touch_upstream(lane);
    }

    /// What there is no connection for: held, or answered with an error.
    pub(crate) fn no_way(&mut self, key: Key, target: Target, why: NoWay) -> Step {
        match why {
            NoWay::Limit(text) => {
                self.reply_error(key, ErrorKind::Limit, &text);
                Step::Done
            }
            NoWay::NoNode => {
                let expired = self
                    .clients
                    .get(key)
                    .and_then(|client| client.trouble.as_ref())
                    .is_some_and(|trouble| trouble.expired > 0);
                if expired {
                    let (kind, text) = self.nobody(key, target);
                    self.reply_error(key, kind, &text);
                    return Step::Done;
                }
                self.hold(key);
                Step::Wait
            }
        }
    }

    /// Asks the nodes, through the control plane, what this command is.
    pub(crate) fn ask_about(&mut self, pool: usize, name: &[u8]) {
        if name.len() <= UNKNOWN_NAME_MAX {
            let pool = self.pools[pool].id;
            let name = name.to_ascii_uppercase().into_boxed_slice();
            self.actions.push(Action::Evidence(Evidence::UnknownCommand { pool, name }));
        }
    }

    /// Tells the control plane what was seen of a node.
    pub(crate) fn evidence(&mut self, pool: usize, node: usize, sighting: Sighting) {
        let (pool, node) = (self.pools[pool].id, self.pools[pool].nodes[node].id);
        self.actions.push(Action::Evidence(Evidence::Node { pool, node, sighting, at: self.now }));
    }

    /// Writes a reply of our own, unless the client wants none.
    pub(crate) fn reply(&mut self, key: Key, write: impl FnOnce(&mut Vec<u8>, resp::Protocol)) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if let Some(special) = client.special.as_deref_mut() {
            match special.reply_mode {
                session::ReplyMode::On => {}
                session::ReplyMode::Off => return,
                session::ReplyMode::Skip => {
                    special.reply_mode = session::ReplyMode::On;
                    return;
                }
            }
        }
        debug_assert!(client.output.uncommitted().is_empty(), "our replies stand between others");
        let protocol = client.talk.standing.protocol;
        if client.front().is_some_and(|front| !front.owed.is_empty() || front.amid.is_some()) {
            let mut bytes = Vec::new();
            write(&mut bytes, protocol);
            return self.owe_ours(key, bytes);
        }
        write(client.output.buffer(0, &mut self.buffers), protocol);
        client.output.commit();
        self.touch_client(key);
    }

    pub(crate) fn reply_simple(&mut self, key: Key, text: &str) -> Step {
        self.reply(key, |out, _| resp::write_simple(out, text.as_bytes()));
        Step::Done
    }

    /// Writes an error reply of our own and counts it.
    pub(crate) fn reply_error(&mut self, key: Key, kind: ErrorKind, text: &str) {
        if let Some(client) = self.clients.get(key) {
            self.pools[client.pool].counts.errors_total[kind as usize] += 1;
        }
        self.reply(key, |out, _| resp::write_error(out, text));
    }
}

fn has_subcommands(call: Call<'_>) -> bool {
    commands::lookup(call.name()).is_some_and(commands::Command::has_subcommands)
}
