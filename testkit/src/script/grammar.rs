//! What clients of a script send.

use crate::sim::ask::tagged;

use super::Script;

/// Requests as words; `#` is the number of an ECHO.
const LINES: [&str; 77] = [
    "ECHO #",
    "ECHO #",
    "ECHO #",
    "ECHO #",
    "PING",
    "GET k",
    "MGET k l m",
    "SET k v",
    "INCRBY n 1",
    "RPUSH q e",
    "DEL k",
    "APPEND k x",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH k",
    "UNWATCH",
    "BLPOP q 0",
    "BLPOP q 0.5",
    "BRPOPLPUSH q r 1",
    "BLMOVE q r LEFT LEFT 0",
    "BZPOPMIN z 1",
    "XREAD BLOCK 100 STREAMS s $",
    "XREAD STREAMS s 0",
    "WAIT 1 100",
    "WAITAOF 0 1 0",
    "SUBSCRIBE a b",
    "SUBSCRIBE a",
    "UNSUBSCRIBE",
    "UNSUBSCRIBE a c",
    "PSUBSCRIBE a*",
    "PUNSUBSCRIBE",
    "SSUBSCRIBE a",
    "SUNSUBSCRIBE",
    "PUBLISH a m",
    "PUBSUB NUMSUB a",
    "SELECT 1",
    "SELECT 0",
    "SELECT x",
    "HELLO",
    "HELLO 2",
    "HELLO 3",
    "HELLO 3 AUTH user secret SETNAME me",
    "HELLO 4",
    "AUTH secret",
    "AUTH user secret",
    "RESET",
    "QUIT",
    "CLIENT ID",
    "CLIENT INFO",
    "CLIENT SETNAME me",
    "CLIENT GETNAME",
    "CLIENT SETINFO LIB-NAME x",
    "CLIENT REPLY OFF",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY ON",
    "CLIENT TRACKING ON",
    "CLIENT TRACKING OFF",
    "CLIENT CACHING YES",
    "CLIENT LIST",
    "CLIENT KILL ID 1",
    "CLIENT NO-EVICT ON",
    "CLIENT UNBLOCK 1",
    "MONITOR",
    "EVAL x 0",
    "EVALSHA 0123456789012345678901234567890123456789 0",
    "SCRIPT LOAD x",
    "FUNCTION LOAD x",
    "INFO",
    "FLUSHALL",
    "PSYNC ? -1",
    "frobnicate x",
    "CLIENT PAUSE 50 WRITE",
    "CLIENT PAUSE 50",
    "CLIENT UNPAUSE",
    "FCALL f 0",
    "PFCOUNT k",
];

/// Not requests, or none that ends.
const BROKEN: [&[u8]; 12] = [
    b"*2\r\n$3\r\nGET\r\n:1\r\n",
    b"*-5\r\n",
    b"*1\r\n$-1\r\n",
    b"*3000000\r\n",
    b"*1000000\r\n$4\r\nPING\r\n:5\r\n",
    b"*2\r\n$4\r\nECHO\r\n$9999999999\r\n",
    b"*2\r\n$4\r\nECHO\r\n$1900000\r\nabc",
    b"*3\r\n$3\r\nSET\r\n$1200000\r\nabc",
    b"*1\r\n$4\r\nPINGxx",
    b"SET \"k v\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\n",
];

/// A request.
pub(super) struct Request {
    pub(super) bytes: Vec<u8>,
    /// Upper case.
    pub(super) name: Vec<u8>,
    pub(super) args: Vec<Vec<u8>>,
    /// The number that its reply has to carry.
    pub(super) tag: Option<u64>,
}

impl Request {
    fn new(args: Vec<Vec<u8>>, tag: Option<u64>, inline: bool) -> Self {
        let name = args.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        let mut bytes = Vec::new();
        if inline {
            bytes = args.join(&b' ');
            bytes.extend_from_slice(b"\r\n");
        } else {
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            resp::write_command(&mut bytes, &args);
        }
        Self { bytes, name, args, tag }
    }

    /// An ECHO of so many bytes, or as many as its number needs.
    pub(super) fn echo(tag: u64, len: usize) -> Self {
        Self::new(vec![b"ECHO".to_vec(), tagged(tag, len)], Some(tag), false)
    }

    /// One of the well-known ones.
    pub(super) fn known(script: &mut Script<'_>, tag: u64) -> Self {
        let byte = script.byte();
        let line = LINES[usize::from(byte & 127) % LINES.len()];
        let own = line.contains('#').then_some(tag);
        let word = |word: &str| if word == "#" { tagged(tag, 0) } else { word.as_bytes().to_vec() };
        Self::new(line.split(' ').map(word).collect(), own, byte & 128 != 0)
    }

    /// One of the well-known ones, whose last word is too long for it to be kept.
    pub(super) fn large(script: &mut Script<'_>, tag: u64, len: usize) -> Self {
        let Self { mut args, tag, .. } = Self::known(script, tag);
        if args.len() == 1 {
            args.push(Vec::new());
        }
        if let Some(last) = args.last_mut() {
            last.resize(len, b'r');
        }
        Self::new(args, tag, false)
    }

    /// Any command of the table, with any number of arguments.
    pub(super) fn any(script: &mut Script<'_>) -> Self {
        let all = commands::all();
        let index = usize::from(script.byte()) << 8 | usize::from(script.byte());
        let words = all[index % all.len()].name.split(' ');
        let mut args: Vec<Vec<u8>> = words.map(|word| word.to_ascii_lowercase().into()).collect();
        let argc = script.byte();
        for index in 0..argc & 7 {
            args.push(if argc >> index & 8 == 0 { b"1".to_vec() } else { b"x".to_vec() });
        }
        Self::new(args, None, false)
    }
}

pub(super) fn broken(script: &mut Script<'_>) -> &'static [u8] {
    script.pick(&BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_can_be_picked() {
        assert!(LINES.len() <= 128);
        let request = Request::known(&mut Script { bytes: &[128] }, 7);
        assert_eq!((request.bytes.as_slice(), request.tag), (&b"ECHO 7:\r\n"[..], Some(7)));
    }
}
