//! Letters to a worker.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::{Caller, TurnedAway};
use mio::Waker;
use topology::{Mail, PoolId, WorkerHandle};

use crate::Origin;
use crate::socket::Stream;

/// What a worker finds in its mailbox.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A new client.
    Accept(Stream, Origin, Caller),
    /// A client of this pool was turned away.
    Refused(PoolId, TurnedAway),
    /// From the control plane or the administration.
    Mail(Mail),
}

/// A worker's mailbox: written by any thread, emptied once a turn.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// `None`: the worker has ended.
    letters: Mutex<Option<Vec<Letter>>>,
    waker: Waker,
    clients: AtomicUsize,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { letters: Mutex::new(Some(Vec::new())), waker, clients: AtomicUsize::new(0) }
    }

    pub(crate) fn post(&self, letter: Letter) {
        let first = match self.letters.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(letters) => {
                letters.push(letter);
                letters.len() == 1
            }
            None => false,
        };
        // A worker that has been woken and not yet looked finds the later letters as well.
        if first {
            self.wake();
        }
    }

    pub(crate) fn wake(&self) {
        // Fails only where the event queue is gone, and with it the worker.
        let _ = self.waker.wake();
    }

    /// Moves the letters to `into`, which is empty.
    pub(crate) fn empty(&self, into: &mut Vec<Letter>) {
        if let Some(letters) = self.letters.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
        {
            std::mem::swap(letters, into);
        }
    }

    /// The worker ends: letters that nobody will read are dropped, and with them what they carry.
    pub(crate) fn close(&self) {
        *self.letters.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
