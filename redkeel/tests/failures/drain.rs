//! SIGTERM: what is in flight is answered, everyone else is let go.

use std::time::{Duration, Instant};

use testkit::{Client, RedisServer, Redkeel, Signal, bulk, eventually, simple};

use crate::common::{PATIENT, SOON, calls, node, proxy, ready, replicated};

/// A SET and a GET each: as many as a client may have unanswered from its first command on.
const PAIRS: u64 = 32;

fn in_flight(redkeel: &Redkeel, server: &RedisServer) -> u64 {
    node(&redkeel.status(), server.address())["in_flight"].as_u64().unwrap()
}

#[test]
fn a_drain_answers_pipelines_and_closes_idle_clients() {
    let mut nodes = replicated(1);
    let mut redkeel = ready(proxy(&nodes, PATIENT));
    let mut idle = redkeel.client();
    assert_eq!(idle.command(["PING"]), simple("PONG"));
    let mut clients: Vec<Client> = (0..10).map(|_| redkeel.client()).collect();
    nodes[0].stop_signal();
    for (id, client) in clients.iter_mut().enumerate() {
        for number in 0..PAIRS {
            let (key, value) = (format!("key:{id}"), number.to_string());
            client.send(["SET", &key, &value]);
            client.send(["GET", &key]);
        }
    }
    eventually(SOON, "all commands to be in flight", || {
        let count = in_flight(&redkeel, &nodes[0]);
        if count == 20 * PAIRS { Ok(()) } else { Err(format!("{count} are")) }
    });
    redkeel.signal(Signal::TERM);
    eventually(SOON, "readiness to end", || redkeel.admin_get("/readyz").status == 503);
    eventually(SOON, "new clients to be refused", || {
        Client::try_connect(&redkeel.address()).is_err()
    });
    idle.expect_closed();
    assert_eq!(redkeel.admin_get("/readyz").status, 503);
    nodes[0].cont();
    for client in &mut clients {
        for number in 0..PAIRS {
            assert_eq!(client.receive(), simple("OK"));
            assert_eq!(client.receive(), bulk(number.to_string()));
        }
        client.expect_closed();
    }
    assert_eq!(redkeel.wait_exit(SOON).code(), Some(0));
    assert!(!redkeel.log().contains("WARN"), "{}", redkeel.log());
}

#[test]
fn a_blocked_client_does_not_keep_a_drain_beyond_its_timeout() {
    let nodes = replicated(0);
    let mut redkeel = ready(proxy(&nodes, "").args(["--drain-timeout", "1s"]));
    let mut blocked = redkeel.client();
    blocked.send(["BLPOP", "nothing", "0"]);
    let mut subscribed = redkeel.client();
    assert!(subscribed.command(["SUBSCRIBE", "news"]).as_array().is_some());
    eventually(SOON, "a blocked client", || nodes[0].info("clients")["blocked_clients"] == "1");
    let start = Instant::now();
    redkeel.signal(Signal::TERM);
    // A subscriber waits for nothing.
    subscribed.expect_closed();
    assert_eq!(redkeel.wait_exit(SOON).code(), Some(0));
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    blocked.expect_closed();
    eventually(SOON, "the node to forget it", || {
        nodes[0].info("clients")["blocked_clients"] == "0"
    });
}

/// A client that goes on sending is told nothing false: each command is answered, until the connection ends between two.
#[test]
fn a_busy_client_is_closed_between_two_commands() {
    let nodes = replicated(1);
    let mut redkeel = ready(proxy(&nodes, ""));
    let address = redkeel.address();
    let busy: Vec<_> = (0..10)
        .map(|id| {
            let mut client = Client::connect(&address);
            std::thread::spawn(move || {
                let key = format!("count:{id}");
                let mut last = 0;
                while let Ok(reply) = client.try_command(["INCR", &key]) {
                    last = reply.as_int().unwrap();
                }
                (key, last)
            })
        })
        .collect();
    eventually(SOON, "some writes", || calls(&nodes[0], "incr") > 500);
    redkeel.signal(Signal::TERM);
    assert_eq!(redkeel.wait_exit(SOON).code(), Some(0));
    for client in busy {
        let (key, last) = client.join().unwrap();
        // Nothing ran that was not answered.
        assert_eq!(nodes[0].cli(["GET", &key]), bulk(last.to_string()));
    }
}
