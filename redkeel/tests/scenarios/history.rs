//! Whatever happens to the nodes: no write runs twice or out of order, none that was acknowledged is lost but with a dead
//! primary, and reads are no older than the pool allows.

use std::time::{Duration, Instant};

use testkit::{History, RedisServer, eventually};

use crate::common::{DOWN, HELD, SOON, expecting, proxy, ready, replicated, wait_for_primary};

/// Probes and clocks of a busy machine, on top of `max_lag`.
const SLACK: Duration = Duration::from_secs(3);

/// One fault, from its beginning to its end; none of them takes data away.
fn fault(nodes: &mut [RedisServer], random: &mut fastrand::Rng) -> &'static str {
    let pause = Duration::from_millis(random.u64(50..1200));
    let replica = random.usize(1..nodes.len());
    match random.u8(..5) {
        0 => {
            nodes[replica].stop_signal();
            std::thread::sleep(pause);
            nodes[replica].cont();
            "a replica hangs"
        }
        1 => {
            nodes[replica].kill9();
            std::thread::sleep(pause);
            nodes[replica].restart();
            "a replica dies"
        }
        2 => {
            nodes[0].stop_signal();
            std::thread::sleep(pause);
            nodes[0].cont();
            "the primary hangs"
        }
        3 => {
            nodes[0].kill9();
            std::thread::sleep(pause);
            nodes[0].restart();
            "the primary dies"
        }
        _ => {
            // The replica goes on serving what it has, and gets nothing new.
            nodes[replica].cli(["REPLICAOF", "127.0.0.1", "1"]);
            std::thread::sleep(pause);
            let port = nodes[0].port().to_string();
            nodes[replica].cli(["REPLICAOF", nodes[0].host(), &port]);
            "a replica is cut off"
        }
    }
}

fn history(seed: u64) {
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let builder = || RedisServer::builder().option("appendonly", "yes").option("appendfsync", "no");
    let mut nodes = vec![builder().start()];
    for _ in 0..2 {
        nodes.push(builder().replica_of(&nodes[0]).start());
    }
    nodes[0].wait_for_replicas(2);
    let quiet = [DOWN, HELD, "may be lost", "fenced off", "the primary is unclear"];
    let settings = "max_lag = \"1s\"\ntimeouts.hold = \"20s\"";
    let redkeel = ready(expecting(proxy(&nodes, settings), &quiet));
    let history = History::start(redkeel.address(), 8, 16, Duration::from_millis(2));
    let end = Instant::now() + Duration::from_secs(8);
    while Instant::now() < end {
        let done = fault(&mut nodes, &mut random);
        let (appended, read) = (history.acknowledged() + 200, history.reads().ok + 400);
        eventually(SOON, "answers after a fault", || {
            let reads = history.reads();
            if history.acknowledged() >= appended && reads.ok >= read {
                Ok(())
            } else {
                Err(format!("{done}: {reads:?}"))
            }
        });
    }
    wait_for_primary(&redkeel, nodes[0].address());
    let (reads, audit) = history.audit(&mut nodes[0].client());
    println!("{reads:?} {audit:?}");
    assert!(reads.errors.is_empty(), "seed {seed}: {reads:?}");
    assert!(reads.oldest <= Duration::from_secs(1) + SLACK, "seed {seed}: {reads:?}");
    assert_eq!(audit.lost, 0, "seed {seed}: the primary keeps what it has written: {audit:?}");
    assert_eq!(
        (audit.repeated, audit.out_of_order, audit.refused_but_present),
        (0, 0, 0),
        "seed {seed}: {audit:?}"
    );
}

#[test]
fn every_write_runs_once_in_order_and_reads_are_fresh() {
    history(fastrand::u64(..));
}

/// The same with a primary that does not change its data: nothing is in doubt.
#[test]
fn without_faults_nothing_is_unknown() {
    let nodes = replicated(2);
    let redkeel = ready(proxy(&nodes, ""));
    let history = History::start(redkeel.address(), 8, 8, Duration::ZERO);
    eventually(SOON, "answers", || history.acknowledged() > 2000 && history.reads().ok > 2000);
    let (reads, audit) = history.audit(&mut nodes[0].client());
    assert!(reads.errors.is_empty(), "{reads:?}");
    assert_eq!((audit.lost, audit.unknown, audit.repeated, audit.out_of_order), (0, 0, 0, 0));
}
