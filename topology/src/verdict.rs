//! What is decided of a shard's primary, and on what ground.

use crate::NodeId;
use crate::primary::Routed;

/// Who the primary is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This node.
    Primary { node: NodeId, ground: Ground },
    /// Nobody.
    Hold { kind: HoldKind, why: String },
}

/// Why a node is the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// The start: it alone says master.
    Alone,
    /// The same process as before.
    Continues,
    /// Proven to continue the old primary's history: somebody promoted it.
    Succeeds,
    /// The old primary follows it.
    Followed,
    /// Restarted, and no living node has newer data.
    TakenBack,
    /// All other nodes follow it.
    Agreed,
    /// The authority names it.
    Named,
}

/// Why nobody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldKind {
    /// More answers, or time, will tell.
    Waiting,
    /// No node can be.
    Vacant,
    /// Several could be.
    Ambiguous,
}

impl Ground {
    /// Does Redkeel move to another node by what it concludes alone? A promotion was somebody's order, a new master of the
    /// old primary too: they are followed at once, because to wait would cost availability and save no data. Taking
    /// a node back moves nothing.
    pub(crate) fn is_own_decision(self) -> bool {
        match self {
            Self::Agreed => true,
            Self::Alone
            | Self::Continues
            | Self::Succeeds
            | Self::Followed
            | Self::TakenBack
            | Self::Named => false,
        }
    }

    /// For an operator.
    pub(crate) fn why(self, routed: Option<&Routed>) -> String {
        let old = routed.map_or("the old primary", |routed| &*routed.name);
        match self {
            Self::Alone => "the only node that says master".to_owned(),
            Self::Continues => "says master, in the same process as before".to_owned(),
            Self::Succeeds => format!("promoted, and continues {old}'s data"),
            Self::Named => "the Sentinels name it".to_owned(),
            Self::Followed => format!("{old} follows it now"),
            Self::TakenBack => "restarted, and no living node has newer data".to_owned(),
            Self::Agreed => "the only node that says master, and all others follow it".to_owned(),
        }
    }
}
