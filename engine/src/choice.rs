//! Which node a batch goes to.

use config::Reads;
use routing::{Balance, Candidate, WHOLE, share};
use session::{Standing, Target};
use topology::{NodeId, Role, Time};

use crate::pool::{Node, Pool};

/// What decides a choice besides the pool's own state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) target: Target,
    pub(crate) standing: &'a Standing,
    /// The batch's first key.
    pub(crate) key: Option<&'a [u8]>,
    /// A node that has just kept this client waiting in vain.
    pub(crate) avoid: Option<usize>,
    pub(crate) now: Time,
}

impl Pool {
    /// The node for a batch; `None`: there is none now.
    pub(crate) fn choose(&mut self, wish: &Wish<'_>) -> Option<usize> {
        let primary = self.usable_primary(wish);
        let reads = match wish.target {
            Target::Primary => return primary,
            Target::Replica => Reads::Replica,
            Target::Reads | Target::First => self.settings.reads,
        };
        match reads {
            Reads::Primary => primary,
            Reads::PreferPrimary => primary.or_else(|| self.choose_among(wish, false)),
            Reads::PreferReplica => self.choose_among(wish, false).or(primary),
            Reads::Replica => self.choose_among(wish, false),
            Reads::Any => self.choose_among(wish, true),
        }
    }

    fn usable_primary(&self, wish: &Wish<'_>) -> Option<usize> {
        let index = self.primary?;
        // What only reads may go on: of what may write, nothing but `Target::Primary` is ever sent there.
        if wish.target == Target::Primary && self.writes_held.is_some() {
            return None;
        }
        let node = &self.nodes[index];
        // The primary's refusal of a client's credentials is for the client to see.
        (node.is_usable() && wish.avoid != Some(index)).then_some(index)
    }

    /// Only those of the best rank are balanced: nodes of the own zone before others, and backups after both.
    fn choose_among(&mut self, wish: &Wish<'_>, with_primary: bool) -> Option<usize> {
        self.candidates.clear();
        let mut best = (true, true);
        for (index, node) in self.nodes.iter().enumerate() {
            let is_primary = self.primary == Some(index);
            let fits = node.readable
                && node.is_usable()
                && node.weight > 0
                && (with_primary || !is_primary)
                && (wish.target != Target::Replica || node.role == Role::Replica)
                && wish.avoid != Some(index)
                && (is_primary || !node.refuses(wish.standing, wish.now));
            let rank = (node.backup, node.far);
            if !fits || rank > best {
                continue;
            }
            if rank < best {
                self.candidates.clear();
                best = rank;
            }
            self.candidates.push(candidate(index, node, &self.settings, wish.now));
        }
        let chosen = match wish.target {
            Target::First => self.candidates.first().map(|candidate| candidate.node),
            _ => self.balancer.choose(&self.candidates, wish.key),
        };
        chosen.map(|NodeId(index)| index as usize)
    }
}

/// The balancer names nodes; here an index is name enough, and stable while the node lives.
fn candidate(index: usize, node: &Node, settings: &config::Pool, now: Time) -> Candidate {
    // A share that grows would move keys about.
    let share = match settings.balance {
        Balance::Hash => WHOLE,
        _ => share(settings.health.slow_start, node.since, now),
    };
    let by_latency = settings.balance == Balance::Latency;
    Candidate {
        node: NodeId(u32::try_from(index).unwrap_or(u32::MAX)),
        weight: node.weight * share,
        in_flight: node.counts.in_flight,
        latency_nanos: if by_latency { node.latency.at(now) } else { 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use topology::{Address, Health, NodeView, PoolId, PoolView, ShardView};

    use super::*;

    /// A pool with these options, and nodes of which the first is the primary.
    fn pool(options: &str, nodes: Vec<NodeView>) -> Pool {
        let text =
            format!("[pool.main]\nlisten = '127.0.0.1:1'\nservers = ['10.0.0.1:1']\n{options}\n");
        let context = config::Context { secrets: &config::NoSecrets, default_workers: 1 };
        let loaded = config::load("test", &text, &context).unwrap();
        let settings = Arc::new(loaded.config.pools.into_iter().next().unwrap());
        let mut pool = Pool::new(PoolId(0), settings, 1, 7);
        let shard = ShardView {
            primary: nodes.first().map(|node| node.id),
            writes_held: None,
            why: "".into(),
            since: Time::ZERO,
            nodes,
        };
        pool.update(&PoolView {
            name: "main".into(),
            shards: vec![shard],
            groups: Vec::new(),
            sentinels: None,
            learned: Arc::default(),
        });
        pool
    }

    /// Up and readable since the second 1.
    fn node(id: u32) -> NodeView {
        NodeView {
            id: NodeId(id),
            name: id.to_string().into(),
            address: Address::Tcp(([10, 0, 0, 1], 1).into()),
            server: "".into(),
            health: Health::Up,
            role: if id == 0 { Role::Primary } else { Role::Replica },
            readable: true,
            why: "".into(),
            since: Time::from_millis(1000),
            proven_at: Time::from_millis(1000),
            lag: None,
            run_id: "".into(),
            version: "".into(),
            weight: 1,
            backup: false,
            zone: None,
        }
    }

    fn in_zone(id: u32, zone: &str, backup: bool) -> NodeView {
        NodeView { zone: Some(zone.into()), backup, ..node(id) }
    }

    fn choose(pool: &mut Pool, now: Time) -> Option<usize> {
        let standing = Standing::default();
        let target = Target::Reads;
        pool.choose(&Wish { target, standing: &standing, key: None, avoid: None, now })
    }

    /// How many of 1000 reads each node gets at a time.
    fn shares(pool: &mut Pool, ms: u64) -> Vec<usize> {
        let mut seen = vec![0; pool.nodes.len()];
        for _ in 0..1000 {
            seen[choose(pool, Time::from_millis(ms)).unwrap()] += 1;
        }
        seen
    }

    #[test]
    fn the_own_zone_comes_first_and_backups_after_both() {
        let nodes = vec![
            in_zone(0, "a", false),
            in_zone(1, "b", false),
            in_zone(2, "a", false),
            in_zone(3, "a", false),
            in_zone(4, "b", true),
            in_zone(5, "a", true),
        ];
        let mut pool = pool("zone = 'a'", nodes);
        for (gone, expected) in [
            (None, [0, 0, 500, 500, 0, 0]),
            (Some(2), [0, 0, 0, 1000, 0, 0]),
            (Some(3), [0, 1000, 0, 0, 0, 0]),
            (Some(1), [0, 0, 0, 0, 0, 1000]),
            (Some(5), [0, 0, 0, 0, 1000, 0]),
            // Replicas are preferred: the primary of the own zone is the last to be asked.
            (Some(4), [1000, 0, 0, 0, 0, 0]),
        ] {
            if let Some(index) = gone {
                pool.suspect(index, Time::from_millis(2000));
            }
            assert_eq!(shares(&mut pool, 2000), expected, "{gone:?}");
        }
    }

    /// Promoted, and not proven to be the only one: it may be read from, and would not refuse what writes.
    #[test]
    fn a_promoted_node_that_is_not_the_primary_takes_reads_alone() {
        let promoted = NodeView { role: Role::Primary, ..node(1) };
        let mut pool = pool("", vec![node(0), promoted]);
        pool.suspect(0, Time::from_millis(2000));
        let standing = Standing::default();
        for (target, expected) in
            [(Target::Reads, Some(1)), (Target::Replica, None), (Target::Primary, None)]
        {
            let now = Time::from_millis(2000);
            let wish = Wish { target, standing: &standing, key: None, avoid: None, now };
            assert_eq!(pool.choose(&wish), expected);
        }
    }

    #[test]
    fn without_an_own_zone_all_are_alike() {
        let nodes = vec![node(0), in_zone(1, "b", false), in_zone(2, "a", false)];
        assert_eq!(shares(&mut pool("", nodes), 2000), [0, 500, 500]);
    }

    #[test]
    fn a_node_that_is_back_takes_its_share_little_by_little() {
        for (balance, tolerance) in
            [("leastconn", 20), ("roundrobin", 1), ("random2", 50), ("latency", 50)]
        {
            let back = NodeView { since: Time::from_millis(100_000), ..node(2) };
            let options = format!("balance = '{balance}'\n[pool.main.health]\nslow_start = '10s'");
            let mut pool = pool(&options, vec![node(0), node(1), back]);
            for (ms, share) in [(100_000, 10), (105_000, 50), (110_000, 100), (200_000, 100)] {
                let expected = 1000 * share / (100 + share);
                let seen = shares(&mut pool, ms)[2];
                assert!(seen.abs_diff(expected) <= tolerance, "{balance} {ms}: {seen}");
            }
        }
    }

    #[test]
    fn latency_turns_away_from_who_is_slow_or_fails_and_comes_back() {
        let mut pool = pool("balance = 'latency'", vec![node(0), node(1), node(2)]);
        let at = Time::from_millis(5000);
        pool.answered(1, Duration::from_micros(300), at);
        pool.answered(2, Duration::from_millis(20), at);
        assert_eq!(shares(&mut pool, 5000), [0, 1000, 0]);
        pool.suspect(1, at);
        assert_eq!(shares(&mut pool, 5000), [0, 0, 1000]);
        // A probe has settled it, and yet the failure is remembered; what nobody confirms fades.
        pool.nodes[1].suspect = None;
        assert_eq!(shares(&mut pool, 5000), [0, 0, 1000]);
        for ms in (5000..60_000).step_by(100) {
            pool.answered(2, Duration::from_millis(20), Time::from_millis(ms));
        }
        assert_eq!(shares(&mut pool, 60_000), [0, 1000, 0]);
    }

    #[test]
    fn a_slow_answer_is_news_once_in_a_while() {
        let mut pool = pool("", vec![node(0), node(1)]);
        let mut tell =
            |took_ms, ms| pool.answered(1, Duration::from_millis(took_ms), Time::from_millis(ms));
        assert!(!tell(50, 1000));
        assert!(tell(51, 1000));
        assert!(!tell(51, 1050) && tell(51, 1101));
    }
}
