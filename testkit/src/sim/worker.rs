//! Drives an engine as `proxy` does, over simulated sockets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use config::Mode;
use engine::{Action, Caller, ConnId, Engine, Gone, Settings};
use topology::{Address, Evidence, NodeId, PeerMail, PoolId, Snapshot, Time};

use super::agenda::Event;
use super::net::{End, Found, Link, LinkId, Owner, Port};
use super::plan::Plan;
use super::tap::{Standing, Tap};
use super::world::World;

/// One worker.
pub(crate) struct Worker {
    pub(crate) engine: Engine,
    sockets: BTreeMap<ConnId, Socket>,
    inbox: Vec<Input>,
    /// The Snapshot in force.
    pub(crate) snapshot: Arc<Snapshot>,
    /// The newest Snapshot of which it has said that it holds writes.
    holds: Option<u64>,
    /// It has said that none is unanswered.
    drained: bool,
    incoming: Option<Arc<Snapshot>>,
    turn_at: Option<Time>,
    turns: u64,
}

struct Socket {
    link: LinkId,
    end: End,
    connecting: bool,
    blocked: bool,
    paused: bool,
    listed: bool,
    client: Option<usize>,
    /// Of a connection to a node.
    node: Option<(NodeId, Tap)>,
}

/// What happened since the last turn.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Accept { link: LinkId, mode: Mode, client: usize },
    Mail(PeerMail),
    Connected(ConnId),
    Refused(ConnId),
    Readable(ConnId),
    Room(ConnId),
}

impl Worker {
    pub(crate) fn new(plan: &Plan, worker: usize, seed: u64) -> Self {
        let settings = Settings {
            pools: vec![Arc::clone(&plan.pool)],
            workers: plan.workers,
            worker,
            seed,
            // Few, so that there are some who share.
            own_subscribers: usize::try_from(seed % 3).unwrap_or(0),
        };
        Self {
            engine: Engine::new(&settings),
            sockets: BTreeMap::new(),
            inbox: Vec::new(),
            snapshot: Arc::default(),
            holds: None,
            drained: false,
            incoming: None,
            turn_at: None,
            turns: 0,
        }
    }

    /// How many sockets to nodes there are.
    pub(crate) fn upstream_sockets(&self) -> usize {
        self.sockets.keys().filter(|conn| conn.is_upstream()).count()
    }
}

/// A worker in its turn, out of the world's list.
struct Turn<'a> {
    world: &'a mut World,
    worker: &'a mut Worker,
    index: usize,
}

impl World {
    /// Something for a worker's next turn.
    pub(crate) fn tell_worker(&mut self, worker: usize, input: Input) {
        let delay = Duration::from_micros(self.rng.u64(0..150));
        let at = self.now + delay;
        if let Some(worker) = &mut self.workers[worker] {
            worker.inbox.push(input);
        }
        self.wake_worker(worker, at);
    }

    /// A socket of a worker can be read.
    pub(crate) fn worker_readable(&mut self, worker: usize, conn: ConnId) {
        let socket = self.workers[worker].as_mut().and_then(|own| own.sockets.get_mut(&conn));
        if let Some(socket) = socket
            && !socket.paused
            && !socket.connecting
            && !std::mem::replace(&mut socket.listed, true)
        {
            self.tell_worker(worker, Input::Readable(conn));
        }
    }

    pub(crate) fn wake_worker(&mut self, index: usize, at: Time) {
        let at = at.max(self.now);
        if let Some(worker) = &mut self.workers[index]
            && worker.turn_at.is_none_or(|planned| planned > at)
        {
            worker.turn_at = Some(at);
            self.agenda.put(at, Event::Turn(index));
        }
    }

    pub(crate) fn published(&mut self, worker: usize, snapshot: Arc<Snapshot>) {
        let now = self.now;
        if let Some(state) = &mut self.workers[worker] {
            let known = state.incoming.as_ref().map_or(state.snapshot.version, |own| own.version);
            if snapshot.version > known {
                state.incoming = Some(snapshot);
                self.wake_worker(worker, now);
            }
        }
    }

    pub(crate) fn turn(&mut self, index: usize) {
        let now = self.now;
        let Some(mut worker) = self.workers[index].take() else { return };
        if worker.turn_at == Some(now) {
            worker.turn_at = None;
            worker.turns += 1;
            let turn = Turn { world: self, worker: &mut worker, index };
            turn.run();
            worker.engine.check();
        }
        let wake = worker.engine.next_wake();
        self.workers[index] = Some(worker);
        if let Some(wake) = wake {
            // Timers that are due but have nothing to do are not run twice at one instant.
            self.wake_worker(index, wake.max(now + Duration::from_micros(1)));
        }
    }
}

impl Turn<'_> {
    fn run(mut self) {
        self.worker.engine.begin_turn(self.world.now);
        if let Some(snapshot) = self.worker.incoming.take() {
            self.worker.engine.snapshot(&snapshot);
            self.worker.drained &= snapshot.pools[0].shards[0].writes_held.is_some();
            self.worker.snapshot = snapshot;
        }
        let mut reading = Vec::new();
        for input in std::mem::take(&mut self.worker.inbox) {
            match input {
                Input::Accept { link, mode, client } => self.accept(link, mode, client),
                Input::Mail(mail) => self.worker.engine.mail(mail),
                Input::Connected(conn) => {
                    if let Some(socket) = self.worker.sockets.get_mut(&conn) {
                        socket.connecting = false;
                        let (link, end) = (socket.link, socket.end);
                        self.worker.engine.connected(conn);
                        if self.world.links[link].is_readable(end, self.world.now) {
                            self.list(conn);
                        }
                    }
                }
                Input::Refused(conn) => {
                    if self.worker.sockets.remove(&conn).is_some() {
                        self.worker.engine.closed(conn, Gone::Refused);
                    }
                }
                Input::Room(conn) => {
                    if let Some(socket) = self.worker.sockets.get_mut(&conn) {
                        socket.blocked = false;
                        self.write(conn);
                    }
                }
                Input::Readable(conn) => {
                    if let Some(socket) = self.worker.sockets.get_mut(&conn) {
                        socket.listed = false;
                        if !socket.paused {
                            reading.push(conn);
                        }
                    }
                }
            }
        }
        for conn in reading {
            self.read(conn);
        }
        self.finish();
        let shard = self.worker.snapshot.pools.first().map(|pool| &pool.shards[0]);
        if shard.is_some_and(|shard| shard.writes_held.is_some()) {
            let version = Some(self.worker.snapshot.version);
            assert_eq!(self.worker.holds, version, "the Snapshot for which it holds writes");
        }
    }

    fn accept(&mut self, link: LinkId, mode: Mode, client: usize) {
        let conn = self.worker.engine.accept(PoolId(0), mode, Caller::unknown());
        let owner = Owner::Worker { worker: self.index, conn };
        self.world.links[link].set_owner(End::Far, owner);
        self.world.clients[client].conn = Some(conn);
        let socket = Socket {
            link,
            end: End::Far,
            connecting: false,
            blocked: false,
            paused: false,
            listed: false,
            client: Some(client),
            node: None,
        };
        self.worker.sockets.insert(conn, socket);
        if self.world.links[link].is_readable(End::Far, self.world.now) {
            self.list(conn);
        }
    }

    /// The socket is read in the next turn, which comes soon.
    fn list(&mut self, conn: ConnId) {
        let Some(socket) = self.worker.sockets.get_mut(&conn) else { return };
        if !std::mem::replace(&mut socket.listed, true) {
            self.worker.inbox.push(Input::Readable(conn));
            let at = self.world.now + Duration::from_micros(self.world.rng.u64(1..50));
            if self.worker.turn_at.is_none_or(|planned| planned > at) {
                self.worker.turn_at = Some(at);
                self.world.agenda.put(at, Event::Turn(self.index));
            }
        }
    }

    /// Reads a socket once.
    fn read(&mut self, conn: ConnId) {
        let Some(socket) = self.worker.sockets.get(&conn) else { return };
        let (link, end, client) = (socket.link, socket.end, socket.client);
        let most = self.world.plan.read_max;
        let (found, room) = self.world.links[link].read(end, most, self.world.now);
        if room {
            self.world.give_room(Port { link, end });
        }
        match found {
            Found::Nothing => {}
            Found::End => {
                self.close(conn);
                self.world.note(|| format!("worker {}: {conn:?} has ended", self.index));
                self.worker.engine.closed(conn, Gone::Closed);
            }
            Found::Bytes(bytes) => {
                if let Some(client) = client {
                    self.world.engine_reads(client, bytes.len());
                }
                self.worker.engine.received(conn, &bytes);
                if self.world.links[link].is_readable(end, self.world.now) {
                    self.list(conn);
                }
            }
        }
    }

    /// Writes a socket's output once.
    fn write(&mut self, conn: ConnId) {
        let Some(socket) = self.worker.sockets.get_mut(&conn) else { return };
        if socket.connecting || socket.blocked {
            return;
        }
        let output = self.worker.engine.output(conn);
        if output.is_empty() {
            return;
        }
        let (link, end) = (socket.link, socket.end);
        let wrote = self.world.send(Port { link, end }, output);
        if let Some((node, tap)) = &mut socket.node {
            let drained = self.worker.drained && !self.worker.engine.is_raw(conn);
            let standing = Standing::of(&self.worker.snapshot, *node, drained);
            self.world.journal_write(self.index, *node, &output[..wrote]);
            let is_lane = self.worker.engine.is_lane(conn);
            tap.leave(&output[..wrote], standing, is_lane, &self.world.limits);
        }
        socket.blocked = wrote < output.len();
        self.worker.engine.written(conn, wrote);
    }

    fn finish(&mut self) {
        let mut actions = Vec::new();
        let mut dirty = Vec::new();
        loop {
            self.worker.engine.end_turn();
            self.worker.engine.take_actions(&mut actions);
            self.worker.engine.take_dirty(&mut dirty);
            if actions.is_empty() && dirty.is_empty() {
                return;
            }
            for conn in dirty.drain(..) {
                self.write(conn);
            }
            for action in actions.drain(..) {
                self.carry_out(action);
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Connect { conn, address, .. } => self.connect(conn, &address),
            Action::Close(conn) => self.close(conn),
            Action::Pause(conn) => {
                if let Some(socket) = self.worker.sockets.get_mut(&conn) {
                    socket.paused = true;
                }
            }
            Action::Resume(conn) => {
                if let Some(socket) = self.worker.sockets.get_mut(&conn) {
                    socket.paused = false;
                    let (link, end) = (socket.link, socket.end);
                    if self.world.links[link].is_readable(end, self.world.now) {
                        self.list(conn);
                    }
                }
            }
            Action::ShutdownWrite(conn) => {
                if let Some(socket) = self.worker.sockets.get(&conn) {
                    self.world.shut_down(Port { link: socket.link, end: socket.end });
                }
            }
            Action::Tell { worker, mail } => {
                for index in 0..self.world.workers.len() {
                    if index != self.index && worker.is_none_or(|worker| worker == index) {
                        self.world.tell_worker(index, Input::Mail(mail.clone()));
                    }
                }
            }
            Action::Evidence(evidence) => {
                if let Evidence::WritesHeld { version, unanswered, .. } = evidence {
                    self.worker.holds = Some(version);
                    self.worker.drained = unanswered == 0;
                }
                if self.world.rng.u8(0..100) >= self.world.plan.evidence_loss {
                    self.world.note(|| format!("worker {}: {evidence:?}", self.index));
                    let delay = Duration::from_micros(self.world.rng.u64(0..1000));
                    self.world.agenda.put(self.world.now + delay, Event::Evidence(evidence));
                }
            }
        }
    }

    fn connect(&mut self, conn: ConnId, address: &Address) {
        let shard = &self.worker.snapshot.pools[0].shards[0];
        let node = shard.nodes.iter().find(|node| node.address == *address);
        let node = node.unwrap_or_else(|| panic!("a connect to {address}, which is no node")).id;
        let server = self.world.server_of(node);
        let owner = Owner::Worker { worker: self.index, conn };
        let far = Owner::Server { server, conn: 0 };
        let link = self.world.links.len();
        let quality = self.world.plan.server_link.clone();
        let latency = quality.latency;
        self.world.links.push(Link::new(owner, far, quality));
        self.world.agenda.put(self.world.now + latency, Event::Knock(link));
        let socket = Socket {
            link,
            end: End::Near,
            connecting: true,
            blocked: false,
            paused: false,
            listed: false,
            client: None,
            node: Some((node, Tap::new())),
        };
        self.worker.sockets.insert(conn, socket);
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(socket) = self.worker.sockets.remove(&conn) {
            // Towards a client the last reply must arrive.
            let abrupt = conn.is_upstream() && self.world.rng.u8(0..4) == 0;
            self.world.close_port(Port { link: socket.link, end: socket.end }, abrupt);
        }
    }
}
