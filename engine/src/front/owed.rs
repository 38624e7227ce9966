//! What a client of several shards is still to be given.

use commands::SubscribeKind;
use session::shards::{Cursor, Merge};
use topology::Time;

/// One reply.
#[derive(Debug)]
pub(crate) struct Owed {
    pub(crate) owing: Owing,
    /// The client wants none (CLIENT REPLY).
    pub(crate) mute: bool,
    /// When its command was looked at.
    pub(crate) at: Time,
}

/// Where it comes from.
#[derive(Debug)]
pub(crate) enum Owing {
    /// From here.
    Ours(Vec<u8>),
    /// From the leg at this place, as it comes.
    Reply(usize),
    /// The leg's next reply is of no interest.
    Nothing(usize),
    /// From several legs.
    Merged(Box<Merging>),
    /// From SCAN's present shard.
    Cursor(usize, Cursor),
    /// MULTI was sent to the leg: its reply decides whether there is a transaction.
    Begun(usize),
    /// SELECT, AUTH or HELLO: what it made of the leg becomes the client's.
    Standing(usize),
    /// A node's word on whether its user may ask for other clients.
    Permission(usize),
    /// Subscriptions begin or end.
    Confirmed(Box<Confirming>),
}

/// Replies of several legs.
#[derive(Debug)]
pub(crate) struct Merging {
    pub(crate) how: Merge,
    /// Of the command.
    pub(crate) name: &'static str,
    /// The legs' places, and what has come from them.
    pub(crate) parts: Vec<(usize, Come)>,
    /// For each key its part.
    pub(crate) order: Vec<u32>,
}

/// How far one part has come.
#[derive(Debug)]
pub(crate) enum Come {
    NotYet,
    /// It stands, with this length, at the front of what its leg has to hand over.
    InPlace(usize),
    /// It was taken from there.
    Taken(Vec<u8>),
}

/// Confirmations of several legs.
#[derive(Debug)]
pub(crate) struct Confirming {
    pub(crate) kind: SubscribeKind,
    /// What the client has named, with the leg that has to confirm it, if one has to.
    pub(crate) names: Vec<(Box<[u8]>, Option<usize>)>,
    /// How many confirmations are still to come: for each command its leg, those of one leg in their order.
    pub(crate) awaited: Vec<(usize, u32)>,
    /// The first refusal.
    pub(crate) error: Option<Vec<u8>>,
    /// Legs that have refused.
    pub(crate) refused: Vec<usize>,
    /// The client has not asked for it, and is told nothing: what it hears of is heard of elsewhere now.
    pub(crate) silent: bool,
}
