//! Everything there is, and how one thing leads to the next.

use std::time::Duration;

use fastrand::Rng;
use topology::{Address, NodeId, Role as Seen, Time};

use super::agenda::{Agenda, Event};
use super::client::Client;
use super::cluster::Authority;
use super::control::Control;
use super::journal::Journal;
use super::ledger::{Execution, Ledger};
use super::net::{End, Found, Link, LinkId, Owner, Port};
use super::plan::{Plan, Weather};
use super::server::{Role, Server};
use super::wire;
use super::worker::{Input, Worker};

/// Commands that a server executes of one connection before it looks at the next.
const COMMANDS_AT_ONCE: usize = 40;
/// After the repair everything must be whole within this time.
const REPAIR: Duration = Duration::from_secs(12);

/// The parts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Clients ask; things break.
    Busy,
    /// Everything is repaired and finds together again.
    Healing {
        since: Time,
    },
    /// Clients ask; nothing breaks, and no error is excused.
    Quiet {
        since: Time,
    },
    /// Nobody asks any more; everybody is answered.
    Finishing {
        since: Time,
    },
    /// Everybody goes, and everything is closed.
    Closing {
        since: Time,
    },
    Over,
}

/// The world of one run.
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) agenda: Agenda,
    pub(crate) links: Vec<Link>,
    /// A worker is out of its place while it has its turn.
    pub(crate) workers: Vec<Option<Worker>>,
    pub(crate) servers: Vec<Server>,
    pub(crate) authority: Authority,
    pub(crate) control: Control,
    pub(crate) clients: Vec<Client>,
    pub(crate) ledger: Ledger,
    pub(crate) journal: Journal,
    pub(crate) limits: resp::Limits,
    pub(crate) phase: Phase,
    /// Lists that blocked clients wait for, and when to add to them.
    pub(crate) feeds: Vec<(Time, u64)>,
    pub(crate) batches: u64,
    /// Errors of requests that came before are excused.
    troubled_until: Time,
    /// Since when the servers are as they should be.
    sound_since: Option<Time>,
    pub(crate) errors: u64,
}

impl World {
    pub(crate) fn new(seed: u64, weather: Weather, journal: Journal) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ weather as u64);
        let plan = Plan::new(weather, &mut rng);
        let addresses: Vec<Address> = (0..plan.servers)
            .map(|server| Address::Tcp(([10, 0, 0, server as u8 + 1], 6379).into()))
            .collect();
        let servers = (0..plan.servers).map(|index| {
            let up = Role::Replica { of: 0, link: topology::Link::Up };
            let role = if index == 0 { Role::Primary } else { up };
            Server::new(role, plan.serves_stale)
        });
        let servers = servers.collect();
        let workers = (0..plan.workers).map(|worker| Some(Worker::new(&plan, worker, rng.u64(..))));
        let workers = workers.collect();
        let control = Control::new(&plan, &addresses, rng.u64(..));
        let mut world = Self {
            now: Time::ZERO,
            rng,
            plan,
            agenda: Agenda::default(),
            links: Vec::new(),
            workers,
            servers,
            authority: Authority::new(),
            control,
            clients: Vec::new(),
            ledger: Ledger::default(),
            journal,
            limits: resp::Limits::default(),
            phase: Phase::Busy,
            feeds: Vec::new(),
            batches: 0,
            troubled_until: Time::ZERO,
            sound_since: None,
            errors: 0,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.agenda.put(Time::ZERO, Event::Control);
        self.agenda.put(Time::ZERO, Event::Watch);
        self.agenda.put(self.plan.busy_until, Event::Phase);
        let first = Time::from_millis(self.rng.u64(200..800));
        self.agenda.put(first, Event::Fault);
        self.agenda.put(first, Event::Hold);
        for _ in 0..self.plan.clients {
            let at = Time::from_millis(self.rng.u64(0..600));
            self.agenda.put(at, Event::Arrive);
        }
    }

    /// Runs to the end; panics where a promise is broken.
    pub(crate) fn run(&mut self) {
        while self.phase != Phase::Over {
            let Some((at, event)) = self.agenda.next() else {
                panic!("nothing is to happen any more, and the run is not over");
            };
            self.now = at;
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrived(port) => self.arrived(port),
            Event::Room(port) => self.room(port),
            Event::Knock(link) => self.knock(link),
            Event::Answered { link, accepted } => self.connect_answered(link, accepted),
            Event::Turn(worker) => self.turn(worker),
            Event::Published { worker, snapshot } => self.published(worker, snapshot),
            Event::Serve(server) => self.serve(server),
            Event::Unblock { server, conn, token } => {
                self.servers[server].unblock(conn, token);
                self.serve_soon(server);
            }
            Event::Replicate(replica) => self.replicate(replica),
            Event::Attach(replica) => self.attach(replica),
            Event::Copied { replica, token } => self.copied(replica, token),
            Event::Restart { server, keeps_data } => self.restart(server, keeps_data),
            Event::Loaded { server, load } => self.loaded(server, load),
            Event::Thaw(server) => self.thaw(server),
            Event::Accepting(server) => {
                self.trouble();
                self.servers[server].accepting = true;
            }
            Event::Watch => self.watch(),
            Event::Demote { server, token } => self.demote(server, token),
            Event::Control => {
                // As long as anybody may wait for what it finds out.
                if self.workers.iter().flatten().any(|worker| worker.engine.clients() > 0)
                    || !matches!(self.phase, Phase::Closing { .. })
                {
                    self.control();
                }
            }
            Event::Probe(probe) => self.probe(probe),
            Event::ProbeEnd { probe, timed_out } => self.probe_end(probe, timed_out),
            Event::Evidence(evidence) => self.evidence(evidence),
            Event::Arrive => self.client_arrives(),
            Event::Act(client) => self.act(client),
            Event::Read(client) => self.client_reads(client),
            Event::Fault => self.fault(),
            Event::Hold => self.toggle_hold(),
            Event::Phase => self.next_phase(),
        }
    }

    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        self.journal.note(self.now, line);
    }

    pub(crate) fn journal_write(&self, worker: usize, node: NodeId, bytes: &[u8]) {
        self.note(|| format!("worker {worker} → node {}: {}", node.0, wire::shown(bytes)));
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.phase == Phase::Busy
    }

    /// Something is broken now.
    pub(crate) fn trouble(&mut self) {
        self.trouble_until(self.now);
    }

    pub(crate) fn trouble_until(&mut self, until: Time) {
        self.troubled_until = self.troubled_until.max(until);
    }

    /// May a request that came at `came` be answered with an error now?
    pub(crate) fn excuses(&self, came: Time) -> bool {
        let quiet = match self.phase {
            Phase::Quiet { since } | Phase::Finishing { since } => came >= since,
            _ => false,
        };
        self.plan.has_faults() && !quiet && self.now <= self.troubled_until + self.plan.patience()
    }

    /// Are the servers as they should be?
    fn is_sound(&self) -> bool {
        let primary = self.authority.primary;
        self.servers.iter().enumerate().all(|(index, server)| {
            let role = if index == primary { server.is_primary() } else { server.is_linked() };
            server.is_responsive() && server.accepting && !server.loading && role
        })
    }

    /// Is everything as it should be, and known to be? What changed while nobody looked is noticed by the next probe.
    fn is_whole(&mut self) -> bool {
        if !self.is_sound() {
            self.sound_since = None;
            return false;
        }
        let since = *self.sound_since.get_or_insert(self.now);
        let primary = NodeId(self.authority.primary as u32);
        self.control.has_looked(since)
            && self.workers.iter().flatten().all(|worker| {
                let Some(shard) = worker.snapshot.pools.first().map(|pool| &pool.shards[0]) else {
                    return false;
                };
                worker.snapshot.version == self.control.version
                    && shard.primary == Some(primary)
                    && shard.writes_held.is_none()
                    && shard.nodes.iter().all(|node| {
                        node.readable || (node.role == Seen::Primary && node.id == primary)
                    })
            })
    }

    fn next_phase(&mut self) {
        let soon = self.now + Duration::from_millis(50);
        match self.phase {
            Phase::Busy => {
                self.phase = Phase::Healing { since: self.now };
                self.heal();
                self.agenda.put(soon, Event::Phase);
            }
            Phase::Healing { since } => {
                if self.is_whole() {
                    self.note(|| "everything is whole".to_owned());
                    self.phase = Phase::Quiet { since: self.now };
                    let at = self.now + Duration::from_millis(self.rng.u64(300..1000));
                    return self.agenda.put(at, Event::Phase);
                }
                if self.now.since(since) > REPAIR {
                    self.never_whole();
                }
                self.trouble();
                self.agenda.put(soon, Event::Phase);
            }
            Phase::Quiet { .. } => {
                self.note(|| "nobody asks any more".to_owned());
                self.phase = Phase::Finishing { since: self.now };
                self.agenda.put(soon, Event::Phase);
            }
            Phase::Finishing { since } => self.finish(since),
            Phase::Closing { since } => self.close_all(since),
            Phase::Over => {}
        }
    }

    fn never_whole(&self) -> ! {
        let worker = self.workers.iter().flatten().next();
        let shard = worker.and_then(|worker| worker.snapshot.pools.first());
        let servers: Vec<_> = self
            .servers
            .iter()
            .map(|server| {
                format!("{:?} {:?} offset {}", server.role, server.history, server.offset)
            })
            .collect();
        panic!(
            "the pool is not whole {REPAIR:?} after everything was repaired: servers {servers:?}, the authority \
             says {}, the workers know {shard:#?}",
            self.authority.primary
        );
    }

    fn finish(&mut self, since: Time) {
        let patience = self.plan.patience() + Duration::from_secs(4);
        let waiting = self.clients.iter().position(Client::awaits_answers);
        if let Some(client) = waiting {
            // One blocking request may stand behind another.
            let last = self.clients[client].last_answer.max(since);
            assert!(
                self.now.since(last) < patience,
                "client {client} has not been answered: {}",
                self.clients[client].describe(&self.ledger)
            );
            return self.agenda.put(self.now + Duration::from_millis(50), Event::Phase);
        }
        self.note(|| "everybody is answered".to_owned());
        self.phase = Phase::Closing { since: self.now };
        for client in 0..self.clients.len() {
            if self.plan.drains && self.clients[client].may_be_drained() {
                self.clients[client].let_go();
            } else {
                self.client_closes(client);
            }
        }
        if self.plan.drains {
            for index in 0..self.workers.len() {
                if let Some(worker) = &mut self.workers[index] {
                    worker.engine.drain();
                }
                self.wake_worker(index, self.now);
            }
        }
        // What a client sent before it went is still run.
        let last = self.plan.patience() + Duration::from_secs(3);
        self.agenda.put(self.now + last, Event::Phase);
    }

    fn close_all(&mut self, since: Time) {
        for worker in self.workers.iter().flatten() {
            let counts = worker.engine.counts();
            let pool = &counts.pools[0];
            assert_eq!(worker.engine.clients(), 0, "clients are left");
            assert_eq!((pool.clients, pool.held, pool.held_bytes), (0, 0, 0), "gauges of clients");
            assert_eq!(pool.pinned, 0, "pinned connections in use without a client");
            if self.plan.drains {
                assert!(worker.engine.is_drained());
            }
            for (node, counts) in &pool.nodes {
                assert_eq!(counts.in_flight, 0, "unanswered commands at {node:?} without a client");
            }
        }
        if self.now.since(since) < Duration::from_secs(100) {
            // Twice the time after which an idle connection is closed.
            return self.agenda.put(since + Duration::from_secs(130), Event::Phase);
        }
        for worker in self.workers.iter().flatten() {
            let counts = worker.engine.counts();
            for (node, counts) in &counts.pools[0].nodes {
                assert_eq!(
                    (counts.lanes, counts.pinned),
                    (0, 0),
                    "idle connections to {node:?} stay"
                );
            }
            assert_eq!(worker.upstream_sockets(), 0, "sockets to nodes are left");
        }
        let calm = matches!(self.plan.weather, Weather::Calm | Weather::Slow);
        self.ledger.audit(calm);
        self.phase = Phase::Over;
    }
}

/// What links carry.
impl World {
    /// Writes at an end; returns how many bytes its kernel took.
    pub(crate) fn send(&mut self, port: Port, bytes: &[u8]) -> usize {
        let wrote = self.links[port.link].write(port.end, bytes, self.now, &mut self.rng);
        let reader = Port { link: port.link, end: port.end.other() };
        for at in wrote.arrivals {
            self.agenda.put(at, Event::Arrived(reader));
        }
        if let Some(at) = wrote.room {
            self.agenda.put(at, Event::Room(port));
        }
        wrote.count
    }

    /// The reader at `port` has made room for the writer at the other end.
    pub(crate) fn give_room(&mut self, port: Port) {
        let writer = Port { link: port.link, end: port.end.other() };
        let at = self.now + self.links[port.link].latency();
        self.agenda.put(at, Event::Room(writer));
    }

    pub(crate) fn close_port(&mut self, port: Port, abrupt: bool) {
        let at = self.links[port.link].close(port.end, abrupt, self.now);
        let other = Port { link: port.link, end: port.end.other() };
        self.agenda.put(at, Event::Arrived(other));
        // Whoever waits for room may write into the void.
        self.agenda.put(at, Event::Room(other));
    }

    pub(crate) fn shut_down(&mut self, port: Port) {
        let at = self.links[port.link].shut_down(port.end, self.now);
        self.agenda.put(at, Event::Arrived(Port { link: port.link, end: port.end.other() }));
    }

    fn arrived(&mut self, port: Port) {
        match self.links[port.link].owner(port.end) {
            Owner::Client(client) => self.client_readable(client),
            Owner::Worker { worker, conn } => self.worker_readable(worker, conn),
            Owner::Server { server, .. } => self.serve_soon(server),
        }
    }

    fn room(&mut self, port: Port) {
        match self.links[port.link].owner(port.end) {
            Owner::Client(client) => self.client_flushes(client),
            Owner::Worker { worker, conn } => self.tell_worker(worker, Input::Room(conn)),
            Owner::Server { server, conn } => {
                if let Some(conn) = self.servers[server].conns.get_mut(&conn) {
                    conn.full = false;
                }
                if self.servers[server].is_responsive() {
                    self.flush_server(server);
                }
            }
        }
    }

    /// A connect arrives; a stopped server's kernel accepts it as well.
    fn knock(&mut self, link: LinkId) {
        let Owner::Server { server, .. } = self.links[link].owner(End::Far) else { return };
        let accepted = self.servers[server].alive && self.servers[server].accepting;
        if accepted {
            let conn = self.servers[server].accept(link);
            self.links[link].set_owner(End::Far, Owner::Server { server, conn });
            self.serve_soon(server);
        }
        let at = self.now + self.links[link].latency();
        self.agenda.put(at, Event::Answered { link, accepted });
    }

    fn connect_answered(&mut self, link: LinkId, accepted: bool) {
        if let Owner::Worker { worker, conn } = self.links[link].owner(End::Near) {
            let input = if accepted { Input::Connected(conn) } else { Input::Refused(conn) };
            self.tell_worker(worker, input);
        }
    }
}

/// Servers and their connections.
impl World {
    pub(crate) fn serve_soon(&mut self, server: usize) {
        if !std::mem::replace(&mut self.servers[server].serving, true) {
            let at = self.now + Duration::from_micros(self.rng.u64(2..80));
            self.agenda.put(at, Event::Serve(server));
        }
    }

    fn serve(&mut self, server: usize) {
        self.servers[server].serving = false;
        if !self.servers[server].is_responsive() {
            return;
        }
        let mut conns: Vec<u64> = self.servers[server].conns.keys().copied().collect();
        self.rng.shuffle(&mut conns);
        let mut more = false;
        for conn in conns {
            more |= self.serve_conn(server, conn);
        }
        self.settle_executions(server);
        self.flush_server(server);
        self.spread(server);
        if more {
            self.serve_soon(server);
        }
    }

    /// Returns whether there is more to do.
    fn serve_conn(&mut self, server: usize, conn_id: u64) -> bool {
        let Some(conn) = self.servers[server].conns.get_mut(&conn_id) else { return false };
        let port = Port::far(conn.link);
        match self.links[port.link].read(port.end, 64 * 1024, self.now) {
            (Found::Bytes(bytes), room) => {
                conn.input.extend_from_slice(&bytes);
                if room {
                    self.give_room(port);
                }
            }
            (Found::End, _) => {
                self.close_server_conn(server, conn_id, false);
                return false;
            }
            (Found::Nothing, _) => {}
        }
        for _ in 0..COMMANDS_AT_ONCE {
            let Some(conn) = self.servers[server].conns.get_mut(&conn_id) else { return false };
            if conn.blocked.is_some() {
                return false;
            }
            match conn.next_command(&self.limits) {
                None => return self.links[port.link].is_readable(port.end, self.now),
                Some(Ok(args)) => {
                    self.servers[server].execute(conn_id, &args);
                    self.arm_blocked(server, conn_id, &args);
                }
                Some(Err(error)) => panic!("server {server} was sent no request: {error}"),
            }
        }
        true
    }

    /// A command that waits will be told when its time is over.
    fn arm_blocked(&mut self, server: usize, conn_id: u64, args: &[Vec<u8>]) {
        let conn = self.servers[server].conns.get(&conn_id);
        let Some(blocked) = conn.and_then(|conn| conn.blocked.as_ref()) else { return };
        let seconds = args.last().and_then(|arg| std::str::from_utf8(arg).ok()?.parse().ok());
        let timeout = Duration::from_secs_f64(seconds.unwrap_or(1.0));
        let event = Event::Unblock { server, conn: conn_id, token: blocked.token };
        self.agenda.put(self.now + timeout, event);
    }

    fn settle_executions(&mut self, server: usize) {
        for id in std::mem::take(&mut self.servers[server].refused) {
            if let Some(entry) = self.ledger.get_mut(id) {
                entry.was_refused = true;
            }
        }
        for ran in std::mem::take(&mut self.servers[server].ran) {
            let primary = self.servers[server].is_primary();
            let publishes = self
                .ledger
                .get(ran.id)
                .is_some_and(|entry| matches!(entry.ask, super::ask::Ask::Publish { .. }));
            assert!(primary || publishes, "request {} ran at a replica", ran.id);
            self.note(|| format!("server {server} ran request {}", ran.id));
            let (database, reply) = (ran.database, ran.reply);
            self.ledger.ran(ran.id, Execution { order: 0, database, reply });
        }
    }

    pub(crate) fn flush_server(&mut self, server: usize) {
        let ready: Vec<u64> = self.servers[server]
            .conns
            .iter()
            .filter(|(_, conn)| !conn.output.is_empty() && !conn.full)
            .map(|(id, _)| *id)
            .collect();
        for conn_id in ready {
            let Some(conn) = self.servers[server].conns.get_mut(&conn_id) else { continue };
            let mut output = std::mem::take(&mut conn.output);
            let port = Port::far(conn.link);
            let count = self.send(port, &output);
            if let Some(conn) = self.servers[server].conns.get_mut(&conn_id) {
                conn.full = count < output.len();
                output.drain(..count);
                conn.output = output;
            }
        }
    }
}
