//! The data plane's I/O: listeners, workers with an event loop each, sockets, drain.
//!
//! An acceptor thread hands each new client to the worker that has the fewest ([`accept`]); a worker turns
//! ([`worker`]): wait, read every ready socket once, let the engine work, write every socket once. Nothing on the way of
//! a request is shared between workers.

mod accept;
mod complaint;
mod greeting;
mod listen;
mod mailbox;
mod post;
mod socket;
mod tls;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread::JoinHandle;
use std::time::Instant;

use config::{Config, Mode};
use engine::LoginFailures;
use topology::{Evidence, Mail, PoolId, Published, Time, WorkerHandle, Workers};

use crate::accept::Acceptor;
use crate::mailbox::{Letter, Mailbox};
use crate::tls::Handshakers;
use crate::worker::Worker;

pub use listen::Bound;

/// Where workers send what they saw of the nodes.
pub type EvidenceSink = Arc<dyn Fn(Evidence) + Send + Sync>;

/// Why the data plane could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be had.
    #[error("pool {pool}: cannot listen on {address}: {error}")]
    Listen {
        /// The pool.
        pool: String,
        /// As configured.
        address: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The system refused an event queue or a thread.
    #[error("cannot start the workers: {0}")]
    Worker(#[from] std::io::Error),
}

/// The running data plane.
#[derive(Debug)]
pub struct Proxy {
    mailboxes: Vec<Arc<Mailbox>>,
    bound: Vec<Bound>,
    acceptor: accept::Handle,
    handshakers: Handshakers,
    threads: Vec<JoinHandle<()>>,
    /// Threads that end with the others, not before them: the nodes are reached through them.
    helpers: Vec<JoinHandle<()>>,
    draining: AtomicBool,
}

/// Clients of each pool, over all workers: what `max_clients` is measured by.
pub(crate) type PoolClients = Arc<Vec<AtomicUsize>>;

/// Binds every listener, then starts the workers, the acceptor, and threads for TLS where there is any. `origin` is the start of [`Time`].
pub fn start(
    config: &Arc<Config>,
    published: &Arc<Published>,
    evidence: EvidenceSink,
    tls: &Arc<::tls::Pools>,
    origin: Instant,
) -> Result<Proxy, StartError> {
    let listeners = listen::bind_all(config)?;
    let bound = listeners.iter().map(|listener| listener.bound.clone()).collect();
    let pool_clients: PoolClients =
        Arc::new(config.pools.iter().map(|_| AtomicUsize::new(0)).collect());
    let logins = Arc::new(LoginFailures::default());
    let (handshakers, with_clients, with_nodes) = Handshakers::new(config, tls, origin)?;
    let mut mailboxes = Vec::new();
    let mut workers = Vec::new();
    let mut threads = Vec::new();
    for (name, work) in with_clients {
        threads.push(std::thread::Builder::new().name(name).spawn(work)?);
    }
    let mut helpers = Vec::new();
    for (name, work) in with_nodes {
        helpers.push(std::thread::Builder::new().name(name).spawn(work)?);
    }
    for index in 0..config.workers.max(1) {
        let (worker, mailbox) = Worker::new(worker::Parts {
            index,
            config: Arc::clone(config),
            published: Arc::clone(published),
            evidence: Arc::clone(&evidence),
            pool_clients: Arc::clone(&pool_clients),
            logins: Arc::clone(&logins),
            handshakers: handshakers.clone(),
            origin,
        })?;
        let wake = Arc::clone(&mailbox);
        published.on_publish(move || wake.wake());
        mailboxes.push(mailbox);
        workers.push(worker);
    }
    for (index, worker) in workers.into_iter().enumerate() {
        let peers = mailboxes.clone();
        let thread = std::thread::Builder::new().name(format!("worker-{index}"));
        threads.push(thread.spawn(move || worker.run(peers))?);
    }
    let (acceptor, handle) = Acceptor::new(
        listeners,
        mailboxes.clone(),
        pool_clients,
        handshakers.clone(),
        Arc::clone(config),
        origin,
    )?;
    threads
        .push(std::thread::Builder::new().name("acceptor".into()).spawn(move || acceptor.run())?);
    let draining = AtomicBool::new(false);
    Ok(Proxy { mailboxes, bound, acceptor: handle, handshakers, threads, helpers, draining })
}

impl Proxy {
    /// The workers, for whoever writes to them.
    pub fn workers(&self) -> Workers {
        self.mailboxes.iter().map(|mailbox| Arc::clone(mailbox) as Arc<dyn WorkerHandle>).collect()
    }

    /// Takes over the pools' routes; everything else of this configuration is as at the start.
    pub fn reroute(&self, config: &Config) {
        let pools: Vec<_> = config.pools.iter().cloned().map(Arc::new).collect();
        for mailbox in &self.mailboxes {
            mailbox.post(Letter::Routes(pools.clone()));
        }
    }

    /// The addresses that are listened on, with the ports that the system chose where 0 was configured.
    pub fn listeners(&self) -> Vec<Bound> {
        self.bound.clone()
    }

    /// Stops accepting; workers answer what is in flight, let idle clients go and end when none is left.
    pub fn drain(&self) {
        self.draining.store(true, std::sync::atomic::Ordering::Relaxed);
        self.acceptor.stop();
        self.handshakers.stop_clients();
        for mailbox in &self.mailboxes {
            mailbox.send(Mail::Drain);
        }
    }

    /// Have all threads ended that serve clients?
    pub fn drained(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Has a thread ended that nobody asked to?
    pub fn failed(&self) -> bool {
        !self.draining.load(std::sync::atomic::Ordering::Relaxed)
            && self.threads.iter().chain(&self.helpers).any(JoinHandle::is_finished)
    }

    /// Closes everything now.
    pub fn stop(&self) {
        self.draining.store(true, std::sync::atomic::Ordering::Relaxed);
        self.acceptor.stop();
        self.handshakers.stop();
        for mailbox in &self.mailboxes {
            mailbox.send(Mail::Stop);
        }
    }

    /// Waits for all threads; false if one of them panicked.
    pub fn join(self) -> bool {
        // Every thread is waited for, also behind one that panicked.
        let all = self.threads.into_iter().chain(self.helpers);
        let ends: Vec<_> = all.map(JoinHandle::join).collect();
        ends.iter().all(Result::is_ok)
    }
}

/// The time since `origin`: the only place where the data plane reads the clock.
pub(crate) fn now(origin: Instant) -> Time {
    #[expect(
        clippy::disallowed_methods,
        reason = "the I/O layer hands the time to the pure crates"
    )]
    Time::at(origin, Instant::now())
}

/// The mode and pool of a listener, as a client that it accepted has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) pool: PoolId,
    pub(crate) mode: Mode,
    pub(crate) tls: bool,
}
