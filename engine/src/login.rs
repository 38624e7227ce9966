//! Who a client is: credentials that are checked here, and the limit on wrong ones wherever they are checked.

use config::{Auth, PasswordDigest, authenticate};
use session::{Login, Origin, Rejection, Standing, Who};
use topology::ErrorKind;

use crate::Engine;
use crate::client::Client;
use crate::slots::Key;

/// In Redis' words (acl.c `authCommand`).
const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";

/// Redis' words for each (server.c `processCommand`, sort.c `sortCommandGeneric`); `name` is that of the command, with
/// its subcommand.
pub(crate) fn denial(rejection: Rejection, name: &str) -> Option<String> {
    let text = match rejection {
        Rejection::Stranger => "NOAUTH Authentication required.",
        Rejection::Command { .. } => {
            return Some(format!(
                "NOPERM this user has no permissions to run the '{name}' command"
            ));
        }
        Rejection::Key => {
            "NOPERM this user has no permissions to access one of the keys used as arguments"
        }
        Rejection::Channel => {
            "NOPERM this user has no permissions to access one of the channels used as arguments"
        }
        Rejection::Arity => {
            return Some(format!("ERR wrong number of arguments for '{name}' command"));
        }
        Rejection::SortBy => "ERR BY option of SORT denied due to insufficient ACL permissions.",
        Rejection::SortGet => "ERR GET option of SORT denied due to insufficient ACL permissions.",
        Rejection::Undecided => {
            "NOPERM redkeel: the keys and channels of a command over 1 MiB must come within its first MiB, where this \
             user's permissions are checked"
        }
        Rejection::ReadOnly | Rejection::Replication | Rejection::Configured => return None,
    };
    Some(text.to_owned())
}

impl Engine {
    /// Checks credentials by the pool's users. The error is what the client is told.
    pub(crate) fn log_in(&mut self, key: Key, login: &Login) -> Result<(), String> {
        self.may_try(key)?;
        let Some(client) = self.clients.get_mut(key) else {
            return Ok(());
        };
        let users = &self.pools[client.pool].settings.users;
        // Redis: the user of a single password.
        let name = login.username.as_deref().unwrap_or(b"default");
        match authenticate(users, name, PasswordDigest::of(login.password.reveal())) {
            Some(user) => {
                client.talk.who = Who::User(user);
                Ok(())
            }
            None => {
                self.note_failure(key, login);
                Err(WRONG.to_owned())
            }
        }
    }

    /// May this client try a password now?
    pub(crate) fn may_try(&mut self, key: Key) -> Result<(), String> {
        let Some((pool, origin)) = self.origin_of(key) else {
            return Ok(());
        };
        let limit = self.pools[pool].settings.limits.login_failures;
        if !self.logins.refuse(pool, origin, limit, self.now) {
            return Ok(());
        }
        self.pools[pool].counts.logins_refused_total += 1;
        Err("ERR redkeel: too many wrong passwords from this address (login_failures); wait 10 seconds".to_owned())
    }

    /// The node has refused to let a client be who it says.
    pub(crate) fn note_refusal(&mut self, key: Key, standing: &Standing, reply: &[u8]) {
        if let Some(login) = standing.login.as_ref().filter(|_| reply.starts_with(b"-WRONGPASS")) {
            self.note_failure(key, login);
        }
    }

    fn note_failure(&mut self, key: Key, login: &Login) {
        let Some(client) = self.clients.get(key) else {
            return;
        };
        self.pools[client.pool].counts.login_failures_total += 1;
        if let Some((pool, origin)) = self.origin_of(key) {
            let limit = self.pools[pool].settings.limits.login_failures;
            self.logins.note(pool, origin, login, limit, self.now);
        }
    }

    /// The client's pool, and whose failures count with its own; a unix socket's count with nobody's.
    fn origin_of(&self, key: Key) -> Option<(usize, Origin)> {
        let client = self.clients.get(key)?;
        Some((client.pool, Origin::of(client.caller.source()?.ip())))
    }

    /// Must it log in before anything else?
    pub(crate) fn is_stranger(&self, key: Key) -> bool {
        self.clients.get(key).is_some_and(|client| client.talk.who == Who::Stranger)
    }

    /// Does Redkeel itself know the users of the client's pool?
    pub(crate) fn knows_users(&self, key: Key) -> bool {
        self.clients
            .get(key)
            .is_some_and(|client| self.pools[client.pool].settings.auth == Auth::Users)
    }

    /// The name of the client's user, as ACL WHOAMI tells it.
    pub(crate) fn user_name(&self, key: Key) -> String {
        self.clients.get(key).map(|client| self.user_of(client)).unwrap_or_default()
    }

    /// As whom it has logged in.
    pub(crate) fn user_of(&self, client: &Client) -> String {
        let settings = &self.pools[client.pool].settings;
        if let Who::User(user) = client.talk.who {
            return settings.users.get(user).map(|user| user.name.clone()).unwrap_or_default();
        }
        let login = match settings.auth {
            Auth::PassThrough | Auth::None => client.talk.standing.login.as_ref(),
            Auth::Users => None,
        };
        let name = login.and_then(|login| login.username.as_deref()).unwrap_or(b"default");
        String::from_utf8_lossy(name).into_owned()
    }

    /// Tells a client that it may not, in Redis' words.
    pub(crate) fn deny(&mut self, key: Key, text: &str) {
        self.reply_error(key, ErrorKind::Denied, text);
    }
}
