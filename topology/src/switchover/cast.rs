//! Who takes part: the primary, the replica that follows it, and the other nodes.

use std::sync::Arc;

use crate::{Address, Health, NodeId, NodeView, Role, ShardView};

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
    /// Who becomes it.
    pub to: Party,
    /// The other nodes that answer.
    pub others: Vec<Party>,
}

impl Cast {
    /// Chooses by what is known of the nodes; `to`: the node that an operator names. Or says why it cannot be.
    pub fn choose(shard: &ShardView, to: Option<&str>) -> Result<Self, String> {
        let primary = shard.primary.and_then(|id| shard.node(id));
        let Some(primary) = primary.filter(|node| node.health == Health::Up) else {
            return Err(format!("there is no primary to take over from: {}", shard.why));
        };
        let target = match to {
            Some(name) => named(shard, primary, name)?,
            None => fittest(shard, primary)?,
        };
        let others = shard.nodes.iter().filter(|node| {
            node.id != primary.id && node.id != target.id && node.health == Health::Up
        });
        Ok(Self { from: party(primary), to: party(target), others: others.map(party).collect() })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Party> {
        [&self.from, &self.to].into_iter().chain(&self.others)
    }
}

fn party(node: &NodeView) -> Party {
    Party { node: node.id, name: Arc::clone(&node.name), address: node.address.clone() }
}

fn named<'a>(shard: &'a ShardView, primary: &NodeView, name: &str) -> Result<&'a NodeView, String> {
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
    match unfit(node) {
        Some(why) => Err(format!("{name} cannot become the primary: {why}")),
        None => Ok(node),
    }
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
