//! Primaries that change without an authority, with real servers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{Running, SOON, follow, group, promote};
use testkit::{Client, RedisServer, Sentinels, eventually, simple};
use topology::{Health, Role};

#[test]
fn the_killed_primary_is_succeeded_by_the_promoted_replica_and_fenced_when_it_returns() {
    let mut servers = group(2);
    let running = Running::of(&[&servers[0], &servers[1], &servers[2]]);
    running.until_whole(&servers[0]);
    servers[0].cli(["SET", "key", "value"]);
    servers[0].wait_caught_up(&servers[1]);
    servers[0].kill9();
    running.until("no primary", |shard| shard.primary.is_none());
    assert!(running.node(&servers[1]).readable && running.node(&servers[2]).readable);

    promote(&servers[1]);
    running.until_primary(&servers[1]);
    follow(&servers[2], &servers[1]);
    running.until_node(&servers[2], "the other replica to follow", |node| node.readable);

    servers[0].restart();
    running.until_node(&servers[0], "the old primary to be fenced", |node| {
        node.health == Health::Up && node.role == Role::Primary && !node.readable
    });
    running.until_warned("says it is a primary and is fenced off");
    follow(&servers[0], &servers[1]);
    running.until_whole(&servers[1]);

    let (old, new) = (running.node(&servers[0]).id, running.node(&servers[1]).id);
    assert_eq!(running.primaries(), [None, Some(old), None, Some(new)]);
}

#[test]
fn a_promotion_beside_the_living_primary_moves_the_writes_and_fences_it() {
    let servers = group(1);
    let running = Running::of(&[&servers[0], &servers[1]]);
    running.until_whole(&servers[0]);
    promote(&servers[1]);
    running.until_primary(&servers[1]);
    running.until_warned("a replica of it was promoted in its place");
    follow(&servers[0], &servers[1]);
    running.until_whole(&servers[1]);
}

/// Waits for a primary at another server, and returns that server's place.
fn until_moved(running: &Running, servers: &[RedisServer], from: usize) -> usize {
    let old = running.node(&servers[from]).id;
    running.until("another primary", |shard| shard.primary.is_some_and(|primary| primary != old));
    let primary = running.shard().primary;
    servers.iter().position(|server| Some(running.node(server).id) == primary).unwrap()
}

#[test]
fn what_sentinel_promotes_is_found_among_the_nodes() {
    let mut servers = group(2);
    let _sentinels = Sentinels::builder("main").start(&servers[0], 2);
    let running = Running::of(&[&servers[0], &servers[1], &servers[2]]);
    running.until_whole(&servers[0]);
    servers[0].kill9();
    let new = until_moved(&running, &servers, 0);
    let other = 3 - new;
    running.until_node(&servers[other], "the other replica to follow", |node| node.readable);
    let ids = [&servers[0], &servers[new]].map(|server| Some(running.node(server).id));
    assert_eq!(running.primaries(), [None, ids[0], None, ids[1]]);
}

#[test]
fn what_sentinel_promotes_beside_a_living_primary_takes_the_writes_at_once() {
    let servers = group(2);
    let mut sentinels = Sentinels::builder("main").start(&servers[0], 2);
    let running = Running::of(&[&servers[0], &servers[1], &servers[2]]);
    running.until_whole(&servers[0]);
    let mut sentinel = Client::connect(sentinels.nodes()[0].address().clone());
    assert_eq!(sentinel.command(["SENTINEL", "FAILOVER", "main"]), simple("OK"));
    until_moved(&running, &servers, 0);
    // Sentinel demotes it many seconds later.
    running.until_warned("a replica of it was promoted in its place");
    assert_eq!(servers[0].info("replication")["role"], "master");
}

#[test]
fn planned_failovers_are_followed_to_and_fro() {
    let servers = group(1);
    let running = Running::of(&[&servers[0], &servers[1]]);
    running.until_whole(&servers[0]);
    for round in 0..4 {
        let (from, to) = (&servers[round % 2], &servers[(round + 1) % 2]);
        let port = to.port().to_string();
        let failover = ["FAILOVER", "TO", to.host(), &port, "TIMEOUT", "5000"];
        eventually(SOON, "FAILOVER to begin", || from.cli(failover) == simple("OK"));
        running.until_whole(to);
    }
    let moves: Vec<_> = running.primaries().into_iter().flatten().collect();
    let ids = [0, 1].map(|server| running.node(&servers[server]).id);
    assert_eq!(moves, [ids[0], ids[1], ids[0], ids[1], ids[0]]);
}

#[test]
fn a_replica_that_restarts_as_master_is_fenced_and_the_primary_stays() {
    let mut servers = group(1);
    // It forgets at its restart that it is a replica.
    let stray = RedisServer::start();
    follow(&stray, &servers[0]);
    stray.wait_link_up();
    servers.push(stray);
    let running = Running::of(&[&servers[0], &servers[1], &servers[2]]);
    running.until_whole(&servers[0]);
    servers[2].cli(["SAVE"]);
    servers[2].restart();
    running.until_warned("it was not seen to be promoted from the primary's data");
    running.until_node(&servers[2], "the stray to be fenced", |node| {
        node.health == Health::Up && node.role == Role::Primary && !node.readable
    });
    assert_eq!(running.primaries(), [None, Some(running.node(&servers[0]).id)]);
}

#[test]
fn a_single_node_that_restarts_is_taken_back() {
    let mut server = RedisServer::start();
    let running = Running::of(&[&server]);
    running.until_whole(&server);
    let before = running.node(&server).run_id;
    server.restart_empty();
    running.until_node(&server, "the new process", |node| node.run_id != before);
    running.until_whole(&server);
    running.until_warned("cannot be proven to have all acknowledged writes");
}

#[test]
fn a_primary_that_restarts_in_place_is_taken_back_when_its_replicas_follow_it_again() {
    let mut servers = group(2);
    let running = Running::of(&[&servers[0], &servers[1], &servers[2]]);
    running.until_whole(&servers[0]);
    servers[0].cli(["SET", "key", "value"]);
    servers[0].wait_caught_up(&servers[1]);
    let before = running.node(&servers[0]).run_id;
    servers[0].restart_empty();
    running.until_node(&servers[0], "the new process", |node| node.run_id != before);
    running.until_whole(&servers[0]);
    // When it was taken back no replica could have had the old data still.
    let taken_back = running.history().into_iter().find(|shard| {
        let node = shard.nodes.iter().find(|node| Some(node.id) == shard.primary);
        node.is_some_and(|node| node.run_id != before && node.id.0 == 0)
    });
    let replicas = taken_back.unwrap().nodes.into_iter().skip(1);
    assert_eq!(replicas.filter(|node| &*node.why == "its link to the primary is down").count(), 0);
    running.until_warned("acknowledged writes");
}

#[test]
fn two_masters_at_the_start_are_held_until_one_follows() {
    let (one, other) = (RedisServer::start(), RedisServer::start());
    let running = Running::of(&[&one, &other]);
    running
        .until("both to be up", |shard| shard.nodes.iter().all(|node| node.role == Role::Primary));
    running.until_warned("say master: make all but one replicas of it (REPLICAOF)");
    assert_eq!(running.shard().primary, None);
    follow(&one, &other);
    running.until_whole(&other);
    assert_eq!(running.primaries(), [None, Some(running.node(&other).id)]);
}
