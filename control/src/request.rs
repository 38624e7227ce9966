//! Requests of the control plane's own, and how their refusal is explained.

use config::Credentials;
use resp::{Value, write_command};
use topology::Refusal;

/// Commands that leave in one write.
#[derive(Default)]
pub(crate) struct Request {
    pub(crate) bytes: Vec<u8>,
    pub(crate) commands: usize,
}

impl Request {
    pub(crate) fn add(&mut self, command: &[&[u8]]) {
        write_command(&mut self.bytes, command);
        self.commands += 1;
    }

    pub(crate) fn authenticate(&mut self, credentials: &Credentials) {
        let password = credentials.password.reveal().as_bytes();
        match &credentials.username {
            Some(username) => self.add(&[b"AUTH", username.as_bytes(), password]),
            None => self.add(&[b"AUTH", password]),
        }
    }
}

pub(crate) fn refusal(reply: &Value) -> Option<Refusal> {
    match reply {
        Value::Error(text) => Some(Refusal::from_error(text)),
        _ => None,
    }
}

/// Where AUTH was refused, that is why the rest was.
pub(crate) fn blame(why: Refusal, auth: &Option<Refusal>) -> Refusal {
    match (&why, auth) {
        (Refusal::NoAuth, Some(refused)) => refused.clone(),
        _ => why,
    }
}
