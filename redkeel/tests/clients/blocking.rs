//! Commands that wait: for an element, for an entry, for replicas.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use testkit::{Client, RedisServer, Redkeel, Value, bulk, error_text, eventually, simple};

use crate::common::{LISTENERS, SOON, proxy, ready, replicated};
use crate::connection::{Connection, command};

fn start(server: &RedisServer) -> Redkeel {
    ready(proxy([server], LISTENERS).listeners(2))
}

fn wait_blocked(server: &RedisServer, count: usize) {
    eventually(SOON, "clients to be blocked", || {
        let blocked = server.info("clients")["blocked_clients"].clone();
        if blocked == count.to_string() { Ok(()) } else { Err(format!("{blocked} of {count}")) }
    });
}

fn connected_clients(server: &RedisServer) -> usize {
    server.info("clients")["connected_clients"].parse().unwrap()
}

#[test]
fn what_comes_later_is_given_to_who_waits() {
    /// A command that waits, and the one that ends its wait.
    const CASES: &[(&str, &str)] = &[
        ("BLPOP missing list 0", "RPUSH list a b"),
        ("BRPOP list 30", "RPUSH list a b"),
        ("BLMOVE list other LEFT RIGHT 0", "RPUSH list a"),
        ("BRPOPLPUSH list other 0", "RPUSH list a"),
        ("BLMPOP 0 2 missing list LEFT COUNT 2", "RPUSH list a b c"),
        ("BZPOPMIN zset 0", "ZADD zset 1.5 a 2 b"),
        ("BZPOPMAX zset 0", "ZADD zset 1 a 2 b"),
        ("BZMPOP 0 1 zset MIN COUNT 2", "ZADD zset 1 a 2 b"),
        ("XREAD BLOCK 0 STREAMS stream $", "XADD stream 7-1 field value"),
        ("XREAD COUNT 1 BLOCK 20000 STREAMS missing stream 0 0", "XADD stream 7-1 field value"),
        ("XREADGROUP GROUP group me BLOCK 0 STREAMS grouped >", "XADD grouped 7-1 field value"),
    ];
    let server = RedisServer::start();
    let redkeel = start(&server);
    for (waiting, ending) in CASES {
        let [waiting, ending] = [waiting, ending].map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            command(&words)
        });
        for hello in ["2", "3"] {
            let replies = [
                server.address().clone(),
                redkeel.address_in("main", "split"),
                redkeel.address_in("main", "write"),
            ]
            .map(|address| {
                server.client().pipeline([
                    vec!["FLUSHALL"],
                    vec!["XGROUP", "CREATE", "grouped", "group", "$", "MKSTREAM"],
                ]);
                let mut waiter = Connection::open(&address);
                waiter.send(&command(&["HELLO", hello]));
                waiter.reply();
                // What it sends behind waits as well.
                waiter.send(&[waiting.as_slice(), &command(&["ECHO", "behind"])].concat());
                wait_blocked(&server, 1);
                let mut other = Connection::open(&address);
                other.send(&ending);
                let replies = [other.reply(), waiter.reply(), waiter.reply()];
                replies.map(|reply| reply.escape_ascii().to_string())
            });
            assert_eq!(replies[1], replies[0], "split, RESP{hello}");
            assert_eq!(replies[2], replies[0], "write, RESP{hello}");
        }
    }
}

#[test]
fn a_wait_ends_with_its_own_timeout() {
    let server = RedisServer::start();
    // A blocking command may take longer than `request` allows others.
    let redkeel = ready(proxy([&server], "timeouts.request = \"200ms\""));
    let mut client = redkeel.client();
    for (command, wait) in [
        (&["BLPOP", "list", "0.7"] as &[_], Duration::from_millis(700)),
        (&["XREAD", "BLOCK", "600", "STREAMS", "stream", "$"], Duration::from_millis(600)),
        (&["WAIT", "1", "500"], Duration::from_millis(500)),
    ] {
        let start = Instant::now();
        let reply = client.command(command);
        let waited = start.elapsed();
        let expected = if command[0] == "WAIT" { Value::Integer(0) } else { Value::Null };
        assert_eq!(reply, expected, "{command:?}");
        assert!(
            waited >= wait && waited < wait + Duration::from_secs(2),
            "{command:?}: {waited:?}"
        );
    }
    assert_eq!(client.command(["PING"]), simple("PONG"));
}

#[test]
fn two_hundred_wait_and_each_element_goes_to_one() {
    const CLIENTS: usize = 200;
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| redkeel.client()).collect();
    let mut pusher = redkeel.client();
    for round in 0..3 {
        for client in &mut clients {
            client.send(["BLPOP", "queue", "0"]);
        }
        wait_blocked(&server, CLIENTS);
        let elements: Vec<String> =
            (0..CLIENTS).map(|number| format!("{round}:{number}")).collect();
        let replies = pusher.pipeline(elements.iter().map(|element| ["RPUSH", "queue", element]));
        assert_eq!(replies, vec![Value::Integer(1); CLIENTS]);
        let mut received = BTreeSet::new();
        for client in &mut clients {
            let reply = client.receive();
            let pair = reply.as_array().unwrap();
            assert_eq!(pair[0], bulk("queue"));
            received.insert(String::from_utf8(pair[1].as_bytes().unwrap().to_vec()).unwrap());
        }
        assert_eq!(received, elements.into_iter().collect(), "round {round}");
        assert_eq!(pusher.command(["LLEN", "queue"]), Value::Integer(0));
        // Its own connection was lent to each client, and is lent again: besides them there are lanes, the probe, and us.
        let connections = connected_clients(&server);
        assert!(connections <= CLIENTS + 10, "{connections} connections in round {round}");
    }
    drop(clients);
    let connections = connected_clients(&server);
    assert!(connections <= CLIENTS + 10, "{connections} connections afterwards");
}

#[test]
fn five_thousand_are_served_and_their_connections_used_again() {
    const CLIENTS: usize = 5000;
    let server = RedisServer::start();
    let redkeel = ready(proxy(
        [&server],
        // A node that is busy with thousands of clients is not a frozen one.
        "limits.max_clients = 6000\nlimits.max_pinned = 6000\nhealth.timeout = \"4s\"\ntimeouts.hold = \"13s\"",
    ));
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| redkeel.client()).collect();
    let mut pusher = redkeel.client();
    let connects = || -> usize {
        let stats = server.info("stats");
        stats["total_connections_received"].parse().unwrap()
    };
    let mut after_first = 0;
    for round in 0..3 {
        for client in &mut clients {
            client.send(["BLPOP", "queue", "0"]);
        }
        wait_blocked(&server, CLIENTS);
        let elements: Vec<String> =
            (0..CLIENTS).map(|number| format!("{round}:{number}")).collect();
        pusher.pipeline(elements.iter().map(|element| ["RPUSH", "queue", element]));
        let mut received = BTreeSet::new();
        for client in &mut clients {
            let reply = client.receive();
            let element = reply.as_array().unwrap()[1].as_bytes().unwrap().to_vec();
            received.insert(String::from_utf8(element).unwrap());
        }
        assert_eq!(received.len(), CLIENTS, "round {round}");
        if round == 0 {
            after_first = connects();
            let connections = connected_clients(&server);
            assert!(connections <= CLIENTS + 20, "{connections} connections");
        }
    }
    // Our own questions are connections as well.
    let further = connects() - after_first;
    println!("{CLIENTS} clients blocked three times: {after_first} connects, then {further}");
    assert!(further < CLIENTS / 2, "{further} connects in further rounds");
    // Who leaves is forgotten at once.
    for client in &mut clients {
        client.send(["BLPOP", "queue", "0"]);
    }
    wait_blocked(&server, CLIENTS);
    drop(clients);
    wait_blocked(&server, 0);
    assert_eq!(pusher.command(["RPUSH", "queue", "element"]), Value::Integer(1));
    assert_eq!(pusher.command(["LLEN", "queue"]), Value::Integer(1));
}

/// Each worker has its share of the limit.
#[test]
fn more_blocked_clients_than_allowed_are_told_so_and_those_there_are_give_way() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], "limits.max_pinned = 4"));
    let mut clients: Vec<Client> = (0..4).map(|_| redkeel.client()).collect();
    for client in &mut clients {
        client.send(["BLPOP", "queue", "0"]);
    }
    wait_blocked(&server, 4);
    let mut further = [redkeel.client(), redkeel.client()];
    for client in &mut further {
        let refused = testkit::error_text(&client.command(["BLPOP", "queue", "0"])).unwrap();
        assert!(
            refused.starts_with("LIMIT redkeel: pool main has its share of pinned"),
            "{refused}"
        );
        assert_eq!(client.command(["PING"]), simple("PONG"));
    }
    drop(clients);
    wait_blocked(&server, 0);
    for client in &mut further {
        client.send(["BLPOP", "queue", "0"]);
    }
    wait_blocked(&server, 2);
    redkeel.client().command(["RPUSH", "queue", "element", "element"]);
    for client in &mut further {
        assert_eq!(client.receive(), Value::Array(vec![bulk("queue"), bulk("element")]));
    }
    // Connections that are kept for others with another database make room as well.
    for client in &mut further {
        for database in ["1", "2", "3", "4"] {
            assert_eq!(client.command(["SELECT", database]), simple("OK"));
            assert_eq!(client.command(["BLPOP", "queue", "0.01"]), Value::Null);
        }
    }
    let connections = connected_clients(&server);
    assert!(connections <= 4 + 2 * 5 + 10, "{connections} connections");
}

#[test]
fn who_leaves_while_waiting_takes_nothing() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut other = redkeel.client();
    for way_to_leave in ["close", "reset", "half-close", "close with more sent"] {
        let mut client = redkeel.client();
        client.send(["BLPOP", "queue", "0"]);
        wait_blocked(&server, 1);
        match way_to_leave {
            "close" => drop(client),
            "reset" => client.reset(),
            "half-close" => {
                client.shutdown_write();
                client.expect_closed();
            }
            _ => {
                client.send(["LPOP", "queue"]);
                client.send(["BLPOP", "queue", "0"]);
                drop(client);
            }
        }
        wait_blocked(&server, 0);
        assert_eq!(
            other.command(["RPUSH", "queue", "element"]),
            Value::Integer(1),
            "{way_to_leave}"
        );
        let popped = other.command(["BLPOP", "queue", "1"]);
        assert_eq!(popped, Value::Array(vec![bulk("queue"), bulk("element")]), "{way_to_leave}");
    }
}

#[test]
fn wait_counts_the_replicas_that_have_the_clients_writes() {
    let mut nodes = replicated(2);
    let redkeel = ready(proxy(&nodes, LISTENERS).listeners(2));
    let addresses = [redkeel.address_in("main", "split"), redkeel.address_in("main", "write")];
    for address in &addresses {
        let mut client = Client::connect(address);
        assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
        assert_eq!(client.command(["WAIT", "2", "0"]), Value::Integer(2));
        assert_eq!(client.command(["WAIT", "2", "0"]), Value::Integer(2));
        let replies = client.pipeline([
            vec!["SET", "key", "other"],
            vec!["WAIT", "2", "10000"],
            vec!["GET", "key"],
        ]);
        assert_eq!(replies, [simple("OK"), Value::Integer(2), bulk("other")]);
        // Now the replicas have it: each of them says so.
        assert_eq!(client.command(["SET", "key", "last"]), simple("OK"));
        assert_eq!(client.command(["WAIT", "2", "0"]), Value::Integer(2));
        for replica in &nodes[1..] {
            assert_eq!(replica.cli(["GET", "key"]), bulk("last"));
        }
    }
    // A replica that acknowledges nothing is not counted.
    nodes[2].stop_signal();
    let mut client = Client::connect(&addresses[1]);
    assert_eq!(client.command(["SET", "key", "late"]), simple("OK"));
    assert_eq!(client.command(["WAIT", "2", "300"]), Value::Integer(1));
    nodes[2].cont();
    assert_eq!(client.command(["WAIT", "2", "0"]), Value::Integer(2));
}

#[test]
fn a_stream_that_is_deleted_ends_the_wait_with_the_servers_error() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let replies = [server.address().clone(), redkeel.address_in("main", "split")].map(|address| {
        server.cli(["XGROUP", "CREATE", "stream", "group", "$", "MKSTREAM"]);
        let mut waiter = Client::connect(address);
        waiter.send(["XREADGROUP", "GROUP", "group", "me", "BLOCK", "0", "STREAMS", "stream", ">"]);
        wait_blocked(&server, 1);
        server.cli(["DEL", "stream"]);
        error_text(&waiter.receive()).unwrap()
    });
    assert_eq!(replies[1], replies[0]);
    assert!(replies[0].starts_with("UNBLOCKED "), "{replies:?}");
}
