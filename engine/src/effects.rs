//! What a successful reply changes about its client.

use session::{ClientCommand, Effect, Transaction};

use crate::Engine;
use crate::client::Hook;
use crate::connect::client_id;
use crate::slots::Key;
use crate::upstream::{Pending, PendingKind, Value};

impl Engine {
    /// What some commands' replies change, here or in themselves.
    pub(crate) fn adjust(&mut self, client_key: Key, front: Pending, value: Value, is_error: bool) {
        let Some(client) = self.clients.get_mut(client_key) else {
            return;
        };
        match front.kind {
            // The PING's reply is nobody's.
            PendingKind::Wait if front.replies > 0 => client.output.truncate_tail(value.len),
            PendingKind::Multi if is_error => client.special_mut().transaction = Transaction::None,
            PendingKind::Queued | PendingKind::StreamedQueued => {
                let queued = client.output.tail(value.len) == b"+QUEUED\r\n";
                client.special_mut().queued += u32::from(queued);
            }
            PendingKind::Info if !is_error => self.put_counts(client_key, value.len),
            PendingKind::Permission => self.permission(client_key, value.len),
            PendingKind::Functions => self.functions_listed(client_key, value.len),
            PendingKind::NodeClient if !is_error => self.note_node_client(client_key, value.len),
            PendingKind::Tracking => self.tracking_answered(client_key, value.len),
            PendingKind::TrackingInfo if !is_error => self.name_redirect(client_key, value.len),
            PendingKind::Exec => self.take_effect(client_key, value),
            PendingKind::Monitor if is_error => client.special_mut().monitoring = false,
            PendingKind::Hook => {
                let hook = client.special.as_mut().and_then(|special| special.hook.take());
                match hook {
                    Some(hook) if !is_error => self.apply_hook(client_key, hook, value.len),
                    Some(Hook::Standing(standing) | Hook::Hello { standing, .. }) => {
                        let reply = client.output.tail(value.len).to_vec();
                        self.note_refusal(client_key, &standing, &reply);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// The node has said what it calls the client's own connection.
    fn note_node_client(&mut self, client_key: Key, len: usize) {
        let Some(client) = self.clients.get(client_key) else {
            return;
        };
        let id = client_id(client.output.tail(len));
        let upstream = client.bound.and_then(|bound| self.upstreams.get_mut(bound.upstream));
        if let Some(upstream) = upstream {
            upstream.node_client = id;
        }
    }

    /// TRACKINGINFO names the client that messages are redirected to, not the connection that receives them.
    fn name_redirect(&mut self, client_key: Key, len: usize) {
        let Some(client) = self.clients.get_mut(client_key) else {
            return;
        };
        let special = client.special.as_ref();
        let is_broken = special.is_some_and(|special| special.is_redirect_broken);
        let tracking = special.and_then(|special| special.tracking.as_ref());
        let info = tracking.and_then(|tracking| tracking.redirect).and_then(|redirect| {
            session::redirected_info(client.output.tail(len), redirect, is_broken)
        });
        if let Some(info) = info {
            client.output.truncate_tail(len);
            client.output.append(&info, &mut self.buffers);
        }
    }

    /// EXEC has run, or not: what its commands have changed about the client is in force.
    pub(crate) fn take_effect(&mut self, client_key: Key, value: Value) {
        let Some(client) = self.clients.get_mut(client_key) else {
            return;
        };
        let effects = client.special.as_mut().map(|special| std::mem::take(&mut special.effects));
        let mut answers = Vec::new();
        for (place, effect) in effects.into_iter().flatten() {
            let Some(client) = self.clients.get_mut(client_key) else {
                return;
            };
            let element = session::element(client.output.tail(value.len), place);
            if element.is_none_or(|element| matches!(element[0], b'-' | b'!')) {
                continue;
            }
            let mut standing = (*client.talk.standing).clone();
            match effect {
                Effect::Database(database) => standing = standing.with_database(database),
                Effect::Login(login) => standing = standing.with_login(login),
                Effect::Hello(hello) => {
                    standing.protocol = hello.protocol.unwrap_or(standing.protocol);
                    if let Some(login) = hello.login {
                        standing = standing.with_login(login);
                    }
                    if let Some(name) = hello.name {
                        client.talk.describe(ClientCommand::SetName(name));
                    }
                }
                Effect::Clients(request) => {
                    let (pool, own) = (client.pool, client.id);
                    let order = self.order(request, own);
                    // The others are told before this client is: what is sent after its answer waits.
                    self.ask_peers(client_key, pool, order);
                    continue;
                }
                Effect::Client(command) => client.talk.describe(command),
                Effect::Answer(command) => {
                    answers.push((place, self.about_itself(client_key, &command)));
                    continue;
                }
            }
            let standing = self.intern(standing);
            self.set_standing(client_key, standing);
        }
        if let Some(client) = self.clients.get_mut(client_key).filter(|_| !answers.is_empty())
            && let Some(reply) = session::with_elements(client.output.tail(value.len), &answers)
        {
            client.output.truncate_tail(value.len);
            client.output.append(&reply, &mut self.buffers);
        }
    }

    /// The answer to CLIENT ID, GETNAME, GETREDIR or INFO.
    pub(crate) fn about_itself(&self, key: Key, command: &ClientCommand) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(client) = self.clients.get(key) else {
            return out;
        };
        let protocol = client.talk.standing.protocol;
        match (command, &client.talk.name) {
            (ClientCommand::Id, _) => {
                resp::write_integer(&mut out, i64::try_from(client.id).unwrap_or(i64::MAX));
            }
            (ClientCommand::GetRedirect, _) => {
                resp::write_integer(&mut out, self.redirect_of(key));
            }
            (ClientCommand::GetName, Some(name)) => resp::write_bulk(&mut out, name),
            (ClientCommand::GetName, None) => resp::write_null(&mut out, protocol),
            _ => resp::write_verbatim(&mut out, self.client_line(key, client).as_bytes(), protocol),
        }
        out
    }

    pub(crate) fn apply_hook(&mut self, client_key: Key, hook: Hook, reply_len: usize) {
        match hook {
            Hook::Standing(standing) => self.agreed(client_key, standing),
            Hook::Hello { standing, name } => {
                self.agreed(client_key, standing);
                if let (Some(client), Some(name)) = (self.clients.get_mut(client_key), name) {
                    client.talk.describe(ClientCommand::SetName(name));
                }
                let greeting = self.greeting(client_key);
                if let Some(client) = self.clients.get_mut(client_key) {
                    client.output.truncate_tail(reply_len);
                    client.output.append(&greeting, &mut self.buffers);
                }
            }
            Hook::Tracking(tracking) => {
                self.tracking_changed(client_key, tracking);
            }
        }
    }

    /// The node has agreed to a client's new standing; a connection of the client's own has changed with it.
    pub(crate) fn agreed(&mut self, client_key: Key, standing: std::rc::Rc<session::Standing>) {
        if let Some(upstream) = self
            .clients
            .get(client_key)
            .and_then(|client| client.bound.filter(|bound| bound.pinned))
            .and_then(|bound| self.upstreams.get_mut(bound.upstream))
        {
            upstream.standing = std::rc::Rc::clone(&standing);
        }
        self.set_standing(client_key, standing);
    }
}
