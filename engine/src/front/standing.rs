//! SELECT, AUTH and HELLO: one leg asks its shard, and what that grants holds for all of them.

use std::rc::Rc;

use config::Auth;
use session::{Call, Conversation, Local, Login, Standing, parse_hello};

use crate::Engine;
use crate::client::Client;
use crate::front::Owing;
use crate::input::Step;
use crate::local::HELLO_NEEDS_LOGIN;
use crate::slots::Key;

impl Engine {
    pub(crate) fn front_standing(
        &mut self,
        key: Key,
        call: Call<'_>,
        bytes: &[u8],
        local: Local,
    ) -> Step {
        if !self.is_alone(key) {
            return Step::Wait;
        }
        let Some(pool) = self.clients.get(key).map(|client| client.pool) else {
            return Step::Done;
        };
        let pass_through = self.pools[pool].settings.auth == Auth::PassThrough;
        if local == Local::Auth && !pass_through {
            return self.local(key, call, bytes, local);
        }
        let mut without_login = Vec::new();
        let bytes = match (local, parse_hello(call)) {
            (Local::Hello, Ok(hello)) if self.knows_users(key) => {
                let logged_in = hello.login.as_ref().map(|login: &Login| self.log_in(key, login));
                if let Some(Err(text)) = logged_in {
                    self.deny(key, &text);
                    return Step::Done;
                }
                if self.is_stranger(key) {
                    self.deny(key, HELLO_NEEDS_LOGIN);
                    return Step::Done;
                }
                // Who it is, the shards need not know.
                let mut words: Vec<&[u8]> = vec![b"HELLO"];
                if let Some(protocol) = hello.protocol {
                    words.push(if protocol == resp::Protocol::Resp3 { b"3" } else { b"2" });
                }
                if let Some(name) = &hello.name {
                    words.extend([b"SETNAME".as_slice(), name]);
                }
                resp::write_command(&mut without_login, &words);
                without_login.as_slice()
            }
            _ => bytes,
        };
        // The connection that watches keys goes on watching; those of other legs are opened anew.
        let place = self.watched_place(key).unwrap_or_else(|| self.any_place(key));
        self.alone_from_now(key);
        self.feed(key, place, bytes);
        self.owe(key, Owing::Standing(place));
        Step::Done
    }

    /// The leg at `place` has been answered: what it is now, the client is, and all other legs.
    pub(crate) fn adopt_standing(&mut self, key: Key, place: usize, reply: &[u8]) {
        if reply.starts_with(b"-") {
            return;
        }
        let Some(leg) = self.present_leg(key, place) else {
            return;
        };
        let Some(talk) = self.clients.get(leg).map(|leg| leg.talk.clone()) else {
            return;
        };
        if let Some(client) = self.clients.get_mut(key) {
            let pool = &self.pools[client.pool];
            // Whom a leg logs in as is the client's own only where the nodes know it.
            let login = match pool.settings.auth {
                Auth::PassThrough => talk.standing.login.clone(),
                Auth::Users | Auth::None => client.talk.standing.login.clone(),
            };
            client.talk.standing = Rc::new(Standing { login, ..(*talk.standing).clone() });
            client.talk.name.clone_from(&talk.name);
        }
        self.leave_busy_mirrors(key);
        for other in self.legs_of(key).into_iter().filter(|other| *other != leg) {
            let (Some(client), Some(group)) =
                (self.clients.get(key), self.clients.get(other).map(|other| other.pool))
            else {
                continue;
            };
            let talk = self.leg_talk(client, group);
            let Some(client) = self.clients.get_mut(other) else {
                continue;
            };
            client.talk = talk;
            // A connection of its own is set up again as what the client is now.
            if client.bound.is_some_and(|bound| bound.pinned) {
                self.drop_pin(other);
            }
        }
    }

    /// What a client has said of itself, its legs say too: SELECT and HELLO take it from one of them.
    pub(crate) fn describe_legs(&mut self, key: Key) {
        let Some(talk) = self.clients.get(key).map(|client| client.talk.clone()) else {
            return;
        };
        for leg in self.legs_of(key) {
            if let Some(leg) = self.clients.get_mut(leg) {
                let standing = Rc::clone(&leg.talk.standing);
                leg.talk = Conversation { who: leg.talk.who, standing, ..talk.clone() };
            }
        }
    }

    /// Is one of its commands blocked at a node?
    pub(crate) fn front_is_blocked(&self, client: &Client) -> bool {
        let legs = client.front().into_iter().flat_map(|front| front.legs.iter().flatten());
        legs.filter_map(|leg| self.clients.get(leg.key)).any(|leg| self.is_blocked(leg))
    }
}
