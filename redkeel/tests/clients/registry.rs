//! CLIENT LIST, KILL, UNBLOCK, PAUSE: they speak of Redkeel's clients, whichever worker has them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use testkit::{Client, RedisServer, Redkeel, Value, bulk, error_text, eventually, simple};

use crate::common::{SOON, proxy, ready};

/// Over both workers.
const CLIENTS: usize = 6;

fn start(server: &RedisServer) -> Redkeel {
    ready(proxy([server], "auth = \"none\""))
}

fn id_of(client: &mut Client) -> i64 {
    client.command(["CLIENT", "ID"]).as_int().unwrap()
}

fn text_of(reply: &Value) -> String {
    String::from_utf8(reply.as_bytes().unwrap().to_vec()).unwrap()
}

/// The lines of a CLIENT LIST, by client, each as its fields.
fn list(client: &mut Client, words: &[&str]) -> BTreeMap<i64, BTreeMap<String, String>> {
    let command = ["CLIENT", "LIST"].iter().chain(words);
    let reply = client.command(command);
    let fields = |line: &str| -> BTreeMap<String, String> {
        let fields = line.split(' ').map(|field| field.split_once('=').unwrap());
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    text_of(&reply)
        .lines()
        .map(|line| {
            let fields = fields(line);
            (fields["id"].parse().unwrap(), fields)
        })
        .collect()
}

fn wait_blocked(server: &RedisServer, count: usize) {
    eventually(SOON, "clients to be blocked", || {
        server.info("clients")["blocked_clients"] == count.to_string()
    });
}

#[test]
fn a_list_has_every_client_of_the_pool_as_it_is() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| redkeel.client()).collect();
    let ids: Vec<i64> = clients.iter_mut().map(id_of).collect();
    assert_eq!(clients[0].command(["CLIENT", "SETNAME", "first"]), simple("OK"));
    assert_eq!(clients[1].command(["SELECT", "3"]), simple("OK"));
    assert!(matches!(clients[2].command(["HELLO", "3"]), Value::Map(_)));
    clients[2].command(["CLIENT", "SETINFO", "LIB-NAME", "own"]);
    clients[2].command(["CLIENT", "TRACKING", "ON"]);
    clients[3].command(["SUBSCRIBE", "a", "b"]);
    clients[3].command(["PING"]);
    clients[4].send(["BLPOP", "list", "0"]);
    wait_blocked(&server, 1);
    let own = id_of(&mut redkeel.client());
    assert!(own > 0 && !ids.contains(&own));
    eventually(SOON, "the client that has left to be gone", || {
        !list(&mut clients[5], &[]).contains_key(&own)
    });

    let all = list(&mut clients[5], &[]);
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), ids);
    let line = |index: usize| &all[&ids[index]];
    let field = |index: usize, name: &str| line(index)[name].as_str();
    // Redis 7.0's fields, and two of newer ones.
    let direct = server.cli(["CLIENT", "LIST"]);
    for name in text_of(&direct).split(' ').map(|field| field.split_once('=').unwrap().0) {
        assert!(line(0).contains_key(name), "{name}");
    }
    assert_eq!((field(0, "name"), field(0, "cmd")), ("first", "client|setname"));
    assert_eq!((field(1, "db"), field(1, "flags"), field(1, "resp")), ("3", "N", "2"));
    assert_eq!((field(2, "resp"), field(2, "flags"), field(2, "redir")), ("3", "t", "0"));
    assert_eq!(field(2, "lib-name"), "own");
    assert_eq!((field(3, "flags"), field(3, "sub"), field(3, "psub")), ("P", "2", "0"));
    assert_eq!((field(4, "flags"), field(4, "cmd")), ("b", "blpop"));
    assert_eq!((field(5, "cmd"), field(5, "user")), ("client|list", "default"));
    let listener = redkeel.address().to_string();
    for index in 0..CLIENTS {
        assert_eq!(field(index, "laddr"), listener);
        assert!(field(index, "addr").starts_with("127.0.0.1:"));
    }
    let mut addresses: Vec<&str> = (0..CLIENTS).map(|index| field(index, "addr")).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), CLIENTS);
    assert_eq!(text_of(&clients[0].command(["CLIENT", "INFO"])).lines().count(), 1);

    let (second, last) = (ids[1].to_string(), ids[5].to_string());
    let some = list(&mut clients[0], &["ID", &last, &second, "999999"]);
    assert_eq!(some.keys().copied().collect::<Vec<_>>(), [ids[1], ids[5]]);
    let subscribed = list(&mut clients[0], &["TYPE", "pubsub"]);
    assert_eq!(subscribed.keys().copied().collect::<Vec<_>>(), [ids[3]]);
    assert_eq!(list(&mut clients[0], &["TYPE", "normal"]).len(), CLIENTS - 1);
    assert!(list(&mut clients[0], &["TYPE", "replica"]).is_empty());
    // In a pipeline its answer keeps its place.
    let replies =
        clients[0].pipeline([vec!["SET", "k", "v"], vec!["CLIENT", "LIST"], vec!["GET", "k"]]);
    assert_eq!((&replies[0], &replies[2]), (&simple("OK"), &bulk("v")));
    assert!(text_of(&replies[1]).contains("cmd=client|list"));
    // What a node would say of its own clients is not asked of it.
    assert_eq!(clients[0].command(["MULTI"]), simple("OK"));
    let refused = clients[0].command(["CLIENT", "KILL", "ID", "1"]);
    assert_eq!(error_text(&refused).unwrap(), "ERR CLIENT KILL is not allowed in transactions");
    assert!(error_text(&clients[0].command(["EXEC"])).unwrap().starts_with("EXECABORT"));
}

#[test]
fn a_killed_client_is_closed_wherever_it_is() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut killer = redkeel.client();
    let kill = |killer: &mut Client, words: &[&str]| {
        killer.command(["CLIENT", "KILL"].iter().chain(words))
    };
    let own = id_of(&mut killer).to_string();
    for round in 0..4 {
        let mut victim = redkeel.client();
        let id = id_of(&mut victim).to_string();
        let address = list(&mut killer, &["ID", &id])[&id.parse().unwrap()]["addr"].clone();
        let reply = match round {
            0 => kill(&mut killer, &["ID", &id]),
            1 => kill(&mut killer, &["ADDR", &address, "SKIPME", "yes"]),
            2 => kill(&mut killer, &["TYPE", "normal", "USER", "default"]),
            _ => kill(&mut killer, &[&address]),
        };
        let expected = if round == 3 { simple("OK") } else { Value::Integer(1) };
        assert_eq!(reply, expected, "round {round}");
        victim.expect_closed();
        eventually(SOON, "the killed client to be gone", || list(&mut killer, &[]).len() == 1);
    }
    assert_eq!(kill(&mut killer, &["ID", "999999"]), Value::Integer(0));
    assert_eq!(kill(&mut killer, &["ID", &own]), Value::Integer(0));
    let none = kill(&mut killer, &["127.0.0.1:1"]);
    assert_eq!(error_text(&none).unwrap(), "ERR No such client");
    // A blocked one is forgotten by the node at once.
    let mut blocked = redkeel.client();
    let id = id_of(&mut blocked).to_string();
    blocked.send(["BLPOP", "list", "0"]);
    wait_blocked(&server, 1);
    assert_eq!(kill(&mut killer, &["ID", &id]), Value::Integer(1));
    blocked.expect_closed();
    wait_blocked(&server, 0);
    assert_eq!(killer.command(["RPUSH", "list", "element"]), Value::Integer(1));
    assert_eq!(killer.command(["LLEN", "list"]), Value::Integer(1));
    // Oneself at last, after the answer.
    let others: Vec<Client> = (0..CLIENTS).map(|_| redkeel.client()).collect();
    eventually(SOON, "all to be listed", || list(&mut killer, &[]).len() == CLIENTS + 1);
    let all = Value::Integer(i64::try_from(CLIENTS + 1).unwrap());
    assert_eq!(kill(&mut killer, &["LADDR", &redkeel.address().to_string(), "SKIPME", "no"]), all);
    killer.expect_closed();
    for mut other in others {
        other.expect_closed();
    }
}

#[test]
fn a_blocked_client_is_let_go_and_its_connection_used_again() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut other = redkeel.client();
    for _ in 0..2 {
        // One of each worker.
        let mut clients = [redkeel.client(), redkeel.client()];
        for client in &mut clients {
            let id = id_of(client).to_string();
            let unblock = ["CLIENT", "UNBLOCK", &id];
            assert_eq!(other.command(unblock), Value::Integer(0));
            for (waiting, nothing) in [
                (&["BLPOP", "list", "0"] as &[&str], Value::Null),
                (&["BLMOVE", "list", "other", "LEFT", "LEFT", "0"], Value::Null),
                (&["XREAD", "BLOCK", "0", "STREAMS", "stream", "$"], Value::Null),
                (&["WAIT", "1", "0"], Value::Integer(0)),
            ] {
                client.send(waiting);
                wait_blocked(&server, 1);
                // The node shows it as blocked before Redkeel has heard what the node calls its connection.
                eventually(SOON, "to be let go", || match other.command(unblock) {
                    Value::Integer(1) => Ok(()),
                    reply => Err(format!("{waiting:?}: {reply:?}")),
                });
                assert_eq!(client.receive(), nothing, "{waiting:?}");
            }
            client.send(["BLPOP", "list", "0"]);
            wait_blocked(&server, 1);
            let with_error = ["CLIENT", "UNBLOCK", &id, "ERROR"];
            assert_eq!(other.command(with_error), Value::Integer(1));
            let error = error_text(&client.receive()).unwrap();
            assert_eq!(error, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
            assert_eq!(client.command(["PING"]), simple("PONG"));
        }
    }
    let metrics = redkeel.admin_get("/metrics").body;
    let connections = metrics
        .lines()
        .find(|line| line.starts_with("redkeel_node_connections{") && line.contains("pinned"))
        .unwrap();
    assert!(
        connections.ends_with(" 4"),
        "one of each worker, and one that is kept open: {connections}"
    );
}

#[test]
fn a_pause_holds_back_the_pools_clients() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut other = redkeel.client();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| redkeel.client()).collect();
    assert_eq!(other.command(["CLIENT", "PAUSE", "60000", "WRITE"]), simple("OK"));
    for (index, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.command(["GET", "n"]), Value::Null);
        assert_eq!(client.command(["MULTI"]), simple("OK"));
        assert_eq!(client.command(["DISCARD"]), simple("OK"));
        match index % 3 {
            0 => client.send(["INCR", "n"]),
            1 => client.send_raw(b"PING\r\nINCR n\r\n"),
            _ => client.send_raw(
                b"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n*1\r\n$4\r\nEXEC\r\n",
            ),
        }
        if index % 3 == 1 {
            assert_eq!(client.receive(), simple("PONG"));
        }
    }
    assert_eq!(server.cli(["GET", "n"]), Value::Null);
    assert_eq!(other.command(["CLIENT", "UNPAUSE"]), simple("OK"));
    for (index, client) in clients.iter_mut().enumerate() {
        if index % 3 == 2 {
            assert_eq!([client.receive(), client.receive()], [simple("OK"), simple("QUEUED")]);
        }
        assert!(!matches!(client.receive(), Value::Error(_)));
    }
    assert_eq!(server.cli(["GET", "n"]), bulk(CLIENTS.to_string()));

    // Longer than what is held waits for a node.
    let begin = Instant::now();
    assert_eq!(other.command(["CLIENT", "PAUSE", "4000"]), simple("OK"));
    for client in &mut clients {
        client.send(["GET", "n"]);
    }
    for client in &mut clients {
        assert_eq!(client.receive(), bulk(CLIENTS.to_string()));
        assert!(begin.elapsed() >= Duration::from_millis(3900));
    }
}

#[test]
fn who_may_do_that_is_for_the_nodes_to_say() {
    let server = RedisServer::builder().requirepass("secret").start();
    let admin = |words: &[&str]| {
        let mut client = server.client();
        client.command(words)
    };
    assert_eq!(
        admin(&["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-client|kill"]),
        simple("OK")
    );
    let redkeel = ready(proxy([&server], "upstream.password = \"secret\""));
    let mut stranger = redkeel.client();
    let mut victim = redkeel.client();
    let id = id_of(&mut victim).to_string();
    for words in [
        &["CLIENT", "LIST"] as &[&str],
        &["CLIENT", "KILL", "ID", &id],
        &["CLIENT", "PAUSE", "1000"],
        &["CLIENT", "UNPAUSE"],
        &["CLIENT", "UNBLOCK", &id],
    ] {
        let error = error_text(&stranger.command(words)).unwrap();
        assert_eq!(error, "NOAUTH Authentication required.", "{words:?}");
    }
    assert_eq!(stranger.command(["AUTH", "app", "pw"]), simple("OK"));
    assert_eq!(list(&mut stranger, &[]).len(), 2);
    let error = error_text(&stranger.command(["CLIENT", "KILL", "ID", &id])).unwrap();
    assert!(error.starts_with("NOPERM"), "{error}");
    assert_eq!(stranger.command(["AUTH", "secret"]), simple("OK"));
    let replies = stranger.pipeline([vec!["CLIENT", "KILL", "ID", &id], vec!["PING"]]);
    assert_eq!(replies, [Value::Integer(1), simple("PONG")]);
    victim.expect_closed();
}

#[test]
fn info_counts_the_clients_of_the_pool() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| redkeel.client()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.command(["PING"]), simple("PONG")));
    assert!(matches!(clients[1].command(["HELLO", "3"]), Value::Map(_)));
    let counts = |reply: &Value| {
        let text = text_of(reply);
        ["connected_clients:", "blocked_clients:"].map(|name| {
            let line = text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
            line.and_then(|count| count.parse::<usize>().ok())
        })
    };
    // In both protocols, and with what else the node says.
    for index in [0, 1] {
        let reply = clients[index].command(["INFO"]);
        assert_eq!(counts(&reply), [Some(CLIENTS), Some(0)]);
        assert!(text_of(&reply).contains("\r\nused_memory:"));
        assert!(text_of(&reply).contains("\r\nmaxclients:"));
    }
    assert_eq!(counts(&clients[0].command(["INFO", "memory"])), [None, None]);

    clients[2].send(["BLPOP", "list", "0"]);
    eventually(SOON, "the blocked client to be counted", || {
        counts(&clients[0].command(["INFO", "clients"])) == [Some(CLIENTS), Some(1)]
    });
    // It is counted only once the node has its command: nobody's overtakes it.
    assert_eq!(clients[0].command(["RPUSH", "list", "a"]).as_int(), Some(1));
    assert_eq!(clients[2].receive(), Value::Array(vec![bulk("list"), bulk("a")]));

    assert_eq!(clients[0].command(["CLIENT", "PAUSE", "60000", "WRITE"]), simple("OK"));
    clients[3].send(["SET", "key", "value"]);
    eventually(SOON, "the client that is held back to be counted", || {
        counts(&clients[1].command(["INFO", "clients"])) == [Some(CLIENTS), Some(1)]
    });
    assert_eq!(clients[0].command(["CLIENT", "UNPAUSE"]), simple("OK"));
    assert_eq!(clients[3].receive(), simple("OK"));
    drop(clients.pop());
    eventually(SOON, "the client that has left not to be counted", || {
        counts(&clients[0].command(["INFO", "clients"])) == [Some(CLIENTS - 1), Some(0)]
    });

    // In a pipeline it keeps its place, between MULTI and EXEC the node speaks of its own connections.
    clients[0].send(["SET", "key", "1"]);
    clients[0].send(["INFO", "clients"]);
    clients[0].send(["INCR", "key"]);
    assert_eq!(clients[0].receive(), simple("OK"));
    assert_eq!(counts(&clients[0].receive()), [Some(CLIENTS - 1), Some(0)]);
    assert_eq!(clients[0].receive().as_int(), Some(2));
    assert_eq!(clients[0].command(["MULTI"]), simple("OK"));
    assert_eq!(clients[0].command(["INFO", "clients"]), simple("QUEUED"));
    let Value::Array(replies) = clients[0].command(["EXEC"]) else {
        panic!("the replies of a transaction");
    };
    assert!(text_of(&replies[0]).contains("connected_clients:"));
}
