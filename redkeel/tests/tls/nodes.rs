//! Nodes that speak TLS, when they fail and change.

use std::time::Duration;

use testkit::{Client, Load, RedisServer, audit, eventually, simple};

use crate::common::{
    LOCAL, SOON, address_over, expecting, proxy, ready, replicated_over, shown, trusting, why,
};

#[test]
fn nodes_with_one_version_of_tls() {
    let authority = testkit::Authority::new();
    for version in ["TLSv1.2", "TLSv1.3"] {
        let node = RedisServer::builder().tls(&authority).option("tls-protocols", version).start();
        let redkeel = ready(proxy([&node], &trusting(&authority)));
        let mut client = redkeel.client();
        let value = vec![b'x'; 3 << 20];
        assert_eq!(client.command([b"SET".as_slice(), b"key", &value]), simple("OK"));
        assert!(client.command(["GET", "key"]) == testkit::bulk(&value));
    }
}

/// Replicas die and come back, and the primary hands over, over TLS; nobody notices.
#[test]
fn a_killed_replica_and_a_switchover() {
    let authority = testkit::Authority::new();
    let mut nodes = replicated_over(&authority, 2);
    let settings = trusting(&authority) + &shown(&authority.certificate(&LOCAL));
    let redkeel = ready(expecting(proxy(&nodes, &settings), &[" is down: "]));
    let load = Load::builder(address_over(&redkeel, &authority))
        .readers(10)
        .writers(10)
        .keys(100)
        .pause(Duration::from_millis(2))
        .fill(&mut nodes[0].client(), 2)
        .start();
    let more = |count: u64| {
        let (reads, writes) = (load.reads().ok, load.writes().ok);
        eventually(SOON, "reads and writes", || {
            load.reads().ok - reads >= count && load.writes().ok - writes >= count
        });
    };
    more(300);
    nodes[2].kill9();
    redkeel.wait_until(SOON, "the replica to be found out", |status| {
        status["pools"][0]["nodes"][2]["health"] == "down"
    });
    more(300);
    nodes[2].restart();
    redkeel.wait_until(SOON, "the replica to be back", |status| {
        status["pools"][0]["nodes"][2]["readable"] == true
    });
    let order = format!("{{\"to\": \"{}\"}}", nodes[1].address());
    let answer = redkeel.admin_post("/api/v1/pools/main/switchover", &order).body;
    assert!(answer.contains("\"result\":\"done\""), "{answer}");
    more(300);
    let report = load.stop();
    assert_eq!(report.reads.errors_total(), 0, "{:?}", report.reads.errors);
    assert_eq!(report.writes.errors_total(), 0, "{:?}", report.writes.errors);
    assert!(report.reads.wrong.is_empty() && report.writes.wrong.is_empty());
    let audit = audit(&report.journal, &mut nodes[1].client());
    assert_eq!((audit.lost(), audit.unknown), (0, 0), "{audit:?}");
}

/// Each has a connection of its own, which the next one gets.
#[test]
fn blocked_clients_reuse_their_connections() {
    const CLIENTS: usize = 300;
    let authority = testkit::Authority::new();
    let node = RedisServer::builder().tls(&authority).start();
    let redkeel = ready(proxy([&node], &trusting(&authority)));
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| redkeel.client()).collect();
    let blocked = || node.info("clients")["blocked_clients"].parse::<usize>().unwrap();
    let mut connected = 0;
    for round in 0..3 {
        for client in &mut clients {
            client.send(["BLPOP", "list", "0"]);
        }
        eventually(SOON, "all to be blocked", || {
            if blocked() == CLIENTS { Ok(()) } else { Err(format!("{} blocked", blocked())) }
        });
        let elements: Vec<String> = (0..CLIENTS).map(|n| n.to_string()).collect();
        let push = ["RPUSH".to_owned(), "list".to_owned()].into_iter().chain(elements);
        node.cli(push);
        for client in &mut clients {
            assert!(client.receive().as_array().is_some());
        }
        let total = node.info("stats")["total_connections_received"].parse::<usize>().unwrap();
        if round > 0 {
            // The rest are the test's own questions.
            assert!(total < connected + 100, "{total} connections, {connected} before");
        }
        connected = total;
    }
}

/// A certificate's name is that which is configured, also where a name is resolved.
#[test]
fn names_are_checked_as_configured() {
    let authority = testkit::Authority::new();
    let certificate = authority.certificate(&["localhost"]);
    let node = RedisServer::builder().tls_with(&authority, &certificate, "no").start();
    let by_name = format!("localhost:{}", node.port());
    let redkeel = ready(crate::scene::proxy_of([&by_name], &trusting(&authority)));
    assert_eq!(redkeel.client().command(["SET", "key", "value"]), simple("OK"));
    let by_address = expecting(
        proxy([&node], &trusting(&authority)),
        &["shows a certificate for another name", "writes are held"],
    );
    let redkeel = by_address.start();
    redkeel.wait_until(SOON, "the node to be refused", |status| {
        why(status, 0).contains("shows a certificate for another name")
    });
}
