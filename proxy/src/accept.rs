//! The acceptor: one thread that hands each new client to the worker with the fewest.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use config::Config;
use engine::{Caller, TurnedAway};
use mio::{Events, Interest, Poll, Token, Waker};
use topology::{Time, WorkerHandle};

use crate::PoolClients;
use crate::complaint::Complaint;
use crate::greeting::{Greetings, Outcome};
use crate::listen::{Kind, Listener};
use crate::mailbox::{Letter, Mailbox};
use crate::socket::Stream;
use crate::tls::{Handshakers, Job, Slot};

const WAKE: Token = Token(usize::MAX);
/// After an accept fails for want of descriptors or memory, the listener is tried again after this long.
const RETRY: Duration = Duration::from_millis(100);
/// Clients accepted from one listener before the next has its turn.
const BURST: usize = 256;

/// The acceptor thread's state.
#[derive(Debug)]
pub(crate) struct Acceptor {
    poll: Poll,
    listeners: Vec<Listener>,
    mailboxes: Vec<Arc<Mailbox>>,
    pool_clients: PoolClients,
    handshakers: Handshakers,
    /// Clients that were given to the handshakers.
    shaken: usize,
    config: Arc<Config>,
    stop: Arc<AtomicBool>,
    /// Listeners that may have more to accept; a listener's event is an edge.
    runnable: Vec<usize>,
    /// The last accept failed; said once.
    starved: bool,
    /// Connections that have yet to say whose they are.
    greetings: Greetings,
    /// By listener: of those that are turned away.
    complaints: Vec<Complaint>,
    origin: Instant,
}

/// Ends the acceptor.
#[derive(Debug)]
pub(crate) struct Handle {
    stop: Arc<AtomicBool>,
    waker: Waker,
}

impl Handle {
    /// No more clients; the listeners are closed.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        // Fails only where the acceptor has ended already.
        let _ = self.waker.wake();
    }
}

impl Acceptor {
    pub(crate) fn new(
        mut listeners: Vec<Listener>,
        mailboxes: Vec<Arc<Mailbox>>,
        pool_clients: PoolClients,
        handshakers: Handshakers,
        config: Arc<Config>,
        origin: Instant,
    ) -> io::Result<(Self, Handle)> {
        let poll = Poll::new()?;
        for (index, listener) in listeners.iter_mut().enumerate() {
            let token = Token(index);
            match &mut listener.kind {
                Kind::Tcp(socket) => poll.registry().register(socket, token, Interest::READABLE)?,
                Kind::Unix(socket, _) => {
                    poll.registry().register(socket, token, Interest::READABLE)?;
                }
            }
        }
        let waker = Waker::new(poll.registry(), WAKE)?;
        let stop = Arc::new(AtomicBool::new(false));
        let handle = Handle { stop: Arc::clone(&stop), waker };
        let complaints = listeners.iter().map(|_| Complaint::default()).collect();
        let acceptor = Self {
            poll,
            listeners,
            mailboxes,
            pool_clients,
            handshakers,
            shaken: 0,
            config,
            stop,
            runnable: Vec::new(),
            starved: false,
            greetings: Greetings::default(),
            complaints,
            origin,
        };
        Ok((acceptor, handle))
    }

    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(64);
        while !self.stop.load(Ordering::Relaxed) {
            let timeout = match (self.runnable.is_empty(), self.starved) {
                (true, _) => self.greetings.next_due().map(|at| at.since(self.now())),
                (false, true) => Some(RETRY),
                (false, false) => Some(Duration::ZERO),
            };
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "the acceptor cannot wait for clients");
                    return;
                }
            }
            for event in &events {
                let token = event.token();
                if token.0 < self.listeners.len() {
                    if !self.runnable.contains(&token.0) {
                        self.runnable.push(token.0);
                    }
                } else if token != WAKE
                    && let Some(outcome) = self.greetings.ready(token, self.poll.registry())
                {
                    self.greeted(outcome);
                }
            }
            while let Some(outcome) = self.greetings.overdue(self.now()) {
                self.greeted(outcome);
            }
            for index in std::mem::take(&mut self.runnable) {
                if self.accept_some(index) {
                    self.runnable.push(index);
                }
            }
        }
    }

    /// Accepts from one listener; true: there may be more.
    fn accept_some(&mut self, index: usize) -> bool {
        for _ in 0..BURST {
            let Some(listener) = self.listeners.get(index) else {
                return false;
            };
            let accepted = match &listener.kind {
                Kind::Tcp(socket) => socket.accept().map(|(stream, _)| Stream::Tcp(stream)),
                Kind::Unix(socket, _) => socket.accept().map(|(stream, _)| Stream::Unix(stream)),
            };
            match accepted {
                Ok(stream) => {
                    self.starved = false;
                    let caller = stream.caller();
                    self.welcome(index, stream, caller);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // The client went away before it was accepted.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.starved, true) {
                        tracing::warn!(
                            address = %listener.bound.address,
                            %error,
                            "cannot accept clients now; trying again, raise the limit of open files if this lasts"
                        );
                    }
                    return true;
                }
            }
        }
        true
    }

    /// Whose connection is it, and may he connect?
    fn welcome(&mut self, index: usize, stream: Stream, caller: Caller) {
        let Some(listener) = self.listeners.get(index) else {
            return;
        };
        if !listener.settings.proxy_protocol {
            return self.admit(index, stream, caller);
        }
        let now = self.now();
        let registry = self.poll.registry();
        if let Some(outcome) = self.greetings.add(stream, index, caller, registry, now) {
            self.greeted(outcome);
        }
    }

    fn greeted(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Client { stream, listener, caller } => self.admit(listener, stream, caller),
            Outcome::Closed { listener, caller, why } => {
                self.turn_away(listener, TurnedAway::Headerless, caller, &why);
            }
        }
    }

    fn admit(&mut self, index: usize, stream: Stream, caller: Caller) {
        let Some(listener) = self.listeners.get(index) else {
            return;
        };
        match caller.source() {
            Some(address) if !listener.settings.admits(address.ip()) => {
                self.turn_away(index, TurnedAway::Denied, caller, "`allow` and `deny` say so");
            }
            _ => self.assign(index, stream, caller),
        }
    }

    fn turn_away(&mut self, index: usize, turned: TurnedAway, caller: Caller, why: &str) {
        let now = self.now();
        let (Some(listener), Some(complaint)) =
            (self.listeners.get(index), self.complaints.get_mut(index))
        else {
            return;
        };
        let pool = listener.origin().pool;
        if let Some(worker) = self.mailboxes.first() {
            worker.post(Letter::Refused(pool, turned));
        }
        let Some(unsaid) = complaint.say(now) else {
            return;
        };
        let from =
            caller.source().map_or_else(|| "a unix socket".to_owned(), |own| own.to_string());
        let address = &listener.bound.address;
        match turned {
            // Whoever scans the network must not fill the log with warnings.
            TurnedAway::Denied | TurnedAway::Full => {
                tracing::info!(%address, %from, unsaid, "turned a client away: {why}");
            }
            TurnedAway::Headerless => {
                tracing::warn!(%address, %from, unsaid, "closed a connection: {why}");
            }
        }
    }

    fn now(&self) -> Time {
        crate::now(self.origin)
    }

    fn assign(&mut self, index: usize, stream: Stream, caller: Caller) {
        let Some(listener) = self.listeners.get(index) else {
            return;
        };
        let origin = listener.origin();
        let pool = origin.pool.0 as usize;
        let Some(worker) = self.mailboxes.iter().min_by_key(|mailbox| mailbox.clients()) else {
            return;
        };
        let (Some(clients), Some(settings)) =
            (self.pool_clients.get(pool), self.config.pools.get(pool))
        else {
            return;
        };
        if clients.load(Ordering::Relaxed) >= settings.limits.max_clients {
            let mut stream = stream;
            // Redis' own words; a client that does not take them at once is closed without, and so is one that expects TLS.
            if !origin.tls {
                let _ = stream.write(b"-ERR max number of clients reached\r\n");
            }
            worker.post(Letter::Refused(origin.pool, TurnedAway::Full));
            return;
        }
        clients.fetch_add(1, Ordering::Relaxed);
        worker.add_client();
        stream.tune();
        if origin.tls {
            let clients = Arc::clone(&self.pool_clients);
            let slot = Slot::new(origin, caller, Arc::clone(worker), clients);
            self.handshakers.with_client(Job::Client { stream, slot }, self.shaken);
            self.shaken += 1;
        } else {
            worker.post(Letter::Accept(stream, None, origin, caller));
        }
    }
}
