//! What users do: redis-cli, redis-benchmark, client libraries, and what is built upon them, through a pool of a primary
//! and two replicas.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use testkit::{RedisServer, Redkeel};

const SOON: Duration = Duration::from_secs(10);
const AS_EXPECTED: &str = "everything as from a single Redis";

struct Stage {
    redkeel: Redkeel,
    nodes: Vec<RedisServer>,
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
    Stage { redkeel, nodes }
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

    fn script(&self, mut command: Command, name: &str) {
        let (host, port) = self.host_and_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libraries").join(name);
        let said = text(command.arg(script).args([host, port]).output().unwrap());
        assert_eq!(said.trim(), AS_EXPECTED);
    }

    /// A script that says when half of its work is done: then a replica becomes the primary.
    fn script_with_switchover(&self, mut command: Command, name: &str) {
        let (host, port) = self.host_and_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libraries").join(name);
        command.arg(script).args([host, port]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut last = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "half" {
                let to = self.nodes[1].address();
                let body = format!("{{\"to\": \"{to}\"}}");
                let answer = self.redkeel.admin_post("/api/v1/pools/main/switchover", &body).body;
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
