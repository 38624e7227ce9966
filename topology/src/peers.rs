//! What workers tell each other: a pool's clients and scripts are one pool's to its users, whichever worker has them.

use std::sync::Arc;

use crate::{PoolId, Time};

/// A letter from one worker to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMail {
    /// A node has accepted a script that was not known.
    Script {
        /// Of this pool.
        pool: PoolId,
        /// Its text.
        text: Arc<[u8]>,
    },
    /// SCRIPT FLUSH.
    NoScripts {
        /// Of this pool.
        pool: PoolId,
    },
    /// A client wants something of, or for, the pool's clients.
    Order {
        /// Which of its questions this is.
        ticket: Ticket,
        /// Of this pool.
        pool: PoolId,
        /// What it wants.
        order: Arc<ClientsOrder>,
    },
    /// The answer to [`Self::Order`].
    Report {
        /// The question's.
        ticket: Ticket,
        /// What this worker has to say.
        report: ClientsReport,
    },
    /// A node told a tracking client's connection what has become invalid, and that client redirects it.
    Invalidated {
        /// The tracking client, as its worker names it; the number is the other's CLIENT ID.
        ticket: Ticket,
        /// Of this pool.
        pool: PoolId,
        /// The keys, as a RESP array; `None`: all.
        keys: Option<Arc<[u8]>>,
    },
    /// The answer to [`Self::Invalidated`] where nobody has that CLIENT ID any more.
    NobodyToTell {
        /// The letter's.
        ticket: Ticket,
    },
}

/// Names one question of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The place of the worker that asks.
    pub worker: usize,
    /// Its client, as that worker names it.
    pub client: u64,
    /// Which of that worker's questions.
    pub number: u64,
}

/// A question or an order about a pool's clients, for every worker that has some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientsOrder {
    /// CLIENT LIST.
    List(ClientFilter),
    /// CLIENT KILL.
    Kill(ClientFilter),
    /// CLIENT UNBLOCK.
    Unblock {
        /// CLIENT ID of the blocked one.
        id: u64,
        /// It gets an error; else what it would get if its time were up.
        with_error: bool,
    },
    /// CLIENT PAUSE.
    Pause {
        /// It ends by itself then.
        until: Time,
        /// Only what may write waits.
        writes_only: bool,
    },
    /// CLIENT UNPAUSE.
    Unpause,
    /// Is there a client of this CLIENT ID?
    Find(u64),
    /// INFO.
    Count,
}

/// Which clients are meant: those that everything given here is true of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFilter {
    /// One of these; empty: any.
    pub ids: Vec<u64>,
    /// What it is used for.
    pub kind: Option<ClientKind>,
    /// Where it connects from.
    pub address: Option<Box<[u8]>>,
    /// The listener's address that it connected to.
    pub local_address: Option<Box<[u8]>>,
    /// As whom it has logged in.
    pub user: Option<Box<[u8]>>,
    /// Connected for at least so many seconds.
    pub min_age_seconds: Option<u64>,
    /// This one is not meant.
    pub except: Option<u64>,
}

/// What Redis tells clients apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// Any that is none of the others.
    Normal,
    /// The connection to a primary: a proxy has none among its clients.
    Primary,
    /// The connection of a replica: likewise.
    Replica,
    /// Subscribed to something.
    Pubsub,
}

/// What a worker says to a [`ClientsOrder`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientsReport {
    /// A line for each client that was to be listed, by its CLIENT ID.
    pub lines: Vec<(u64, String)>,
    /// How many were killed, or unblocked, or there are.
    pub count: u64,
    /// How many of those that there are wait.
    pub blocked: u64,
}
