//! A planned change of primary: writes are held, the primary hands over to a replica that has everything, writes go on
//! there. No client gets an error.
//!
//! Here is what is decided, as a machine without I/O ([`Switchover`]): it says what to do next ([`Do`]), and is told how
//! that ended ([`Outcome`]). One thing is done at a time. Whatever is sent to a node ends by itself there (`TIMEOUT`,
//! `CLIENT PAUSE` for a time), so that nothing is left behind if Redkeel dies on the way.

mod ask;
mod cast;
mod claim;
mod elected;
mod machine;
mod state;
mod tidy;
mod ways;

use std::sync::Arc;
use std::time::Duration;

pub use ask::{Ask, Replies};
pub use cast::{Cast, Elector, Party};
pub use machine::{Do, Outcome, Switchover};

/// An order of a switchover, from whoever may give one to the control plane.
pub struct SwitchoverOrder {
    /// The pool's name.
    pub pool: String,
    /// The node that becomes the primary; `None`: the fittest replica, or whom Sentinel chooses.
    pub to: Option<String>,
    /// Called once, with how it ended.
    pub answer: Box<dyn FnOnce(SwitchoverReport) + Send>,
}

/// Takes orders; false: the control plane takes no more now.
pub type SwitchoverDesk = Arc<dyn Fn(SwitchoverOrder) -> bool + Send + Sync>;

/// How a switchover went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchoverReport {
    /// How it ended.
    pub ending: Ending,
    /// The pool's name.
    pub pool: Arc<str>,
    /// The primary before.
    pub from: Option<Arc<str>>,
    /// The node that became the primary, or was to.
    pub to: Option<Arc<str>>,
    /// Which way was gone; empty if none was.
    pub way: &'static str,
    /// What was done and how long it took, in order.
    pub steps: Vec<(&'static str, Duration)>,
    /// How long writes were held.
    pub held: Option<Duration>,
    /// Why it did not come about, what that means and what to do.
    pub why: Option<String>,
    /// What else an operator should know.
    pub notes: Vec<String>,
}

/// How a switchover ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The target is the primary.
    Done,
    /// Nothing was changed.
    Refused,
    /// It was begun and undone: the primary is who it was.
    Aborted,
    /// It cannot be told who the primary is: somebody must look.
    Unclear,
}

impl Ending {
    /// All endings.
    pub const ALL: [Self; 4] = [Self::Done, Self::Refused, Self::Aborted, Self::Unclear];

    /// As written in answers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Aborted => "aborted",
            Self::Unclear => "unclear",
        }
    }
}

impl SwitchoverReport {
    /// Of one that was not even begun.
    pub fn refused(pool: Arc<str>, why: String) -> Self {
        Self {
            ending: Ending::Refused,
            pool,
            from: None,
            to: None,
            way: "",
            steps: Vec::new(),
            held: None,
            why: Some(why),
            notes: Vec::new(),
        }
    }
}

impl std::fmt::Debug for SwitchoverOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pool, to, .. } = self;
        f.debug_struct("SwitchoverOrder")
            .field("pool", pool)
            .field("to", to)
            .finish_non_exhaustive()
    }
}
