//! What users do: redis-cli, redis-benchmark, client libraries, and what is built upon them, through a pool of a primary
//! and two replicas, and through one of three shards.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use testkit::{RedisServer, Redkeel, Value};

const SOON: Duration = Duration::from_secs(10);
const AS_EXPECTED: &str = "everything as from a single Redis";

struct Stage {
    redkeel: Redkeel,
    /// The second one is a replica that may be promoted.
    nodes: Vec<RedisServer>,
    /// The name, in a path, of what has both.
    group: &'static str,
}

/// A `split` listener before a primary and two replicas, once both take reads.
fn stage() -> Stage {
    stage_in("split")
}

fn stage_in(mode: &str) -> Stage {
    let primary = RedisServer::start();
    let replicas = [(), ()].map(|()| RedisServer::builder().replica_of(&primary).start());
    let mut nodes = vec![primary];
    nodes.extend(replicas);
    nodes[1..].iter().for_each(RedisServer::wait_link_up);
    let servers: Vec<String> = nodes.iter().map(|node| node.address().to_string()).collect();
    let redkeel = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel"))
        .args(["--listen", "127.0.0.1:0", "--mode", mode, "--servers", &servers.join(",")])
        .start();
    redkeel.wait_until(SOON, "readable replicas", |status| {
        let nodes = &status["pools"][0]["nodes"];
        (0..3).all(|node| nodes[node]["readable"] == true)
    });
    Stage { redkeel, nodes, group: "main" }
}

/// A pool of three shards, the first of which has a replica, once that takes reads.
fn sharded_in(mode: &str) -> Stage {
    let primary = RedisServer::start();
    let replica = RedisServer::builder().replica_of(&primary).start();
    replica.wait_link_up();
    let nodes = vec![primary, replica, RedisServer::start(), RedisServer::start()];
    let [a, b, c, d] = [0, 1, 2, 3].map(|node: usize| nodes[node].address());
    let redkeel = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel"))
        .config(&format!(
            "[pool.main]\nlisten = {{ address = \"127.0.0.1:0\", mode = \"{mode}\" }}\n[pool.main.shards]\n\
             # Which spreads keys that differ little.\nhash = \"md5\"\nservers = [\n\
             {{ name = \"s0\", servers = [\"{a}\", \"{b}\"] }},\n\"{c}:1 s1\",\n\"{d}:1 s2\",\n]\n"
        ))
        .start();
    redkeel.wait_until(SOON, "readable nodes", |status| {
        let pools = status["pools"].as_array().unwrap();
        pools
            .iter()
            .flat_map(|pool| pool["nodes"].as_array().unwrap())
            .all(|node| node["readable"] == true)
    });
    Stage { redkeel, nodes, group: "main%2Fs0" }
}

impl Stage {
    fn host_and_port(&self) -> (String, String) {
        let address = self.redkeel.address().to_string();
        let (host, port) = address.rsplit_once(':').unwrap();
        (host.to_owned(), port.to_owned())
    }

    fn redis_cli(&self, arguments: &[&str]) -> String {
        let (host, port) = self.host_and_port();
        let mut command = Command::new("redis-cli");
        command.args(["-h", &host, "-p", &port]).args(arguments);
        text(command.stdin(Stdio::null()).output().unwrap())
    }

    fn script(&self, command: Command, name: &str) {
        assert_eq!(text(self.run(command, name)).trim(), AS_EXPECTED);
    }

    fn run(&self, mut command: Command, name: &str) -> Output {
        let (host, port) = self.host_and_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libraries").join(name);
        command.arg(script).args([host, port]).output().unwrap()
    }

    /// Every node that takes writes has some of the keys.
    fn expect_spread(&self) {
        for node in &self.nodes {
            assert_ne!(node.cli(["DBSIZE"]), Value::Integer(0), "no keys at {}", node.address());
        }
    }

    /// A script that says when half of its work is done: then a replica becomes the primary.
    fn script_with_switchover(&self, command: Command, name: &str) {
        self.script_with_switchover_and(command, name, &[]);
    }

    /// The same; `more` are further arguments.
    fn script_with_switchover_and(&self, mut command: Command, name: &str, more: &[&str]) {
        let (host, port) = self.host_and_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libraries").join(name);
        command.arg(script).args([host, port]).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut last = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "half" {
                let to = self.nodes[1].address();
                let body = format!("{{\"to\": \"{to}\"}}");
                let path = format!("/api/v1/pools/{}/switchover", self.group);
                let answer = self.redkeel.admin_post(&path, &body).body;
                assert!(answer.contains("\"result\":\"done\""), "{answer}");
            }
            last = line;
        }
        assert!(child.wait().unwrap().success());
        assert_eq!(last, AS_EXPECTED);
        assert_eq!(self.nodes[1].info("replication")["role"], "master");
    }
}

/// What a program printed; it must have succeeded.
#[track_caller]
fn text(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn redis_py() {
    stage().script(testkit::python(), "everyday.py");
}

#[test]
fn ioredis() {
    stage().script(testkit::node(), "everyday.js");
}

#[test]
fn node_redis() {
    stage().script(testkit::node(), "node_redis.js");
}

#[test]
fn celery_moves_jobs() {
    stage_in("write").script_with_switchover(testkit::python(), "celery_jobs.py");
}

#[test]
fn bullmq_moves_jobs() {
    stage_in("write").script_with_switchover(testkit::node(), "bullmq.js");
}

#[test]
fn web_sessions() {
    stage_in("write").script_with_switchover(testkit::node(), "web_session.js");
}

#[test]
fn redis_py_over_shards() {
    let stage = sharded_in("split");
    stage.script(testkit::python(), "everyday.py");
    stage.expect_spread();
}

#[test]
fn ioredis_over_shards() {
    sharded_in("split").script(testkit::node(), "everyday.js");
}

#[test]
fn node_redis_over_shards() {
    sharded_in("split").script(testkit::node(), "node_redis.js");
}

/// As docs/sharding.md says: the broker's keys are together, and so are those of the results.
#[test]
fn celery_moves_jobs_over_shards() {
    let tags = ["{celery}", "{results}"];
    sharded_in("write").script_with_switchover_and(testkit::python(), "celery_jobs.py", &tags);
}

#[test]
fn celery_is_told_why_its_keys_have_to_be_together() {
    let outcome = sharded_in("write").run(testkit::python(), "celery_jobs.py");
    let errors = String::from_utf8_lossy(&outcome.stderr);
    assert!(!outcome.status.success());
    let why = "CROSSSHARD redkeel: a transaction of pool main runs on one shard";
    assert!(errors.contains(why) && errors.contains("a hash tag keeps keys together"), "{errors}");
}

#[test]
fn bullmq_moves_jobs_over_shards() {
    let stage = sharded_in("write");
    stage.script_with_switchover_and(testkit::node(), "bullmq.js", &["{bull}"]);
}

#[test]
fn web_sessions_over_shards() {
    let stage = sharded_in("write");
    stage.script_with_switchover(testkit::node(), "web_session.js");
    stage.expect_spread();
}

#[test]
fn redis_cli() {
    let stage = stage();
    assert_eq!(stage.redis_cli(&["SET", "key", "value"]), "OK\n");
    assert_eq!(stage.redis_cli(&["-n", "2", "SET", "key", "other"]), "OK\n");
    assert_eq!(stage.redis_cli(&["-3", "HSET", "hash", "field", "1"]), "1\n");
    assert_eq!(
        stage.redis_cli(&["EVAL", "return redis.call('GET', KEYS[1])", "1", "key"]),
        "value\n"
    );
    assert!(stage.redis_cli(&["INFO", "server"]).contains("redis_version:"));
    for number in 0..50 {
        stage.redis_cli(&["SET", &format!("scan:{number}"), "x"]);
    }
    assert_eq!(stage.redis_cli(&["--scan", "--pattern", "scan:*"]).lines().count(), 50);
    assert!(stage.redis_cli(&["--bigkeys"]).contains("Sampled"));
}

#[test]
fn redis_benchmark() {
    let stage = stage();
    let (host, port) = stage.host_and_port();
    for pipeline in ["1", "16"] {
        let mut command = Command::new("redis-benchmark");
        command.args(["-h", &host, "-p", &port, "-n", "5000", "-P", pipeline, "--csv"]);
        command.args(["-t", "ping,set,get,incr,lpush,lpop,sadd,hset,zadd,lrange_100,mset"]);
        let said = text(command.stdin(Stdio::null()).output().unwrap());
        assert!(!said.contains("rror"), "{said}");
        assert!(said.lines().count() > 10, "{said}");
    }
}
