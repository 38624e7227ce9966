//! It cannot be: nothing is changed, and the answer says why.

use testkit::{RedisServer, http_post};

use crate::common::{
    SOON, proxy, ready, replicated, role, switch, unharmed, wait_for_writes, wait_in_step, writers,
};

#[track_caller]
fn assert_refused(answer: &serde_json::Value, why: &str) {
    assert_eq!(answer["result"], "refused", "{answer:#}");
    let error = answer["error"].as_str().unwrap();
    assert!(error.contains(why), "{error}");
}

/// As a managed service has it.
#[test]
fn where_neither_way_is_allowed() {
    let denied = || {
        RedisServer::builder()
            .option("rename-command", "FAILOVER \"\"")
            .option("rename-command", "REPLICAOF \"\"")
            .option("rename-command", "SLAVEOF \"\"")
    };
    let first = denied().start();
    let second = denied().replica_of(&first).start();
    let nodes = [first, second];
    wait_in_step(&nodes);
    let redkeel = ready(proxy(&nodes, ""));
    let load = writers(&redkeel, 4);
    let answer = switch(&redkeel, None);
    assert_refused(&answer, "allows neither FAILOVER nor REPLICAOF");
    wait_for_writes(&load, 100);
    unharmed(load, &nodes[0]);
    assert_eq!((role(&nodes[0]), role(&nodes[1])), ("master".to_owned(), "slave".to_owned()));
}

#[test]
fn a_node_that_is_not_fit() {
    let mut nodes = replicated(2);
    let weight = format!("[pool.main.nodes.\"{}\"]\nweight = 0\n", nodes[1].address());
    let redkeel = ready(proxy(&nodes, &weight).expect_log(" is down: "));
    let to = |server: &RedisServer| switch(&redkeel, Some(server));
    assert_refused(&to(&nodes[0]), "is the primary already");
    assert_refused(&to(&nodes[1]), "its weight is 0");
    let other = RedisServer::start();
    assert_refused(&to(&other), "is not a node of the pool");
    nodes[2].kill9();
    redkeel.wait_until(SOON, "the node to be down", |status| {
        status["pools"][0]["nodes"][2]["health"] == "down"
    });
    assert_refused(&to(&nodes[2]), "cannot become the primary: it is down");
    assert_refused(&switch(&redkeel, None), "no replica can become the primary");
    let replies = redkeel.admin_post("/api/v1/pools/other/switchover", "");
    assert_eq!(replies.status, 404);
    let replies = redkeel.admin_post("/api/v1/pools/main/switchover", "{\"too\": 1}");
    assert_eq!(replies.status, 400, "{}", replies.body);
}

/// While a script runs, the server answers nothing.
#[test]
fn a_primary_that_is_busy() {
    let nodes = replicated(1);
    let redkeel = ready(proxy(&nodes, "health.timeout = \"10s\"\ntimeouts.hold = \"40s\""));
    let mut busy = redkeel.client();
    let script = "local t = redis.call('TIME'); local e = t[1] * 1000000 + t[2] + 2000000; \
                  repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] > e; return redis.call('SET', 'k', 'v')";
    busy.send(["EVAL", script, "0"]);
    testkit::eventually(SOON, "the script to be on its way", || {
        redkeel.status()["pools"][0]["nodes"][0]["in_flight"] == 1
    });
    assert_refused(&switch(&redkeel, None), "does not answer");
    assert_eq!(busy.receive(), testkit::simple("OK"));
}

#[test]
fn from_the_page_of_another_site() {
    let nodes = replicated(1);
    let redkeel = ready(proxy(&nodes, ""));
    let path = "/api/v1/pools/main/switchover";
    let origin = "Origin: http://elsewhere.example\r\n";
    let reply = http_post(&redkeel.admin_address(), path, origin, "").unwrap();
    assert_eq!(reply.status, 403);
    assert_eq!(role(&nodes[0]), "master");
}
