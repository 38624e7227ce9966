//! Who is primary of a shard that no authority speaks for; [`crate::authority`] has what holds where one does.
//!
//! At the start: the one node that says master, if all others that answer follow it. Afterwards the primary stays
//! where it is for as long as its process says master; it moves
//! - to a *successor*: a node that this process saw as a replica of the primary's history, and that the same server
//!   process then branched from it (a restart fakes the fields, never the `run_id`);
//! - to the node that the old primary itself follows now;
//! - to a node that all others agree on. A primary that restarted is taken back in this way only.
//!
//! Everything else is held: a wrong move loses data, a hold does not.

use std::sync::Arc;
use std::time::Duration;

use crate::authority::Authority;
use crate::lineage::Lineage;
use crate::node::{Claim, Node};
use crate::observation::Serving;
use crate::role_reply::Link;
use crate::verdict::{Ground, HoldKind, Verdict};
use crate::{NodeId, Time};

/// The primary that writes were last sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Routed {
    pub(crate) node: NodeId,
    pub(crate) name: Arc<str>,
    pub(crate) run_id: Arc<str>,
    pub(crate) lineage: Lineage,
    /// The highest offset seen there.
    pub(crate) offset: u64,
}

/// How a node stands to one that may become the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Has not said yet.
    Unheard,
    /// Is down.
    Gone,
    /// Follows it, or has nothing that it lacks.
    Behind,
    /// Is the same process at another address.
    Twin,
    /// Says master too.
    Rival,
    /// Has data that the other may lack.
    Apart,
    /// Does not say what it is.
    Refuses,
}

/// Everything that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) nodes: &'a [Node],
    pub(crate) primary: Option<NodeId>,
    pub(crate) routed: Option<&'a Routed>,
    /// The last move that nobody had ordered: see [`Ground::is_own_decision`].
    pub(crate) moved_at: Option<Time>,
    pub(crate) anti_flap: Duration,
    /// Where the shard has one.
    pub(crate) authority: Option<&'a Authority>,
    /// Every name has been resolved, or has failed to, at least once.
    pub(crate) names_settled: bool,
    pub(crate) now: Time,
}

impl<'a> Question<'a> {
    pub(crate) fn decide(&self) -> Verdict {
        if let Some(authority) = self.authority
            && let Ok(saying) = &authority.saying
        {
            return self.follow(authority, saying);
        }
        let verdict = self.conclude();
        let Verdict::Primary { node, ground } = &verdict else { return verdict };
        let too_soon = self.moved_at.is_some_and(|moved| self.now < moved + self.anti_flap);
        if !too_soon || !ground.is_own_decision() {
            return verdict;
        }
        let node = self.nodes.iter().find(|candidate| candidate.id == *node);
        let name = node.map_or("a node", |node| &*node.name);
        let why = format!(
            "all others follow {name}, but the last such move is less than anti_flap ({:?}) ago",
            self.anti_flap
        );
        hold(HoldKind::Waiting, self.behind_absence(&why))
    }

    fn conclude(&self) -> Verdict {
        let Some(routed) = self.routed else {
            return self.unheard().unwrap_or_else(|| self.agreed());
        };
        match successors(self.nodes, routed).as_slice() {
            [] => self.remain(routed),
            [successor] => match self.unheard_since(successor, routed) {
                None => Verdict::Primary { node: successor.id, ground: Ground::Succeeds },
                Some(other) => hold(
                    HoldKind::Waiting,
                    format!(
                        "{} continues {}'s data: waits for an answer of {}, which may do so too",
                        successor.name, routed.name, other.name
                    ),
                ),
            },
            several => hold(
                HoldKind::Ambiguous,
                format!(
                    "{} were each promoted from {}'s data: make all but one replicas of it (REPLICAOF)",
                    list(several.iter().copied()),
                    routed.name
                ),
            ),
        }
    }

    /// A living node that may have been promoted as well: it has not been heard since `successor` was. The routed
    /// process itself is no rival, whatever it says. Nothing promotes a node while a script keeps it busy.
    fn unheard_since(&self, successor: &Node, routed: &Routed) -> Option<&'a Node> {
        let is_rival =
            |node: &Node| !node.is_same_process(successor) && node.run_id() != Some(&routed.run_id);
        let mut rivals = self.nodes.iter().filter(|node| node.pulse.is_up() && is_rival(node));
        rivals.find(|node| is_unheard(node) || node.proven_at <= successor.news_at)
    }

    /// Nothing has succeeded the routed primary.
    fn remain(&self, routed: &Routed) -> Verdict {
        if let Some(node) = self.continuing(routed) {
            let contradiction =
                if self.primary.is_none() { self.contradiction(node) } else { None };
            return match contradiction {
                None => Verdict::Primary { node: node.id, ground: Ground::Continues },
                Some((follower, other)) => hold(
                    HoldKind::Ambiguous,
                    format!(
                        "{} answers again as master, but {} follows {} meanwhile: \
                         make one a replica of the other (REPLICAOF)",
                        node.name, follower.name, other.name
                    ),
                ),
            };
        }
        if let Some(node) = self.followed_by(routed) {
            return Verdict::Primary { node: node.id, ground: Ground::Followed };
        }
        self.agreed()
    }

    /// The routed process, if it still says master and was not succeeded.
    pub(crate) fn continuing(&self, routed: &Routed) -> Option<&'a Node> {
        let mut continuing = self.nodes.iter().filter(|node| {
            node.claims_primary() && !node.is_stray() && node.run_id() == Some(&routed.run_id)
        });
        let current = continuing.clone().find(|node| self.primary == Some(node.id));
        current.filter(|node| is_usable(node)).or_else(|| continuing.find(|node| is_eligible(node)))
    }

    /// A node that left `node` for another master.
    fn contradiction(&self, node: &Node) -> Option<(&'a Node, &'a Node)> {
        let others = claimants(self.nodes).into_iter().filter(|other| !other.is_same_process(node));
        let mut sound = others.filter(|other| !other.is_stray());
        sound.find_map(|other| {
            let follower = self.nodes.iter().find(|follower| follows(follower, other))?;
            Some((follower, other))
        })
    }

    /// The master that the routed process itself follows now.
    pub(crate) fn followed_by(&self, routed: &Routed) -> Option<&'a Node> {
        let is_followed = |master: &&Node| {
            let mut old = self.nodes.iter().filter(|node| node.run_id() == Some(&routed.run_id));
            old.any(|old| follows(old, master))
        };
        let mut eligible = claimants(self.nodes).into_iter().filter(|node| is_eligible(node));
        eligible.find(is_followed)
    }

    /// The node that all agree on.
    pub(crate) fn agreed(&self) -> Verdict {
        let (strays, sound): (Vec<_>, Vec<_>) =
            claimants(self.nodes).into_iter().partition(|node| node.is_stray());
        let candidate = match (sound.as_slice(), strays.as_slice()) {
            ([one], _) | ([], [one]) => *one,
            ([], []) => return self.vacant("no node says that it is master"),
            ([], several) | (several, _) => {
                let several = list(several.iter().copied());
                let why = format!(
                    "{several} say master: make all but one replicas of it (REPLICAOF), \
                     or remove them from servers"
                );
                return hold(HoldKind::Ambiguous, self.behind_absence(&why));
            }
        };
        if candidate.serving == Serving::Loading {
            return self.vacant(&format!("{} is loading its data", candidate.name));
        }
        if !is_eligible(candidate) {
            let why = format!("waits for an answer of {}", candidate.name);
            return hold(HoldKind::Waiting, why);
        }
        if let Some(objection) = self.objection(candidate) {
            return objection;
        }
        let ground = match self.routed {
            None => Ground::Alone,
            Some(routed) if routed.node == candidate.id => Ground::TakenBack,
            Some(_) => Ground::Agreed,
        };
        Verdict::Primary { node: candidate.id, ground }
    }

    /// Why `candidate`, the only one who says master, is not the primary.
    fn objection(&self, candidate: &Node) -> Option<Verdict> {
        let mut followers = 0;
        for other in self.nodes.iter().filter(|other| other.id != candidate.id) {
            let standing = self.standing(other, candidate);
            let tolerated = match standing {
                Standing::Behind => {
                    followers += 1;
                    true
                }
                Standing::Twin => true,
                Standing::Unheard | Standing::Apart => false,
                Standing::Rival => {
                    other.is_stray() && !candidate.is_stray() && self.has_more(candidate, other)
                }
                Standing::Refuses => self.routed.is_none(),
                // The last primary, when it comes back, may have newer data than who was not proven to succeed it.
                Standing::Gone => {
                    !candidate.is_stray()
                        && match self.routed {
                            Some(routed) => candidate.id == routed.node || other.id != routed.node,
                            // At the start, what is not seen may be what the authority would have named.
                            None => self.authority.is_none(),
                        }
                }
            };
            if !tolerated {
                return Some(self.object(candidate, other, standing));
            }
        }
        (candidate.is_stray() && followers == 0)
            .then(|| self.vacant(&format!("{} says master and is fenced off", candidate.name)))
    }

    fn standing(&self, other: &Node, candidate: &Node) -> Standing {
        if is_unheard(other) {
            return Standing::Unheard;
        }
        if !other.pulse.is_up() {
            return Standing::Gone;
        }
        // After the start, a node that was asked before the candidate came up has not yet been heard about it.
        if self.routed.is_some()
            && matches!(other.claim, Claim::Replica(..))
            && other.told_at <= candidate.news_at
        {
            return Standing::Unheard;
        }
        if other.is_same_process(candidate) {
            return Standing::Twin;
        }
        match other.claim {
            Claim::Unheard => Standing::Unheard,
            Claim::Refused(_) => Standing::Refuses,
            Claim::Primary(_) => Standing::Rival,
            // What it has is being replaced, or not yet known to be anything.
            Claim::Replica(_, Link::Syncing) => Standing::Behind,
            Claim::Replica(..) if other.serving == Serving::Loading => Standing::Behind,
            Claim::Replica(position, _) => {
                let covered = match (candidate.position(), position.lineage) {
                    (Some((lineage, _)), Some(of_other)) => {
                        lineage.covers(&of_other, position.offset)
                    }
                    _ => false,
                };
                if covered || (position.offset == 0 && !self.was_of_the_line(other)) {
                    Standing::Behind
                } else {
                    Standing::Apart
                }
            }
        }
    }

    /// Is it proven that the candidate kept as much of the last primary's history as the rival has of it?
    fn has_more(&self, candidate: &Node, rival: &Node) -> bool {
        let Some(routed) = self.routed else { return false };
        let kept = |node: &Node| {
            let (lineage, _) = node.position()?;
            let parent = lineage.parent.filter(|parent| parent.id == routed.lineage.id)?;
            Some(parent.shared)
        };
        let of_rival = kept(rival).unwrap_or(routed.offset);
        kept(candidate).is_some_and(|of_candidate| of_candidate >= of_rival)
    }

    /// Was it seen to follow the last primary? At offset 0 a replica has received nothing yet, or was restarted from
    /// an append-only file, which keeps the data and forgets the history (aof.c, loadAppendOnlyFiles).
    fn was_of_the_line(&self, node: &Node) -> bool {
        let followed = node.followed.as_ref().map(|followed| followed.id);
        followed.is_some() && followed == self.routed.map(|routed| routed.lineage.id)
    }

    fn object(&self, candidate: &Node, other: &Node, standing: Standing) -> Verdict {
        let (name, other) = (&candidate.name, &other.name);
        let why = match standing {
            Standing::Unheard => {
                return hold(HoldKind::Waiting, format!("waits for an answer of {other}"));
            }
            Standing::Gone if self.routed.is_none() => format!(
                "{name} says master, {other} does not answer, and the Sentinels do not tell: {}",
                self.authority_silence()
            ),
            Standing::Gone => format!(
                "{name} says master, but was not seen to take over {other}'s data: start {other} again, \
                 or take it out of servers and restart Redkeel"
            ),
            Standing::Refuses => format!("{name} says master, but {other} does not say what it is"),
            Standing::Rival => format!(
                "{name} and {other} say master: make one a replica of the other (REPLICAOF), \
                 or remove it from servers"
            ),
            _ => format!(
                "{name} says master, but {other} may have data that it lacks: \
                 make {other} its replica (REPLICAOF), or promote {other}"
            ),
        };
        hold(HoldKind::Ambiguous, self.behind_absence(&why))
    }

    fn vacant(&self, why: &str) -> Verdict {
        if self.nodes.is_empty() {
            return hold(HoldKind::Vacant, self.authority_silence().to_owned());
        }
        hold(HoldKind::Vacant, self.behind_absence(why))
    }

    /// Why there are no nodes, or nobody says which of them is the primary.
    fn authority_silence(&self) -> &str {
        let saying = self.authority.map(|authority| &authority.saying);
        if let Some(Err(why)) = saying { why } else { "there are no nodes" }
    }

    /// Begins `why` with what became of the primary.
    fn behind_absence(&self, why: &str) -> String {
        let Some(routed) = self.routed else { return why.to_owned() };
        let name = &routed.name;
        let Some(node) = self.nodes.iter().find(|node| node.id == routed.node) else {
            return format!("{name} is no longer among the servers' addresses; {why}");
        };
        if !node.pulse.is_up() {
            return match &node.failure {
                Some(failure) => format!("{name} {failure}; {why}"),
                None => format!("{name} is down; {why}"),
            };
        }
        match &node.claim {
            Claim::Refused(refusal) => format!("{name} {refusal}; {why}"),
            Claim::Replica(..) => format!("{name} says that it is a replica now; {why}"),
            _ if node.run_id() != Some(&routed.run_id) => format!("{name} restarted; {why}"),
            _ => why.to_owned(),
        }
    }

    /// At the start: until everybody has answered, or failed, once.
    fn unheard(&self) -> Option<Verdict> {
        let mut names: Vec<&str> = Vec::new();
        names.extend(self.nodes.iter().filter(|node| is_unheard(node)).map(|node| &*node.name));
        if names.is_empty() {
            let why = match self.authority {
                Some(_) => "waits for the Sentinels",
                None => "waits until the names of its servers are resolved",
            };
            return (!self.names_settled).then(|| hold(HoldKind::Waiting, why.to_owned()));
        }
        let why = format!("waits for an answer of {}", names.join(", "));
        Some(hold(HoldKind::Waiting, why))
    }
}

/// The processes that say master, each by its first address.
pub(crate) fn claimants(nodes: &[Node]) -> Vec<&Node> {
    let mut claimants: Vec<&Node> = Vec::new();
    for node in nodes.iter().filter(|node| node.claims_primary()) {
        if !claimants.iter().any(|other| other.is_same_process(node)) {
            claimants.push(node);
        }
    }
    claimants
}

/// The nodes that were promoted from the routed primary's history in the sight of this process.
pub(crate) fn successors<'a>(nodes: &'a [Node], routed: &Routed) -> Vec<&'a Node> {
    let goes_on = nodes.iter().any(|node| {
        node.claims_primary() && !node.is_stray() && node.run_id() == Some(&routed.run_id)
    });
    let mut successors = claimants(nodes);
    successors.retain(|node| {
        !node.is_stray()
            && is_eligible(node)
            && node.run_id() != Some(&routed.run_id)
            && is_promoted(node, routed)
            // What was promoted out of sight, while the primary went on, may be an old branch.
            && (!goes_on || node.followed.as_ref().is_some_and(|followed| followed.in_sight))
    });
    successors
}

/// Could it be sent writes, if it were the primary?
fn is_usable(node: &Node) -> bool {
    node.position().is_some() && matches!(node.serving, Serving::Yes | Serving::Busy)
}

/// Could it become the primary? Whoever was not may not be behind with its answers.
pub(crate) fn is_eligible(node: &Node) -> bool {
    is_usable(node) && node.failure.is_none()
}

/// Was the node, seen as a replica of the routed history, promoted in the same process and without going back?
fn is_promoted(node: &Node, routed: &Routed) -> bool {
    let (Some((lineage, offset)), Some(followed)) = (node.position(), &node.followed) else {
        return false;
    };
    lineage.branched_from(&routed.lineage)
        && followed.id == routed.lineage.id
        && node.run_id() == Some(&followed.run_id)
        && offset >= followed.highest
}

/// Is `node` a replica in `master`'s own history?
fn follows(node: &Node, master: &Node) -> bool {
    let same_history = match (node.position(), master.position()) {
        (Some((of_node, _)), Some((of_master, _))) => of_node.id == of_master.id,
        _ => false,
    };
    node.pulse.is_up() && matches!(node.claim, Claim::Replica(..)) && same_history
}

/// Is it unknown what the node would say?
fn is_unheard(node: &Node) -> bool {
    if !node.pulse.is_up() {
        // Down, but its last probe was answered: it is on its way up.
        return node.failure.is_none();
    }
    match node.claim {
        // What it said before is old.
        _ if node.failure.is_some() => true,
        Claim::Unheard => true,
        Claim::Refused(_) => false,
        Claim::Primary(position) | Claim::Replica(position, _) => position.lineage.is_none(),
    }
}

pub(crate) fn hold(kind: HoldKind, why: String) -> Verdict {
    Verdict::Hold { kind, why }
}

pub(crate) fn list<'a>(nodes: impl Iterator<Item = &'a Node>) -> String {
    nodes.map(|node| &*node.name).collect::<Vec<_>>().join(" and ")
}
