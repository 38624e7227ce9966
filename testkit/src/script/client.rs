//! A client of a script: what it has sent, what it is owed, and whether what it gets is that.

use std::collections::VecDeque;

use config::Mode;
use engine::ConnId;
use resp::{ReplyScanner, Skip};

use crate::sim::ask::tag_of;
use crate::sim::wire::{self, Raw};

use super::grammar::Request;

/// The numbers of one client's ECHOs.
pub(super) const TAGS: u64 = 1_000_000;

pub(super) struct Client {
    pub(super) conn: ConnId,
    index: u64,
    pub(super) open: bool,
    /// It has sent its last byte.
    pub(super) ended: bool,
    /// Its bytes that the engine has not read.
    pub(super) out: Vec<u8>,
    /// The engine does not read.
    pub(super) paused: bool,
    /// So many bytes its kernel takes before it reads again.
    pub(super) room: usize,
    got: Vec<u8>,
    scanner: ReplyScanner,
    scanned: usize,
    /// The numbers of requests that are not answered, in order.
    waiting: VecDeque<Option<u64>>,
    asked: u64,
    answered: u64,
    tags: u64,
    last_tag: u64,
    /// It has sent what is not answered exactly once: of it only order and number are checked.
    loose: bool,
    /// It may be sent what nobody asked for.
    monitors: bool,
    resp3: bool,
    /// It may be closed.
    pub(super) may_end: bool,
}

impl Client {
    pub(super) fn new(conn: ConnId, mode: Mode, index: usize) -> Self {
        let raw = matches!(mode, Mode::Tcp(_));
        Self {
            conn,
            index: index as u64,
            open: true,
            ended: false,
            out: Vec::new(),
            paused: false,
            room: usize::MAX,
            got: Vec::new(),
            scanner: ReplyScanner::new(),
            scanned: 0,
            waiting: VecDeque::new(),
            asked: 0,
            answered: 0,
            tags: 0,
            last_tag: 0,
            loose: raw,
            monitors: false,
            resp3: raw,
            may_end: raw,
        }
    }

    pub(super) fn next_tag(&mut self) -> u64 {
        self.tags += 1;
        self.index * TAGS + self.tags
    }

    /// Is it one of which everything can be said?
    pub(super) fn is_strict(&self) -> bool {
        !self.loose
    }

    /// How many requests are not answered.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// It begins to send a request.
    pub(super) fn ask(&mut self, request: &Request) {
        self.out.extend_from_slice(&request.bytes);
        self.asked += 1;
        self.waiting.push_back(request.tag);
        let first = request.args.get(1).map(|arg| arg.to_ascii_uppercase());
        let first = first.unwrap_or_default();
        match request.name.as_slice() {
            b"MONITOR" => (self.loose, self.monitors, self.may_end) = (true, true, true),
            b"QUIT" => (self.loose, self.may_end) = (true, true),
            b"CLIENT" if first == b"REPLY" => self.loose = true,
            b"HELLO" => self.resp3 |= first == b"3",
            name if name.ends_with(b"SUBSCRIBE") => self.loose = true,
            _ => {}
        }
        // A large reply that its client has the beginning of cannot be taken back.
        self.may_end |= request.bytes.len() > 200_000;
    }

    /// It begins to send what is no request.
    pub(super) fn ask_nonsense(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        // It may hold several lines.
        self.asked += 4;
        (self.loose, self.may_end) = (true, true);
    }

    /// Bytes arrive.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        assert!(self.open, "client {} was closed, and is written to", self.index);
        self.got.extend_from_slice(bytes);
        let mut at = 0;
        while at + self.scanned < self.got.len() {
            match self.scanner.scan(&self.got[at + self.scanned..]) {
                Ok(Skip::Incomplete) => self.scanned = self.got.len() - at,
                Ok(Skip::Complete(len)) => {
                    let end = at + self.scanned + len;
                    self.scanned = 0;
                    let value = self.got[at..end].to_vec();
                    self.judge(&value);
                    at = end;
                }
                Err(error) => panic!(
                    "client {} got what is no reply ({error}): {}",
                    self.index,
                    wire::shown(&self.got[at..])
                ),
            }
        }
        self.got.drain(..at);
    }

    /// A whole value has come.
    fn judge(&mut self, raw: Raw<'_>) {
        let index = self.index;
        let of_resp2 = matches!(raw[0], b'+' | b'-' | b':' | b'$' | b'*');
        assert!(of_resp2 || self.resp3, "client {index} speaks RESP2 and got {}", wire::shown(raw));
        if raw[0] == b'>' || is_of_subscriber(raw) {
            assert!(
                self.loose || self.resp3,
                "client {index} has not asked for {}",
                wire::shown(raw)
            );
            return;
        }
        self.answered += 1;
        assert!(
            self.answered <= self.asked || self.monitors,
            "client {index} got more replies than it has sent requests: {}",
            wire::shown(raw)
        );
        self.note_tags(raw);
        if self.loose {
            return;
        }
        let asked = self.waiting.pop_front();
        let asked = asked.unwrap_or_else(|| {
            panic!("client {index} got a reply that it has not asked for: {}", wire::shown(raw))
        });
        let tag = wire::bulk(raw).and_then(tag_of);
        let fits = match asked {
            _ if wire::is_error(raw) || raw == b"+QUEUED\r\n" => true,
            asked => asked == tag,
        };
        assert!(fits, "client {index} asked for {asked:?} and got {}", wire::shown(raw));
    }

    /// Numbers come in order, and to whom they belong.
    fn note_tags(&mut self, raw: Raw<'_>) {
        if let Some(parts) = wire::elements(raw) {
            return parts.into_iter().for_each(|part| self.note_tags(part));
        }
        let Some(tag) = wire::bulk(raw).and_then(tag_of) else { return };
        assert_eq!(tag / TAGS, self.index, "a reply came to client {}", self.index);
        assert!(tag > self.last_tag, "client {} got {tag} behind {}", self.index, self.last_tag);
        self.last_tag = tag;
    }
}

/// A confirmation or a message, in RESP2.
fn is_of_subscriber(raw: Raw<'_>) -> bool {
    let kind = wire::elements(raw).and_then(|parts| wire::bulk(parts.first()?).map(<[u8]>::to_vec));
    kind.is_some_and(|kind| kind.ends_with(b"subscribe") || kind.ends_with(b"message"))
}
