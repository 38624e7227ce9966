//! What is worth a line in the log.

use std::fmt;
use std::sync::Arc;

use crate::Role;

/// Something that happened to a pool. Its text says what, and where an operator can act, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The node it is about.
    pub node: Option<Arc<str>>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A name resolved to an address that was not known.
    Added,
    /// A name no longer resolves to this node's address.
    Removed,
    /// A name cannot be resolved; its last addresses stay.
    Unresolved {
        /// The resolver's words.
        why: Box<str>,
    },
    /// A name that could not be resolved can be again.
    Resolved,
    /// Sentinel lists a node that was not known.
    Listed,
    /// No Sentinel lists this node any more.
    Unlisted,
    /// This Sentinel, which did not, answers again.
    SentinelAnswers,
    /// This Sentinel does not answer, or nothing that could be used.
    SentinelSilent {
        /// What it does instead.
        why: Arc<str>,
    },
    /// Another Sentinel knows this one.
    SentinelFound,
    /// No Sentinel knows this one any more.
    SentinelForgotten,
    /// A majority of the Sentinels names this node as the primary.
    Named {
        /// In this configuration epoch.
        epoch: u64,
    },
    /// No majority of the Sentinels names a primary.
    NobodyNamed {
        /// Why not.
        why: Arc<str>,
    },
    /// Writes to this primary wait: a Sentinel is about to replace it.
    HoldBegins {
        /// Which one.
        why: Arc<str>,
    },
    /// Writes to this node do not wait for that any more.
    HoldEnds,
    /// Writes to this primary go on, although a Sentinel still says that it is about to replace it.
    HoldExpires,
    /// The node answers.
    Up {
        /// What it says it is.
        role: Role,
        /// Does it take reads?
        readable: bool,
    },
    /// The node does not answer.
    Down {
        /// What the probes met.
        why: Arc<str>,
    },
    /// The node answers, but does not say what it is: it gets no traffic.
    Silent {
        /// What it said instead.
        why: Arc<str>,
    },
    /// The node says that it is something else than before.
    RoleChanged {
        /// Before.
        from: Role,
        /// Now.
        to: Role,
    },
    /// The node takes reads.
    Readable,
    /// The node takes no reads.
    Unreadable {
        /// Why not.
        why: Arc<str>,
    },
    /// The node takes writes; before it none did, or itself.
    PrimaryFound {
        /// Why it.
        why: Arc<str>,
    },
    /// The node takes writes in the place of another.
    PrimaryMoved {
        /// The primary before.
        from: Arc<str>,
        /// Why it.
        why: Arc<str>,
    },
    /// The node takes no writes any more, and no other does: they are held.
    PrimaryLost {
        /// Why.
        why: Arc<str>,
    },
    /// All nodes were heard, and none of them is a primary: writes are held.
    NoPrimary {
        /// Why.
        why: Arc<str>,
    },
    /// It cannot be said which node is the primary: writes are held.
    Ambiguous {
        /// Why, and what to do.
        why: Arc<str>,
    },
    /// The node says that it is a primary, and is not believed.
    Fenced {
        /// Why not.
        why: Arc<str>,
    },
    /// The primary may lack acknowledged writes.
    PossibleLoss {
        /// Bytes of the replication stream that were seen on the primary before and are not here; `None`: cannot be told.
        bytes: Option<u64>,
    },
}

impl Event {
    /// Should somebody look?
    pub fn is_warning(&self) -> bool {
        match self.kind {
            EventKind::Unresolved { .. }
            | EventKind::SentinelSilent { .. }
            | EventKind::NobodyNamed { .. }
            | EventKind::HoldExpires
            | EventKind::Down { .. }
            | EventKind::Silent { .. }
            | EventKind::PrimaryLost { .. }
            | EventKind::NoPrimary { .. }
            | EventKind::Ambiguous { .. }
            | EventKind::Fenced { .. }
            | EventKind::PossibleLoss { .. } => true,
            EventKind::Added
            | EventKind::Listed
            | EventKind::Unlisted
            | EventKind::SentinelAnswers
            | EventKind::SentinelFound
            | EventKind::SentinelForgotten
            | EventKind::Named { .. }
            | EventKind::HoldBegins { .. }
            | EventKind::HoldEnds
            | EventKind::Removed
            | EventKind::Resolved
            | EventKind::Up { .. }
            | EventKind::RoleChanged { .. }
            | EventKind::Readable
            | EventKind::Unreadable { .. }
            | EventKind::PrimaryFound { .. }
            | EventKind::PrimaryMoved { .. } => false,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("is a new address of its name"),
            Self::Removed => f.write_str("is no longer an address of its name"),
            Self::Unresolved { why } => {
                write!(f, "cannot be resolved ({why}): addresses known before stay in use")
            }
            Self::Resolved => f.write_str("can be resolved again"),
            Self::Listed => f.write_str("is a new node: Sentinel lists it"),
            Self::Unlisted => f.write_str("is no node any more: no Sentinel lists it"),
            Self::SentinelAnswers => f.write_str("(a Sentinel) answers again"),
            Self::SentinelSilent { why } => write!(f, "(a Sentinel) is not counted: it {why}"),
            Self::SentinelFound => f.write_str("(a Sentinel) is asked too: another one knows it"),
            Self::SentinelForgotten => {
                f.write_str("(a Sentinel) is not asked any more: no other one knows it")
            }
            Self::Named { epoch } => {
                write!(f, "is the primary that a majority of the Sentinels names, epoch {epoch}")
            }
            Self::NobodyNamed { why } => write!(
                f,
                "the Sentinels name no primary ({why}): the present one stays for as long as it continues"
            ),
            Self::HoldBegins { why } => write!(f, "gets no writes for now: {why}"),
            Self::HoldEnds => {
                f.write_str("no longer has its writes held on the word of a Sentinel")
            }
            Self::HoldExpires => f.write_str(
                "gets writes again: the Sentinel that was about to replace it took too long",
            ),
            Self::Up { role, readable } => {
                let reads = if *readable { "takes reads" } else { "takes no reads yet" };
                write!(f, "is up, role {role}, {reads}")
            }
            Self::Down { why } => write!(f, "is down: it {why}"),
            Self::Silent { why } => write!(f, "gets no traffic: it {why}"),
            Self::RoleChanged { from, to } => write!(f, "changed its role from {from} to {to}"),
            Self::Readable => f.write_str("takes reads"),
            Self::Unreadable { why } => write!(f, "takes no reads: {why}"),
            Self::PrimaryFound { why } => write!(f, "is the primary: {why}"),
            Self::PrimaryMoved { from, why } => write!(f, "is the primary, after {from}: {why}"),
            Self::PrimaryLost { why } => {
                write!(f, "is not the primary any more, and writes are held: {why}")
            }
            Self::NoPrimary { why } => write!(f, "writes are held, there is no primary: {why}"),
            Self::Ambiguous { why } => write!(f, "writes are held, the primary is unclear: {why}"),
            Self::Fenced { why } => write!(f, "says it is a primary and is fenced off: {why}"),
            Self::PossibleLoss { bytes: Some(bytes) } => write!(
                f,
                "lacks at least {bytes} bytes of the replication stream that the primary before it had: \
                 acknowledged writes may be lost"
            ),
            Self::PossibleLoss { bytes: None } => f.write_str(
                "is a primary that cannot be proven to have all acknowledged writes: \
                 what was written since its last save or sync may be lost",
            ),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = &self.node {
            write!(f, "{node} ")?;
        }
        self.kind.fmt(f)
    }
}
