//! When nodes are probed and names looked up, and when a view is published.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::time::Duration;

use common::{A, B, C, Pool, master, replica, resolved, server, usual};
use topology::{
    Health, NodeId, NodeIds, Observation, PoolState, Resolved, Server, Settings, Sighting, Time,
};

const MS: Duration = Duration::from_millis(1);

/// Steps through time by the millisecond, answers each probe at once, and tells the milliseconds at which `node` was
/// probed, with whether it was asked for everything.
fn probes_of(pool: &mut Pool, node: usize, duration: u64) -> Vec<(u64, bool)> {
    let begin = pool.now;
    let mut probes = Vec::new();
    for _ in 0..duration {
        for order in pool.state.take_probes(pool.now) {
            let index = (0..3).find(|index| pool.id(*index) == order.node).unwrap();
            if index == node {
                let millis = u64::try_from(pool.now.since(begin).as_millis()).unwrap();
                probes.push((millis, order.all));
            }
            let now = pool.now;
            if order.all {
                pool.says(index, usual(index))
            } else {
                pool.says_role(index, usual(index))
            }
            pool.now = now;
        }
        pool.pass(MS);
    }
    probes
}

#[test]
fn a_calm_pool_is_probed_every_interval_and_every_fifth_time_in_full() {
    let mut pool = Pool::of_three();
    probes_of(&mut pool, B, 1000);
    let probes = probes_of(&mut pool, B, 10_000);
    assert!((45..=56).contains(&probes.len()), "{}", probes.len());
    let full = probes.iter().filter(|(_, all)| *all).count();
    assert!((9..=12).contains(&full), "{full}");
    for pair in probes.windows(2) {
        let gap = pair[1].0 - pair[0].0;
        assert!((179..=222).contains(&gap), "{gap}");
    }
}

#[test]
fn a_calm_pool_publishes_nothing() {
    let mut pool = Pool::of_three();
    probes_of(&mut pool, B, 1000);
    let before = pool.publications;
    probes_of(&mut pool, B, 10_000);
    assert_eq!(pool.publications, before);
}

#[test]
fn without_a_primary_all_are_probed_fast_and_in_full() {
    let mut pool = Pool::of_three();
    probes_of(&mut pool, B, 500);
    let pace_of_b = |pool: &mut Pool| {
        let mut probes = 0;
        for _ in 0..1000 {
            for order in pool.state.take_probes(pool.now) {
                assert!(order.all);
                let now = pool.now;
                if order.node == pool.id(A) {
                    pool.refused(A);
                } else {
                    let index = if order.node == pool.id(B) { B } else { C };
                    probes += usize::from(index == B);
                    pool.says(index, usual(index).link_down());
                }
                pool.now = now;
            }
            pool.pass(MS);
        }
        probes
    };
    pool.refused(A);
    let probes = pace_of_b(&mut pool);
    assert!((17..=24).contains(&probes), "{probes}");
}

#[test]
fn evidence_brings_a_probe_at_once_and_changes_nothing_itself() {
    for sighting in [Sighting::Refused, Sighting::Lost, Sighting::Silent, Sighting::RefusedCommand]
    {
        let mut pool = Pool::of_three();
        probes_of(&mut pool, B, 1000);
        pool.state.take_probes(pool.now);
        pool.all_say_the_usual();
        pool.state.take_probes(pool.now + Duration::from_millis(300));
        pool.all_say_the_usual();
        pool.pass(Duration::from_millis(310));
        let before = pool.publications;
        let (node, at) = (pool.id(B), pool.now);
        pool.observe(Observation::Sighted { node, sighting, at });
        assert_eq!(pool.health(B), Health::Up);
        assert_eq!(pool.publications, before);
        let orders = pool.state.take_probes(pool.now);
        assert!(orders.iter().any(|order| order.node == node), "{sighting:?}");
    }
}

#[test]
fn an_answer_to_a_probe_sent_after_the_evidence_is_published() {
    let mut pool = Pool::of_three();
    probes_of(&mut pool, B, 1000);
    let before = pool.publications;
    let (node, at) = (pool.id(B), pool.now);
    pool.observe(Observation::Sighted { node, sighting: Sighting::Lost, at });
    // Sent at the same moment: it may have been answered before.
    pool.says_role(B, replica("b1", 'r', 1000));
    assert_eq!(pool.publications, before);
    pool.silent(B, 1);
    assert_eq!(pool.publications, before);
    pool.says_role(B, replica("b1", 'r', 1000));
    assert_eq!(pool.publications, before + 1);
    assert!(pool.node(B).proven_at > at);
    pool.says_role(B, replica("b1", 'r', 1000));
    assert_eq!(pool.publications, before + 1);
}

#[test]
fn a_node_that_is_down_is_not_probed_faster_for_what_was_suspected_of_it() {
    let mut pool = Pool::of_three();
    probes_of(&mut pool, A, 1000);
    let (node, at) = (pool.id(B), pool.now);
    pool.observe(Observation::Sighted { node, sighting: Sighting::Lost, at });
    pool.refused(B);
    let begin = pool.now;
    let mut probes = 0;
    while pool.now.since(begin) < Duration::from_secs(2) {
        let now = pool.now;
        for order in pool.state.take_probes(now) {
            match (0..3).find(|index| pool.id(*index) == order.node) {
                Some(B) => {
                    probes += 1;
                    pool.refused(B);
                }
                Some(index) => pool.says(index, usual(index)),
                None => {}
            }
        }
        pool.now = now + MS;
    }
    assert!((9..=12).contains(&probes), "{probes}");
}

#[test]
fn a_lost_probe_connection_brings_a_probe_at_once_and_changes_nothing_itself() {
    let mut pool = Pool::of_three();
    probes_of(&mut pool, B, 1000);
    for node in [A, B, C] {
        let id = pool.id(node);
        pool.state.take_probes(pool.now + Duration::from_millis(300));
        pool.all_say_the_usual();
        pool.pass(Duration::from_millis(310));
        pool.observe(Observation::ProbeConnectionLost { node: id });
        assert_eq!(pool.health(node), Health::Up);
        let orders = pool.state.take_probes(pool.now);
        assert!(orders.iter().any(|order| order.node == id));
        pool.all_say_the_usual();
    }
    assert_eq!(pool.primary(), Some(A));
}

#[test]
fn a_node_that_was_down_needs_rise_good_probes_while_all_else_is_well() {
    let mut pool = Pool::of_three();
    pool.says(A, master("a1", 'r', 1000));
    pool.silent(B, 3);
    assert_eq!(pool.health(B), Health::Down);
    pool.says(B, replica("b1", 'r', 1000));
    assert_eq!(pool.health(B), Health::Down);
    pool.says(B, replica("b1", 'r', 1000));
    assert_eq!(pool.health(B), Health::Up);

    let mut pool = Pool::of_three();
    pool.silent(B, 3);
    pool.silent(A, 1);
    pool.says(B, replica("b1", 'r', 1000));
    assert_eq!(pool.health(B), Health::Up);
}

#[test]
fn lag_alone_is_published_once_a_second() {
    let mut pool = Pool::of_three();
    probes_of(&mut pool, B, 1000);
    let before = pool.publications;
    for step in 0..50 {
        pool.says(A, master("a1", 'r', 1000 + step * 1000));
        pool.says(B, replica("b1", 'r', 900 + step * 999));
        pool.says(C, replica("c1", 'r', 1000 + step * 1000));
        pool.pass(Duration::from_millis(97));
    }
    let published = pool.publications - before;
    assert!((3..=6).contains(&published), "{published}");
    assert!(pool.node(B).lag.unwrap().bytes >= 140);
}

// Names.

fn named() -> Server {
    Server { address: None, name: "redis:6379".into(), ..server(0) }
}

fn lookup_times(pool: &mut Pool, seconds: u64) -> Vec<u64> {
    let begin = pool.now;
    let mut times = Vec::new();
    for _ in 0..seconds * 10 {
        if pool.state.take_lookups(pool.now) == [0] {
            times.push(pool.now.since(begin).as_secs());
            pool.resolves(0, &["10.1.0.1:6379"]);
        }
        pool.pass(Duration::from_millis(100));
    }
    times
}

#[test]
fn names_are_resolved_again_when_their_time_is_over_and_at_once_when_their_nodes_fail() {
    let mut pool = Pool::of_servers(vec![named()], Settings::default());
    assert_eq!(lookup_times(&mut pool, 61), [0, 30, 60]);
    pool.says(A, master("a1", 'r', 100));
    pool.refused(A);
    assert_eq!(lookup_times(&mut pool, 4), [0, 1, 2, 3]);
}

#[test]
fn an_answer_is_used_for_its_time_but_within_bounds() {
    for (ttl, times) in [(0, [0, 1, 2]), (7, [0, 7, 14]), (86_400, [0, 300, 600])] {
        let mut pool = Pool::of_servers(vec![named()], Settings::default());
        let answer = Resolved { ttl: Duration::from_secs(ttl), ..resolved(&["10.1.0.1:6379"]) };
        let mut sent = Vec::new();
        for second in 0..=times[2] {
            if !pool.state.take_lookups(pool.now).is_empty() {
                sent.push(second);
                pool.resolved(0, Ok(answer.clone()));
                pool.says(A, master("a1", 'r', 100));
            }
            pool.pass(Duration::from_secs(1));
        }
        assert_eq!(sent, times);
    }
}

#[test]
fn an_answer_in_part_takes_nothing_away() {
    let mut pool = Pool::of_servers(vec![named()], Settings::default());
    pool.resolves(0, &["10.1.0.1:6379", "[fd00::1]:6379"]);
    let part = Resolved { complete: false, ..resolved(&["10.1.0.2:6379"]) };
    pool.resolved(0, Ok(part));
    let names: Vec<_> = pool.shard().nodes.iter().map(|node| node.name.to_string()).collect();
    assert_eq!(names, ["10.1.0.1:6379", "10.1.0.2:6379", "[fd00::1]:6379"]);
}

#[test]
fn targets_of_lower_priority_are_backups() {
    let mut pool = Pool::of_servers(vec![named()], Settings::default());
    let mut answer = resolved(&["10.1.0.1:6379", "10.1.0.2:6379"]);
    answer.targets[0].backup = true;
    pool.resolved(0, Ok(answer));
    let nodes = pool.shard().nodes.iter().map(|node| (node.name.to_string(), node.backup));
    assert_eq!(
        nodes.collect::<Vec<_>>(),
        [("10.1.0.2:6379".to_owned(), false), ("10.1.0.1:6379".to_owned(), true)]
    );
}

#[test]
fn a_process_that_is_new_at_a_known_address_starts_unproven() {
    let mut pool = Pool::of_servers(vec![named()], Settings::default());
    pool.resolves(0, &["10.1.0.1:6379", "10.1.0.2:6379"]);
    pool.says(A, master("a1", 'r', 100));
    pool.says(B, replica("b1", 'r', 100));
    assert_eq!((pool.primary(), pool.readable()), (Some(A), vec![A, B]));
    // Somebody else's servers have the addresses now, and never refused a connect.
    pool.says(B, master("x1", 'x', 5000));
    assert_eq!((pool.primary(), pool.readable()), (Some(A), vec![A]));
    pool.says(A, master("y1", 'y', 5000));
    assert_eq!((pool.primary(), pool.readable()), (None, vec![]));
}

#[test]
fn a_lookup_that_fails_keeps_the_last_answer() {
    let mut pool = Pool::of_servers(vec![named()], Settings::default());
    pool.resolves(0, &["10.1.0.1:6379", "10.1.0.2:6379"]);
    let ids = [pool.id(A), pool.id(B)];
    pool.resolved(0, Err("timed out".into()));
    pool.resolved(0, Ok(resolved(&[])));
    assert_eq!([pool.id(A), pool.id(B)], ids);
    assert_eq!(
        pool.take_log(),
        [
            "10.1.0.1:6379 is a new address of its name",
            "10.1.0.2:6379 is a new address of its name",
            "redis:6379 cannot be resolved (timed out): addresses known before stay in use",
        ]
    );
    pool.resolves(0, &["10.1.0.2:6379"]);
    assert_eq!(pool.id(A), ids[1]);
    assert_eq!(pool.shard().nodes.len(), 1);
    assert_eq!(&*pool.node(A).name, "redis:6379");
    assert_eq!(
        pool.take_log(),
        ["redis:6379 can be resolved again", "10.1.0.1:6379 is no longer an address of its name"]
    );
}

#[test]
fn an_address_that_two_servers_share_is_one_node() {
    let mut pool = Pool::of_servers(vec![named(), server(1)], Settings::default());
    pool.resolves(0, &["10.0.0.2:6379", "10.0.0.1:6379"]);
    let names: Vec<_> = pool.shard().nodes.iter().map(|node| node.name.to_string()).collect();
    assert_eq!(names, ["10.0.0.1:6379", "10.0.0.2:6379"]);
}

#[test]
fn identifiers_are_dense_over_all_pools_and_never_used_again() {
    let mut ids = NodeIds::default();
    let new = |servers, ids: &mut NodeIds| {
        PoolState::new("p".into(), Settings::default(), servers, ids, 0)
    };
    let of = |pool: &PoolState| pool.nodes().map(|(id, _)| id.0).collect::<Vec<_>>();
    let first = new(vec![server(0), server(1)], &mut ids);
    let mut second = new(vec![named()], &mut ids);
    let third = new(vec![server(0)], &mut ids);
    assert_eq!((of(&first), of(&third)), (vec![0, 1], vec![2]));
    for (step, text) in ["10.9.0.1:1", "10.9.0.2:1", "10.9.0.1:1"].into_iter().enumerate() {
        second.resolved(0, Ok(resolved(&[text])), &mut ids, Time::from_millis(1));
        assert_eq!(of(&second), [3 + u32::try_from(step).unwrap()]);
    }
    assert_eq!(second.nodes().next().unwrap().0, NodeId(5));
}
