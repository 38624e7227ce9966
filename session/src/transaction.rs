//! Where a client is between MULTI and EXEC, what WATCH still promises, and what EXEC changes about the client.

use resp::{ReplyScanner, Skip};

use crate::client::{
    ClientCommand, HelloRequest, parse_auth, parse_client, parse_hello, parse_select,
};
use crate::clients::ClientsRequest;
use crate::conversation::Login;
use crate::{Call, Local};

/// The transaction state of one client on a pinned connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transaction {
    /// None.
    #[default]
    None,
    /// MULTI was sent; the node queues.
    Open,
    /// A command inside was refused here: EXEC must abort.
    Refused,
    /// The connection was lost while MULTI was open: EXEC gets -EXECABORT.
    Lost,
    /// The connection was lost while only WATCH held: the next EXEC gets nil, as if a key had changed.
    WatchLost,
    /// The node was busy with a script when MULTI came, and gave no connection for it: EXEC gets -EXECABORT.
    Denied,
    /// As [`Self::WatchLost`], and MULTI has been sent since.
    WatchLostOpen,
}

impl Transaction {
    /// Between MULTI and EXEC as the client sees it, with no node behind it.
    pub fn is_imaginary(self) -> bool {
        matches!(self, Self::Lost | Self::Denied | Self::WatchLostOpen)
    }

    /// Between MULTI and EXEC on a node.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Refused)
    }
}

/// What a command between MULTI and EXEC changes about its client once it has run without an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// SELECT.
    Database(u32),
    /// AUTH.
    Login(Login),
    /// HELLO.
    Hello(HelloRequest),
    /// CLIENT SETNAME, SETINFO, NO-EVICT and NO-TOUCH.
    Client(ClientCommand),
    /// CLIENT ID, GETNAME, GETREDIR and INFO: the node's answer is about another connection, and is replaced.
    Answer(ClientCommand),
    /// CLIENT PAUSE and UNPAUSE.
    Clients(ClientsRequest),
}

/// The effect of a command about the client's own connection, if it has one.
pub fn effect(call: Call<'_>, local: Local) -> Option<Effect> {
    match local {
        Local::Select => parse_select(call).ok().map(Effect::Database),
        Local::Auth => parse_auth(call).ok().map(Effect::Login),
        Local::Hello => parse_hello(call).ok().map(Effect::Hello),
        Local::Client => match parse_client(call).ok()? {
            command @ (ClientCommand::SetName(_)
            | ClientCommand::SetLibName(_)
            | ClientCommand::SetLibVersion(_)
            | ClientCommand::Keep(..)) => Some(Effect::Client(command)),
            command @ (ClientCommand::Id
            | ClientCommand::GetName
            | ClientCommand::GetRedirect
            | ClientCommand::Info) => Some(Effect::Answer(command)),
            ClientCommand::Clients(
                request @ (ClientsRequest::Pause { .. } | ClientsRequest::Unpause),
            ) => Some(Effect::Clients(request)),
            _ => None,
        },
        Local::Reset
        | Local::Quit
        | Local::WhoAmI
        | Local::HangUp
        | Local::Exec
        | Local::Discard
        | Local::Unwatch
        | Local::Info => None,
    }
}

/// An element of an array, such as EXEC's reply; none of what is no array, or shorter.
pub fn element(reply: &[u8], index: u32) -> Option<&[u8]> {
    let header = reply.iter().position(|byte| *byte == b'\n')?;
    let count: u32 =
        std::str::from_utf8(reply.get(1..header.checked_sub(1)?)?).ok()?.parse().ok()?;
    if reply.first() != Some(&b'*') || index >= count {
        return None;
    }
    let mut rest = reply.get(header + 1..)?;
    for place in 0..=index {
        let Ok(Skip::Complete(len)) = ReplyScanner::new().scan(rest) else { return None };
        if place == index {
            return rest.get(..len);
        }
        rest = &rest[len..];
    }
    None
}

/// An array with other elements in some places; none of what is no array.
pub fn with_elements(reply: &[u8], others: &[(u32, Vec<u8>)]) -> Option<Vec<u8>> {
    let header = reply.iter().position(|byte| *byte == b'\n')?;
    let mut out = reply.get(..=header)?.to_vec();
    let mut rest = reply.get(header + 1..)?;
    let mut place = 0;
    while !rest.is_empty() {
        let Ok(Skip::Complete(len)) = ReplyScanner::new().scan(rest) else { return None };
        let other = others.iter().find(|(own, _)| *own == place);
        out.extend_from_slice(other.map_or(&rest[..len], |(_, other)| other));
        rest = &rest[len..];
        place += 1;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_replaced() {
        let reply = b"*3\r\n+OK\r\n*1\r\n:1\r\n$-1\r\n";
        let others = [(0, b":7\r\n".to_vec()), (2, b"$2\r\nme\r\n".to_vec())];
        let expected = b"*3\r\n:7\r\n*1\r\n:1\r\n$2\r\nme\r\n";
        assert_eq!(with_elements(reply, &others).as_deref(), Some(expected.as_slice()));
        assert_eq!(with_elements(b"*1\r\n$5\r\nab", &others), None);
    }

    #[test]
    fn elements_of_an_array() {
        let reply = b"*3\r\n+OK\r\n*2\r\n:1\r\n$1\r\n-\r\n-ERR no\r\n";
        assert_eq!(element(reply, 0), Some(b"+OK\r\n".as_slice()));
        assert_eq!(element(reply, 1), Some(b"*2\r\n:1\r\n$1\r\n-\r\n".as_slice()));
        assert_eq!(element(reply, 2), Some(b"-ERR no\r\n".as_slice()));
        assert_eq!(element(reply, 3), None);
        for none in ["*-1\r\n", "_\r\n", "-EXECABORT\r\n", "*1\r\n$5\r\nab", "\n", ""] {
            assert_eq!(element(none.as_bytes(), 0), None, "{none:?}");
        }
    }
}
