//! One worker's world, without I/O: its clients, its connections to the nodes, what is held and what is sent again.
//!
//! In come bytes, connects, closes, writes, the time and Snapshots; out go bytes ([`Engine::output`]) and
//! [`Action`]s. The I/O layer of `proxy` and the simulator of `testkit` drive it alike:
//!
//! 1. [`Engine::begin_turn`] with the time, [`Engine::snapshot`] if there is a new one;
//! 2. [`Engine::received`], [`Engine::connected`], [`Engine::closed`], [`Engine::accept`] for what happened;
//! 3. [`Engine::end_turn`]; then the actions are carried out and each dirty connection's output is written once,
//!    with [`Engine::written`] after each write.

mod again;
mod budget;
mod buffer;
mod check;
mod choice;
mod client;
mod command;
mod conn;
mod connect;
mod deadline;
mod desk;
mod dispatch;
mod drain;
mod effects;
mod front;
mod gather;
mod hold;
mod hub;
mod info;
mod input;
mod listening;
mod local;
mod login;
mod pause;
mod pinned;
mod pool;
mod raw;
mod recover;
mod redirect;
mod refused;
mod release;
mod repair;
mod reply;
mod roster;
mod scripts;
mod shared;
mod slots;
mod stall;
mod stream;
mod timers;
mod tracking;
mod unasked;
mod upstream;
mod window;
mod world;
mod writes;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use config::Mode;
use resp::RequestScanner;
use session::Standing;
use topology::{Handshake, PeerMail, PoolId, Snapshot, Time, WorkerCounts};

use crate::buffer::BufferPool;
use crate::client::Client;
use crate::dispatch::Request;
use crate::front::{Front, Side};
use crate::pool::Pool;
use crate::slots::{Key, Slots};
use crate::timers::Timers;
use crate::upstream::Upstream;

pub use conn::{Action, Caller, ConnId, Gone, TurnedAway};
pub use front::{Located, Territory, View};
pub use session::LoginFailures;

/// One worker's data plane.
#[derive(Debug)]
pub struct Engine {
    now: Time,
    pools: Vec<Pool>,
    clients: Slots<Client>,
    upstreams: Slots<Upstream>,
    buffers: BufferPool,
    timers: Timers,
    actions: Vec<Action>,
    dirty: Vec<ConnId>,
    /// Clients to go on with before the turn ends.
    ready: Vec<Key>,
    /// Legs that have something to hand over before the turn ends.
    fed: Vec<ConnId>,
    /// Clients to whom legs have something to hand over: once to each, whatever many legs it is.
    answered: Vec<Key>,
    /// Clients to whom a shard refused what was to be set up there unasked.
    refused: HashSet<Key>,
    /// How many legs there are among the clients.
    legs: usize,
    standings: HashSet<Rc<Standing>>,
    scanner: RequestScanner,
    /// Looks ahead for the EXEC of a MULTI.
    ahead: RequestScanner,
    /// The requests that go out together.
    batch: Vec<Request>,
    /// Inline commands of the batch, as multibulk requests.
    inline: Vec<u8>,
    /// Scripts are called in the batch.
    batch_scripts: bool,
    /// The batch's first key, where the pool balances by it.
    batch_key: Option<std::ops::Range<usize>>,
    snapshot_version: u64,
    /// This worker's place among them.
    worker: usize,
    /// How many they are.
    workers: usize,
    own_subscribers: usize,
    /// Questions to the other workers so far.
    inquiries: u64,
    /// Clients that others' tracking is redirected to, by their CLIENT ID; some may have gone.
    redirected_to: HashMap<u64, Key>,
    /// The client whose command about itself is answered, and that command's length.
    asking: Option<(Key, usize)>,
    next_client_id: u64,
    client_id_step: u64,
    draining: bool,
    /// Shared by all workers.
    logins: Arc<LoginFailures>,
}

/// So many subscribed clients of a worker, and of the same credentials, are counted by a node one by one.
pub const OWN_SUBSCRIBERS: usize = 16;

/// What a worker is built from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// In configuration order.
    pub pools: Vec<Arc<config::Pool>>,
    /// How many workers share the pools' limits.
    pub workers: usize,
    /// This worker's place among them, from 0: its clients' identifiers are its own.
    pub worker: usize,
    /// Decides where ties begin to rotate.
    pub seed: u64,
    /// Subscribed clients of a pool that have a connection each before others share one: [`OWN_SUBSCRIBERS`].
    pub own_subscribers: usize,
}

impl Engine {
    /// A worker that knows no node yet: everything is held until the first Snapshot.
    pub fn new(settings: &Settings) -> Self {
        let mut random = fastrand::Rng::with_seed(settings.seed);
        let pools = settings.pools.iter().zip(0..).map(|(pool, id)| {
            let mut own = Pool::new(PoolId(id), Arc::clone(pool), settings.workers, random.u64(..));
            own.territory = Territory::of(pool, &settings.pools);
            own
        });
        Self {
            now: Time::ZERO,
            pools: pools.collect(),
            clients: Slots::new(),
            upstreams: Slots::new(),
            buffers: BufferPool::default(),
            timers: Timers::default(),
            actions: Vec::new(),
            dirty: Vec::new(),
            ready: Vec::new(),
            fed: Vec::new(),
            answered: Vec::new(),
            refused: HashSet::new(),
            legs: 0,
            standings: HashSet::new(),
            scanner: RequestScanner::new(),
            ahead: RequestScanner::new(),
            batch: Vec::new(),
            inline: Vec::new(),
            batch_scripts: false,
            batch_key: None,
            snapshot_version: 0,
            worker: settings.worker,
            workers: settings.workers.max(1),
            own_subscribers: settings.own_subscribers,
            inquiries: 0,
            redirected_to: HashMap::new(),
            asking: None,
            next_client_id: settings.worker as u64 + 1,
            client_id_step: settings.workers.max(1) as u64,
            draining: false,
            logins: Arc::default(),
        }
    }

    /// Counts wrong passwords together with other workers.
    pub fn share_login_failures(&mut self, with: Arc<LoginFailures>) {
        self.logins = with;
    }

    /// A turn begins at `now`, which never goes back.
    pub fn begin_turn(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// Takes over a Snapshot.
    pub fn snapshot(&mut self, snapshot: &Snapshot) {
        self.snapshot_version = snapshot.version;
        for index in 0..self.pools.len() {
            // The nodes of others are no nodes of its own.
            if self.pools[index].territory.is_none()
                && let Some(view) = snapshot.pools.get(index)
            {
                self.apply(index, view);
            }
        }
        self.update_territories();
        self.relocate_refused();
    }

    /// Another worker has written.
    pub fn mail(&mut self, mail: PeerMail) {
        match mail {
            PeerMail::Script { pool, text } => self.script_from_peer(pool, &text),
            PeerMail::NoScripts { pool } => self.no_scripts_from_peer(pool),
            PeerMail::Order { ticket, pool, order } => self.order_from_peer(ticket, pool, &order),
            PeerMail::Report { ticket, report } => self.report_from_peer(ticket, report),
            PeerMail::Invalidated { ticket, pool, keys } => {
                self.invalidated_from_peer(ticket, pool, keys.as_deref());
            }
            PeerMail::NobodyToTell { ticket } => self.nobody_to_tell(ticket),
        }
    }

    /// The version of the Snapshot in force.
    pub fn snapshot_version(&self) -> u64 {
        self.snapshot_version
    }

    /// A client connected to a listener of `pool`.
    pub fn accept(&mut self, pool: PoolId, mode: Mode, caller: Caller) -> ConnId {
        let index = pool.0 as usize;
        let id = self.next_client_id;
        self.next_client_id += self.client_id_step;
        let talk = self.pools[index].newcomer();
        let counts = &mut self.pools[index].counts;
        counts.clients += 1;
        counts.clients_total += 1;
        let mut client = Client::new(id, index, mode, caller, talk, self.now);
        if let Some(territory) = &self.pools[index].territory {
            client.side = Side::Front(Front::of(territory.groups.len()));
        }
        let key = self.clients.insert(client);
        let idle = self.pools[index].settings.timeouts.client_idle;
        if !idle.is_zero() {
            self.arm_client(key, self.now + idle);
        }
        if let Mode::Tcp(_) = mode {
            self.queue(key);
        }
        ConnId::client(key)
    }

    /// Bytes came in.
    pub fn received(&mut self, conn: ConnId, bytes: &[u8]) {
        if conn.is_upstream() {
            self.upstream_received(conn.key(), bytes);
        } else {
            self.client_received(conn.key(), bytes);
        }
    }

    /// A [`Action::Connect`] succeeded.
    pub fn connected(&mut self, conn: ConnId) {
        self.upstream_connected(conn.key());
    }

    /// The client has sent its last byte. It may still read: what it is owed is written before it is closed.
    pub fn ended(&mut self, client: ConnId) {
        self.client_ended(client.key());
    }

    /// The connection is gone; the I/O layer has closed its socket.
    pub fn closed(&mut self, conn: ConnId, gone: Gone) {
        if conn.is_upstream() {
            let cause = match gone {
                Gone::Closed => recover::Cause::Lost,
                Gone::Refused => recover::Cause::Refused,
            };
            self.upstream_lost(conn.key(), &cause);
        } else {
            self.client_closed(conn.key());
        }
    }

    /// What is to be written to the connection now.
    pub fn output(&self, conn: ConnId) -> &[u8] {
        if conn.is_upstream() {
            self.upstreams
                .get(conn.key())
                .map_or(&[], |upstream| if upstream.frozen { &[] } else { upstream.output() })
        } else {
            self.clients.get(conn.key()).map_or(&[], |client| client.output.pending())
        }
    }

    /// The kernel took `count` bytes of [`Self::output`].
    pub fn written(&mut self, conn: ConnId, count: usize) {
        if conn.is_upstream() {
            self.upstream_written(conn.key(), count);
        } else {
            self.client_written(conn.key(), count);
        }
    }

    /// Goes on with everyone who can go on, and with what has become due.
    pub fn end_turn(&mut self) {
        while let Some((at, timer)) = self.timers.pop_due(self.now) {
            match timer {
                timers::Timer::Client(key) => {
                    if self.clients.get(key).is_some_and(|client| client.armed == at) {
                        self.client_timer(key);
                    }
                }
                timers::Timer::Upstream(key) => {
                    if self.upstreams.get(key).is_some_and(|upstream| upstream.armed == at) {
                        self.upstream_timer(key);
                    }
                }
                timers::Timer::Release(pool) => self.release_some(pool),
                timers::Timer::Hubs(pool) => self.hubs_timer(pool),
                timers::Timer::Pause(pool) => self.pause_timer(pool),
            }
        }
        loop {
            if let Some(key) = self.ready.pop() {
                self.go_on(key);
                if self.draining {
                    self.close_if_idle(key);
                }
            } else if let Some(leg) = self.fed.pop() {
                self.leg_is_fed(leg.key());
            } else if let Some(front) = self.answered.pop() {
                self.hand_over(front);
            } else {
                break;
            }
        }
        self.tell_drained();
    }

    /// When [`Self::end_turn`] has something to do again, unless something happens before.
    pub fn next_wake(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Moves the connections that may have something to write to `into`.
    pub fn take_dirty(&mut self, into: &mut Vec<ConnId>) {
        for conn in self.dirty.drain(..) {
            if conn.is_upstream() {
                if let Some(upstream) = self.upstreams.get_mut(conn.key()) {
                    upstream.dirty = false;
                    into.push(conn);
                }
            } else if let Some(client) = self.clients.get_mut(conn.key()) {
                client.dirty = false;
                into.push(conn);
            }
        }
    }

    /// Moves what is asked of the I/O layer to `into`, in order.
    pub fn take_actions(&mut self, into: &mut Vec<Action>) {
        into.append(&mut self.actions);
    }

    /// Are there pools whose clients use several groups?
    pub fn has_shards(&self) -> bool {
        self.pools.iter().any(|pool| pool.territory.is_some())
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.clients.len() - self.legs
    }

    /// The pool of a client.
    pub fn pool_of(&self, conn: ConnId) -> Option<PoolId> {
        if conn.is_upstream() {
            return None;
        }
        self.clients.get(conn.key()).map(|client| self.pools[client.pool].id)
    }

    /// A copy of the counters.
    pub fn counts(&self) -> WorkerCounts {
        let pools = self.pools.iter().map(|pool| {
            let mut counts = pool.counts.clone();
            counts.nodes = pool
                .nodes
                .iter()
                .filter(|node| !node.gone)
                .map(|node| (node.id, node.counts.clone()))
                .collect();
            counts
        });
        WorkerCounts { pools: pools.collect() }
    }

    /// A client was turned away before it got here.
    pub fn count_refused_client(&mut self, pool: PoolId, why: TurnedAway) {
        if let Some(pool) = self.pools.get_mut(pool.0 as usize) {
            let counts = &mut pool.counts;
            *match why {
                TurnedAway::Full => &mut counts.clients_refused_total,
                TurnedAway::Denied => &mut counts.clients_denied_total,
                TurnedAway::Headerless => &mut counts.clients_headerless_total,
            } += 1;
        }
    }

    /// A TLS handshake with a client has ended.
    pub fn count_client_handshake(&mut self, pool: PoolId, handshake: Handshake) {
        if let Some(pool) = self.pools.get_mut(pool.0 as usize) {
            pool.counts.tls_clients_total[handshake as usize] += 1;
        }
    }

    /// A TLS handshake with a node has ended.
    pub fn count_node_handshake(&mut self, pool: PoolId, handshake: Handshake) {
        if let Some(pool) = self.pools.get_mut(pool.0 as usize) {
            pool.counts.tls_nodes_total[handshake as usize] += 1;
        }
    }

    fn queue(&mut self, key: Key) {
        if let Some(client) = self.clients.get_mut(key)
            && !client.queued
        {
            client.queued = true;
            self.ready.push(key);
        }
    }

    fn arm_client(&mut self, key: Key, at: Time) {
        let at = at.min(self.now + timers::FARTHEST);
        if let Some(client) = self.clients.get_mut(key)
            && at < client.armed
        {
            client.armed = at;
            self.timers.arm(at, timers::Timer::Client(key));
        }
    }

    fn arm_upstream(&mut self, key: Key, at: Time) {
        let at = at.min(self.now + timers::FARTHEST);
        if let Some(upstream) = self.upstreams.get_mut(key)
            && at < upstream.armed
        {
            upstream.armed = at;
            self.timers.arm(at, timers::Timer::Upstream(key));
        }
    }

    fn touch_client(&mut self, key: Key) {
        if let Some(client) = self.clients.get_mut(key)
            && !client.dirty
        {
            client.dirty = true;
            if client.is_leg() {
                self.fed.push(ConnId::client(key));
            } else {
                self.dirty.push(ConnId::client(key));
            }
        }
    }

    fn touch_upstream(&mut self, key: Key) {
        if let Some(upstream) = self.upstreams.get_mut(key)
            && !upstream.dirty
        {
            upstream.dirty = true;
            self.dirty.push(ConnId::upstream(key));
        }
    }

    /// One shared value for equal standings, so that comparing two is mostly comparing pointers.
    fn intern(&mut self, standing: Standing) -> Rc<Standing> {
        if let Some(known) = self.standings.get(&standing) {
            return Rc::clone(known);
        }
        if self.standings.len() >= 64 {
            self.standings.retain(|standing| Rc::strong_count(standing) > 1);
        }
        let standing = Rc::new(standing);
        self.standings.insert(Rc::clone(&standing));
        standing
    }
}
