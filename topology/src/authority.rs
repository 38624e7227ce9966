//! Who is primary of a shard that an authority speaks for.
//!
//! The authority's word moves the writes, to the node that it names and once that says master itself. Replication
//! lineage may only be ahead of it: where a failover goes on, or the old primary is gone or has stepped down, its
//! in-process successor gets the writes before the authority has announced it (measured: 0.8 s earlier). A word that
//! was overtaken in this way moves nothing back.

use std::sync::Arc;

use crate::node::Node;
use crate::primary::{Question, Routed, claimants, hold, is_eligible, list};
use crate::sentinel::Word;
use crate::verdict::{Ground, HoldKind, Verdict};
use crate::{NodeId, Time};

/// What the authority of a shard says.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    /// An error: why it says nothing that counts.
    pub(crate) saying: Result<Saying, Arc<str>>,
    /// What it had said when the writes were last moved, or when it last confirmed where they are.
    pub(crate) noted: Option<Noted>,
}

/// Whom it names.
#[derive(Clone, Debug)]
pub(crate) struct Saying {
    pub(crate) word: Word,
    /// The nodes at that name.
    pub(crate) nodes: Vec<NodeId>,
}

/// A word that has been heeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    primary: Arc<str>,
    epoch: u64,
}

impl Authority {
    /// The word as it stands was heeded.
    pub(crate) fn note(&mut self) {
        if let Ok(saying) = &self.saying {
            let (primary, epoch) = (Arc::clone(&saying.word.primary), saying.word.epoch);
            self.noted = Some(Noted { primary, epoch });
        }
    }

    /// Does it name this node?
    pub(crate) fn names(&self, node: NodeId) -> bool {
        self.saying.as_ref().is_ok_and(|saying| saying.nodes.contains(&node))
    }

    /// Has it said something newer than what was heeded?
    fn has_news(&self, word: &Word) -> bool {
        self.noted.as_ref().is_none_or(|noted| {
            word.epoch > noted.epoch || (word.epoch == noted.epoch && word.primary != noted.primary)
        })
    }
}

impl<'a> Question<'a> {
    /// Decides by what the authority says.
    pub(crate) fn follow(&self, authority: &Authority, saying: &Saying) -> Verdict {
        let named = self.named(saying);
        let Some(routed) = self.routed else {
            return self.begin(saying, named);
        };
        let current = self.continuing(routed);
        let is_there = current.is_some_and(|node| {
            saying.nodes.contains(&node.id)
                || named.is_some_and(|named| named.is_same_process(node))
        });
        // The word is about somebody else, and newer than what the writes' place goes by.
        if !is_there && (authority.has_news(&saying.word) || current.is_none()) {
            let heeds = authority.has_news(&saying.word) || self.still_stands(routed, saying);
            if let Some(node) = named.filter(|_| heeds) {
                return Verdict::Primary { node: node.id, ground: Ground::Named };
            }
            if authority.has_news(&saying.word) {
                return self.await_named(saying);
            }
        }
        self.be_ahead(routed, saying, current)
    }

    /// The node that is named, if it could take the writes.
    fn named(&self, saying: &Saying) -> Option<&'a Node> {
        let mut claimants = self.nodes.iter().filter(|node| node.claims_primary());
        claimants.find(|node| saying.nodes.contains(&node.id) && is_eligible(node))
    }

    fn begin(&self, saying: &Saying, named: Option<&Node>) -> Verdict {
        let Some(named) = named else { return self.await_named(saying) };
        let others = claimants(self.nodes).len() > 1;
        if saying.word.failover && others {
            let why = format!("{} is being replaced by Sentinel", named.name);
            return hold(HoldKind::Waiting, why);
        }
        Verdict::Primary { node: named.id, ground: Ground::Named }
    }

    /// With the primary gone, and nobody replacing anybody, an old word about another node stands: the writes had been
    /// moved ahead of a failover that came to nothing, or the Sentinels were set up anew.
    fn still_stands(&self, routed: &Routed, saying: &Saying) -> bool {
        let elsewhere = !saying.nodes.contains(&routed.node) && saying.word.primary != routed.name;
        elsewhere && saying.word.excludes_failover(self.last_news())
    }

    /// What lineage says beside the word, or before it.
    fn be_ahead(&self, routed: &Routed, saying: &Saying, current: Option<&Node>) -> Verdict {
        let successors = crate::primary::successors(self.nodes, routed);
        match (successors.as_slice(), current) {
            ([], Some(node)) => Verdict::Primary { node: node.id, ground: Ground::Continues },
            ([], None) => self.without_successor(routed, saying),
            ([successor], None) => {
                Verdict::Primary { node: successor.id, ground: Ground::Succeeds }
            }
            ([successor], Some(_)) if saying.word.failover => {
                Verdict::Primary { node: successor.id, ground: Ground::Succeeds }
            }
            (several, Some(node))
                if several.iter().all(|node| saying.word.excludes_failover(node.news_at)) =>
            {
                Verdict::Primary { node: node.id, ground: Ground::Continues }
            }
            (several, _) => hold(
                HoldKind::Waiting,
                format!(
                    "{} says master and continues {}'s data: waits for the word of the Sentinels",
                    list(several.iter().copied()),
                    routed.name
                ),
            ),
        }
    }

    /// The old primary is not what it was, and nobody was seen to be promoted from its data.
    fn without_successor(&self, routed: &Routed, saying: &Saying) -> Verdict {
        if let Some(node) = self.followed_by(routed) {
            return Verdict::Primary { node: node.id, ground: Ground::Followed };
        }
        match self.agreed() {
            Verdict::Primary { node, .. } if !saying.nodes.contains(&node) => {
                self.await_named(saying)
            }
            verdict => verdict,
        }
    }

    /// The node that is named does not take writes yet.
    fn await_named(&self, saying: &Saying) -> Verdict {
        let word = &saying.word;
        let node = self.nodes.iter().find(|node| saying.nodes.contains(&node.id));
        let state = match node {
            None => "whose address is not known yet".to_owned(),
            Some(node) => match &node.failure {
                Some(failure) => format!("which {failure}"),
                None if !node.claims_primary() => "which does not say master".to_owned(),
                None => "which does not take writes yet".to_owned(),
            },
        };
        let why = format!("the Sentinels name {} (epoch {}), {state}", word.primary, word.epoch);
        hold(HoldKind::Waiting, why)
    }

    /// When something was last new at a node that says master.
    fn last_news(&self) -> Time {
        let news = claimants(self.nodes).into_iter().map(|node| node.news_at);
        news.max().unwrap_or(Time::ZERO)
    }
}
