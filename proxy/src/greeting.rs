//! Connections that begin with a header of the PROXY protocol: they wait here, in the acceptor, until all of it has come.
//!
//! The header is looked at in the kernel's buffer and only then taken out of it, to the byte: what follows is read by
//! the worker, as from any other client.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::time::Duration;

use engine::Caller;
use mio::{Interest, Registry, Token};
use proxy_protocol::{MAX_HEADER, Parsed, parse};
use slab::Slab;
use topology::{Address, Time};

use crate::socket::Stream;

/// A balancer sends the header at once.
const DEADLINE: Duration = Duration::from_secs(5);
/// Connections that may wait at a time, of all listeners.
const MOST: usize = 4096;

/// Tokens from here on are those of connections that wait.
const FIRST_TOKEN: usize = 1 << 32;

/// The connections that wait for their header.
#[derive(Debug, Default)]
pub(crate) struct Greetings {
    waiting: Slab<Greeting>,
    /// In the order in which they become due; some have gone since.
    due: VecDeque<(Time, usize, u64)>,
    next_serial: u64,
}

#[derive(Debug)]
struct Greeting {
    stream: Stream,
    listener: usize,
    caller: Caller,
    /// Tells it from another one that has its place later.
    serial: u64,
}

/// What became of one.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is a client.
    Client { stream: Stream, listener: usize, caller: Caller },
    /// It is closed: why.
    Closed { listener: usize, caller: Caller, why: String },
}

impl Greetings {
    /// Awaits the header of a connection that was just accepted.
    pub(crate) fn add(
        &mut self,
        mut stream: Stream,
        listener: usize,
        caller: Caller,
        registry: &Registry,
        now: Time,
    ) -> Option<Outcome> {
        let entry = self.waiting.vacant_entry();
        let key = entry.key();
        if key >= MOST {
            let why = format!("{MOST} connections wait for their PROXY protocol header already");
            return Some(Outcome::Closed { listener, caller, why });
        }
        if let Err(error) = stream.register(registry, Token(FIRST_TOKEN + key), Interest::READABLE)
        {
            return Some(Outcome::Closed { listener, caller, why: error.to_string() });
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        entry.insert(Greeting { stream, listener, caller, serial });
        self.due.push_back((now + DEADLINE, key, serial));
        None
    }

    /// More has come, or it has ended. `None`: it still waits, or is not one of these.
    pub(crate) fn ready(&mut self, token: Token, registry: &Registry) -> Option<Outcome> {
        let key = token.0.checked_sub(FIRST_TOKEN)?;
        let greeting = self.waiting.get_mut(key)?;
        let (why, said_nothing) = match greeting.read_header() {
            Ok(None) => return None,
            Ok(Some(caller)) => {
                let Greeting { mut stream, listener, .. } = self.waiting.remove(key);
                if let Err(error) = stream.deregister(registry) {
                    return Some(Outcome::Closed { listener, caller, why: error.to_string() });
                }
                return Some(Outcome::Client { stream, listener, caller });
            }
            Err(Failed::Gone) => ("it was closed before".to_owned(), true),
            Err(Failed::Wrong(why)) => (why, false),
        };
        let Greeting { listener, caller, .. } = self.waiting.remove(key);
        // A balancer looks whether somebody listens.
        (!said_nothing).then_some(Outcome::Closed { listener, caller, why })
    }

    /// The next one whose time is up.
    pub(crate) fn overdue(&mut self, now: Time) -> Option<Outcome> {
        while let Some(&(at, key, serial)) = self.due.front() {
            let waits = self.waiting.get(key).is_some_and(|own| own.serial == serial);
            if waits && at > now {
                return None;
            }
            self.due.pop_front();
            if waits {
                let Greeting { listener, caller, .. } = self.waiting.remove(key);
                let why = format!("no PROXY protocol header came within {DEADLINE:?}");
                return Some(Outcome::Closed { listener, caller, why });
            }
        }
        None
    }

    /// When [`Self::overdue`] may have something.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.due.front().map(|(at, ..)| *at)
    }
}

enum Failed {
    /// It went without having said anything.
    Gone,
    Wrong(String),
}

impl Greeting {
    /// Whose connection it is, once it has said so.
    fn read_header(&mut self) -> Result<Option<Caller>, Failed> {
        let mut buffer = [0; MAX_HEADER];
        let come = match self.stream.peek(&mut buffer) {
            Ok(0) => return Err(Failed::Gone),
            Ok(come) => come,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                return Ok(None);
            }
            Err(_) => return Err(Failed::Gone),
        };
        let wrong = |why: &dyn std::fmt::Display| Failed::Wrong(why.to_string());
        let (len, addresses) = match parse(&buffer[..come]) {
            Ok(Parsed::Incomplete) => return Ok(None),
            Ok(Parsed::Header { len, addresses }) => (len, addresses),
            Err(malformed) => return Err(wrong(&malformed)),
        };
        self.stream.read_exact(&mut buffer[..len]).map_err(|error| wrong(&error))?;
        Ok(Some(match addresses {
            Some(own) => Caller {
                address: Address::Tcp(own.source),
                local: Address::Tcp(own.destination),
                ..self.caller.clone()
            },
            None => self.caller.clone(),
        }))
    }
}
