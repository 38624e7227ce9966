//! A simulated Redis server: its process, role, data and connections. It executes commands in `execute`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use topology::{Answer, Lineage, Link, Parent, Process, ReplId, Replication, RoleReply, Serving};

use super::net::LinkId;
use super::store::{Change, Place, Record, Store};

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    Replica { of: usize, link: Link },
}

/// The name of a history of writes, and the one it continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) id: u64,
    /// The other one, and the last offset that both have.
    pub(crate) parent: Option<(u64, u64)>,
}

/// A write that ran.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) id: u64,
    pub(crate) database: u32,
    pub(crate) reply: Vec<u8>,
}

/// One server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) alive: bool,
    /// The process is stopped: its kernel still takes connects and bytes.
    pub(crate) frozen: bool,
    /// Accepts connects.
    pub(crate) accepting: bool,
    pub(crate) loading: bool,
    /// Grows with each load.
    pub(crate) loads: u64,
    /// Grows with each start, and with each change that makes older plans for this server void.
    pub(crate) token: u64,
    pub(crate) starts: u64,
    pub(crate) role: Role,
    pub(crate) history: History,
    pub(crate) offset: u64,
    pub(crate) log: Vec<Record>,
    pub(crate) store: Store,
    pub(crate) serves_stale: bool,
    pub(crate) conns: BTreeMap<u64, Conn>,
    next_conn: u64,
    /// Writes since they were last fetched.
    pub(crate) ran: Vec<Ran>,
    /// Writes that it refused to run.
    pub(crate) refused: Vec<u64>,
    /// A task to take changes from the primary is on the agenda.
    pub(crate) replicating: bool,
    /// So is one to go on with connections.
    pub(crate) serving: bool,
}

/// One connection to it.
#[derive(Debug, Default)]
pub(crate) struct Conn {
    pub(crate) link: LinkId,
    pub(crate) input: Vec<u8>,
    pub(crate) scanner: resp::RequestScanner,
    pub(crate) output: Vec<u8>,
    pub(crate) full: bool,
    pub(crate) database: u32,
    pub(crate) resp3: bool,
    pub(crate) multi: Option<Vec<Vec<Vec<u8>>>>,
    pub(crate) multi_failed: bool,
    pub(crate) watched: Vec<Place>,
    pub(crate) watch_dirty: bool,
    pub(crate) channels: BTreeSet<Vec<u8>>,
    pub(crate) blocked: Option<Blocked>,
}

/// A connection that waits for an element.
#[derive(Clone, Debug)]
pub(crate) struct Blocked {
    pub(crate) place: Place,
    pub(crate) token: u64,
    pub(crate) id: Option<u64>,
}

impl Server {
    pub(crate) fn new(role: Role, serves_stale: bool) -> Self {
        Self {
            alive: true,
            frozen: false,
            accepting: true,
            loading: false,
            loads: 0,
            token: 0,
            starts: 1,
            role,
            history: History { id: 1, parent: None },
            offset: 1,
            log: Vec::new(),
            store: Store::default(),
            serves_stale,
            conns: BTreeMap::new(),
            next_conn: 1,
            ran: Vec::new(),
            refused: Vec::new(),
            replicating: false,
            serving: false,
        }
    }

    /// Runs and answers.
    pub(crate) fn is_responsive(&self) -> bool {
        self.alive && !self.frozen
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.role == Role::Primary
    }

    pub(crate) fn is_linked(&self) -> bool {
        matches!(self.role, Role::Replica { link: Link::Up, .. })
    }

    pub(crate) fn accept(&mut self, link: LinkId) -> u64 {
        let conn = self.next_conn;
        self.next_conn += 1;
        self.conns.insert(conn, Conn { link, ..Conn::default() });
        conn
    }

    /// A write has happened here, or is taken over from the primary.
    pub(crate) fn apply(&mut self, change: Change) {
        let len = match &change {
            Change::Put { place, .. } => place.1.len() as u64 + 20,
            Change::Publish { payload, .. } => payload.len() as u64 + 20,
        };
        self.offset += len;
        match &change {
            Change::Put { place, value } => {
                for conn in self.conns.values_mut() {
                    conn.watch_dirty |= conn.watched.contains(place);
                }
                self.store.put(place.clone(), value.clone());
            }
            Change::Publish { channel, payload } => {
                self.deliver(channel, payload);
            }
        }
        self.log.push(Record { end: self.offset, change });
    }

    /// Hands a message to those who listen here.
    fn deliver(&mut self, channel: &[u8], payload: &[u8]) {
        for conn in self.conns.values_mut().filter(|conn| conn.channels.contains(channel)) {
            let protocol = conn.protocol();
            resp::write_push_header(&mut conn.output, 3, protocol);
            resp::write_bulk(&mut conn.output, b"message");
            resp::write_bulk(&mut conn.output, channel);
            resp::write_bulk(&mut conn.output, payload);
        }
    }

    /// A client has published a message here; a replica keeps it to itself.
    pub(crate) fn publish(&mut self, channel: Vec<u8>, payload: Vec<u8>) {
        if self.is_primary() {
            self.apply(Change::Publish { channel, payload });
        } else {
            self.deliver(&channel, &payload);
        }
    }

    /// How many listen to a channel here.
    pub(crate) fn listeners(&self, channel: &[u8]) -> i64 {
        self.conns.values().filter(|conn| conn.channels.contains(channel)).count() as i64
    }

    /// From now on it is a primary that continues the history it has.
    pub(crate) fn promote(&mut self, history_id: u64) {
        self.role = Role::Primary;
        self.history = History { id: history_id, parent: Some((self.history.id, self.offset)) };
        self.token += 1;
    }

    /// From now on it is a replica, and as yet without a link.
    pub(crate) fn follow(&mut self, primary: usize) {
        self.role = Role::Replica { of: primary, link: Link::Down };
        self.token += 1;
        let unblocked =
            b"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";
        for conn in self.conns.values_mut() {
            if conn.blocked.take().is_some() {
                conn.output.extend_from_slice(unblocked);
            }
        }
    }

    /// Takes over everything from its primary.
    pub(crate) fn copy_from(&mut self, primary: &Copy) {
        self.store = primary.store.clone();
        self.log = primary.log.clone();
        self.offset = primary.offset;
        self.history = primary.history;
        for conn in self.conns.values_mut() {
            conn.watch_dirty |= !conn.watched.is_empty();
        }
    }

    pub(crate) fn copy(&self) -> Copy {
        Copy {
            store: self.store.clone(),
            log: self.log.clone(),
            offset: self.offset,
            history: self.history,
        }
    }

    /// What it answers a probe.
    pub(crate) fn answer(&self, index: usize, all: bool) -> Answer {
        let link = match self.role {
            Role::Primary => None,
            Role::Replica { link, .. } => Some(link),
        };
        let role = match link {
            None => RoleReply::Primary { offset: self.offset },
            Some(link) => {
                let offset = (link == Link::Up).then_some(self.offset);
                RoleReply::Replica { link, offset }
            }
        };
        let serving = if self.loading {
            Serving::Loading
        } else if self.refuses_stale_reads() {
            Serving::MasterDown
        } else {
            Serving::Yes
        };
        let parent = self.history.parent;
        let parent = parent.and_then(|(id, shared)| Some(Parent { id: replid(id)?, shared }));
        let replication = replid(self.history.id).map(|id| Replication {
            link,
            offset: self.offset,
            lineage: Lineage { id, parent },
        });
        Answer {
            process: Ok(Arc::new(Process {
                run_id: format!("run-{index}-{}", self.starts).into(),
                version: "7.0.15".into(),
            })),
            serving,
            role: Ok(role),
            replication: replication.filter(|_| all).map(Ok),
        }
    }

    pub(crate) fn refuses_stale_reads(&self) -> bool {
        !self.serves_stale && matches!(self.role, Role::Replica { link, .. } if link != Link::Up)
    }
}

/// A full copy on its way to a replica.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    store: Store,
    log: Vec<Record>,
    offset: u64,
    history: History,
}

impl Conn {
    pub(crate) fn protocol(&self) -> resp::Protocol {
        if self.resp3 { resp::Protocol::Resp3 } else { resp::Protocol::Resp2 }
    }
}

fn replid(id: u64) -> Option<ReplId> {
    ReplId::parse(&format!("{id:040}"))
}
