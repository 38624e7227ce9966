//! Where Sentinels watch the nodes: they choose, and agree afterwards.

use std::time::Duration;

use serde_json::Value as Json;
use testkit::{RedisServer, Redkeel, RedkeelBuilder, Sentinel, Sentinels, Value, eventually};

use crate::common::{
    SOON, expecting, replicated, role, switch, unharmed, wait_follows, wait_for_writes, writers,
};

const MASTER: &str = "main";
const WRITERS: usize = 14;
const ROUNDS: usize = 5;
const PASSWORD: &str = "of-the-sentinels";

/// Three Sentinels before a primary with so many replicas.
fn watched(replicas: usize) -> (Vec<RedisServer>, Sentinels) {
    watched_for(replicas, Duration::from_secs(1))
}

/// As [`watched`], by Sentinels that take a node for dead after this time.
fn watched_for(replicas: usize, down_after: Duration) -> (Vec<RedisServer>, Sentinels) {
    let nodes = replicated(replicas);
    let sentinels = Sentinels::builder(MASTER)
        .down_after(down_after)
        .failover_timeout(Duration::from_secs(3))
        .requirepass(PASSWORD)
        .start(&nodes[0], replicas);
    (nodes, sentinels)
}

fn proxy(sentinels: &Sentinels, settings: &str) -> RedkeelBuilder {
    let sentinels: Vec<String> = sentinels.addresses().iter().map(ToString::to_string).collect();
    Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&format!(
        "workers = 2\n[pool.main]\nlisten = \"127.0.0.1:0\"\n{settings}\n[pool.main.sentinel]\n\
         master = \"{MASTER}\"\nsentinels = {sentinels:?}\npassword = \"{PASSWORD}\"\n"
    ))
}

/// Waits until Redkeel and all Sentinels agree on `primary`, nobody replaces it, and all nodes are in use.
#[track_caller]
fn wait_agreed(redkeel: &Redkeel, sentinels: &mut Sentinels, primary: &RedisServer, nodes: usize) {
    let address = primary.address().to_string();
    redkeel.wait_until(SOON, "agreement", |status| {
        let pool = &status["pools"][0];
        let listed = pool["nodes"].as_array().unwrap();
        let all = pool["sentinels"]["sentinels"].as_array().unwrap();
        pool["primary"] == *address
            && pool["writes_held"] == Json::Null
            && pool["sentinels"]["primary"] == *address
            && all.len() == 3
            && all.iter().all(|sentinel| sentinel["agrees"] == true)
            && listed.len() == nodes
            && listed.iter().all(|node| node["readable"] == true)
    });
    for sentinel in sentinels.nodes() {
        eventually(SOON, "a Sentinel at rest", || at_rest(sentinel, &address));
    }
}

fn at_rest(sentinel: &Sentinel, primary: &str) -> Result<(), String> {
    let ask = |what: &str| words(&sentinel.client().command(["SENTINEL", what, MASTER]));
    let (master, replicas) = (ask("MASTER"), ask("REPLICAS"));
    let busy = master.contains("failover_in_progress") || replicas.contains("disconnected");
    let names = sentinel.primary(MASTER);
    if names.as_deref() == Some(primary) && !busy {
        return Ok(());
    }
    Err(format!("names {names:?}; {master}; replicas: {replicas}"))
}

/// All words of a reply.
fn words(reply: &Value) -> String {
    match reply.as_array() {
        Some(values) => values.iter().map(words).collect::<Vec<_>>().join(" "),
        None => String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned(),
    }
}

#[test]
fn sentinel_chooses_and_clients_do_not_notice() {
    let (nodes, mut sentinels) = watched(2);
    let redkeel = proxy(&sentinels, "").start();
    wait_agreed(&redkeel, &mut sentinels, &nodes[0], 3);
    let (mut longest, mut held) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let load = writers(&redkeel, WRITERS);
        let answer = switch(&redkeel, None);
        assert_eq!(answer["error"], Json::Null, "{answer:#}");
        assert_eq!((&answer["result"], &answer["way"]), (&"done".into(), &"SENTINEL".into()));
        let named = |name: &Json| nodes.iter().find(|node| *name == node.address().to_string());
        let (from, to) = (named(&answer["from"]).unwrap(), named(&answer["to"]).unwrap());
        assert_ne!(from.address(), to.address());
        assert_eq!((role(from), role(to)), ("slave".to_owned(), "master".to_owned()));
        wait_for_writes(&load, 300);
        wait_agreed(&redkeel, &mut sentinels, to, 3);
        for node in nodes.iter().filter(|node| node.address() != to.address()) {
            wait_follows(node, to);
        }
        longest.push(unharmed(load, to));
        held.push(answer["held_seconds"].as_f64().unwrap() * 1e3);
        println!("SENTINEL: {}", answer["steps"]);
    }
    println!("SENTINEL: longest write of each round {longest:?}; held for {held:?} ms");
    longest.sort();
    println!("SENTINEL: median {:?}", longest[longest.len() / 2]);
}

#[test]
fn a_node_cannot_be_named_where_sentinel_has_a_choice() {
    let (nodes, mut sentinels) = watched(2);
    let redkeel = proxy(&sentinels, "").start();
    wait_agreed(&redkeel, &mut sentinels, &nodes[0], 3);
    let answer = switch(&redkeel, Some(&nodes[1]));
    assert_refused(&answer, "Sentinel chooses who becomes the primary, among ");
    assert_eq!(answer["held_seconds"], Json::Null);

    // It has none where the other may not become it.
    nodes[2].cli(["CONFIG", "SET", "replica-priority", "0"]);
    for sentinel in sentinels.nodes() {
        eventually(Duration::from_secs(30), "the priority to be known", || {
            let replicas = words(&sentinel.client().command(["SENTINEL", "REPLICAS", MASTER]));
            if replicas.contains("slave-priority 0 ") { Ok(()) } else { Err(replicas) }
        });
    }
    assert_refused(&switch(&redkeel, Some(&nodes[2])), "has replica-priority 0");
    let answer = switch(&redkeel, Some(&nodes[1]));
    assert_eq!(answer["result"], "done", "{answer:#}");
    assert_eq!(role(&nodes[1]), "master");
    // Until Sentinel has told all nodes, another must wait.
    let again = switch(&redkeel, None);
    assert_refused(&again, "try again");
}

/// It may have less than the primary, and be chosen all the same.
#[test]
fn a_replica_that_hangs_while_sentinel_could_choose_it() {
    let (mut nodes, mut sentinels) = watched_for(2, Duration::from_secs(30));
    let redkeel = proxy(&sentinels, "").expect_log(" is down: ").start();
    wait_agreed(&redkeel, &mut sentinels, &nodes[0], 3);
    let load = writers(&redkeel, 4);
    nodes[2].stop_signal();
    let answer = switch(&redkeel, None);
    assert_refused(&answer, "and Sentinel may promote it: try again when it is in step");
    nodes[2].cont();
    wait_for_writes(&load, 100);
    unharmed(load, &nodes[0]);
    assert_eq!(role(&nodes[0]), "master");
    assert_eq!(sentinels.primary(), Some(nodes[0].address().to_string()));
}

#[test]
fn a_primary_that_could_not_be_demoted_afterwards_is_not_replaced() {
    let (nodes, mut sentinels) = watched(1);
    let redkeel = proxy(&sentinels, "").start();
    wait_agreed(&redkeel, &mut sentinels, &nodes[0], 2);
    let offset = nodes[0].replication_offset();
    assert_eq!(nodes[0].cli(["ACL", "SETUSER", "default", "-replicaof"]), testkit::simple("OK"));
    assert_refused(&switch(&redkeel, None), "would not let itself be demoted (NOPERM");
    assert_eq!(role(&nodes[0]), "master");
    assert_eq!(nodes[0].cli(["ACL", "SETUSER", "default", "+@all"]), testkit::simple("OK"));
    // What was only rehearsed did not happen: the same connections of the replica go on.
    nodes[0].wait_caught_up(&nodes[1]);
    assert!(nodes[0].replication_offset() >= offset);
    let answer = switch(&redkeel, None);
    assert_eq!(answer["result"], "done", "{answer:#}");
}

#[test]
fn without_a_majority_of_sentinels_nothing_is_changed() {
    let (nodes, mut sentinels) = watched(1);
    let redkeel = expecting(proxy(&sentinels, ""), &["Sentinel"]).start();
    wait_agreed(&redkeel, &mut sentinels, &nodes[0], 2);
    for sentinel in &mut sentinels.nodes()[1..] {
        sentinel.kill9();
    }
    redkeel.wait_until(SOON, "the majority to be missed", |status| {
        status["pools"][0]["sentinels"]["primary"].is_null()
    });
    assert_refused(&switch(&redkeel, None), "there is no majority of Sentinels");
    assert_eq!((role(&nodes[0]), role(&nodes[1])), ("master".to_owned(), "slave".to_owned()));
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), testkit::simple("OK"));
}

#[track_caller]
fn assert_refused(answer: &Json, why: &str) {
    assert_eq!(answer["result"], "refused", "{answer:#}");
    let error = answer["error"].as_str().unwrap();
    assert!(error.contains(why), "{error}");
}
