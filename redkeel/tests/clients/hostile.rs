//! Clients that send what nobody should, or do not read: each gets a clear error or a bounded end, memory stays within
//! limits, and nobody else notices.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Client, RedisServer, Redkeel, Value, bulk, error_text, eventually, simple};

use crate::common::{SOON, proxy, ready};
use crate::connection::{Connection, command};
use crate::neighbours::Neighbours;

const MB: u64 = 1 << 20;
/// Resident memory with nothing but ordinary clients stays far below this, in a debug build as well.
const RSS_MAX: u64 = 100 * MB;
/// Of the node: what a client has asked for and does not read may be there, but no more.
const NODE_RSS_MAX: u64 = 400 * MB;

fn start(server: &RedisServer, settings: &str) -> Redkeel {
    ready(proxy([server], settings))
}

#[track_caller]
fn assert_small(redkeel: &Redkeel) {
    let rss = redkeel.rss();
    assert!(rss < RSS_MAX, "{} MB resident", rss / MB);
}

/// Writes until the peer takes no more for a moment or closes; returns how much it took.
fn flood(connection: &Connection, block: &[u8], at_most: u64) -> u64 {
    let mut stream = connection.stream();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut sent = 0;
    while sent < at_most {
        match stream.write(block) {
            Ok(count) => sent += count as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    sent
}

fn slow_closed(redkeel: &Redkeel) -> u64 {
    redkeel.status()["pools"][0]["clients"]["slow_closed"].as_u64().unwrap()
}

#[test]
fn garbage_ends_its_connection() {
    let server = RedisServer::start();
    let redkeel = start(&server, "");
    let neighbours = Neighbours::of(&redkeel);
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..300 {
        let mut connection = Connection::open(&redkeel.address());
        let garbage: Vec<u8> = match round % 4 {
            // A TLS greeting.
            0 => [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), &[7; 500]].concat(),
            1 => (0..random.usize(1..5000)).map(|_| random.u8(..)).collect(),
            2 => (0..random.usize(1..500))
                .map(|_| *random.choice(b"*$\r\n0123456789-").unwrap())
                .collect(),
            _ => [b"*2\r\n$4\r\nECHO\r\n".as_slice(), &[random.u8(..); 100]].concat(),
        };
        // It may be closed before it has all been sent.
        let _ = connection.stream().write_all(&garbage);
        connection.end_sending();
        connection.rest();
    }
    neighbours.assert_undisturbed();
    assert_small(&redkeel);
    assert_eq!(redkeel.status()["pools"][0]["nodes"][0]["connection_failures"], 0);
}

#[test]
fn what_is_too_large_is_refused_before_it_comes() {
    let server = RedisServer::start();
    let redkeel = start(&server, "");
    let neighbours = Neighbours::of(&redkeel);
    for (request, expected) in [
        ("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4294967296\r\n", "invalid bulk length"),
        ("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870913\r\n", "invalid bulk length"),
        ("*10000000\r\n", "invalid multibulk length"),
        ("*1048577\r\n", "invalid multibulk length"),
        ("*2147483648\r\n", "invalid multibulk length"),
        ("*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
    ] {
        let mut connection = Connection::open(&redkeel.address());
        connection.send(b"PING\r\n");
        connection.send(request.as_bytes());
        let answer = String::from_utf8(connection.rest()).unwrap();
        assert_eq!(answer, format!("+PONG\r\n-ERR Protocol error: {expected}\r\n"), "{request:?}");
    }
    // A line without an end, and a length without one.
    for (block, expected) in [("a", "too big inline request"), ("*1", "too big mbulk count string")]
    {
        let mut connection = Connection::open(&redkeel.address());
        let _ = connection.stream().write_all(block.repeat(70_000).as_bytes());
        let answer = String::from_utf8(connection.rest()).unwrap();
        assert!(answer.contains(expected) || answer.contains("length"), "{block}: {answer}");
    }
    neighbours.assert_undisturbed();
    assert_small(&redkeel);
}

#[test]
fn a_request_beyond_the_pools_limits_is_refused() {
    let server = RedisServer::start();
    let limits = "limits.max_bulk = \"4mb\"\nlimits.max_request = \"8mb\"\nlimits.max_args = 100";
    let redkeel = start(&server, limits);
    let neighbours = Neighbours::of(&redkeel);
    let value = "x".repeat(3 << 20);
    let mut large = vec!["MSET"];
    for key in ["a", "b", "c"] {
        large.extend([key, &value]);
    }
    for (request, expected) in [
        (command(&large), "request is larger than max_request"),
        (command(&["SET", "key", &"x".repeat((4 << 20) + 1)]), "invalid bulk length"),
        (command(&["DEL"; 101]), "invalid multibulk length"),
    ] {
        let mut connection = Connection::open(&redkeel.address());
        let _ = connection.stream().write_all(&request);
        let answer = String::from_utf8(connection.rest()).unwrap();
        assert!(
            answer.starts_with("-ERR Protocol error: ") && answer.contains(expected),
            "{answer}"
        );
    }
    let mut client = redkeel.client();
    assert_eq!(client.command(["MSET", "a", &value, "b", &value]), simple("OK"));
    assert_eq!(client.command(["EXISTS", "a", "b", "c", "key"]), Value::Integer(2));
    neighbours.assert_undisturbed();
    assert_small(&redkeel);
}

#[test]
fn half_a_command_costs_next_to_nothing_and_may_be_finished() {
    let server = RedisServer::start();
    let redkeel = start(&server, "");
    let neighbours = Neighbours::of(&redkeel);
    // 500 MB are announced by each, and nothing of them is sent.
    let announced: Vec<Connection> = (0..300)
        .map(|_| {
            let mut connection = Connection::open(&redkeel.address());
            connection.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$524288000\r\nx");
            connection
        })
        .collect();
    let mut begun: Vec<Connection> = (0..1000)
        .map(|number| {
            let mut connection = Connection::open(&redkeel.address());
            let whole = command(&["SET", &format!("half:{number}"), &"x".repeat(2000)]);
            connection.send(&whole[..1000]);
            connection
        })
        .collect();
    eventually(SOON, "all to be connected", || {
        redkeel.status()["pools"][0]["clients"]["connected"].as_u64() > Some(1300)
    });
    assert_small(&redkeel);
    drop(announced);
    for (number, connection) in begun.iter_mut().enumerate() {
        let whole = command(&["SET", &format!("half:{number}"), &"x".repeat(2000)]);
        connection.send(&whole[1000..]);
        assert_eq!(connection.reply(), b"+OK\r\n");
    }
    neighbours.assert_undisturbed();
    assert_small(&redkeel);
    assert_eq!(server.cli(["GET", "half:999"]), bulk("x".repeat(2000)));
}

#[test]
fn a_large_request_that_is_cut_off_leaves_nothing_behind() {
    let server = RedisServer::start();
    let redkeel = start(&server, "");
    let neighbours = Neighbours::of(&redkeel);
    let whole = command(&["SET", "cut", &"x".repeat(20 << 20)]);
    for cut in [100, 1 << 20, 3 << 20, 19 << 20] {
        let mut connection = Connection::open(&redkeel.address());
        connection.send(&whole[..cut]);
    }
    let mut client = redkeel.client();
    eventually(SOON, "them to be forgotten", || {
        redkeel.status()["pools"][0]["clients"]["connected"].as_u64() == Some(7)
    });
    assert_eq!(client.command(["EXISTS", "cut"]), Value::Integer(0));
    neighbours.assert_undisturbed();
    assert_small(&redkeel);
    assert_eq!(redkeel.status()["pools"][0]["nodes"][0]["connection_failures"], 0);
}

#[test]
fn a_client_that_sends_byte_by_byte_is_served() {
    let server = RedisServer::start();
    let redkeel = start(&server, "");
    let neighbours = Neighbours::of(&redkeel);
    let value = "x".repeat(20_000);
    let mut connection = Connection::open(&redkeel.address());
    connection.send_bytewise(&command(&["SET", "key", &value]));
    assert_eq!(connection.reply(), b"+OK\r\n");
    connection.send_bytewise(&command(&["GET", "key"]));
    assert_eq!(connection.reply().len(), value.len() + 10);
    neighbours.assert_undisturbed();
}

/// A client that asks for the key all the time and never reads: how much of its requests is taken.
fn ask_and_never_read(redkeel: &Redkeel, request: &[u8], at_most: u64) -> (Connection, u64) {
    let connection = Connection::open(&redkeel.address());
    let block = request.repeat(1 + 16_384 / request.len());
    let sent = flood(&connection, &block, at_most);
    (connection, sent)
}

#[test]
fn small_replies_that_are_never_read_stop_their_client_alone() {
    let server = RedisServer::start();
    let redkeel = start(&server, "");
    server.cli(["SET", "small", "a small value"]);
    let neighbours = Neighbours::of(&redkeel);
    for request in [["GET", "small"], ["CLIENT", "ID"], ["ECHO", "something"]] {
        // The kernel's buffers take some MB of replies, and the requests for those.
        let (connection, sent) = ask_and_never_read(&redkeel, &command(&request), 300 * MB);
        assert!(sent < 200 * MB, "{request:?}: {} MB were taken", sent / MB);
        assert_small(&redkeel);
        drop(connection);
    }
    neighbours.assert_undisturbed();
    assert_eq!(server.cli(["PING"]), simple("PONG"));
}

#[test]
fn large_replies_that_are_never_read_stop_their_client_alone() {
    let server = RedisServer::start();
    let redkeel = start(&server, "");
    server.cli(["SET", "large", &"x".repeat(300_000)]);
    let neighbours = Neighbours::of(&redkeel);
    let mut stuck = Vec::new();
    for _ in 0..2 {
        let (connection, sent) =
            ask_and_never_read(&redkeel, &command(&["GET", "large"]), 100 * MB);
        assert!(sent < 30 * MB, "{} MB were taken", sent / MB);
        stuck.push(connection);
    }
    // The neighbours go on for a while beside them.
    thread::sleep(Duration::from_secs(2));
    let rss = testkit::usage::resident_bytes(server.pid()).unwrap();
    assert!(rss < 2 * NODE_RSS_MAX, "{} MB resident in the node", rss / MB);
    neighbours.assert_undisturbed();
    let rss = redkeel.rss();
    assert!(rss < RSS_MAX + 2 * 64 * MB, "{} MB resident", rss / MB);
}

#[test]
fn a_slow_reader_gets_all_that_it_asked_for() {
    let server = RedisServer::start();
    let redkeel = start(&server, "");
    server.cli(["SET", "large", &"x".repeat(300_000)]);
    let neighbours = Neighbours::of(&redkeel);
    let mut connection = Connection::open(&redkeel.address());
    const REPLIES: usize = 150;
    connection.send(&command(&["GET", "large"]).repeat(REPLIES));
    for _ in 0..REPLIES {
        assert_eq!(connection.reply().len(), 300_011);
        thread::sleep(Duration::from_millis(10));
    }
    neighbours.assert_undisturbed();
    assert_eq!(slow_closed(&redkeel), 0);
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_off() {
    let server = RedisServer::start();
    let redkeel = start(&server, "limits.client_output = \"8mb\"");
    let neighbours = Neighbours::of(&redkeel);
    let mut deaf = Connection::open(&redkeel.address());
    deaf.send(&command(&["SUBSCRIBE", "news"]));
    deaf.reply();
    let mut monitor = Connection::open(&redkeel.address());
    monitor.send(b"MONITOR\r\n");
    monitor.reply();
    let mut listener = redkeel.client();
    listener.command(["SUBSCRIBE", "news"]);
    let text = "x".repeat(100_000);
    let mut publisher = redkeel.client();
    let start = Instant::now();
    let mut published = 0;
    while slow_closed(&redkeel) < 2 {
        let heard = publisher.command(["PUBLISH", "news", &text]);
        assert!(heard.as_int() >= Some(1), "{heard:?}");
        assert_eq!(
            listener.receive().as_array().unwrap()[2].as_bytes().map(<[_]>::len),
            Some(text.len())
        );
        published += 1;
        assert!(start.elapsed() < SOON, "still open after {published} messages");
    }
    assert!(published > 80, "closed after only {published} messages");
    assert_eq!(publisher.command(["PUBLISH", "news", "last"]), Value::Integer(1));
    neighbours.assert_undisturbed();
    assert_small(&redkeel);
}

#[test]
fn thousands_come_at_once_and_go() {
    const MANY: usize = 3000;
    let server = RedisServer::start();
    let redkeel = start(&server, "");
    let neighbours = Neighbours::of(&redkeel);
    for round in 0..3 {
        let mut connections: Vec<Connection> =
            (0..MANY).map(|_| Connection::open(&redkeel.address())).collect();
        match round {
            0 => {}
            1 => connections.iter_mut().for_each(|connection| connection.send(b"PING\r\n")),
            _ => connections.iter_mut().for_each(|connection| {
                connection.send(b"GET key\r\n");
                assert_eq!(connection.reply(), b"$-1\r\n");
            }),
        }
    }
    eventually(SOON, "them to be gone", || {
        let connected = redkeel.status()["pools"][0]["clients"]["connected"].as_u64().unwrap();
        if connected == 6 { Ok(()) } else { Err(format!("{connected} are left")) }
    });
    neighbours.assert_undisturbed();
    assert_small(&redkeel);
}

#[test]
fn one_client_too_many_is_told_so() {
    const MOST: usize = 10;
    let server = RedisServer::start();
    let redkeel = start(&server, &format!("limits.max_clients = {MOST}"));
    let mut clients: Vec<Client> = (0..MOST).map(|_| redkeel.client()).collect();
    for client in &mut clients {
        assert_eq!(client.command(["PING"]), simple("PONG"));
    }
    for _ in 0..3 {
        let mut refused = Connection::open(&redkeel.address());
        assert_eq!(refused.rest(), b"-ERR max number of clients reached\r\n");
    }
    assert_eq!(redkeel.status()["pools"][0]["clients"]["refused"], 3);
    clients.pop();
    eventually(SOON, "room for another", || {
        redkeel.client().try_command(["PING"]).is_ok_and(|reply| reply == simple("PONG"))
    });
    assert_eq!(clients[0].command(["PING"]), simple("PONG"));
}

#[test]
fn lanes_and_connections_of_ones_own_are_limited() {
    let mut server = RedisServer::start();
    // Two workers share `max_pinned`.
    let limits = "limits.max_lanes = 3\nlimits.max_pinned = 4\nhealth.timeout = \"4s\"\ntimeouts.hold = \"13s\"";
    let redkeel = start(&server, limits);
    let mut clients: Vec<Client> = (0..12).map(|_| redkeel.client()).collect();
    // One after the other find a lane: one that has nothing to do makes room.
    for round in 0..2 {
        for (number, client) in clients.iter_mut().enumerate() {
            let database = number.to_string();
            assert_eq!(client.command(["SELECT", &database]), simple("OK"), "{round}: {database}");
            assert_eq!(
                client.command(["SET", "key", &database]),
                simple("OK"),
                "{round}: {database}"
            );
        }
    }
    // At the same time of each worker's six databases three do.
    server.stop_signal();
    for client in &mut clients {
        client.send(["GET", "key"]);
    }
    let mut refused = 0;
    for client in &mut clients {
        client.set_timeout(Duration::from_millis(100));
        if let Ok(reply) = client.try_receive() {
            let text = error_text(&reply).unwrap();
            let start = format!("LIMIT redkeel: node {} of pool main", server.address());
            assert!(text.starts_with(&start) && text.contains("max_lanes"), "{text}");
            refused += 1;
        }
    }
    assert_eq!(refused, 6);
    server.cont();

    let mut clients: Vec<Client> = (0..6).map(|_| redkeel.client()).collect();
    for client in &mut clients {
        client.send(["BLPOP", "queue", "0"]);
    }
    let limited = |client: &mut Client| {
        client.set_timeout(Duration::from_millis(300));
        let reply = client.try_receive().ok()?;
        let text = error_text(&reply).unwrap();
        assert!(
            text.starts_with("LIMIT redkeel: pool main") && text.contains("max_pinned"),
            "{text}"
        );
        Some(())
    };
    assert_eq!(clients.iter_mut().filter_map(limited).count(), 2);
    let mut pusher = redkeel.client();
    assert_eq!(pusher.command(["RPUSH", "queue", "1", "2", "3", "4"]), Value::Integer(4));
    eventually(SOON, "the elements to be taken", || {
        pusher.command(["LLEN", "queue"]) == Value::Integer(0)
    });
}
