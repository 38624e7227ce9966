//! A thread that does handshakes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::Config;
use engine::Gone;
use mio::{Events, Interest, Poll, Token, Waker};
use topology::Time;

use super::failures::Failures;
use super::handshake::{Failure, Handshake, Job, Peer, Step};
use crate::mailbox::Letter;
use crate::post::Post;
use crate::socket::{Stream, connect_failure};

const WAKE: Token = Token(usize::MAX);
const EVENTS_MAX: usize = 1024;

/// How long a client may take: as HAProxy's and Envoy's usual timeouts. It has a client's place meanwhile.
const CLIENT: Duration = Duration::from_secs(10);

pub(crate) struct Handshaker {
    poll: Poll,
    post: Arc<Post<Job>>,
    config: Arc<Config>,
    pools: Vec<::tls::PoolTls>,
    origin: Instant,
    handshakes: HashMap<usize, Handshake>,
    /// Of the next handshake; never used twice.
    next: usize,
    /// When each handshake must be done, also of some that are.
    deadlines: BinaryHeap<Reverse<(Time, usize)>>,
    failures: Failures,
}

impl Handshaker {
    pub(crate) fn new(
        config: &Arc<Config>,
        pools: &::tls::Pools,
        origin: Instant,
    ) -> io::Result<(Self, Arc<Post<Job>>)> {
        let poll = Poll::new()?;
        let post = Arc::new(Post::new(Waker::new(poll.registry(), WAKE)?));
        let handshaker = Self {
            poll,
            post: Arc::clone(&post),
            config: Arc::clone(config),
            pools: (0..config.pools.len()).map(|pool| pools.get(pool)).collect(),
            origin,
            handshakes: HashMap::new(),
            next: 0,
            deadlines: BinaryHeap::new(),
            failures: Failures::default(),
        };
        Ok((handshaker, post))
    }

    /// Works until its box is closed; who waits then is let go.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut jobs = Vec::new();
        loop {
            let now = crate::now(self.origin);
            let deadline = self.deadlines.peek().map(|Reverse((at, _))| *at);
            let wake = deadline.into_iter().chain(self.failures.due()).min();
            // Rounded up: a wait that ends too early would be begun again and again.
            let timeout = wake.map(|at| at.since(now) + Duration::from_millis(1));
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "a thread for TLS cannot wait for its sockets");
                    return;
                }
            }
            for event in &events {
                if event.token() != WAKE {
                    self.step(event.token().0);
                }
            }
            if !self.post.empty(&mut jobs) {
                return;
            }
            for job in jobs.drain(..) {
                self.begin(job);
            }
            self.expire();
        }
    }

    fn begin(&mut self, job: Job) {
        let now = crate::now(self.origin);
        let (handshake, within) = match job {
            Job::Client { stream, slot } => {
                let pool = slot.pool().0 as usize;
                let Some(server) = self.pools.get(pool).and_then(|tls| tls.clients.clone()) else {
                    return;
                };
                match Handshake::with_client(stream, slot, &server) {
                    Ok(handshake) => (handshake, CLIENT),
                    Err(error) => {
                        return tracing::error!(%error, "TLS with clients cannot be begun");
                    }
                }
            }
            Job::Node { conn, address, preface, pool, server, worker } => {
                let index = pool.0 as usize;
                let (Some(tls), Some(settings)) = (
                    self.pools.get(index).and_then(|tls| tls.nodes.clone()),
                    self.config.pools.get(index),
                ) else {
                    return;
                };
                match Stream::connect(&address) {
                    Ok(stream) => {
                        let peer = Peer::Node { conn, preface, pool, server, worker, tls };
                        (Handshake::with_node(stream, peer), settings.timeouts.connect)
                    }
                    Err(error) => {
                        let failed = Err((connect_failure(&error), None));
                        return worker.post(Letter::Connected(conn, pool, failed));
                    }
                }
            }
        };
        self.insert(handshake, now + within);
    }

    fn insert(&mut self, mut handshake: Handshake, deadline: Time) {
        let number = self.next;
        self.next += 1;
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = handshake.stream.register(self.poll.registry(), Token(number), both) {
            tracing::error!(%error, "a socket cannot be watched");
            return handshake.give_up(&Failure::Unreached(Gone::Closed));
        }
        self.handshakes.insert(number, handshake);
        self.deadlines.push(Reverse((deadline, number)));
    }

    fn step(&mut self, number: usize) {
        let Some(handshake) = self.handshakes.get_mut(&number) else { return };
        match handshake.step() {
            Step::Waits => {}
            Step::Failed(failure) => self.fail(number, &failure),
            Step::Done => {
                let Some(mut handshake) = self.handshakes.remove(&number) else { return };
                match handshake.stream.deregister(self.poll.registry()) {
                    Ok(()) => handshake.hand_over(),
                    Err(error) => {
                        tracing::error!(%error, "a socket cannot be handed to a worker");
                        handshake.give_up(&Failure::Unreached(Gone::Closed));
                    }
                }
            }
        }
    }

    /// Gives up those that take too long.
    fn expire(&mut self) {
        let now = crate::now(self.origin);
        self.failures.settle(now);
        while let Some(Reverse((at, number))) = self.deadlines.peek().copied()
            && at <= now
        {
            self.deadlines.pop();
            let failure = match self.handshakes.get(&number).map(|handshake| &handshake.peer) {
                None => continue,
                Some(Peer::Client { .. }) => {
                    format!("takes longer than {CLIENT:?} for the TLS handshake")
                }
                Some(Peer::Node { .. }) => {
                    "is not connected, with the TLS handshake, within `timeouts.connect`".to_owned()
                }
            };
            self.fail(number, &Failure::Because(failure));
        }
    }

    fn fail(&mut self, number: usize, failure: &Failure) {
        let Some(handshake) = self.handshakes.remove(&number) else { return };
        if let Failure::Because(why) = failure {
            let pool = self.config.pools.get(handshake.pool().0 as usize);
            let pool = pool.map_or("", |pool| &*pool.name);
            match &handshake.peer {
                Peer::Client { slot } => {
                    if self.failures.admits(crate::now(self.origin)) {
                        let client =
                            slot.source().map_or("unix".to_owned(), |peer| peer.to_string());
                        tracing::info!(pool, client, "TLS handshake failed: the client {why}");
                    }
                }
                // The control plane meets with the same, and says so.
                Peer::Node { server, .. } => {
                    tracing::debug!(pool, node = &**server, "TLS handshake failed: the node {why}");
                }
            }
        }
        handshake.give_up(failure);
    }
}
