//! Can a pool serve, and what may a node be sent? The one answer for metrics, status and readiness.

use config::{Mode, OnShardDown, Pool, Reads, Source, TcpRole};
use topology::{Health, PoolView, Role, ShardView};

/// What keeps a pool from serving what its listeners promise; empty if nothing does.
pub(crate) fn obstacles(pool: &Pool, view: Option<&PoolView>) -> Vec<String> {
    let Some(view) = view.filter(|view| !view.shards.is_empty()) else {
        return vec![format!("pool {}: no node has been looked at yet", pool.name)];
    };
    let mut obstacles = Vec::new();
    for shard in needed(pool, view) {
        if promises_writes(pool) && !takes_writes(shard) {
            obstacles.push(format!("pool {}: no primary: {}", pool.name, shard.why));
        }
        if promises_reads(pool) && !takes_reads(shard, pool.reads) {
            let nodes: Vec<String> =
                shard.nodes.iter().map(|node| format!("{}: {}", node.name, node.why)).collect();
            obstacles.push(format!(
                "pool {}: no node takes reads (reads = \"{}\"): {}",
                pool.name,
                pool.reads.as_str(),
                nodes.join("; ")
            ));
        }
    }
    obstacles
}

/// Do writes to all of the pool's shards have a place to go to?
pub(crate) fn pool_takes_writes(pool: &Pool, view: &PoolView) -> bool {
    !view.shards.is_empty() && needed(pool, view).all(takes_writes)
}

/// Do reads of all of the pool's shards have a place to go to?
pub(crate) fn pool_takes_reads(pool: &Pool, view: &PoolView) -> bool {
    !view.shards.is_empty() && needed(pool, view).all(|shard| takes_reads(shard, pool.reads))
}

/// The shards that have to serve: not those whose keys go to others while they are down (as the engine leaves them out of
/// the ring, `Territory::update`).
fn needed<'a>(pool: &Pool, view: &'a PoolView) -> impl Iterator<Item = &'a ShardView> {
    let is_down = |shard: &ShardView| {
        !shard.nodes.is_empty() && shard.nodes.iter().all(|node| node.health == Health::Down)
    };
    // Its own shards stand first, those of its routes behind them (`Config::groups_of`).
    let may_go = match &pool.source {
        Source::Shards(shards) => match shards.on_shard_down {
            OnShardDown::Rehash { min_shards } => {
                let own = shards.members.len();
                let up = view.shards.iter().take(own).filter(|shard| !is_down(shard)).count();
                if up >= min_shards.max(1) { own } else { 0 }
            }
            OnShardDown::Fail => 0,
        },
        Source::Servers(_) | Source::Sentinel(_) | Source::Routes => 0,
    };
    let shards = view.shards.iter().enumerate();
    shards.filter(move |(index, shard)| *index >= may_go || !is_down(shard)).map(|(_, shard)| shard)
}

pub(crate) fn takes_writes(shard: &ShardView) -> bool {
    shard.primary.and_then(|id| shard.node(id)).is_some_and(|node| node.health == Health::Up)
}

/// As the engine chooses: a primary serves reads whenever it serves writes; others need to be
/// readable and to have a weight.
fn takes_reads(shard: &ShardView, reads: Reads) -> bool {
    let among = |with_primary: bool| {
        shard.nodes.iter().any(|node| {
            let allowed =
                with_primary || (shard.primary != Some(node.id) && node.role == Role::Replica);
            allowed && node.readable && node.health == Health::Up && node.weight > 0
        })
    };
    match reads {
        Reads::Primary => takes_writes(shard),
        Reads::PreferPrimary | Reads::PreferReplica => takes_writes(shard) || among(false),
        Reads::Replica => among(false),
        Reads::Any => among(true),
    }
}

fn promises_writes(pool: &Pool) -> bool {
    pool.listeners.iter().any(|listener| {
        matches!(listener.mode, Mode::Split | Mode::Write | Mode::Tcp(TcpRole::Primary))
    })
}

fn promises_reads(pool: &Pool) -> bool {
    pool.listeners.iter().any(|listener| {
        matches!(listener.mode, Mode::Split | Mode::Read | Mode::Tcp(TcpRole::Replica))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use topology::NodeId;

    use super::*;
    use crate::fixture;

    /// The fixture's pool: a primary, a readable replica and one that is down.
    fn pool(modes: &[Mode], reads: Reads) -> Pool {
        let mut pool = fixture::config().pools.remove(0);
        let listener = pool.listeners.remove(0);
        pool.listeners =
            modes.iter().map(|mode| config::Listener { mode: *mode, ..listener.clone() }).collect();
        pool.reads = reads;
        pool
    }

    fn view(change: impl FnOnce(&mut ShardView)) -> PoolView {
        let mut view = PoolView::clone(&fixture::snapshot().pools[0]);
        change(&mut view.shards[0]);
        view
    }

    #[test]
    fn a_pool_whose_nodes_are_as_promised_has_no_obstacles() {
        for mode in [Mode::Split, Mode::Write, Mode::Read, Mode::Tcp(TcpRole::Replica)] {
            let pool = pool(&[mode], Reads::PreferReplica);
            assert!(obstacles(&pool, Some(&view(|_| {}))).is_empty(), "{mode:?}");
        }
    }

    #[test]
    fn a_pool_nobody_has_looked_at_cannot_serve() {
        let pool = pool(&[Mode::Read], Reads::Any);
        assert_eq!(obstacles(&pool, None), ["pool main: no node has been looked at yet"]);
    }

    #[test]
    fn only_listeners_that_take_writes_need_a_primary() {
        let headless = view(|shard| {
            shard.primary = None;
            shard.why = Arc::from("two nodes say master");
        });
        for (mode, needs) in [
            (Mode::Split, true),
            (Mode::Write, true),
            (Mode::Tcp(TcpRole::Primary), true),
            (Mode::Read, false),
            (Mode::Tcp(TcpRole::Replica), false),
        ] {
            let obstacles = obstacles(&pool(&[mode], Reads::Any), Some(&headless));
            let expected: &[&str] =
                if needs { &["pool main: no primary: two nodes say master"] } else { &[] };
            assert_eq!(obstacles, expected, "{mode:?}");
        }
    }

    #[test]
    fn reads_decide_which_nodes_count() {
        let only_primary = view(|shard| shard.nodes[1].readable = false);
        let only_replica = view(|shard| shard.primary = None);
        let no_weight = view(|shard| {
            shard.primary = None;
            for node in &mut shard.nodes {
                node.weight = 0;
            }
        });
        for (reads, by_primary, by_replica) in [
            (Reads::PreferReplica, true, true),
            (Reads::PreferPrimary, true, true),
            (Reads::Any, true, true),
            (Reads::Replica, false, true),
            (Reads::Primary, true, false),
        ] {
            assert_eq!(
                pool_takes_reads(&pool(&[Mode::Read], reads), &only_primary),
                by_primary,
                "{reads:?}"
            );
            assert_eq!(
                pool_takes_reads(&pool(&[Mode::Read], reads), &only_replica),
                by_replica,
                "{reads:?}"
            );
            assert!(!pool_takes_reads(&pool(&[Mode::Read], reads), &no_weight), "{reads:?}");
        }
    }

    #[test]
    fn a_primary_that_does_not_answer_takes_nothing() {
        let frozen = view(|shard| {
            shard.nodes[0].health = Health::Down;
            shard.nodes[1].readable = false;
        });
        let pool = pool(&[Mode::Split], Reads::PreferReplica);
        assert!(!pool_takes_writes(&pool, &frozen));
        assert!(!pool_takes_reads(&pool, &frozen));
    }

    #[test]
    fn a_shard_whose_keys_go_to_others_is_not_missed() {
        let shard = |name: &str| config::ShardConfig {
            name: name.to_owned(),
            weight: 1,
            servers: Vec::new(),
        };
        let mut pool = pool(&[Mode::Split], Reads::PreferReplica);
        let mut view = view(|_| {});
        view.shards.push(view.shards[0].clone());
        view.shards[1].primary = None;
        for node in &mut view.shards[1].nodes {
            node.health = Health::Down;
        }
        for (on_shard_down, members, serves) in [
            (OnShardDown::Fail, 2, false),
            (OnShardDown::Rehash { min_shards: 1 }, 2, true),
            (OnShardDown::Rehash { min_shards: 2 }, 2, false),
            // The other one belongs to a route.
            (OnShardDown::Rehash { min_shards: 1 }, 1, false),
        ] {
            pool.source = Source::Shards(config::Shards {
                sharding: routing::Sharding::default(),
                members: vec![shard("a"), shard("b")].into_iter().take(members).collect(),
                on_shard_down,
                msetnx: false,
            });
            assert_eq!(pool_takes_writes(&pool, &view), serves, "{on_shard_down:?}");
            assert_eq!(pool_takes_reads(&pool, &view), serves, "{on_shard_down:?}");
            assert_eq!(obstacles(&pool, Some(&view)).is_empty(), serves, "{on_shard_down:?}");
        }
    }

    #[test]
    fn an_obstacle_to_reads_says_why_of_each_node() {
        let alone = view(|shard| {
            shard.nodes.retain(|node| node.id == NodeId(2));
        });
        assert_eq!(
            obstacles(&pool(&[Mode::Read], Reads::Replica), Some(&alone)),
            [
                "pool main: no node takes reads (reads = \"replica\"): 10.0.0.3:6379: connect refused"
            ]
        );
    }
}
