//! Commands about the client's own connection.

use std::rc::Rc;

use config::{Auth, Mode};
use resp::Protocol;
use session::{
    Call, ClientCommand, Effect, Local, ReplyMode, Standing, Target, Transaction, effect,
    parse_auth, parse_client, parse_hello, parse_select,
};
use topology::ErrorKind;

use crate::Engine;
use crate::choice::Wish;
use crate::client::{Hook, Parked};
use crate::command::EXEC_ABORT;
use crate::input::Step;
use crate::slots::Key;
use crate::upstream::PendingKind;

/// In Redis' words (networking.c `helloCommand`).
pub(crate) const HELLO_NEEDS_LOGIN: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
    HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
    the same time";

/// CLIENT PAUSE that ends at once.
const NO_PAUSE: &[u8] = b"*4\r\n$6\r\nCLIENT\r\n$5\r\nPAUSE\r\n$1\r\n0\r\n$5\r\nWRITE\r\n";

impl Engine {
    pub(crate) fn local(&mut self, key: Key, call: Call<'_>, bytes: &[u8], local: Local) -> Step {
        let queued = self.transaction_of(key).is_open();
        match local {
            Local::Quit => {
                let step = self.reply_simple(key, "OK");
                self.finish(key);
                step
            }
            Local::HangUp => {
                self.finish(key);
                Step::Done
            }
            Local::Reset => self.reset(key),
            // The node says in its own words that a subscriber may not.
            _ if self.only_listens(key) => {
                self.one(key, bytes, Target::Primary, false, PendingKind::Plain)
            }
            Local::Exec | Local::Discard => self.end_transaction(key, bytes, local),
            Local::Info => self.info(key, bytes),
            _ if queued => self.queued_local(key, call, bytes, local),
            Local::Unwatch => self.unwatch(key, bytes),
            Local::Select => self.select(key, call, bytes),
            Local::Auth => self.auth(key, call, bytes),
            Local::Hello => self.hello(key, call),
            Local::Client => {
                self.asking = Some((key, bytes.len()));
                let step = self.client_command(key, call, bytes);
                self.asking = None;
                step
            }
            Local::WhoAmI => {
                let name = self.user_name(key);
                self.reply(key, |out, _| resp::write_bulk(out, name.as_bytes()));
                Step::Done
            }
        }
    }

    pub(crate) fn has_pin(&self, key: Key) -> bool {
        self.clients.get(key).and_then(|client| client.bound).is_some_and(|bound| bound.pinned)
    }

    /// Is it a subscriber in RESP2?
    pub(crate) fn only_listens(&self, key: Key) -> bool {
        self.clients.get(key).is_some_and(|client| {
            client.is_subscribed() && client.talk.standing.protocol == Protocol::Resp2
        })
    }

    /// The target of commands that any node of the endpoint can answer.
    pub(crate) fn home(&self, key: Key) -> Target {
        match self.clients.get(key).map(|client| client.mode) {
            Some(Mode::Read) => Target::Reads,
            _ => Target::Primary,
        }
    }

    fn end_transaction(&mut self, key: Key, bytes: &[u8], local: Local) -> Step {
        let transaction = self.transaction_of(key);
        if !transaction.is_open() {
            let name = if local == Local::Exec { "EXEC" } else { "DISCARD" };
            self.reply_error(key, ErrorKind::Command, &format!("ERR {name} without MULTI"));
            return Step::Done;
        }
        if transaction == Transaction::Refused && local == Local::Exec {
            // A command inside was refused here: the node must forget the others. Closing does that.
            self.drop_pin(key);
            self.reply_error(key, ErrorKind::ExecAbort, EXEC_ABORT);
            return Step::Done;
        }
        if local == Local::Exec && self.own_connection_is_held(key) {
            return self.hold_exec(key);
        }
        let kind = if local == Local::Exec { PendingKind::Exec } else { PendingKind::Discard };
        if let Some(client) = self.clients.get_mut(key) {
            let special = client.special_mut();
            special.transaction = Transaction::None;
            special.watching = false;
            special.queued_write = false;
            if local == Local::Discard {
                special.effects.clear();
            }
        }
        self.one(key, bytes, Target::Primary, false, kind)
    }

    fn reset(&mut self, key: Key) -> Step {
        self.drop_pin(key);
        self.leave_hub(key);
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        client.special = None;
        client.talk = self.pools[client.pool].newcomer();
        self.reply_simple(key, "RESET")
    }

    /// Inside MULTI the node queues them; what they change on its connection ends with that connection, and what they
    /// change about the client begins when EXEC has run them.
    fn queued_local(&mut self, key: Key, call: Call<'_>, bytes: &[u8], local: Local) -> Step {
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        let effect = effect(call, local);
        let logs_in = match &effect {
            Some(Effect::Login(_)) => true,
            Some(Effect::Hello(hello)) => hello.login.is_some(),
            _ => false,
        };
        let own_login = self.pools[client.pool].settings.auth == Auth::PassThrough;
        let reply = local == Local::Client && call.arg(1).eq_ignore_ascii_case(b"REPLY");
        // The node would speak of its own clients, which are Redkeel's connections.
        let special = client.special_mut();
        let others = local == Local::Client
            && match parse_client(call) {
                Ok(ClientCommand::Clients(_)) => !matches!(effect, Some(Effect::Clients(_))),
                Ok(ClientCommand::Tracking(Some(tracking))) => tracking.redirect.is_some(),
                Ok(ClientCommand::TrackingInfo) => special.receiver.is_some(),
                _ => false,
            };
        let who_am_i = local == Local::WhoAmI;
        if reply || others || who_am_i || (logs_in && !own_login) {
            let what = match local {
                Local::Client => {
                    format!("CLIENT {}", String::from_utf8_lossy(call.arg(1)).to_ascii_uppercase())
                }
                Local::WhoAmI => "ACL WHOAMI".to_owned(),
                _ => "AUTH".to_owned(),
            };
            let text = format!("ERR {what} is not allowed in transactions");
            self.set_transaction(key, Transaction::Refused);
            return self.command_error(key, &text);
        }
        // Nothing waits there: the connection is everybody's. It still says whether the client's user may.
        let pauses = matches!(effect, Some(Effect::Clients(_)));
        let bytes = if pauses { NO_PAUSE } else { bytes };
        let special = client.special_mut();
        special.tainted |= local != Local::Unwatch;
        special.effects.extend(effect.map(|effect| (special.queued, effect)));
        self.one(key, bytes, Target::Primary, false, PendingKind::Plain)
    }

    fn unwatch(&mut self, key: Key, bytes: &[u8]) -> Step {
        let watching = self.clients.get_mut(key).is_some_and(|client| {
            client.special.as_mut().is_some_and(|special| {
                special.transaction = Transaction::None;
                std::mem::take(&mut special.watching)
            })
        });
        if watching {
            return self.one(key, bytes, Target::Primary, true, PendingKind::Discard);
        }
        self.reply_simple(key, "OK")
    }

    fn select(&mut self, key: Key, call: Call<'_>, bytes: &[u8]) -> Step {
        let database = match parse_select(call) {
            Ok(database) => database,
            Err(text) => return self.command_error(key, &text),
        };
        let Some(client) = self.clients.get(key) else {
            return Step::Done;
        };
        let standing = client.talk.standing.with_database(database);
        let standing = self.intern(standing);
        if self.has_pin(key) {
            return self.hooked(key, bytes, Hook::Standing(standing));
        }
        match self.ensure(key, &standing) {
            Ensured::Ready => {
                self.set_standing(key, standing);
                self.reply_simple(key, "OK")
            }
            Ensured::Answered => Step::Done,
            Ensured::Wait => Step::Wait,
        }
    }

    fn auth(&mut self, key: Key, call: Call<'_>, bytes: &[u8]) -> Step {
        let login = match parse_auth(call) {
            Ok(login) => login,
            Err(text) => return self.command_error(key, &text),
        };
        if self.knows_users(key) {
            return match self.log_in(key, &login) {
                Ok(()) => self.reply_simple(key, "OK"),
                Err(text) => self.denied(key, &text),
            };
        }
        let Some(client) = self.clients.get(key) else {
            return Step::Done;
        };
        if self.pools[client.pool].settings.auth == Auth::None {
            // What a server without a password says.
            return self.command_error(
                key,
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            );
        }
        let standing = client.talk.standing.with_login(login);
        if let Err(text) = self.may_try(key) {
            return self.denied(key, &text);
        }
        let standing = self.intern(standing);
        if self.has_pin(key) {
            return self.hooked(key, bytes, Hook::Standing(standing));
        }
        match self.ensure(key, &standing) {
            // The lane of these credentials is asked as well: they may have been revoked since it was opened.
            Ensured::Ready => {
                self.hooked_over(key, bytes, &Rc::clone(&standing), Hook::Standing(standing))
            }
            Ensured::Answered => Step::Done,
            Ensured::Wait => Step::Wait,
        }
    }

    fn hello(&mut self, key: Key, call: Call<'_>) -> Step {
        let hello = match parse_hello(call) {
            Ok(hello) => hello,
            Err(text) => return self.command_error(key, &text),
        };
        if self.knows_users(key) {
            if let Some(Err(text)) = hello.login.as_ref().map(|login| self.log_in(key, login)) {
                return self.denied(key, &text);
            }
            if self.is_stranger(key) {
                return self.denied(key, HELLO_NEEDS_LOGIN);
            }
        } else if hello.login.is_some()
            && let Err(text) = self.may_try(key)
        {
            return self.denied(key, &text);
        }
        let Some(client) = self.clients.get(key) else {
            return Step::Done;
        };
        // Left over where this is the second time, because the node was lost: what was sent had no name in it.
        let left = match client.special.as_ref().and_then(|special| special.hook.as_ref()) {
            Some(Hook::Hello { name, .. }) => name.clone(),
            _ => None,
        };
        let mut standing = (*client.talk.standing).clone();
        if let Some(protocol) = hello.protocol {
            standing.protocol = protocol;
        }
        let pass_through = self.pools[client.pool].settings.auth == Auth::PassThrough;
        let login = hello.login.filter(|_| pass_through);
        if let Some(login) = &login {
            standing = standing.with_login(login.clone());
        }
        let standing = self.intern(standing);
        let mut auth: Vec<&[u8]> = Vec::new();
        if let Some(login) = &login {
            let user = login.username.as_deref().unwrap_or(b"default");
            auth.extend([b"AUTH", user, login.password.reveal()]);
        }
        let name = hello.name.or(left);
        let hook = Hook::Hello { standing: Rc::clone(&standing), name: name.clone() };
        let has_login = !auth.is_empty();
        // A HELLO, because it is sent again as it is, and its client waits for what HELLO answers.
        let version: &[u8] = if standing.protocol == Protocol::Resp3 { b"3" } else { b"2" };
        auth.splice(..0, [b"HELLO", version]);
        let mut command = Vec::new();
        resp::write_command(&mut command, &auth);
        if self.has_pin(key) {
            return self.hooked(key, &command, hook);
        }
        match self.ensure(key, &standing) {
            Ensured::Answered => return Step::Done,
            Ensured::Wait => return Step::Wait,
            Ensured::Ready => {}
        }
        if has_login {
            return self.hooked_over(key, &command, &standing, hook);
        }
        self.set_standing(key, standing);
        if let Some(special) = self.clients.get_mut(key).and_then(|own| own.special.as_mut()) {
            special.hook = None;
        }
        if let (Some(client), Some(name)) = (self.clients.get_mut(key), name) {
            client.talk.name = (!name.is_empty()).then_some(name);
        }
        let greeting = self.greeting(key);
        self.reply(key, |out, _| out.extend_from_slice(&greeting));
        Step::Done
    }

    /// HELLO's reply.
    pub(crate) fn greeting(&self, key: Key) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(client) = self.clients.get(key) else {
            return out;
        };
        let pool = &self.pools[client.pool];
        let protocol = client.talk.standing.protocol;
        let node = pool.primary.or_else(|| pool.nodes.iter().position(|node| node.readable));
        let version = node.map_or("", |node| &*pool.nodes[node].version);
        resp::write_map_header(&mut out, 7, protocol);
        let mut field = |name: &str, value: &str| {
            resp::write_bulk(&mut out, name.as_bytes());
            resp::write_bulk(&mut out, value.as_bytes());
        };
        field("server", "redis");
        field("version", version);
        resp::write_bulk(&mut out, b"proto");
        resp::write_integer(&mut out, if protocol == resp::Protocol::Resp3 { 3 } else { 2 });
        resp::write_bulk(&mut out, b"id");
        resp::write_integer(&mut out, i64::try_from(client.id).unwrap_or(i64::MAX));
        let mut field = |name: &str, value: &str| {
            resp::write_bulk(&mut out, name.as_bytes());
            resp::write_bulk(&mut out, value.as_bytes());
        };
        field("mode", "standalone");
        field("role", if client.mode == Mode::Read { "replica" } else { "master" });
        resp::write_bulk(&mut out, b"modules");
        resp::write_array_header(&mut out, 0);
        out
    }

    fn client_command(&mut self, key: Key, call: Call<'_>, bytes: &[u8]) -> Step {
        let command = match parse_client(call) {
            Ok(command) => command,
            Err(text) => return self.command_error(key, &text),
        };
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        let redirects = client.special.as_ref().is_some_and(|special| special.receiver.is_some());
        let container = client.last_command;
        client.last_command =
            container.and_then(|container| container.subcommand(call.arg(1))).or(container);
        match command {
            ClientCommand::Id
            | ClientCommand::GetName
            | ClientCommand::GetRedirect
            | ClientCommand::Info => {
                let answer = self.about_itself(key, &command);
                self.reply(key, |out, _| out.extend_from_slice(&answer));
                Step::Done
            }
            command @ (ClientCommand::SetName(_)
            | ClientCommand::SetLibName(_)
            | ClientCommand::SetLibVersion(_)
            | ClientCommand::Keep(..)) => {
                client.talk.describe(command);
                self.reply_simple(key, "OK")
            }
            ClientCommand::Reply(mode) => {
                let special = client.special_mut();
                // Where there are no replies at all, none can be skipped.
                if mode != ReplyMode::Skip || special.reply_mode != ReplyMode::Off {
                    special.reply_mode = mode;
                }
                if mode == ReplyMode::On { self.reply_simple(key, "OK") } else { Step::Done }
            }
            ClientCommand::Clients(request) => self.clients_command(key, request),
            ClientCommand::Tracking(wanted) => self.tracking(key, bytes, wanted),
            ClientCommand::TrackingInfo if redirects => {
                let home = self.home(key);
                self.one(key, bytes, home, false, PendingKind::TrackingInfo)
            }
            ClientCommand::TrackingInfo | ClientCommand::Caching | ClientCommand::Server => {
                let home = self.home(key);
                self.one(key, bytes, home, false, PendingKind::Plain)
            }
        }
    }

    fn denied(&mut self, key: Key, text: &str) -> Step {
        self.deny(key, text);
        Step::Done
    }

    fn command_error(&mut self, key: Key, text: &str) -> Step {
        self.reply_error(key, ErrorKind::Command, text);
        Step::Done
    }

    pub(crate) fn set_standing(&mut self, key: Key, standing: Rc<Standing>) {
        if let Some(client) = self.clients.get_mut(key) {
            client.talk.standing = standing;
        }
    }

    /// A command over the client's own connection whose success changes the client.
    pub(crate) fn hooked(&mut self, key: Key, bytes: &[u8], hook: Hook) -> Step {
        if let Some(client) = self.clients.get_mut(key) {
            client.special_mut().hook = Some(hook);
        }
        let home = self.home(key);
        self.one(key, bytes, home, true, PendingKind::Hook)
    }

    /// The same over the lane of another standing.
    fn hooked_over(&mut self, key: Key, bytes: &[u8], standing: &Rc<Standing>, hook: Hook) -> Step {
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        let present = std::mem::replace(&mut client.talk.standing, Rc::clone(standing));
        let step = self.hooked(key, bytes, hook);
        self.set_standing(key, present);
        step
    }

    /// Is there a lane of this standing, so that the node has agreed to it?
    fn ensure(&mut self, key: Key, standing: &Rc<Standing>) -> Ensured {
        let home = self.home(key);
        let Some(client) = self.clients.get_mut(key) else {
            return Ensured::Answered;
        };
        let pool = client.pool;
        if let Some(error) =
            client.special.as_mut().and_then(|special| special.standing_error.take())
        {
            self.note_refusal(key, standing, &error);
            self.reply(key, |out, _| out.extend_from_slice(&error));
            return Ensured::Answered;
        }
        let wish = Wish { target: home, standing, key: None, avoid: None, now: self.now };
        let lane = match self.pools[pool].choose(&wish) {
            Some(node) => self.lane(pool, node, standing, false),
            None => Err(crate::dispatch::NoWay::NoNode),
        };
        match lane {
            Ok(lane) => {
                let Some(upstream) = self.upstreams.get_mut(lane) else {
                    return Ensured::Answered;
                };
                if upstream.is_ready() {
                    return Ensured::Ready;
                }
                upstream.waiters.push(key);
                self.park(key, Parked::Upstream, 0);
                Ensured::Wait
            }
            Err(why) => match self.no_way(key, home, why) {
                Step::Done => Ensured::Answered,
                Step::Wait => Ensured::Wait,
            },
        }
    }
}

/// What became of the wish for a lane of a certain standing.
enum Ensured {
    /// There is one.
    Ready,
    /// There is none, and the client has been told.
    Answered,
    /// It is being opened; the client is parked.
    Wait,
}
