//! The test changes the nodes' roles under clients that read and write.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use testkit::{Address, Client, Load, RedisServer, Value, bulk, eventually, simple};

use crate::common::{
    FENCED, HELD, LOSS, SOON, calls, change_primary, errors, expecting, follow, promote, proxy,
    ready, replicated, wait_for_primary, wait_for_writes, wait_readable,
};

const CLIENTS: usize = 20;
/// Commands of one client that may be in flight.
const PIPELINE: u64 = 4;

/// What one client knows when it ends.
struct Worked {
    /// The last value that it has set, acknowledged.
    last: u64,
    errors: Vec<String>,
}

/// Sets its own key to 1, 2, 3…, counts with INCR, and reads both, in one pipeline and alone.
fn work(address: &Address, id: usize, stop: &AtomicBool, turns: &AtomicU64) -> Worked {
    let mut client = Client::connect(address);
    let (key, counter) = (format!("set:{id}"), format!("count:{id}"));
    let mut errors = Vec::new();
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        last += 1;
        let text = last.to_string();
        let pipeline = [
            vec!["SET", &key, &text],
            vec!["GET", &key],
            vec!["INCR", &counter],
            vec!["GET", &counter],
        ];
        let expected = [simple("OK"), bulk(&text), Value::Integer(last as i64), bulk(&text)];
        let replies = client.pipeline(pipeline);
        if replies != expected {
            errors.push(format!("turn {last}: {replies:?}"));
        }
        // Alone it may be answered by a replica, which may be behind, but never ahead.
        let reply = client.command(["GET", &key]);
        let read = reply.as_bytes().map(|text| String::from_utf8_lossy(text).parse::<u64>());
        let fits = match read {
            Some(read) => read.is_ok_and(|read| read <= last),
            None => reply == Value::Null,
        };
        if !fits {
            errors.push(format!("turn {last}, alone: {reply:?}"));
        }
        turns.fetch_add(1, Ordering::Relaxed);
    }
    Worked { last, errors }
}

/// Lets the clients end, also when the test fails before they do.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until every client has had another answer.
fn wait_for_turns(turns: &[AtomicU64]) {
    let before: Vec<u64> = turns.iter().map(|turns| turns.load(Ordering::Relaxed)).collect();
    eventually(SOON, "a turn of every client", || {
        turns.iter().zip(&before).all(|(now, before)| now.load(Ordering::Relaxed) > before + 1)
    });
}

/// Runs the clients, changes the primary of two nodes so many times with `change`, and checks everything.
fn under_load(rounds: usize, change: impl Fn(&RedisServer, &RedisServer)) {
    let nodes = replicated(1);
    let redkeel = ready(expecting(proxy(&nodes, ""), &[HELD, FENCED]));
    let address = redkeel.address();
    let stop = AtomicBool::new(false);
    let turns: Vec<AtomicU64> = (0..CLIENTS).map(|_| AtomicU64::new(0)).collect();
    let worked: Vec<Worked> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|id| {
                let (address, stop, turns) = (&address, &stop, &turns[id]);
                scope.spawn(move || work(address, id, stop, turns))
            })
            .collect();
        let stop = StopOnDrop(&stop);
        for round in 0..rounds {
            wait_for_turns(&turns);
            let (from, to) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
            change(from, to);
            wait_for_primary(&redkeel, to);
            wait_for_turns(&turns);
            from.wait_link_up();
            wait_readable(&redkeel, from);
        }
        drop(stop);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let mut primary = nodes[rounds % 2].client();
    for (id, worked) in worked.iter().enumerate() {
        assert!(worked.errors.is_empty(), "client {id}: {:#?}", worked.errors);
        for key in ["set", "count"] {
            let found = primary.command(["GET", &format!("{key}:{id}")]);
            assert_eq!(found, bulk(worked.last.to_string()), "{key}:{id}");
        }
    }
    // Only what was on its way when the roles changed can have met a replica.
    let refused: u64 = nodes.iter().map(|node| errors(node, "READONLY")).sum();
    let bound = rounds as u64 * CLIENTS as u64 * PIPELINE;
    assert!(refused <= bound, "{refused} of at most {bound}");
}

#[test]
fn clients_do_not_notice_replicaof_back_and_forth() {
    under_load(6, change_primary);
}

#[test]
fn clients_do_not_notice_failover_back_and_forth() {
    under_load(4, |from, to| {
        let port = to.port().to_string();
        let reply = from.cli(["FAILOVER", "TO", to.host(), &port, "TIMEOUT", "10000"]);
        assert_eq!(reply, simple("OK"));
        let mut target = to.client();
        eventually(SOON, "the failover", || {
            // Otherwise the replica says how far it is only once a second, and the primary waits for it.
            target.send(["REPLCONF", "GETACK", "*"]);
            target.command(["ROLE"]).as_array().unwrap()[0] == bulk("master")
        });
    });
}

/// As with `SENTINEL FAILOVER`: the new primary is promoted long before the old one is demoted. Redis itself loses
/// what the old one takes meanwhile, so it must take nothing more once Redkeel knows.
#[test]
fn an_old_primary_that_still_says_master_gets_no_more_writes() {
    let nodes = replicated(2);
    let redkeel = ready(expecting(proxy(&nodes, ""), &[HELD, FENCED, LOSS]));
    let load = Load::builder(redkeel.address())
        .readers(10)
        .writers(10)
        .keys(100)
        .pause(std::time::Duration::from_millis(2))
        .fill(&mut nodes[0].client(), 2)
        .start();
    wait_for_writes(&load, 500);
    promote(&nodes[1]);
    wait_for_primary(&redkeel, &nodes[1]);
    // Each writer has had an answer since.
    wait_for_writes(&load, 200);
    let before = calls(&nodes[0], "set");
    wait_for_writes(&load, 500);
    assert_eq!(calls(&nodes[0], "set"), before);
    follow(&nodes[0], &nodes[1]);
    follow(&nodes[2], &nodes[1]);
    for node in [&nodes[0], &nodes[2]] {
        node.wait_link_up();
        wait_readable(&redkeel, node);
    }
    wait_for_writes(&load, 200);
    let report = load.stop();
    assert_eq!(report.reads.errors_total(), 0, "{:?}", report.reads.errors);
    assert_eq!(report.writes.errors_total(), 0, "{:?}", report.writes.errors);
    assert_eq!(nodes.iter().map(|node| errors(node, "READONLY")).sum::<u64>(), 0);
}
