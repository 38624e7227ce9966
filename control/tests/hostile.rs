//! Nodes that are no Redis servers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use common::Running;
use testkit::RedisServer;
use topology::Health;

/// Hands every connection to `serve`, and returns the address.
fn listen(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Answers everything with `reply`.
fn answering(reply: &'static [u8]) -> String {
    listen(move |mut stream| {
        let mut request = [0; 4096];
        while stream.read(&mut request).is_ok_and(|len| len > 0) {
            if stream.write_all(reply).is_err() {
                return;
            }
        }
    })
}

#[test]
fn each_is_told_and_hinders_nobody() {
    let server = RedisServer::start();
    for (address, health, why) in [
        (
            answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            Health::Down,
            "does not speak the Redis protocol",
        ),
        (answering(b"$2000000000\r\nx"), Health::Down, "does not answer"),
        (answering(b"*1000000000\r\n"), Health::Down, "does not speak the Redis protocol"),
        (answering(b"*1\r\n*1\r\n*1\r\n"), Health::Down, "does not"),
        (answering(b"$5\r\nab"), Health::Down, "does not answer"),
        (answering(b""), Health::Down, "does not answer"),
        (listen(drop), Health::Down, "closes its connections"),
        (
            listen(|mut stream| {
                let _ = stream.write_all(b"-ERR max number of clients reached\r\n");
                let _ = stream.read(&mut [0; 4096]);
            }),
            Health::Down,
            "turns the probe away: ERR max number of clients reached",
        ),
        (
            answering(b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n"),
            Health::Up,
            "does not answer as Redis does: no run_id in its reply",
        ),
        (
            answering(b"-ERR no\x1b[31m\r\n-ERR no\r\n-ERR no\r\n-ERR no\x1b[31m\r\n"),
            Health::Up,
            "answers with an error: ERR no?[31m",
        ),
    ] {
        let running = Running::with(&[&server.address().to_string(), &address], "");
        running.until_primary(&server);
        running.until(why, |shard| {
            let node = &shard.nodes[1];
            node.health == health && !node.readable && node.why.contains(why)
        });
        assert_eq!(running.shard().primary, Some(running.node(&server).id));
    }
}
