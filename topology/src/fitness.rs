//! Which nodes may be sent reads.

use std::borrow::Cow;
use std::time::Duration;

use crate::lineage::Lineage;
use crate::node::{Claim, Node, Position};
use crate::observation::Serving;
use crate::role_reply::Link;
use crate::{Health, NodeId};

/// May a node take reads, and why (not)?
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fitness {
    pub(crate) readable: bool,
    pub(crate) why: Cow<'static, str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Judgement {
    Fit(&'static str),
    /// Only while no fitter node lives.
    Last(String),
    Unfit(Cow<'static, str>),
}

/// Everything that the judgement depends on.
#[derive(Clone, Debug)]
pub(crate) struct Judge<'a> {
    pub(crate) nodes: &'a [Node],
    pub(crate) primary: Option<NodeId>,
    /// The history that reads are served from.
    pub(crate) lineage: Option<Lineage>,
    /// While nobody is primary: who was promoted from that history.
    pub(crate) successors: Vec<NodeId>,
    pub(crate) max_lag: Duration,
    pub(crate) primary_takes_reads: bool,
}

impl Judge<'_> {
    /// In the order of the nodes.
    pub(crate) fn judge_all(&self) -> Vec<Fitness> {
        let judgements: Vec<_> = self.nodes.iter().map(|node| self.judge(node)).collect();
        let fit_for_reads = |(node, judgement): (&Node, &Judgement)| {
            matches!(judgement, Judgement::Fit(_))
                && node.weight > 0
                && (self.primary_takes_reads || self.primary != Some(node.id))
        };
        let fit_exists = self.nodes.iter().zip(&judgements).any(fit_for_reads);
        judgements
            .into_iter()
            .map(|judgement| match judgement {
                Judgement::Fit(why) => Fitness { readable: true, why: why.into() },
                Judgement::Last(why) => Fitness { readable: !fit_exists, why: why.into() },
                Judgement::Unfit(why) => Fitness { readable: false, why },
            })
            .collect()
    }

    fn judge(&self, node: &Node) -> Judgement {
        if let Some(why) = self.unreachable(node) {
            return Judgement::Unfit(why);
        }
        match &node.claim {
            Claim::Unheard => unfit("has not said yet what it is"),
            Claim::Refused(refusal) => Judgement::Unfit(refusal.to_string().into()),
            Claim::Primary(_) if self.primary == Some(node.id) => Judgement::Fit("primary"),
            Claim::Primary(_) if self.lineage.is_none() => {
                unfit("says master; no primary is chosen yet")
            }
            // Nothing was written there through this process, and what it had before is what any replica had.
            Claim::Primary(_) if self.successors.contains(&node.id) => {
                Judgement::Last("was promoted, and is not proven to be the only one".to_owned())
            }
            Claim::Primary(_) => unfit("says master and is not the primary"),
            Claim::Replica(position, link) => self.judge_replica(node, *position, *link),
        }
    }

    fn unreachable(&self, node: &Node) -> Option<Cow<'static, str>> {
        if !node.pulse.is_up() {
            return Some(match (&node.failure, node.pulse.health()) {
                (Some(failure), _) => failure.to_string().into(),
                (None, Health::Unproven) => "no probe has been answered yet".into(),
                (None, _) => "answers again, but not often enough yet".into(),
            });
        }
        let first =
            self.nodes.iter().find(|other| other.pulse.is_up() && other.is_same_process(node))?;
        // The primary stands for its process, wherever it is in the order.
        let speaker = self.nodes.iter().find(|other| self.primary == Some(other.id));
        let speaker = speaker.filter(|speaker| speaker.is_same_process(node)).unwrap_or(first);
        (speaker.id != node.id).then(|| format!("is the same server as {}", speaker.name).into())
    }

    fn judge_replica(&self, node: &Node, position: Position, link: Link) -> Judgement {
        match node.serving {
            Serving::Loading => return unfit("is loading its data"),
            Serving::MasterDown => {
                return unfit("refuses reads while its link is down (MASTERDOWN)");
            }
            Serving::Busy => return Judgement::Last("is busy with a script (BUSY)".to_owned()),
            Serving::Yes => {}
        }
        if link == Link::Syncing {
            return unfit("receives a full copy from its primary");
        }
        let (Some(own), Some(lineage)) = (position.lineage, self.lineage) else {
            return unfit("has not told its history yet");
        };
        if !self.is_of_the_line(&own, position.offset, &lineage) {
            return unfit("has data of another history than the primary's");
        }
        if own.id == lineage.id && self.is_cut_off(node) {
            return unfit("its link to the primary is down");
        }
        if own.id != lineage.id && self.may_be_overwritten() {
            let why =
                "was not told of the new primary, and may take the data of one that is fenced off";
            return Judgement::Last(why.to_owned());
        }
        match node.lag {
            Some(lag) if lag.time > self.max_lag => {
                Judgement::Last(format!("lags by more than max_lag ({:?})", self.max_lag))
            }
            _ if node.probe_times.is_slow() => {
                Judgement::Last("answers far more slowly than its peers".to_owned())
            }
            _ => Judgement::Fit("replica"),
        }
    }

    /// Has the node data that is on the way to the primary's?
    fn is_of_the_line(&self, own: &Lineage, offset: u64, lineage: &Lineage) -> bool {
        // Behind the primary; or, while nobody is primary, already following somebody promoted from the same history.
        lineage.covers(own, offset) || (self.primary.is_none() && own.branched_from(lineage))
    }

    /// Beside the primary another node says master: whoever still follows that one, as all replicas of a dead primary do
    /// until they are told otherwise, is given its data at once, be it none at all.
    fn may_be_overwritten(&self) -> bool {
        let Some(primary) = self.nodes.iter().find(|node| self.primary == Some(node.id)) else {
            return false;
        };
        self.nodes.iter().any(|other| {
            let says_master = other.failure.is_none() && matches!(other.claim, Claim::Primary(_));
            says_master && other.id != primary.id && !other.is_same_process(primary)
        })
    }

    /// The link was never up, or the primary has answered since it went down: it is not the primary that is gone.
    fn is_cut_off(&self, node: &Node) -> bool {
        let primary = self.nodes.iter().find(|other| self.primary == Some(other.id));
        match (primary, node.link_lost) {
            (Some(primary), Some(lost)) => !node.was_linked || primary.proven_at > lost,
            _ => false,
        }
    }
}

fn unfit(why: &'static str) -> Judgement {
    Judgement::Unfit(why.into())
}
