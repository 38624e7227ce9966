//! Letters to a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::{Caller, ConnId, Gone, TurnedAway};
use mio::Waker;
use topology::{Handshake, Mail, PoolId, WorkerHandle};

use crate::Origin;
use crate::post::Post;
use crate::socket::Stream;
use crate::tls::Session;

/// What a worker finds in its mailbox.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A new client; with TLS, its handshake is done.
    Accept(Stream, Option<Box<Session>>, Origin, Caller),
    /// A client of this pool was turned away.
    Refused(PoolId, TurnedAway),
    /// A client's handshake has failed.
    NotShaken(PoolId),
    /// A connect over TLS has ended.
    Connected(ConnId, PoolId, Result<(Stream, Box<Session>), (Gone, Option<Handshake>)>),
    /// The pools, with routes that may have changed.
    Routes(Vec<Arc<config::Pool>>),
    /// From the control plane or the administration.
    Mail(Mail),
}

/// A worker's mailbox: written by any thread, emptied once a turn.
#[derive(Debug)]
pub(crate) struct Mailbox {
    post: Post<Letter>,
    clients: AtomicUsize,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { post: Post::new(waker), clients: AtomicUsize::new(0) }
    }

    pub(crate) fn post(&self, letter: Letter) {
        self.post.send(letter);
    }

    pub(crate) fn wake(&self) {
        self.post.wake();
    }

    /// Moves the letters to `into`, which is empty.
    pub(crate) fn empty(&self, into: &mut Vec<Letter>) {
        self.post.empty(into);
    }

    /// The worker ends.
    pub(crate) fn close(&self) {
        self.post.close();
    }

    /// A client has been given to this worker.
    pub(crate) fn add_client(&self) {
        self.clients.fetch_add(1, Ordering::Relaxed);
    }

    /// A client of this worker has gone.
    pub(crate) fn remove_client(&self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WorkerHandle for Mailbox {
    fn send(&self, mail: Mail) {
        self.post(Letter::Mail(mail));
    }

    fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }
}
