//! A subscriber whose connection to the node is shared: messages find their place between its replies, and in RESP2 it may
//! do little but listen.

use commands::Command;
use resp::Protocol;
use session::Call;
use topology::ErrorKind;

use crate::Engine;
use crate::client::State;
use crate::input::Step;
use crate::slots::Key;

/// A subscriber in RESP2 sends something large.
pub(crate) const LISTENS: &str = "ERR Can't execute this: only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
    are allowed in this context";

impl Engine {
    /// Gives a client a message or a confirmation, which may not stand within a reply; returns how much it has not read.
    pub(crate) fn give_message(&mut self, key: Key, value: &[u8]) -> usize {
        let amid = self.is_amid_reply(key);
        let Some(client) = self.clients.get_mut(key).filter(|client| client.state == State::Open)
        else {
            return 0;
        };
        let is_resp3 = client.talk.standing.protocol == Protocol::Resp3;
        let marker: &[u8] = if is_resp3 { b">" } else { b"*" };
        let rest = value.get(1..).unwrap_or_default();
        if amid {
            let late = &mut client.special_mut().late;
            late.extend_from_slice(marker);
            late.extend_from_slice(rest);
            return client.output.unsent() + client.special_mut().late.len();
        }
        self.give_late(key);
        let Some(client) = self.clients.get_mut(key) else {
            return 0;
        };
        client.output.append(marker, &mut self.buffers);
        client.output.append(rest, &mut self.buffers);
        client.output.commit();
        let unsent = client.output.unsent();
        self.touch_client(key);
        unsent
    }

    /// Has a part of a reply come, or of a transaction's?
    fn is_amid_reply(&self, key: Key) -> bool {
        let Some(client) = self.clients.get(key) else {
            return false;
        };
        let bound = client.bound.and_then(|bound| self.upstreams.get(bound.upstream));
        !client.output.uncommitted().is_empty()
            || bound.is_some_and(|upstream| {
                let front = upstream.queue.front().and_then(|front| front.client);
                upstream.value.len > 0 && (front == Some(key) || upstream.owner() == Some(key))
            })
    }

    /// Messages that came within a reply follow it.
    pub(crate) fn give_late(&mut self, key: Key) {
        let waits = self.clients.get(key).and_then(|client| client.special.as_ref());
        if waits.is_none_or(|special| special.late.is_empty()) || self.is_amid_reply(key) {
            return;
        }
        if let Some(client) = self.clients.get_mut(key) {
            let late = std::mem::take(&mut client.special_mut().late);
            client.output.append(&late, &mut self.buffers);
            client.output.commit();
            self.touch_client(key);
        }
    }

    /// A subscriber in RESP2 that shares may do little else (Redis, `processCommand`). `None`: it may do this.
    pub(crate) fn refuse_beside_listening(
        &mut self,
        key: Key,
        call: Call<'_>,
        command: Option<&'static Command>,
    ) -> Option<Step> {
        let Some(command) = command else {
            let name = String::from_utf8_lossy(call.name());
            let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
            let text = format!("ERR unknown command '{name}', with args beginning with: ");
            self.reply_error(key, ErrorKind::Command, &text);
            return Some(Step::Done);
        };
        let command = command.subcommand(call.arg(1)).unwrap_or(command);
        let name = command.name.to_ascii_lowercase().replace(' ', "|");
        if !command.accepts(call.len()) || (name == "ping" && call.len() > 2) {
            let text = format!("ERR wrong number of arguments for '{name}' command");
            self.reply_error(key, ErrorKind::Command, &text);
            return Some(Step::Done);
        }
        if matches!(command.kind, commands::Kind::Subscribe(_))
            || matches!(name.as_str(), "quit" | "reset")
        {
            return None;
        }
        if name == "ping" {
            let text = call.arg(1);
            self.reply(key, |out, _| {
                resp::write_array_header(out, 2);
                resp::write_bulk(out, b"pong");
                resp::write_bulk(out, text);
            });
            return Some(Step::Done);
        }
        let aborts = name == "exec";
        let code = if aborts { "EXECABORT Transaction discarded because of:" } else { "ERR" };
        let text = format!(
            "{code} Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
             are allowed in this context"
        );
        self.reply_error(key, ErrorKind::Command, &text);
        Some(Step::Done)
    }
}
