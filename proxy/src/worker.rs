//! One worker: a thread with its own event loop, engine and sockets. A request's way begins at [`Worker::read`].

mod encrypted;
mod letters;

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use config::Config;
use engine::{Action, ConnId, Engine, Gone, LoginFailures, Settings};
use mio::event::Event;
use mio::{Events, Interest, Poll, Token, Waker};
use topology::{Published, Time};

use crate::mailbox::{Letter, Mailbox};
use crate::socket::{Socket, Sockets, Stream, connect_failure};
use crate::tls::{Handshakers, Job};
use crate::{EvidenceSink, PoolClients};

const WAKE: Token = Token(usize::MAX);
/// Bytes read from one socket in one turn.
const READ_MAX: usize = 64 * 1024;
/// Events taken from the kernel in one turn.
const EVENTS_MAX: usize = 1024;
/// After a turn with at least so many events the worker rests for [`REST`], so that more comes together: what arrives
/// then is handled in one turn, the nodes get it in one write, and nobody has to wake a sleeping thread for it. With
/// fewer events there is nothing to gather, and a lone client waits for nobody.
const BUSY: usize = 6;
/// Short against what a client of a busy proxy waits anyway. Measured with 50 clients: a third more commands per
/// second, a quarter less CPU for each, and no longer median wait than without; 100 µs gain no more. With up to 20
/// clients it makes no difference.
const REST: Duration = Duration::from_micros(50);
/// At most so many of them.
const RESTS: u32 = 5;

/// What a worker is made of.
pub(crate) struct Parts {
    pub(crate) index: usize,
    pub(crate) config: Arc<Config>,
    pub(crate) published: Arc<Published>,
    pub(crate) evidence: EvidenceSink,
    pub(crate) pool_clients: PoolClients,
    pub(crate) logins: Arc<LoginFailures>,
    pub(crate) handshakers: Handshakers,
    pub(crate) origin: Instant,
}

/// A worker's state.
pub(crate) struct Worker {
    poll: Poll,
    settings: Settings,
    published: Arc<Published>,
    evidence: EvidenceSink,
    pool_clients: PoolClients,
    logins: Arc<LoginFailures>,
    handshakers: Handshakers,
    origin: Instant,
    mailbox: Arc<Mailbox>,
}

impl Worker {
    pub(crate) fn new(parts: Parts) -> io::Result<(Self, Arc<Mailbox>)> {
        let poll = Poll::new()?;
        let mailbox = Arc::new(Mailbox::new(Waker::new(poll.registry(), WAKE)?));
        let settings = Settings {
            pools: parts.config.pools.iter().cloned().map(Arc::new).collect(),
            workers: parts.config.workers.max(1),
            worker: parts.index,
            seed: fastrand::u64(..),
            own_subscribers: engine::OWN_SUBSCRIBERS,
        };
        let worker = Self {
            poll,
            settings,
            published: parts.published,
            evidence: parts.evidence,
            pool_clients: parts.pool_clients,
            logins: parts.logins,
            handshakers: parts.handshakers,
            origin: parts.origin,
            mailbox: Arc::clone(&mailbox),
        };
        Ok((worker, mailbox))
    }

    /// Turns until it is told to stop, or is drained.
    pub(crate) fn run(self, peers: Vec<Arc<Mailbox>>) {
        let mut engine = Engine::new(&self.settings);
        engine.share_login_failures(Arc::clone(&self.logins));
        let has_shards = engine.has_shards();
        Turner {
            engine,
            worker: self,
            peers,
            sockets: Sockets::default(),
            runnable: Vec::new(),
            reading: Vec::new(),
            unwritten: Vec::new(),
            shaking: HashSet::new(),
            buffer: vec![0; READ_MAX],
            plain: Vec::new(),
            actions: Vec::new(),
            dirty: Vec::new(),
            letters: Vec::new(),
            has_shards,
            nodes_written: 0,
            stop: false,
        }
        .run();
    }
}

/// The worker at work; made in its own thread, since the engine is not shared.
struct Turner {
    worker: Worker,
    /// All workers' mailboxes, this one's among them.
    peers: Vec<Arc<Mailbox>>,
    engine: Engine,
    sockets: Sockets,
    /// Sockets that may have more to read, though no edge will say so.
    runnable: Vec<ConnId>,
    reading: Vec<ConnId>,
    /// Sockets that have had their share of the turn, and have more to write.
    unwritten: Vec<ConnId>,
    /// Connects over TLS that a handshaker is busy with.
    shaking: HashSet<ConnId>,
    buffer: Vec<u8>,
    /// What TLS made of the buffer.
    plain: Vec<u8>,
    actions: Vec<Action>,
    dirty: Vec<ConnId>,
    letters: Vec<Letter>,
    /// Some clients use several groups of nodes.
    has_shards: bool,
    /// Connections to nodes that were written to in this turn.
    nodes_written: u32,
    stop: bool,
}

/// However the worker ends, nobody waits for its answer.
impl Drop for Turner {
    fn drop(&mut self) {
        self.worker.mailbox.close();
    }
}

impl Turner {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut now = crate::now(self.worker.origin);
        let mut handled = 0;
        sleep_exactly();
        while !self.stop && !self.engine.is_drained() {
            // Over shards what comes together comes from more sockets, each with less.
            let busy = if self.has_shards { BUSY / 2 } else { BUSY };
            if handled >= busy && self.runnable.is_empty() {
                thread::sleep(self.rest());
            }
            let timeout = if self.runnable.is_empty() && self.unwritten.is_empty() {
                self.engine.next_wake().map(|wake| wake.since(now))
            } else {
                Some(std::time::Duration::ZERO)
            };
            match self.worker.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "a worker cannot wait for its sockets");
                    return;
                }
            }
            now = crate::now(self.worker.origin);
            handled = self.turn(&events, now);
        }
    }

    /// Over shards each node gets its own write, and answers by its own: the more of them, the more commands have to come
    /// together for each.
    fn rest(&self) -> Duration {
        let rests = if self.has_shards { (1 + self.nodes_written / 2).clamp(1, RESTS) } else { 1 };
        REST * rests
    }

    /// One turn: everything that is ready is read once, everything that is to be written is written once. Returns how
    /// many events there were.
    fn turn(&mut self, events: &Events, now: Time) -> usize {
        self.engine.begin_turn(now);
        if self.worker.published.version() != self.engine.snapshot_version() {
            self.engine.snapshot(&self.worker.published.load());
        }
        self.nodes_written = 0;
        let mut woken = false;
        let mut count = 0;
        std::mem::swap(&mut self.reading, &mut self.runnable);
        for event in events {
            count += 1;
            if event.token() == WAKE {
                woken = true;
            } else {
                self.event(event);
            }
        }
        if woken {
            self.read_mail();
        }
        let mut reading = std::mem::take(&mut self.reading);
        for conn in reading.drain(..) {
            self.read(conn);
        }
        self.reading = reading;
        self.dirty.append(&mut self.unwritten);
        self.finish_turn();
        count
    }

    fn event(&mut self, event: &Event) {
        let conn = ConnId::from_bits(event.token().0 as u64);
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        if socket.connecting {
            match socket.stream.is_connected() {
                Ok(true) => {
                    socket.connecting = false;
                    if let Err(error) = socket.send_preface() {
                        return self.connect_failed(conn, &error);
                    }
                }
                Ok(false) => return,
                Err(error) => return self.connect_failed(conn, &error),
            }
            self.engine.connected(conn);
        }
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            socket.readable = true;
            socket.read_closed |= event.is_read_closed() || event.is_error();
            socket.broken |= event.is_error();
            if socket.is_reset_client() {
                return self.gone(conn, Gone::Closed);
            }
            if !socket.paused && !socket.listed {
                socket.listed = true;
                self.reading.push(conn);
            }
        }
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        if event.is_writable() && std::mem::take(&mut socket.blocked) {
            self.write(conn);
        }
    }

    /// Reads a socket once.
    fn read(&mut self, conn: ConnId) {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        socket.listed = false;
        if socket.paused || !socket.readable {
            return;
        }
        if socket.tls.is_some() {
            return self.read_encrypted(conn);
        }
        match socket.stream.read(&mut self.buffer) {
            Ok(0) if conn.is_upstream() || socket.broken => self.gone(conn, Gone::Closed),
            Ok(0) => {
                socket.readable = false;
                self.engine.ended(conn);
            }
            Ok(count) => {
                // Less than was asked for: the kernel has no more, and will say so when it has.
                if count < self.buffer.len() && !socket.read_closed {
                    socket.readable = false;
                } else {
                    socket.listed = true;
                    self.runnable.push(conn);
                }
                self.engine.received(conn, &self.buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                socket.listed = true;
                self.runnable.push(conn);
            }
            Err(_) => self.gone(conn, Gone::Closed),
        }
    }

    /// Writes a socket's output once; what the kernel does not take waits for its event.
    fn write(&mut self, conn: ConnId) {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        if socket.connecting || socket.blocked || socket.broken {
            return;
        }
        if socket.tls.is_some() {
            if !self.write_encrypted(conn) {
                self.write_failed(conn);
            }
            return self.watch_writes(conn);
        }
        let output = self.engine.output(conn);
        if output.is_empty() {
            return;
        }
        match socket.stream.write(output) {
            Ok(count) => {
                if count < output.len() {
                    socket.blocked = true;
                }
                self.engine.written(conn, count);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.blocked = true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.dirty.push(conn),
            Err(_) => self.write_failed(conn),
        }
        self.watch_writes(conn);
    }

    /// The peer is gone; what it said before may still be read, and then its end is found.
    fn write_failed(&mut self, conn: ConnId) {
        let Some(socket) = self.sockets.get_mut(conn) else {
            return;
        };
        socket.broken = true;
        socket.readable = true;
        socket.read_closed = true;
        if socket.is_reset_client() {
            return self.gone(conn, Gone::Closed);
        }
        if !socket.listed {
            socket.listed = true;
            self.runnable.push(conn);
        }
    }

    /// Asks to be told when a blocked socket takes more.
    fn watch_writes(&mut self, conn: ConnId) {
        let registry = self.worker.poll.registry();
        if let Some(socket) = self.sockets.get_mut(conn)
            && socket.blocked
            && !socket.watches_write
        {
            socket.watches_write = true;
            let both = Interest::READABLE | Interest::WRITABLE;
            if let Err(error) = socket.stream.reregister(registry, Socket::token(conn), both) {
                tracing::error!(%error, "a socket cannot be watched");
                self.gone(conn, Gone::Closed);
            }
        }
    }

    /// Lets the engine go on, does what it asks, writes what it has, until nothing is left.
    fn finish_turn(&mut self) {
        loop {
            self.engine.end_turn();
            self.engine.take_actions(&mut self.actions);
            self.engine.take_dirty(&mut self.dirty);
            if self.actions.is_empty() && self.dirty.is_empty() {
                return;
            }
            self.tell_peers();
            // What is written goes before what is closed: a last reply must leave.
            let mut dirty = std::mem::take(&mut self.dirty);
            for conn in dirty.drain(..) {
                self.nodes_written += u32::from(conn.is_upstream());
                self.write(conn);
            }
            // An interrupted write is repeated.
            dirty.append(&mut self.dirty);
            self.dirty = dirty;
            let mut actions = std::mem::take(&mut self.actions);
            for action in actions.drain(..) {
                self.carry_out(action);
            }
            self.actions = actions;
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Connect { conn, address, preface, pool, server } => {
                let settings = self.worker.settings.pools.get(pool.0 as usize);
                if settings.is_some_and(|pool| pool.upstream.tls.is_some()) {
                    self.shaking.insert(conn);
                    let worker = Arc::clone(&self.worker.mailbox);
                    let job = Job::Node { conn, address, preface, pool, server, worker };
                    return self.worker.handshakers.with_node(job);
                }
                match Stream::connect(&address) {
                    Ok(stream) => {
                        let mut socket = Socket::new(conn, stream, None, None);
                        socket.connecting = true;
                        socket.preface = preface;
                        socket.watches_write = true;
                        self.insert(socket);
                    }
                    Err(error) => self.connect_failed(conn, &error),
                }
            }
            Action::Close(conn) => self.close(conn),
            Action::Pause(conn) => {
                if let Some(socket) = self.sockets.get_mut(conn) {
                    socket.paused = true;
                    if socket.is_reset_client() {
                        self.gone(conn, Gone::Closed);
                    }
                }
            }
            Action::Resume(conn) => {
                if let Some(socket) = self.sockets.get_mut(conn) {
                    socket.paused = false;
                    if socket.readable && !socket.listed {
                        socket.listed = true;
                        self.runnable.push(conn);
                    }
                }
            }
            Action::ShutdownWrite(conn) => {
                if let Some(socket) = self.sockets.get_mut(conn) {
                    match &mut socket.tls {
                        None => socket.stream.shutdown_write(),
                        Some(session) => {
                            session.end();
                            self.write(conn);
                        }
                    }
                }
            }
            Action::Evidence(evidence) => (self.worker.evidence)(evidence),
            // Done before.
            Action::Tell { .. } => {}
        }
    }

    fn insert(&mut self, mut socket: Socket) {
        let conn = socket.conn;
        let interest = if socket.watches_write {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let registry = self.worker.poll.registry();
        if let Err(error) = socket.stream.register(registry, Socket::token(conn), interest) {
            tracing::error!(%error, "a socket cannot be watched");
            self.engine.closed(conn, Gone::Closed);
            return;
        }
        // With the end of a handshake more may have come: it is no longer in the socket.
        let has_more = socket.tls.is_some();
        socket.readable = has_more;
        socket.listed = has_more;
        self.sockets.insert(socket);
        if has_more {
            self.runnable.push(conn);
            self.dirty.push(conn);
        }
    }

    fn connect_failed(&mut self, conn: ConnId, error: &io::Error) {
        self.gone(conn, connect_failure(error));
    }

    fn gone(&mut self, conn: ConnId, gone: Gone) {
        self.remove(conn);
        self.engine.closed(conn, gone);
    }

    /// Closes a socket, if it is there.
    fn remove(&mut self, conn: ConnId) {
        if let Some(Socket { pool: Some(pool), .. }) = self.sockets.remove(conn) {
            self.worker.mailbox.remove_client();
            if let Some(clients) = self.worker.pool_clients.get(pool.0 as usize) {
                clients.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// The kernel may let a sleep take 50 µs longer than asked, to save wake-ups; here that would double it.
fn sleep_exactly() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1)) {
        tracing::debug!(%error, "the kernel's timer slack stays: a busy worker rests longer than it should");
    }
}
