//! A box of letters for one thread: written by any, emptied by its owner when it is woken.

use std::sync::Mutex;
use std::sync::PoisonError;

use mio::Waker;

/// Letters of kind `T`.
#[derive(Debug)]
pub(crate) struct Post<T> {
    /// `None`: the owner has ended.
    letters: Mutex<Option<Vec<T>>>,
    waker: Waker,
}

impl<T> Post<T> {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { letters: Mutex::new(Some(Vec::new())), waker }
    }

    /// A letter to an owner who has ended is dropped.
    pub(crate) fn send(&self, letter: T) {
        let first = match self.letters.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(letters) => {
                letters.push(letter);
                letters.len() == 1
            }
            None => false,
        };
        // An owner who has been woken and not yet looked finds the later letters as well.
        if first {
            self.wake();
        }
    }

    pub(crate) fn wake(&self) {
        // Fails only where the event queue is gone, and with it the owner.
        let _ = self.waker.wake();
    }

    /// Moves the letters to `into`, which is empty. False: the box is closed.
    pub(crate) fn empty(&self, into: &mut Vec<T>) -> bool {
        match self.letters.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(letters) => {
                std::mem::swap(letters, into);
                true
            }
            None => false,
        }
    }

    /// The owner ends, or is to: letters that nobody will read are dropped, and with them what they carry.
    pub(crate) fn close(&self) {
        *self.letters.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
