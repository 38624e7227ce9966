//! The state that a client expects of its connection.

use std::rc::Rc;

use config::Secret;
use resp::Protocol;

use crate::client::{ClientCommand, Keep};

/// Credentials that a client logged in with.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Login {
    /// `None`: the one-argument form of AUTH.
    pub username: Option<Box<[u8]>>,
    /// Never shown.
    pub password: HiddenBytes,
}

/// Bytes that no debug output shows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HiddenBytes(Box<[u8]>);

impl HiddenBytes {
    /// The bytes, for the wire only.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for HiddenBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<&Secret> for HiddenBytes {
    fn from(secret: &Secret) -> Self {
        secret.reveal().as_bytes().into()
    }
}

impl std::fmt::Debug for HiddenBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What keys a lane besides its node: clients of the same standing share one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Standing {
    /// The selected database.
    pub database: u32,
    /// The protocol of the replies.
    pub protocol: Protocol,
    /// Who the node takes us for.
    pub login: Option<Login>,
    /// Who has selected the database.
    pub selector: Selector,
}

/// Who has selected a database: whoever may not SELECT keeps what was selected before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Who the client is now, or the database was never changed.
    #[default]
    Itself,
    /// Who it was then; `None`: not logged in.
    Earlier(Option<Login>),
}

impl Standing {
    /// After SELECT.
    #[must_use]
    pub fn with_database(&self, database: u32) -> Self {
        Self { database, selector: Selector::Itself, ..self.clone() }
    }

    /// After AUTH, or HELLO with credentials.
    #[must_use]
    pub fn with_login(&self, login: Login) -> Self {
        let earlier = match &self.selector {
            Selector::Itself => &self.login,
            Selector::Earlier(login) => login,
        };
        let selector = if self.database == 0 || earlier.as_ref() == Some(&login) {
            Selector::Itself
        } else {
            Selector::Earlier(earlier.clone())
        };
        Self { login: Some(login), selector, ..self.clone() }
    }

    /// The commands that bring a fresh connection to this standing, appended to `out`; returns how many replies they get.
    pub fn handshake(&self, out: &mut Vec<u8>) -> u32 {
        let mut replies = 0;
        if let Selector::Earlier(login) = &self.selector {
            replies += greet(out, Protocol::Resp2, login.as_ref());
            replies += self.select(out);
        }
        replies += greet(out, self.protocol, self.login.as_ref());
        if self.selector == Selector::Itself {
            replies += self.select(out);
        }
        replies
    }

    fn select(&self, out: &mut Vec<u8>) -> u32 {
        if self.database == 0 {
            return 0;
        }
        resp::write_command(out, &[b"SELECT", self.database.to_string().as_bytes()]);
        1
    }
}

/// Tells a node the protocol and who we are. Returns how many replies it gives.
fn greet(out: &mut Vec<u8>, protocol: Protocol, login: Option<&Login>) -> u32 {
    let username = login.and_then(|login| login.username.as_deref());
    match (protocol, login) {
        (Protocol::Resp2, None) => return 0,
        (Protocol::Resp3, None) => resp::write_command(out, &[b"HELLO", b"3"]),
        (Protocol::Resp3, Some(login)) => {
            let username = username.unwrap_or(b"default");
            let password = login.password.reveal();
            resp::write_command(out, &[b"HELLO", b"3", b"AUTH", username, password]);
        }
        (Protocol::Resp2, Some(login)) => match username {
            Some(name) => resp::write_command(out, &[b"AUTH", name, login.password.reveal()]),
            None => resp::write_command(out, &[b"AUTH", login.password.reveal()]),
        },
    }
    1
}

/// Who a client is, where Redkeel itself knows the users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Who {
    /// The nodes know, or nobody cares.
    #[default]
    Anyone,
    /// Not logged in where one has to be.
    Stranger,
    /// The pool's user of this index.
    User(usize),
}

/// What a client set on its connection.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Whose rights it has.
    pub who: Who,
    /// Keys the client's lanes.
    pub standing: Rc<Standing>,
    /// CLIENT SETNAME.
    pub name: Option<Box<[u8]>>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Option<Box<[u8]>>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_version: Option<Box<[u8]>>,
    /// CLIENT NO-EVICT ON.
    pub no_evict: bool,
    /// CLIENT NO-TOUCH ON.
    pub no_touch: bool,
}

impl Conversation {
    /// A new client's.
    pub fn new(standing: Rc<Standing>, who: Who) -> Self {
        Self {
            who,
            standing,
            name: None,
            lib_name: None,
            lib_version: None,
            no_evict: false,
            no_touch: false,
        }
    }

    /// CLIENT SETNAME, SETINFO, NO-EVICT or NO-TOUCH.
    pub fn describe(&mut self, command: ClientCommand) {
        match command {
            ClientCommand::SetName(name) => self.name = (!name.is_empty()).then_some(name),
            ClientCommand::SetLibName(name) => self.lib_name = Some(name),
            ClientCommand::SetLibVersion(version) => self.lib_version = Some(version),
            ClientCommand::Keep(Keep::Memory, on) => self.no_evict = on,
            ClientCommand::Keep(Keep::Untouched, on) => self.no_touch = on,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(standing: &Standing) -> (u32, String) {
        let mut out = Vec::new();
        let replies = standing.handshake(&mut out);
        (replies, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_plain_standing_needs_no_handshake() {
        assert_eq!(handshake(&Standing::default()), (0, String::new()));
    }

    #[test]
    fn login_protocol_and_database_in_that_order() {
        let login = Login { username: None, password: b"pw".as_slice().into() };
        let standing = Standing { protocol: Protocol::Resp3, ..Standing::default() }
            .with_login(login.clone())
            .with_database(3);
        let (replies, text) = handshake(&standing);
        assert_eq!(replies, 2);
        assert!(text.starts_with(
            "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw"
        ));
        assert!(text.ends_with("*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"));
        let standing = Standing { login: Some(login), ..Standing::default() };
        assert_eq!(handshake(&standing), (1, "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n".to_owned()));
    }

    #[test]
    fn a_database_is_selected_by_who_has_selected_it() {
        let login = |name: &str| Login {
            username: Some(name.as_bytes().into()),
            password: b"pw".as_slice().into(),
        };
        let words = |standing: &Standing| {
            let (replies, text) = handshake(standing);
            let is_word = |line: &&str| !line.starts_with(['*', '$']);
            (replies, text.lines().filter(is_word).collect::<Vec<_>>().join(" "))
        };
        // A user who may not SELECT stays in the database that it was given.
        let bob = Standing::default().with_database(9).with_login(login("bob"));
        assert_eq!(words(&bob), (2, "SELECT 9 AUTH bob pw".to_owned()));
        let bob = Standing { protocol: Protocol::Resp3, ..bob };
        assert_eq!(words(&bob), (2, "SELECT 9 HELLO 3 AUTH bob pw".to_owned()));
        let amy = bob.with_login(login("amy"));
        assert_eq!(words(&amy), (2, "SELECT 9 HELLO 3 AUTH amy pw".to_owned()));
        let text = "HELLO 3 AUTH amy pw SELECT 5";
        assert_eq!(words(&amy.with_database(5)), (2, text.to_owned()));
        let text = "AUTH amy pw SELECT 5 HELLO 3 AUTH bob pw";
        assert_eq!(words(&amy.with_database(5).with_login(login("bob"))), (3, text.to_owned()));
        // Whoever has selected it is who it was: the same lanes as ever.
        let back = amy.with_database(5).with_login(login("bob")).with_login(login("amy"));
        assert_eq!(back, amy.with_database(5));
        assert_eq!(bob.with_database(0).with_login(login("amy")).selector, Selector::Itself);
    }

    #[test]
    fn a_password_does_not_show() {
        let login = Login { username: None, password: b"hunter2".as_slice().into() };
        assert!(!format!("{login:?}").contains("hunter2"));
    }
}
