//! A node of a script: a simulated server, and how it answers.

use engine::ConnId;
use resp::{Limits, ReplyScanner, Skip};
use topology::{Health, NodeId};

use crate::sim::net::LinkId;
use crate::sim::server::{Role, Server};
use crate::sim::tap::Tap;

use super::pool::NODES;

/// What nodes say instead of doing what they are asked.
pub(super) const ERRORS: [&str; 14] = [
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "MOVED 1 10.0.0.2:6379",
    "ASK 1 10.0.0.2:6379",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "NOSCRIPT No matching script. Please use EVAL.",
    "ERR something else",
];

/// What is no reply.
pub(super) const GARBAGE: [&[u8]; 6] = [
    b"hello\r\n",
    b"$-7\r\n",
    b"*1\r\n$x\r\n",
    b"\r\n",
    b"$3\r\nabcde",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
];

pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) server: Server,
    pub(super) health: Health,
    pub(super) readable: bool,
    /// Not in the Snapshot.
    pub(super) gone: bool,
    pub(super) accepts: bool,
    /// Answers without being told to.
    pub(super) answers: bool,
    /// Bytes that its kernel takes of each connection in one turn.
    pub(super) takes: usize,
    /// Bytes that arrive of it in one turn.
    pub(super) gives: usize,
}

impl Node {
    pub(super) fn new(index: usize) -> Self {
        let up = Role::Replica { of: 0, link: topology::Link::Up };
        Self {
            id: NodeId(index as u32),
            server: Server::new(if index == 0 { Role::Primary } else { up }, true),
            health: Health::Up,
            readable: true,
            gone: false,
            accepts: true,
            answers: true,
            takes: usize::MAX,
            gives: usize::MAX,
        }
    }

    pub(super) fn all() -> Vec<Self> {
        (0..NODES).map(Self::new).collect()
    }

    /// It is a primary from now on, or is none.
    pub(super) fn become_primary(&mut self, primary: bool, index: usize) {
        match (primary, self.server.is_primary()) {
            (true, false) => self.server.promote(1),
            (false, true) => {
                self.server.follow((index + 1) % NODES);
                self.server.role =
                    Role::Replica { of: (index + 1) % NODES, link: topology::Link::Up };
            }
            _ => {}
        }
    }
}

/// A connection to a node.
pub(super) struct Upstream {
    pub(super) node: usize,
    /// The node's name when it was opened.
    pub(super) id: NodeId,
    /// The server's name for it; `None`: the connect is not answered yet.
    pub(super) server: Option<u64>,
    pub(super) tap: Tap,
    pub(super) paused: bool,
    /// What came over it was no request: the server closes it.
    pub(super) broken: bool,
    /// What has arrived of its replies.
    heard: ReplyScanner,
}

impl Upstream {
    pub(super) fn new(node: usize, id: NodeId) -> Self {
        let heard = ReplyScanner::new();
        Self { node, id, server: None, tap: Tap::new(), paused: false, broken: false, heard }
    }

    /// Bytes of the server arrive.
    pub(super) fn hear(&mut self, mut bytes: &[u8]) {
        while let Ok(Skip::Complete(len)) = self.heard.scan(bytes) {
            bytes = &bytes[len..];
        }
    }

    /// Has half of a reply arrived?
    pub(super) fn is_midway(&self) -> bool {
        !self.heard.is_idle()
    }

    /// The server runs one more command, or says `instead`; false: there is none to run now.
    pub(super) fn serve(&mut self, server: &mut Server, instead: Option<&str>) -> bool {
        let Some(id) = self.server.filter(|_| !self.broken) else { return false };
        let Some(conn) = server.conns.get_mut(&id).filter(|conn| conn.blocked.is_none()) else {
            return false;
        };
        match (conn.next_command(&Limits::default()), instead) {
            (None, _) => return false,
            (Some(Err(why)), _) => {
                self.broken = true;
                resp::write_error(&mut conn.output, &format!("ERR {why}"));
            }
            (Some(Ok(args)), Some(text)) => {
                if args[0].eq_ignore_ascii_case(b"EXEC") || args[0].eq_ignore_ascii_case(b"DISCARD")
                {
                    conn.multi = None;
                    conn.watched.clear();
                }
                conn.multi_failed = conn.multi.is_some();
                resp::write_error(&mut conn.output, text);
            }
            (Some(Ok(args)), None) => server.execute(id, &args),
        }
        server.ran.clear();
        server.refused.clear();
        true
    }

    /// The server has closed it, and all that it said has arrived.
    pub(super) fn has_ended(&self, server: &Server) -> bool {
        let conn = self.server.and_then(|id| server.conns.get(&id));
        self.broken && conn.is_some_and(|conn| conn.output.is_empty())
    }

    /// What the server has got of it is answered.
    pub(super) fn is_quiet(&self, server: &Server) -> bool {
        let conn = self.server.and_then(|id| server.conns.get(&id));
        conn.is_some_and(|conn| {
            conn.input.is_empty() && conn.output.is_empty() && conn.blocked.is_none()
        })
    }
}

/// A connection is accepted.
pub(super) fn accept(server: &mut Server, conn: ConnId) -> u64 {
    server.accept(conn.index() as LinkId)
}
