//! The acceptor: one thread that hands each new client to the worker with the fewest.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use config::Config;
use mio::{Events, Interest, Poll, Token, Waker};
use topology::WorkerHandle;

use crate::PoolClients;
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
        };
        Ok((acceptor, handle))
    }

    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(64);
        while !self.stop.load(Ordering::Relaxed) {
            let timeout = match (self.runnable.is_empty(), self.starved) {
                (true, _) => None,
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
                if event.token() != WAKE && !self.runnable.contains(&event.token().0) {
                    self.runnable.push(event.token().0);
                }
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
                Kind::Tcp(socket) => {
                    socket.accept().map(|(stream, peer)| (Stream::Tcp(stream), Some(peer)))
                }
                Kind::Unix(socket, _) => {
                    socket.accept().map(|(stream, _)| (Stream::Unix(stream), None))
                }
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.starved = false;
                    self.assign(index, stream, peer);
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

    fn assign(&mut self, index: usize, stream: Stream, peer: Option<SocketAddr>) {
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
            worker.post(Letter::Refused(origin.pool));
            return;
        }
        clients.fetch_add(1, Ordering::Relaxed);
        worker.add_client();
        stream.tune();
        if origin.tls {
            let clients = Arc::clone(&self.pool_clients);
            let slot = Slot::new(origin, Arc::clone(worker), clients);
            self.handshakers.with_client(Job::Client { stream, peer, slot }, self.shaken);
            self.shaken += 1;
        } else {
            worker.post(Letter::Accept(stream, None, origin));
        }
    }
}
