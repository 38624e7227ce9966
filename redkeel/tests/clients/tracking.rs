//! CLIENT TRACKING with REDIRECT: what became invalid for one client is told to another, whichever worker has it.

use testkit::{Client, RedisServer, Redkeel, Value, bulk, error_text, eventually, simple};

use crate::common::{SOON, proxy, ready};

const CHANNEL: &str = "__redis__:invalidate";

fn start(server: &RedisServer) -> Redkeel {
    ready(proxy([server], ""))
}

fn id_of(client: &mut Client) -> String {
    client.command(["CLIENT", "ID"]).as_int().unwrap().to_string()
}

fn resp3(redkeel: &Redkeel) -> Client {
    let mut client = redkeel.client();
    assert!(matches!(client.command(["HELLO", "3"]), Value::Map(_)));
    client
}

fn subscriber(redkeel: &Redkeel) -> (Client, String) {
    let mut client = redkeel.client();
    let id = id_of(&mut client);
    let confirmed = client.command(["SUBSCRIBE", CHANNEL]);
    assert_eq!(confirmed, Value::Array(vec![bulk("subscribe"), bulk(CHANNEL), Value::Integer(1)]));
    (client, id)
}

fn track(client: &mut Client, to: &str, options: &[&str]) -> Value {
    client.command(["CLIENT", "TRACKING", "ON", "REDIRECT", to].iter().chain(options))
}

fn message(keys: &[&str]) -> Value {
    let keys = Value::Array(keys.iter().map(bulk).collect());
    Value::Array(vec![bulk("message"), bulk(CHANNEL), keys])
}

fn push(key: &str) -> Value {
    Value::Push(vec![bulk("invalidate"), Value::Array(vec![bulk(key)])])
}

/// The clients that the node has, but for the one that asks and Redkeel's probes.
fn receivers(server: &RedisServer) -> usize {
    let list = server.cli(["CLIENT", "LIST"]);
    let text = String::from_utf8_lossy(list.as_bytes().unwrap()).into_owned();
    text.lines().filter(|line| line.contains("cmd=client|id ")).count()
}

#[test]
fn what_became_invalid_is_told_to_a_client_of_any_worker() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut writer = redkeel.client();
    // Of two workers: one of each is on the tracking client's, one on the other.
    let mut listeners = [subscriber(&redkeel), subscriber(&redkeel)];
    let mut pushed = [resp3(&redkeel), resp3(&redkeel)];
    let mut trackers = [redkeel.client(), resp3(&redkeel)];
    for tracker in &mut trackers {
        for (listener, id) in &mut listeners {
            assert_eq!(track(tracker, id, &[]), simple("OK"));
            assert_eq!(tracker.command(["CLIENT", "GETREDIR"]).as_int().unwrap().to_string(), *id);
            assert_eq!(writer.command(["SET", "key", "1"]), simple("OK"));
            assert_eq!(tracker.command(["GET", "key"]), bulk("1"));
            writer.command(["SET", "key", "2"]);
            assert_eq!(listener.receive(), message(&["key"]));
        }
        for target in &mut pushed {
            assert_eq!(track(tracker, &id_of(target), &["NOLOOP"]), simple("OK"));
            assert_eq!(tracker.command(["GET", "key"]), bulk("2"));
            writer.command(["SET", "key", "2"]);
            assert_eq!(target.receive(), push("key"));
            assert_eq!(target.command(["PING"]), simple("PONG"));
            tracker.command(["GET", "key"]);
            writer.command(["FLUSHALL"]);
            assert_eq!(target.receive(), Value::Push(vec![bulk("invalidate"), Value::Null]));
            writer.command(["SET", "key", "2"]);
        }
        let own_id = id_of(tracker);
        let off = ["CLIENT", "TRACKING", "OFF", "REDIRECT", &own_id];
        assert_eq!(tracker.command(off), simple("OK"));
        assert_eq!(tracker.command(["CLIENT", "GETREDIR"]), Value::Integer(-1));
    }
    eventually(SOON, "the receiving connections to be closed", || receivers(&server) == 0);
}

#[test]
fn options_and_answers_are_those_of_a_server() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let (mut listener, id) = subscriber(&redkeel);
    let mut tracker = redkeel.client();
    let mut writer = redkeel.client();
    let nobody = "ERR The client ID you want redirect to does not exist";
    for id in ["0", "-1", "999999", "999998"] {
        assert_eq!(error_text(&track(&mut tracker, id, &[])).unwrap(), nobody, "{id}");
    }
    let refused = error_text(&track(&mut tracker, &id, &["PREFIX", "a:"])).unwrap();
    assert_eq!(refused, "ERR PREFIX option requires BCAST mode to be enabled");
    assert_eq!(tracker.command(["CLIENT", "GETREDIR"]), Value::Integer(-1));
    assert_eq!(receivers(&server), 0);

    assert_eq!(track(&mut tracker, &id, &["BCAST", "PREFIX", "a:", "NOLOOP"]), simple("OK"));
    assert_eq!(track(&mut tracker, &id, &["BCAST", "PREFIX", "b:", "NOLOOP"]), simple("OK"));
    assert_eq!(receivers(&server), 1);
    tracker.command(["SET", "a:own", "1"]);
    writer.command(["SET", "c:other", "1"]);
    writer.command(["SET", "a:other", "1"]);
    assert_eq!(listener.receive(), message(&["a:other"]));
    writer.command(["SET", "b:other", "1"]);
    assert_eq!(listener.receive(), message(&["b:other"]));
    let info = tracker.command(["CLIENT", "TRACKINGINFO"]);
    let flags = ["on", "bcast", "noloop"].map(bulk).to_vec();
    let redirect = Value::Integer(id.parse().unwrap());
    let prefixes = ["a:", "b:"].map(bulk).to_vec();
    let expected = [
        bulk("flags"),
        Value::Array(flags),
        bulk("redirect"),
        redirect,
        bulk("prefixes"),
        Value::Array(prefixes),
    ];
    assert_eq!(info, Value::Array(expected.to_vec()));
    let line = writer.command(["CLIENT", "LIST"]);
    let line = String::from_utf8_lossy(line.as_bytes().unwrap()).into_owned();
    assert!(line.contains(&format!(" redir={id} ")) && line.contains(" flags=tB "), "{line}");

    // What it names on the node is none of the client's business.
    for words in [&["TRACKING", "ON", "REDIRECT", &id] as &[&str], &["TRACKINGINFO"]] {
        assert_eq!(tracker.command(["MULTI"]), simple("OK"));
        let refused = tracker.command(["CLIENT"].iter().chain(words));
        let expected = format!("ERR CLIENT {} is not allowed in transactions", words[0]);
        assert_eq!(error_text(&refused).unwrap(), expected);
        assert!(error_text(&tracker.command(["EXEC"])).unwrap().starts_with("EXECABORT"));
    }
    // The aborted transactions took its connection with them: it tracks over another, and everything may have changed.
    assert!(matches!(listener.receive(), Value::Array(_)));
    eventually(SOON, "the keys to be tracked again", || {
        writer.command(["SET", "b:more", "1"]);
        receivers(&server) == 1
    });

    // One that redirects to itself.
    let mut own = resp3(&redkeel);
    let own_id = id_of(&mut own);
    assert_eq!(track(&mut own, &own_id, &["OPTIN"]), simple("OK"));
    own.command(["GET", "key"]);
    let replies = own.pipeline([vec!["CLIENT", "CACHING", "YES"], vec!["GET", "other"]]);
    assert_eq!(replies, [simple("OK"), Value::Null]);
    writer.command(["MSET", "key", "1", "other", "1"]);
    assert_eq!(own.receive(), push("other"));
    assert_eq!(own.command(["RESET"]), simple("RESET"));
    drop(tracker);
    eventually(SOON, "the receiving connections to be closed", || receivers(&server) == 0);
}

#[test]
fn a_tracking_client_learns_that_the_other_has_gone() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut writer = redkeel.client();
    // On both workers.
    for _ in 0..2 {
        let (listener, id) = subscriber(&redkeel);
        let mut tracker = resp3(&redkeel);
        assert_eq!(track(&mut tracker, &id, &[]), simple("OK"));
        assert_eq!(tracker.command(["GET", "key"]), Value::Null);
        drop(listener);
        eventually(SOON, "the listener to be gone", || {
            let list = writer.command(["CLIENT", "LIST", "ID", &id]);
            list.as_bytes().unwrap().is_empty()
        });
        writer.command(["SET", "key", "1"]);
        let number = Value::Integer(id.parse().unwrap());
        let broken = Value::Push(vec![bulk("tracking-redir-broken"), number.clone()]);
        assert_eq!(tracker.receive(), broken);
        let Value::Map(info) = tracker.command(["CLIENT", "TRACKINGINFO"]) else {
            panic!("no map");
        };
        assert!(matches!(&info[0].1, Value::Set(flags) if flags[1] == bulk("broken_redirect")));
        assert_eq!(tracker.command(["CLIENT", "GETREDIR"]), number);
        // As before: one more message that finds nobody.
        assert_eq!(tracker.command(["GET", "key"]), bulk("1"));
        writer.command(["SET", "key", "1"]);
        assert_eq!(tracker.receive(), broken);
        writer.command(["DEL", "key"]);
    }
}

#[test]
fn a_receiving_connection_counts_as_one_of_a_clients_own() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], "limits.max_pinned = 4"));
    let mut target = resp3(&redkeel);
    let id = id_of(&mut target);
    let mut trackers = [redkeel.client(), redkeel.client(), redkeel.client()];
    let mut tracks = 0;
    for tracker in &mut trackers {
        match error_text(&track(tracker, &id, &[])) {
            None => tracks += 1,
            Some(refused) => assert!(refused.starts_with("LIMIT redkeel: "), "{refused}"),
        }
        assert_eq!(tracker.command(["PING"]), simple("PONG"));
    }
    assert!(tracks < trackers.len());
}

/// The node's user may not read what it calls a connection.
#[test]
fn a_node_that_does_not_name_its_connections_is_quoted() {
    let server = RedisServer::start();
    server.cli(["ACL", "SETUSER", "poor", "on", "nopass", "~*", "+@all", "-client|id"]);
    let redkeel = start(&server);
    let mut target = resp3(&redkeel);
    let id = id_of(&mut target);
    let mut tracker = redkeel.client();
    assert_eq!(tracker.command(["AUTH", "poor", "x"]), simple("OK"));
    let refused = error_text(&track(&mut tracker, &id, &[])).unwrap();
    assert!(refused.starts_with("NOPERM"), "{refused}");
    assert_eq!(tracker.command(["SET", "key", "1"]), simple("OK"));
    let unknown = redkeel.client().command(["CLIENT", "KILL", "USER", "nobody"]);
    assert_eq!(error_text(&unknown).unwrap(), "ERR No such user 'nobody'");
    let killed = redkeel.client().command(["CLIENT", "KILL", "USER", "poor"]);
    assert_eq!(killed, Value::Integer(1));
}
