//! Nodes that come, go, freeze and refuse, with real servers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{Running, group};
use testkit::{RedisServer, eventually};
use topology::{Health, Role, Sighting};

#[test]
fn roles_are_found_and_a_quiet_pool_is_quiet() {
    let servers = group(2);
    let running = Running::of(&[&servers[0], &servers[1], &servers[2]]);
    running.until_whole(&servers[0]);
    assert_eq!(running.node(&servers[0]).role, Role::Primary);
    assert_eq!(running.node(&servers[2]).role, Role::Replica);
    let server = servers[0].info("server");
    let node = running.node(&servers[0]);
    assert_eq!((&*node.run_id, &*node.version), (&*server["run_id"], &*server["redis_version"]));

    let pings = || -> u64 {
        let stats = servers[1].info("commandstats");
        let calls = stats["cmdstat_ping"].split([',', '=']).nth(1).unwrap().to_owned();
        calls.parse().unwrap()
    };
    let (probes, version) = (pings(), running.published.version());
    eventually(common::SOON, "fifteen more probes", || pings() > probes + 15);
    // The primary's own PING to its replicas moves the offset once in ten seconds, and the lag with it.
    assert!(running.published.version() < version + 5);
    assert_eq!(running.warnings(), Vec::<String>::new());
}

#[test]
fn a_killed_replica_is_down_and_takes_reads_again_when_its_link_is_up() {
    let mut servers = group(2);
    let running = Running::of(&[&servers[0], &servers[1], &servers[2]]);
    running.until_whole(&servers[0]);
    servers[1].kill9();
    running.until_node(&servers[1], "the replica to be down", |node| {
        node.health == Health::Down && !node.readable && &*node.why == "refuses connections"
    });
    running.until_warned("is down: it refuses connections");
    assert!(running.node(&servers[2]).readable);

    // It needs a full synchronisation, which waits for so many seconds: long enough to be seen on a busy machine.
    servers[0].cli(["CONFIG", "SET", "repl-diskless-sync-delay", "5"]);
    servers[1].restart_empty();
    running.until_node(&servers[1], "the replica to be up without a link", |node| {
        node.health == Health::Up && !node.readable
    });
    running.until_node(&servers[1], "the replica to take reads", |node| node.readable);
    assert_eq!(servers[1].info("replication")["master_link_status"], "up");
    assert_eq!(running.shard().primary, Some(running.node(&servers[0]).id));
    assert_eq!(running.primaries(), [None, running.shard().primary]);
}

#[test]
fn a_frozen_node_is_down_until_it_goes_on() {
    let mut servers = group(1);
    let running = Running::of(&[&servers[0], &servers[1]]);
    running.until_whole(&servers[0]);
    servers[1].stop_signal();
    running.until_node(&servers[1], "the frozen replica to be down", |node| {
        node.health == Health::Down && &*node.why == "does not answer"
    });
    servers[1].cont();
    running.until_node(&servers[1], "the replica to be up", |node| node.readable);

    servers[0].stop_signal();
    running.until("no primary", |shard| shard.primary.is_none());
    assert!(running.node(&servers[1]).readable);
    servers[0].cont();
    running.until_primary(&servers[0]);
}

#[test]
fn killed_connections_are_no_failure() {
    let servers = group(1);
    let running = Running::of(&[&servers[0], &servers[1]]);
    running.until_whole(&servers[0]);
    for _ in 0..20 {
        for server in &servers {
            server.cli(["CLIENT", "KILL", "TYPE", "normal"]);
            running.suspect(server, Sighting::Lost);
        }
    }
    let up = |health| health == Health::Up;
    assert!(running.shard().nodes.iter().all(|node| up(node.health)));
    assert_eq!(running.primaries(), [None, Some(running.node(&servers[0]).id)]);
    assert_eq!(running.warnings(), Vec::<String>::new());
}

#[test]
fn evidence_brings_a_probe_at_once() {
    let servers = group(1);
    let lines = "[pool.main.health]\ninterval = \"60s\"";
    let running = Running::of_with(&[&servers[0], &servers[1]], lines);
    running.until_whole(&servers[0]);
    for sighting in [Sighting::Refused, Sighting::Lost, Sighting::Silent, Sighting::RefusedCommand]
    {
        for server in &servers {
            running.suspect(server, sighting);
        }
    }
    assert_eq!(running.warnings(), Vec::<String>::new());
}

#[test]
fn a_password_is_asked_for_and_shown_by_no_log() {
    let open = RedisServer::start();
    let closed = RedisServer::builder().replica_of(&open).start();
    closed.wait_link_up();
    let mut admin = closed.client();
    admin.command(["CONFIG", "SET", "requirepass", "s3cret"]);

    let running = Running::of(&[&open, &closed]);
    running.until_primary(&open);
    running.until_node(&closed, "NOAUTH", |node| {
        node.health == Health::Up
            && node.role == Role::Unknown
            && &*node.why == "asks for a password (NOAUTH): set upstream.password"
    });
    running.until_warned("gets no traffic: it asks for a password (NOAUTH): set upstream.password");

    let lines = "[pool.main.upstream]\npassword = \"wr0ng\"";
    let running = Running::of_with(&[&open, &closed], lines);
    running.until_primary(&open);
    running.until_node(&closed, "WRONGPASS", |node| node.why.contains("WRONGPASS"));
    assert!(!running.log().contains("wr0ng"));

    // The node without a password does not mind one.
    let lines = "[pool.main.upstream]\npassword = \"s3cret\"";
    let running = Running::of_with(&[&open, &closed], lines);
    running.until_whole(&open);
    assert!(!running.log().contains("s3cret"));
    // A user who may not ask.
    admin.command(["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@read"]);
    let lines = "[pool.main.upstream]\nusername = \"app\"\npassword = \"pw\"";
    let running = Running::of_with(&[&open, &closed], lines);
    running.until_node(&closed, "NOPERM", |node| node.why.contains("NOPERM"));
}

#[test]
fn a_password_that_is_set_later_is_noticed() {
    let server = RedisServer::start();
    let running = Running::of(&[&server]);
    running.until_whole(&server);
    let mut client = server.client();
    client.command(["CONFIG", "SET", "requirepass", "s3cret"]);
    client.command(["CLIENT", "KILL", "TYPE", "normal"]);
    running.until("no primary", |shard| {
        shard.primary.is_none() && shard.why.contains("asks for a password (NOAUTH)")
    });
    client.command(["CONFIG", "SET", "requirepass", ""]);
    running.until_primary(&server);
}

#[test]
fn a_node_without_a_password_is_not_pestered_with_auth() {
    let server = RedisServer::start();
    let lines = "[pool.main.upstream]\npassword = \"s3cret\"";
    let running = Running::of_with(&[&server], lines);
    running.until_whole(&server);
    for _ in 0..5 {
        running.suspect(&server, Sighting::Lost);
    }
    let stats = server.info("commandstats");
    assert!(stats["cmdstat_auth"].starts_with("calls=1,"), "{stats:?}");
}

#[test]
fn where_role_is_refused_info_tells() {
    let server = RedisServer::start();
    server.cli(["ACL", "SETUSER", "app", "on", ">pw", "~*", "+ping", "+info"]);
    let lines = "[pool.main.upstream]\nusername = \"app\"\npassword = \"pw\"";
    let running = Running::of_with(&[&server], lines);
    running.until_whole(&server);
}

#[test]
fn unix_sockets_and_ipv6_are_reached() {
    for builder in [RedisServer::builder().unix_socket(), RedisServer::builder().ipv6()] {
        let server = builder.start();
        let running = Running::of(&[&server]);
        running.until_whole(&server);
    }
}

#[test]
fn a_name_is_resolved() {
    let server = RedisServer::start();
    let running = Running::with(&[&format!("localhost:{}", server.port())], "");
    running.until_primary(&server);
    let address = server.address().to_string();
    let name = &running.node(&server).name;
    assert!(**name == *format!("localhost:{}", server.port()) || **name == *address, "{name}");

    let running = Running::with(&[&address, "no-such-host.invalid:6379"], "");
    running.until_primary(&server);
    running.until_warned("no-such-host.invalid:6379 cannot be resolved");
}

#[test]
fn a_loading_node_takes_nothing_until_it_has_loaded() {
    let mut server = RedisServer::builder()
        .option("key-load-delay", "2000")
        .option("loading-process-events-interval-bytes", "1024")
        .start();
    server.cli(["DEBUG", "POPULATE", "1000", "key", "100"]);
    server.cli(["SAVE"]);
    let running = Running::of(&[&server]);
    running.until_whole(&server);
    let mut loading = std::thread::scope(|scope| {
        let restart = scope.spawn(move || {
            server.restart();
            server
        });
        running.until("the node to load", |shard| {
            shard.primary.is_none() && shard.why.contains("is loading its data")
        });
        restart.join().unwrap()
    });
    running.until_whole(&loading);
    loading.kill9();
}
