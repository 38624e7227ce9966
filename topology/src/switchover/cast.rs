//! Who takes part: the primary, the replica that follows it, the other nodes, and the Sentinel that chooses.

use std::sync::Arc;

use crate::{Address, Health, NodeId, NodeView, Role, SentinelsView, ShardView};

/// A node with a part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// This node.
    pub node: NodeId,
    /// As logs and answers call it.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
}

/// The parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// The primary.
    pub from: Party,
    /// Who becomes it. Where a Sentinel chooses, any of the others until it has.
    pub to: Party,
    /// The other nodes that answer.
    pub others: Vec<Party>,
    /// Where Sentinels watch the nodes: who is told to replace the primary.
    pub elector: Option<Elector>,
}

/// A Sentinel that chooses the next primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elector {
    /// Its address, as the configuration or another Sentinel names it.
    pub sentinel: Arc<str>,
    /// What it calls the primary.
    pub master: Arc<str>,
    /// It is to choose the cast's `to`, or the switchover is refused.
    pub wanted: bool,
}

impl Cast {
    /// Chooses by what is known of the nodes; `to`: the node that an operator names. Or says why it cannot be.
    pub fn choose(shard: &ShardView, to: Option<&str>) -> Result<Self, String> {
        let primary = present(shard)?;
        let target = match to {
            Some(name) => named(shard, primary, name)?,
            None => fittest(shard, primary)?,
        };
        let others = shard.nodes.iter().filter(|node| {
            node.id != primary.id && node.id != target.id && node.health == Health::Up
        });
        Ok(Self {
            from: party(primary),
            to: party(target),
            others: others.map(party).collect(),
            elector: None,
        })
    }

    /// As [`Self::choose`], where these Sentinels watch the nodes: one that agrees with the majority is told to.
    pub fn by_sentinel(
        shard: &ShardView,
        sentinels: &SentinelsView,
        to: Option<&str>,
    ) -> Result<Self, String> {
        let primary = present(shard)?;
        let Some(named) = &sentinels.primary else {
            return Err(format!("there is no majority of Sentinels: {}", sentinels.why));
        };
        if **named != *primary.name && **named != primary.address.to_string() {
            return Err(format!(
                "the Sentinels name {named}, and not {} yet: try again when they agree",
                primary.name
            ));
        }
        if let Some(why) = &shard.writes_held {
            return Err(format!("the primary is being replaced already: {why}"));
        }
        if let Some(busy) = sentinels.sentinels.iter().find(|sentinel| sentinel.failing_over) {
            return Err(still_busy(&busy.name));
        }
        let Some(sentinel) = sentinels.sentinels.iter().find(|sentinel| sentinel.agrees) else {
            return Err("no Sentinel answers".to_owned());
        };
        let mut others = shard.nodes.iter().filter(|node| node.id != primary.id);
        let target = match to {
            Some(name) => known(shard, primary, name)?,
            None => others.clone().next().ok_or("it has no replica")?,
        };
        let elector = Elector {
            sentinel: Arc::clone(&sentinel.name),
            master: Arc::clone(&sentinels.master),
            wanted: to.is_some(),
        };
        let others = others.by_ref().filter(|node| node.id != target.id).map(party).collect();
        Ok(Self { from: party(primary), to: party(target), others, elector: Some(elector) })
    }

    /// Who is to become the primary, where that is known.
    pub fn target(&self) -> Option<&Party> {
        let open = self.elector.as_ref().is_some_and(|elector| !elector.wanted);
        (!open).then_some(&self.to)
    }

    /// This node was chosen.
    pub(super) fn elect(&mut self, node: NodeId) {
        if let Some(chosen) = self.others.iter_mut().find(|party| party.node == node) {
            std::mem::swap(chosen, &mut self.to);
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Party> {
        [&self.from, &self.to].into_iter().chain(&self.others)
    }
}

fn party(node: &NodeView) -> Party {
    Party { node: node.id, name: Arc::clone(&node.name), address: node.address.clone() }
}

/// Why a Sentinel takes no order.
pub(super) fn still_busy(sentinel: &str) -> String {
    format!("Sentinel {sentinel} is not done with a failover: try again in a few seconds")
}

/// The primary that there is now.
fn present(shard: &ShardView) -> Result<&NodeView, String> {
    let primary = shard.primary.and_then(|id| shard.node(id));
    primary
        .filter(|node| node.health == Health::Up)
        .ok_or_else(|| format!("there is no primary to take over from: {}", shard.why))
}

fn named<'a>(shard: &'a ShardView, primary: &NodeView, name: &str) -> Result<&'a NodeView, String> {
    let node = known(shard, primary, name)?;
    match unfit(node) {
        Some(why) => Err(format!("{name} cannot become the primary: {why}")),
        None => Ok(node),
    }
}

/// The node that an operator calls so, if it is not the primary.
fn known<'a>(shard: &'a ShardView, primary: &NodeView, name: &str) -> Result<&'a NodeView, String> {
    let is_it = |node: &&NodeView| &*node.name == name || node.address.to_string() == name;
    let Some(node) = shard.nodes.iter().find(is_it) else {
        let known: Vec<&str> = shard.nodes.iter().map(|node| &*node.name).collect();
        return Err(format!(
            "{name} is not a node of the pool; its nodes are {}",
            known.join(", ")
        ));
    };
    if node.id == primary.id {
        return Err(format!("{name} is the primary already"));
    }
    Ok(node)
}

fn fittest<'a>(shard: &'a ShardView, primary: &NodeView) -> Result<&'a NodeView, String> {
    let replicas = || shard.nodes.iter().filter(|node| node.id != primary.id);
    let fit = replicas().filter(|node| unfit(node).is_none() && !node.backup);
    // The least behind; where that is unknown, last; among equals, the first of the configuration.
    if let Some(node) = fit.min_by_key(|node| node.lag.map_or(u64::MAX, |lag| lag.bytes)) {
        return Ok(node);
    }
    let why = replicas().map(|node| match unfit(node) {
        Some(why) => format!("{}: {why}", node.name),
        None => format!("{}: is a backup, which takes over only by name (--to)", node.name),
    });
    let why: Vec<String> = why.collect();
    Err(match why.as_slice() {
        [] => "it has no replica".to_owned(),
        why => format!("no replica can become the primary: {}", why.join("; ")),
    })
}

/// Why a node cannot become the primary.
fn unfit(node: &NodeView) -> Option<String> {
    if node.health != Health::Up {
        return Some(format!("it is {}: {}", node.health.as_str(), node.why));
    }
    if node.role != Role::Replica {
        return Some(format!("its role is {}", node.role));
    }
    if !node.readable {
        return Some(format!("it takes no reads: {}", node.why));
    }
    (node.weight == 0).then(|| "its weight is 0".to_owned())
}
