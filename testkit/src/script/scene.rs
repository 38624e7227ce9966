//! What a script says happens.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use config::{Mode, TcpRole};
use engine::{Caller, ConnId, Engine, Gone, Settings};
use topology::{Health, PoolId, Snapshot, Time};

use super::Script;
use super::client::Client;
use super::grammar::{self, Request};
use super::node::{ERRORS, GARBAGE, Node, Upstream};
use super::pool::{NODES, pool};

const CLIENTS: usize = 6;
/// Requests too large to be gathered take their time.
const HUGE: u8 = 3;
/// So long is what is not gathered.
const LARGE: usize = 1_200_000;
/// A client has so much to send at most.
const OUT_MAX: usize = 3 << 20;

/// One worker, and everybody around it.
pub(super) struct Scene {
    pub(super) engine: Engine,
    pub(super) settings: Arc<config::Pool>,
    pub(super) now: Time,
    pub(super) nodes: Vec<Node>,
    pub(super) upstreams: BTreeMap<ConnId, Upstream>,
    pub(super) clients: Vec<Client>,
    pub(super) snapshot: Snapshot,
    /// The newest Snapshot of which the engine has said that it holds writes.
    pub(super) holds: Option<u64>,
    /// It has said that none is unanswered.
    pub(super) drained: bool,
    pub(super) draining: bool,
    /// A client has told it to close others.
    pub(super) kills: bool,
    /// A client has sent what others may get, and which is so large that they may be closed amid it.
    pub(super) spreads: bool,
    pub(super) next_node: u32,
    pub(super) version: u64,
    huge: u8,
}

impl Scene {
    pub(super) fn new(script: &mut Script<'_>) -> Self {
        let settings = pool(script);
        let pools = vec![Arc::clone(&settings)];
        let seed = u64::from(script.byte());
        // Few, so that there are some who share.
        let own_subscribers = usize::try_from(seed % 3).unwrap_or(0);
        let settings_of_engine = Settings { pools, workers: 1, worker: 0, seed, own_subscribers };
        Self {
            engine: Engine::new(&settings_of_engine),
            settings,
            now: Time::ZERO,
            nodes: Node::all(),
            upstreams: BTreeMap::new(),
            clients: Vec::new(),
            snapshot: Snapshot::default(),
            holds: None,
            drained: false,
            draining: false,
            kills: false,
            spreads: false,
            next_node: NODES as u32,
            version: 0,
            huge: 0,
        }
    }

    pub(super) fn happen(&mut self, event: u8, script: &mut Script<'_>) {
        self.engine.begin_turn(self.now);
        match event % 32 {
            0 | 1 => self.arrive(script),
            2..=7 => self.ask(script, Request::known),
            8 | 9 => self.ask(script, |script, _| Request::any(script)),
            10 => self.ask_nonsense(script),
            11 => self.ask_much(script),
            12 => self.flush(script),
            13 => self.leave(script),
            14 => self.read_slowly(script),
            15 | 16 => self.publish(script),
            17 => self.change_role(script),
            18 | 19 => self.answer(script),
            20 => self.refuse(script),
            21 => self.talk_nonsense(script),
            22 => self.cut(script),
            23 => self.be_slow(script),
            24 => self.connects(script),
            25 => self.push(script),
            26..=29 => self.pass(script),
            30 => self.unblock(script),
            _ => self.drain(script),
        }
        self.turn();
    }

    fn arrive(&mut self, script: &mut Script<'_>) {
        let mode = match script.byte() % 10 {
            0..=5 => Mode::Split,
            6 => Mode::Write,
            7 => Mode::Read,
            8 => Mode::Tcp(TcpRole::Primary),
            _ => Mode::Tcp(TcpRole::Replica),
        };
        if self.clients.iter().filter(|client| client.open).count() < CLIENTS && !self.draining {
            let conn = self.engine.accept(PoolId(0), mode, Caller::unknown());
            self.clients.push(Client::new(conn, mode, self.clients.len() + 1));
        }
    }

    /// An open client.
    fn some_client(&self, byte: u8) -> Option<usize> {
        let open = |index: &usize| self.clients[*index].open && !self.clients[*index].ended;
        let open: Vec<usize> = (0..self.clients.len()).filter(open).collect();
        open.get(usize::from(byte) % open.len().max(1)).copied()
    }

    /// The lower bits say who; the highest, that it is sent later.
    fn ask(&mut self, script: &mut Script<'_>, what: impl Fn(&mut Script<'_>, u64) -> Request) {
        let who = script.byte();
        let Some(index) = self.some_client(who & 15) else { return };
        let tag = self.clients[index].next_tag();
        let request = what(script, tag);
        let first = request.args.get(1).map(|arg| arg.to_ascii_uppercase());
        self.kills |= request.name == b"CLIENT" && first.is_some_and(|first| first == b"KILL");
        // Without arguments it is no request at all.
        if request.args.iter().any(|arg| !arg.is_empty()) {
            self.clients[index].ask(&request);
        }
        match who >> 4 {
            0..=8 => self.send(index, usize::MAX),
            9..=11 => self.send(index, usize::from(who & 15)),
            _ => {}
        }
    }

    fn ask_nonsense(&mut self, script: &mut Script<'_>) {
        let Some(index) = self.some_client(script.byte()) else { return };
        let bytes = grammar::broken(script);
        self.clients[index].ask_nonsense(bytes);
        self.send(index, usize::MAX);
    }

    /// A long pipeline of ECHOs, or one that is large.
    fn ask_much(&mut self, script: &mut Script<'_>) {
        let (who, much) = (script.byte(), script.byte());
        let Some(index) = self.some_client(who) else { return };
        if self.clients[index].out.len() > OUT_MAX {
            return;
        }
        if much % 4 == 3 && much >= 128 {
            return self.ask_large(script, index);
        }
        let (count, len) = match much % 4 {
            0 => (usize::from(much), 0),
            1 => (4, 70_000),
            2 => (20, 3000),
            _ => (1, LARGE),
        };
        if len > 10_000 {
            self.huge += 1;
        }
        if self.huge <= HUGE || len <= 10_000 {
            for _ in 0..count {
                let tag = self.clients[index].next_tag();
                self.clients[index].ask(&Request::echo(tag, len));
            }
        }
        self.send(index, usize::MAX);
    }

    /// A request too large to be gathered, which may be anything.
    fn ask_large(&mut self, script: &mut Script<'_>, index: usize) {
        let tag = self.clients[index].next_tag();
        let request = Request::large(script, tag, LARGE);
        self.huge += 1;
        if self.huge <= HUGE {
            self.kills |= request.name == b"CLIENT";
            self.spreads |=
                matches!(request.name.as_slice(), b"SET" | b"APPEND" | b"RPUSH" | b"PUBLISH");
            self.clients[index].ask(&request);
        }
        self.send(index, usize::MAX);
    }

    /// A client sends some of what it has begun.
    fn flush(&mut self, script: &mut Script<'_>) {
        let (who, much) = (script.byte(), script.byte());
        if let Some(index) = self.some_client(who) {
            self.send(index, if much < 200 { usize::from(much) } else { usize::MAX });
        }
    }

    pub(super) fn send(&mut self, index: usize, most: usize) {
        let client = &mut self.clients[index];
        if client.paused || !client.open || client.ended {
            return;
        }
        let len = client.out.len().min(most);
        let bytes: Vec<u8> = client.out.drain(..len).collect();
        // As much as a socket is read at once.
        for part in bytes.chunks(64 * 1024) {
            self.engine.received(client.conn, part);
        }
    }

    fn leave(&mut self, script: &mut Script<'_>) {
        let who = script.byte();
        let Some(index) = self.some_client(who & 15) else { return };
        let conn = self.clients[index].conn;
        if who & 16 == 0 {
            self.clients[index].ended = true;
            self.clients[index].may_end = true;
            self.engine.ended(conn);
        } else {
            self.clients[index].open = false;
            self.engine.closed(conn, Gone::Closed);
        }
    }

    fn read_slowly(&mut self, script: &mut Script<'_>) {
        let (who, much) = (script.byte(), script.byte());
        if let Some(index) = self.some_client(who) {
            let client = &mut self.clients[index];
            client.room = match much {
                0..=127 => usize::from(much),
                128..=191 => usize::from(much) << 10,
                _ => usize::MAX,
            };
            // It may owe others its reading, and be closed for that.
            client.may_end = true;
        }
    }

    /// A new Snapshot, of nodes that may be anything.
    fn publish(&mut self, script: &mut Script<'_>) {
        let (shape, states) = (script.byte(), script.byte());
        for index in 0..NODES {
            let gone = shape >> index & 1 == 1 && shape & 8 != 0;
            let node = &mut self.nodes[index];
            if std::mem::replace(&mut node.gone, gone) && !gone {
                // Back under its address, and not known to be the same.
                node.id = topology::NodeId(self.next_node);
                self.next_node += 1;
            }
            node.health = match states >> (2 * index) & 3 {
                0 | 3 => Health::Up,
                1 => Health::Down,
                _ => Health::Up,
            };
            node.readable = states >> (2 * index) & 3 != 2;
        }
        let primary = usize::from(shape >> 4 & 3);
        let hold = shape & 64 != 0;
        if shape & 128 == 0 {
            for index in 0..NODES {
                self.nodes[index].become_primary(index == primary, index);
            }
        }
        let proven_at = if states & 64 == 0 { self.now } else { Time::ZERO };
        self.tell((primary < NODES).then_some(primary), hold, proven_at);
    }

    fn change_role(&mut self, script: &mut Script<'_>) {
        let byte = script.byte();
        let index = usize::from(byte & 15) % NODES;
        self.nodes[index].become_primary(byte & 16 != 0, index);
        self.nodes[index].server.loading = byte & 32 != 0;
    }

    /// Some connection to a node.
    fn some_upstream(&self, byte: u8) -> Option<ConnId> {
        self.upstreams.keys().nth(usize::from(byte) % self.upstreams.len().max(1)).copied()
    }

    fn answer(&mut self, script: &mut Script<'_>) {
        let (who, much) = (script.byte(), script.byte());
        let Some(conn) = self.some_upstream(who) else { return };
        self.serve(conn, usize::from(much), None);
        self.deliver(conn, usize::MAX);
    }

    fn refuse(&mut self, script: &mut Script<'_>) {
        let (who, text) = (script.byte(), script.pick(&ERRORS));
        let Some(conn) = self.some_upstream(who) else { return };
        self.serve(conn, 1, Some(text));
        self.deliver(conn, usize::MAX);
    }

    fn talk_nonsense(&mut self, script: &mut Script<'_>) {
        let (who, garbage) = (script.byte(), script.pick(&GARBAGE));
        let Some(conn) = self.some_upstream(who) else { return };
        // A client of a `tcp` listener would get it as it is, and in the middle of a reply it might pass for a part of that.
        if self.is_open(conn) && !self.engine.is_raw(conn) && !self.upstreams[&conn].is_midway() {
            self.engine.received(conn, garbage);
        }
    }

    /// A connection to a node is lost, perhaps in the middle of a reply.
    fn cut(&mut self, script: &mut Script<'_>) {
        let (who, much) = (script.byte(), script.byte());
        let Some(conn) = self.some_upstream(who) else { return };
        self.serve(conn, usize::from(much >> 4), None);
        self.deliver(conn, usize::from(much & 15));
        self.lose(conn, Gone::Closed);
    }

    fn be_slow(&mut self, script: &mut Script<'_>) {
        let (who, much) = (script.byte(), script.byte());
        let node = &mut self.nodes[usize::from(who & 63) % NODES];
        node.answers = who & 64 == 0;
        let pace = [usize::MAX, usize::MAX, 100, 7, 1, 0, 20_000, 300];
        node.takes = pace[usize::from(much & 7)];
        node.gives = pace[usize::from(much >> 3 & 7)];
    }

    /// A node takes connects, or does not, or has taken those that wait.
    fn connects(&mut self, script: &mut Script<'_>) {
        let who = script.byte();
        let index = usize::from(who & 15) % NODES;
        self.nodes[index].accepts = who & 16 == 0;
        let waiting = |(conn, upstream): (&ConnId, &Upstream)| {
            (upstream.node == index && upstream.server.is_none()).then_some(*conn)
        };
        let waiting: VecDeque<ConnId> = self.upstreams.iter().filter_map(waiting).collect();
        for conn in waiting {
            if who & 32 == 0 {
                self.connected(conn);
            } else {
                self.lose(conn, Gone::Refused);
            }
        }
    }

    /// A node says what nobody has asked for.
    fn push(&mut self, script: &mut Script<'_>) {
        let (who, what) = (script.byte(), script.byte());
        let Some(conn) = self.some_upstream(who) else { return };
        let Some(id) = self.upstreams[&conn].server else { return };
        let server = &self.nodes[self.upstreams[&conn].node].server;
        let resp3 = server.conns.get(&id).is_some_and(|conn| conn.resp3 && conn.output.is_empty());
        let quiet = self.upstreams[&conn].is_quiet(server) && self.engine.output(conn).is_empty();
        if what & 1 == 0 && resp3 {
            self.engine.received(conn, b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
        } else if what & 1 == 1 && quiet && self.engine.is_lane(conn) {
            self.engine.received(conn, b"+OK\r\n");
        }
    }

    /// Time passes, and everything that becomes due in it happens when it is due.
    fn pass(&mut self, script: &mut Script<'_>) {
        let millis = script.pick(&[0, 1, 10, 50, 101, 301, 500, 1000, 1001, 2500, 5000, 61_000]);
        self.pass_by(Duration::from_millis(millis));
    }

    fn unblock(&mut self, script: &mut Script<'_>) {
        let node = usize::from(script.byte()) % NODES;
        self.unblock_all(node);
    }

    /// Rare: it is nearly the end of the script.
    fn drain(&mut self, script: &mut Script<'_>) {
        if script.byte() == 77 && !self.draining {
            self.draining = true;
            self.engine.drain();
        }
    }
}
