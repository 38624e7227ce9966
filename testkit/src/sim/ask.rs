//! What clients ask: each request carries a number of its own, so that its reply and its execution can be told from all
//! others.

use config::Mode;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Echo {
        len: usize,
    },
    Ping,
    Get {
        key: u8,
    },
    MGet {
        keys: Vec<u8>,
    },
    /// Of the empty value that this request has set.
    GetEmpty {
        of: u64,
    },
    Set {
        key: u8,
        len: usize,
    },
    SetEmpty,
    Incr {
        key: u8,
    },
    Push {
        key: u8,
        len: usize,
    },
    Append {
        key: u8,
    },
    Delete {
        key: u8,
    },
    /// For the client that waits in this [`Ask::Pop`].
    Feed {
        list: u64,
    },
    Pop {
        timeout_ms: u64,
    },
    Publish {
        channel: u8,
    },
    Info,
    Wait,
    Unknown,
    Select {
        database: u32,
    },
    Hello {
        resp3: bool,
    },
    ClientId,
    SetName,
    ReplyOn,
    ReplyOff,
    ReplySkip,
    Multi,
    Exec,
    Discard,
    Watch {
        key: u8,
    },
    Unwatch,
    Subscribe {
        channels: Vec<u8>,
    },
    /// None: all.
    Unsubscribe {
        channels: Vec<u8>,
    },
    Reset,
    Quit,
    /// Not a request.
    Garbage,
}

/// A text that begins with the number of its request and is `len` bytes long, or as long as the number needs.
pub(crate) fn tagged(id: u64, len: usize) -> Vec<u8> {
    let mut text = format!("{id}:").into_bytes();
    let filler = b'a' + (id % 26) as u8;
    if len > text.len() {
        text.resize(len, filler);
    }
    text
}

/// The number at the front of a tagged text.
pub(crate) fn tag_of(text: &[u8]) -> Option<u64> {
    let colon = text.iter().take(24).position(|byte| *byte == b':')?;
    number(&text[..colon])
}

/// Decimal digits.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A client's own key of the kind that a command needs.
pub(crate) fn key_name(client: usize, kind: char, key: u8) -> Vec<u8> {
    format!("c{client}:{kind}{key}").into_bytes()
}

pub(crate) fn channel_name(channel: u8) -> Vec<u8> {
    format!("channel{channel}").into_bytes()
}

/// Which request a write belongs to, by the arguments that a server sees.
pub(crate) fn identity(args: &[Vec<u8>]) -> Option<u64> {
    let name = args.first()?.to_ascii_uppercase();
    match name.as_slice() {
        b"SET" if args.get(2)?.is_empty() => number(args.get(1)?.strip_prefix(b"e:")?),
        b"SET" | b"RPUSH" | b"LPUSH" | b"APPEND" | b"PUBLISH" => tag_of(args.get(2)?),
        b"INCRBY" => number(args.get(2)?),
        b"DEL" => number(args.get(2)?.strip_prefix(b"del:")?),
        b"BLPOP" => number(args.get(1)?.strip_prefix(b"b:")?),
        _ => None,
    }
}

impl Ask {
    /// Appends the request's bytes.
    pub(crate) fn write(&self, id: u64, client: usize, inline: bool, out: &mut Vec<u8>) {
        let args = self.args(id, client);
        if *self == Self::Garbage {
            out.extend_from_slice(b"*2\r\n$3\r\nGET\r\n:oops\r\n");
            return;
        }
        if inline {
            out.extend_from_slice(&args.join(&b' '));
            out.extend_from_slice(b"\r\n");
            return;
        }
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        resp::write_command(out, &args);
    }

    fn args(&self, id: u64, client: usize) -> Vec<Vec<u8>> {
        let key = |kind, key: &u8| key_name(client, kind, *key);
        let digits = |number: u64| number.to_string().into_bytes();
        let name = |text: &str| text.as_bytes().to_vec();
        match self {
            Self::Echo { len } => vec![name("ECHO"), tagged(id, *len)],
            Self::Ping => vec![name("PING"), tagged(id, 0)],
            Self::Get { key: own } => vec![name("GET"), key('k', own)],
            Self::MGet { keys } => {
                let mut args = vec![name("MGET")];
                args.extend(keys.iter().map(|own| key('k', own)));
                args
            }
            Self::GetEmpty { of } => vec![name("GET"), format!("e:{of}").into_bytes()],
            Self::Set { key: own, len } => vec![name("SET"), key('k', own), tagged(id, *len)],
            Self::SetEmpty => vec![name("SET"), format!("e:{id}").into_bytes(), Vec::new()],
            Self::Incr { key: own } => vec![name("INCRBY"), key('n', own), digits(id)],
            Self::Push { key: own, len } => vec![name("RPUSH"), key('l', own), tagged(id, *len)],
            Self::Append { key: own } => vec![name("APPEND"), key('a', own), tagged(id, 0)],
            Self::Delete { key: own } => {
                vec![name("DEL"), key('k', own), format!("del:{id}").into_bytes()]
            }
            Self::Feed { list } => {
                vec![name("LPUSH"), format!("b:{list}").into_bytes(), tagged(id, 0)]
            }
            Self::Pop { timeout_ms } => {
                let seconds = format!("{}.{:03}", timeout_ms / 1000, timeout_ms % 1000);
                vec![name("BLPOP"), format!("b:{id}").into_bytes(), seconds.into_bytes()]
            }
            Self::Publish { channel } => {
                vec![name("PUBLISH"), channel_name(*channel), tagged(id, 0)]
            }
            Self::Info => vec![name("INFO"), name("replication")],
            Self::Wait => vec![name("WAIT"), name("0"), name("10")],
            Self::Unknown => vec![name("FROBNICATE"), digits(id)],
            Self::Select { database } => vec![name("SELECT"), digits(u64::from(*database))],
            Self::Hello { resp3 } => vec![name("HELLO"), name(if *resp3 { "3" } else { "2" })],
            Self::ClientId => vec![name("CLIENT"), name("ID")],
            Self::SetName => vec![name("CLIENT"), name("SETNAME"), format!("n{id}").into_bytes()],
            Self::ReplyOn => vec![name("CLIENT"), name("REPLY"), name("ON")],
            Self::ReplyOff => vec![name("CLIENT"), name("REPLY"), name("OFF")],
            Self::ReplySkip => vec![name("CLIENT"), name("REPLY"), name("SKIP")],
            Self::Multi => vec![name("MULTI")],
            Self::Exec => vec![name("EXEC")],
            Self::Discard => vec![name("DISCARD")],
            Self::Watch { key: own } => vec![name("WATCH"), key('k', own)],
            Self::Unwatch => vec![name("UNWATCH")],
            Self::Subscribe { channels } => {
                let mut args = vec![name("SUBSCRIBE")];
                args.extend(channels.iter().map(|channel| channel_name(*channel)));
                args
            }
            Self::Unsubscribe { channels } => {
                let mut args = vec![name("UNSUBSCRIBE")];
                args.extend(channels.iter().map(|channel| channel_name(*channel)));
                args
            }
            Self::Reset => vec![name("RESET")],
            Self::Quit => vec![name("QUIT")],
            Self::Garbage => Vec::new(),
        }
    }

    /// Must run once at most.
    pub(crate) fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Set { .. }
                | Self::SetEmpty
                | Self::Incr { .. }
                | Self::Push { .. }
                | Self::Append { .. }
                | Self::Delete { .. }
                | Self::Feed { .. }
                | Self::Pop { .. }
                | Self::Publish { .. }
        )
    }

    /// Too large to be gathered.
    pub(crate) fn is_huge(&self) -> bool {
        matches!(self, Self::Set { len, .. } if *len > 900_000)
    }

    /// Is handled alone, so that what follows it is not looked at together with what was before.
    pub(crate) fn ends_batch(&self) -> bool {
        self.is_huge()
            || !matches!(
                self,
                Self::Echo { .. }
                    | Self::Ping
                    | Self::Get { .. }
                    | Self::MGet { .. }
                    | Self::GetEmpty { .. }
                    | Self::Set { .. }
                    | Self::SetEmpty
                    | Self::Incr { .. }
                    | Self::Push { .. }
                    | Self::Append { .. }
                    | Self::Delete { .. }
                    | Self::Feed { .. }
                    | Self::Publish { .. }
                    | Self::Info
            )
    }

    /// May a client at a listener of this mode be refused it?
    pub(crate) fn is_refused(&self, mode: Mode) -> bool {
        mode == Mode::Read && self.is_write() && !matches!(self, Self::Publish { .. })
    }

    /// An error code with which it may end when something is broken.
    pub(crate) fn may_fail_with(&self, code: &str) -> bool {
        match self {
            Self::Echo { .. }
            | Self::Ping
            | Self::Get { .. }
            | Self::MGet { .. }
            | Self::GetEmpty { .. }
            | Self::Info
            | Self::Wait
            | Self::Watch { .. }
            | Self::Select { .. }
            | Self::Hello { .. }
            | Self::Unwatch
            | Self::Subscribe { .. }
            | Self::Unsubscribe { .. } => matches!(code, "NOREPLICA" | "NOPRIMARY" | "LIMIT"),
            Self::Multi => matches!(code, "NOPRIMARY" | "NOREPLICA" | "LIMIT"),
            Self::Exec | Self::Discard => {
                matches!(code, "EXECABORT" | "OUTCOMEUNKNOWN" | "NOPRIMARY" | "NOREPLICA" | "LIMIT")
            }
            Self::Unknown => {
                matches!(code, "NOPRIMARY" | "NOREPLICA" | "LIMIT" | "OUTCOMEUNKNOWN")
            }
            ask if ask.is_write() => {
                matches!(code, "NOPRIMARY" | "NOREPLICA" | "LIMIT" | "OUTCOMEUNKNOWN")
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_known_by_what_a_server_sees() {
        for ask in [
            Ask::Set { key: 1, len: 100 },
            Ask::SetEmpty,
            Ask::Incr { key: 1 },
            Ask::Push { key: 1, len: 3 },
            Ask::Append { key: 1 },
            Ask::Delete { key: 1 },
            Ask::Feed { list: 7 },
            Ask::Pop { timeout_ms: 1500 },
            Ask::Publish { channel: 2 },
        ] {
            assert!(ask.is_write());
            assert_eq!(identity(&ask.args(42, 3)), Some(42), "{ask:?}");
        }
        assert_eq!(identity(&Ask::Get { key: 1 }.args(42, 3)), None);
    }

    #[test]
    fn a_tagged_text_is_as_long_as_asked() {
        assert_eq!(tagged(12, 6), b"12:mmm");
        assert_eq!(tagged(12, 0), b"12:");
        assert_eq!(tag_of(b"12:mmm"), Some(12));
    }
}
