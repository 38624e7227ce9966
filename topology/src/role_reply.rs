//! The reply of ROLE (replication.c, roleCommand): the cheapest probe.

use resp::Value;

use crate::Refusal;

/// What ROLE says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleReply {
    /// `master`, at this offset of the replication stream.
    Primary {
        /// `master_repl_offset`.
        offset: u64,
    },
    /// `slave`.
    Replica {
        /// Its link to its primary.
        link: Link,
        /// Applied so far; `None` while there is no link.
        offset: Option<u64>,
    },
    /// `sentinel`.
    Sentinel,
}

/// A replica's link to its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// In step.
    Up,
    /// Not connected, or not yet agreed on how to go on.
    Down,
    /// A full copy is being received; it will replace what the replica has.
    Syncing,
}

impl RoleReply {
    /// Parses the reply, or says why it is none.
    pub fn parse(reply: &Value) -> Result<Self, Refusal> {
        if let Value::Error(text) = reply {
            return Err(Refusal::from_error(text));
        }
        let malformed = Refusal::Malformed("role");
        match reply.as_array() {
            Some([role, offset, ..]) if role.as_bytes() == Some(b"master") => {
                let offset = offset.as_int().and_then(|offset| u64::try_from(offset).ok());
                offset.map(|offset| Self::Primary { offset }).ok_or(malformed)
            }
            Some([role, _host, _port, state, offset, ..]) if role.as_bytes() == Some(b"slave") => {
                let link = match state.as_bytes().ok_or(malformed)? {
                    b"connected" => Link::Up,
                    b"sync" => Link::Syncing,
                    _ => Link::Down,
                };
                let offset = offset.as_int().and_then(|offset| u64::try_from(offset).ok());
                Ok(Self::Replica { link, offset })
            }
            Some([role, ..]) if role.as_bytes() == Some(b"sentinel") => Ok(Self::Sentinel),
            _ => Err(malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &str) -> Result<RoleReply, Refusal> {
        let limits = resp::ValueLimits { max_bytes: 4096, max_elements: 64, max_depth: 4 };
        RoleReply::parse(&Value::parse(bytes.as_bytes(), &limits).unwrap().unwrap().0)
    }

    #[test]
    fn a_master_tells_its_offset() {
        let reply = "*3\r\n$6\r\nmaster\r\n:3129659\r\n*0\r\n";
        assert_eq!(parse(reply), Ok(RoleReply::Primary { offset: 3_129_659 }));
    }

    #[test]
    fn a_replica_tells_its_link() {
        let reply = |state: &str, offset: i64| {
            let state = format!("${}\r\n{state}\r\n", state.len());
            parse(&format!("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:6379\r\n{state}:{offset}\r\n"))
        };
        for (state, offset, link) in [
            ("connected", 42, Link::Up),
            ("sync", -1, Link::Syncing),
            ("connect", -1, Link::Down),
            ("connecting", -1, Link::Down),
            ("handshake", -1, Link::Down),
            ("none", -1, Link::Down),
        ] {
            let offset_read = u64::try_from(offset).ok();
            assert_eq!(
                reply(state, offset),
                Ok(RoleReply::Replica { link, offset: offset_read }),
                "{state}"
            );
        }
    }

    #[test]
    fn a_sentinel_is_known_by_its_word() {
        assert_eq!(parse("*2\r\n$8\r\nsentinel\r\n*0\r\n"), Ok(RoleReply::Sentinel));
    }

    #[test]
    fn everything_else_is_a_refusal() {
        assert_eq!(parse("-NOAUTH Authentication required.\r\n"), Err(Refusal::NoAuth));
        for reply in ["+OK\r\n", "*0\r\n", "*1\r\n$6\r\nmaster\r\n", ":1\r\n", "$-1\r\n"] {
            assert_eq!(parse(reply), Err(Refusal::Malformed("role")), "{reply:?}");
        }
        let negative = "*3\r\n$6\r\nmaster\r\n:-1\r\n*0\r\n";
        assert_eq!(parse(negative), Err(Refusal::Malformed("role")));
    }
}
