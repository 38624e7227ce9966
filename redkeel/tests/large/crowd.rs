//! Thousands of clients, some of whom come all at once.

use std::sync::Barrier;
use std::time::Duration;

use testkit::{Client, RedisServer, Value, bulk, simple};

use crate::scene::{proxy, ready};

const PATIENCE: Duration = Duration::from_secs(60);

/// So many connect in the same moment, each says something at once, and stays.
fn storm(address: &testkit::Address, clients: usize) -> Vec<Client> {
    const THREADS: usize = 50;
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let mut opened: Vec<Client> = (0..clients / THREADS)
                        .map(|_| {
                            let mut client = Client::connect(address.clone());
                            client.set_timeout(PATIENCE);
                            client.send(["PING"]);
                            client
                        })
                        .collect();
                    for client in &mut opened {
                        assert_eq!(client.receive(), simple("PONG"));
                    }
                    opened
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn ten_thousand_clients_of_whom_five_thousand_come_at_once() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], ""));
    let address = redkeel.address();
    let mut clients = storm(&address, 5000);
    clients.extend(storm(&address, 5000));
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(["SET", &format!("key:{number}"), &number.to_string()]);
        client.send(["GET", &format!("key:{number}")]);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.receive(), simple("OK"));
        assert_eq!(client.receive(), bulk(number.to_string()));
    }
    assert_eq!(server.cli(["DBSIZE"]), Value::Integer(10_000));
    // They share a few connections.
    let connections: usize = server.info("clients")["connected_clients"].parse().unwrap();
    assert!(connections < 50, "{connections}");
    let status = redkeel.status();
    assert_eq!(status["pools"][0]["clients"]["connected"], 10_000, "{:#}", status["pools"][0]);
    // One more than `max_clients`, in Redis' own words.
    let mut refused = Client::connect(address.clone());
    assert_eq!(
        refused.receive(),
        testkit::Value::Error(b"ERR max number of clients reached".into())
    );
    // Whoever leaves makes room.
    clients.truncate(9_000);
    redkeel.wait_until(PATIENCE, "the others to be gone", |status| {
        status["pools"][0]["clients"]["connected"] == 9_000
    });
    assert_eq!(storm(&address, 1000).len(), 1000);
}
