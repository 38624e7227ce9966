//! The nodes that Sentinels list.

use std::sync::Arc;
use std::time::Duration;

use crate::Time;

/// A node that nobody lists any more stays for this long: after `SENTINEL RESET` a Sentinel has to find the replicas
/// again, and does so within a second or two.
const GRACE: Duration = Duration::from_secs(5);
/// Nodes of a pool.
const MAX_NODES: usize = 128;

/// In the order in which they became known, so that a failover changes nothing about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListedNodes(Vec<ListedNode>);

#[derive(Clone, Debug)]
struct ListedNode {
    name: Arc<str>,
    /// Since when nobody lists it.
    gone_since: Option<Time>,
}

impl ListedNodes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().map(|node| &node.name)
    }

    /// Takes in what is listed now. Is it another set of nodes than before?
    pub(crate) fn update(&mut self, listed: &[Arc<str>], now: Time) -> bool {
        let before = self.0.len();
        let mut changed = false;
        for node in &mut self.0 {
            node.gone_since = match node.gone_since {
                _ if listed.contains(&node.name) => None,
                since => Some(since.unwrap_or(now)),
            };
        }
        self.0.retain(|node| node.gone_since.is_none_or(|since| now < since + GRACE));
        changed |= self.0.len() != before;
        for name in listed {
            let known = self.0.iter().any(|node| node.name == *name);
            if !known && self.0.len() < MAX_NODES {
                self.0.push(ListedNode { name: Arc::clone(name), gone_since: None });
                changed = true;
            }
        }
        changed
    }

    /// When a node's time is over.
    pub(crate) fn next_due(&self) -> Time {
        let over = self.0.iter().filter_map(|node| Some(node.gone_since? + GRACE));
        over.min().unwrap_or(Time::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &str) -> Vec<Arc<str>> {
        names.split_whitespace().map(Into::into).collect()
    }

    fn shown(nodes: &ListedNodes) -> String {
        nodes.names().map(|name| &**name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_order_stays_and_the_vanished_have_a_grace() {
        let mut nodes = ListedNodes::default();
        let at = Time::from_millis;
        assert!(nodes.update(&names("b a"), at(0)));
        assert!(!nodes.update(&names("a b"), at(1)));
        assert!(nodes.update(&names("c a b"), at(2)));
        assert_eq!((shown(&nodes).as_str(), nodes.next_due()), ("b a c", Time::MAX));
        assert!(!nodes.update(&names("a c"), at(1000)));
        assert_eq!((shown(&nodes).as_str(), nodes.next_due()), ("b a c", at(6000)));
        assert!(!nodes.update(&names("a b c"), at(5999)));
        assert!(!nodes.update(&names("a c"), at(7000)));
        assert!(!nodes.update(&names("a c"), at(11_999)));
        assert!(nodes.update(&names("a c"), at(12_000)));
        assert_eq!(shown(&nodes), "a c");
    }

    #[test]
    fn a_flood_of_nodes_is_bounded() {
        let mut nodes = ListedNodes::default();
        let many: Vec<Arc<str>> = (0..1000).map(|n| format!("n{n}").into()).collect();
        nodes.update(&many, Time::ZERO);
        assert_eq!(nodes.names().count(), MAX_NODES);
    }
}
