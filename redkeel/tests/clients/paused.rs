//! CLIENT PAUSE WRITE: what waits, and what goes on, as with one server.

use testkit::{Client, RedisServer, Value, bulk, error_text, eventually, simple};

use crate::common::{SOON, proxy, ready};

const NO_WRITES: &str = "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])";
const LIBRARY: &str = "#!lua name=lib\n\
    redis.register_function{function_name='Reads', callback=function(keys) return redis.call('GET', keys[1]) end, \
    flags={'no-writes'}}\n\
    redis.register_function('writes', function(keys) return redis.call('INCR', keys[1]) end)";

/// So many of the pool's clients wait, as INFO counts them.
fn wait_held(asker: &mut Client, count: usize) {
    let line = format!("blocked_clients:{count}\r\n");
    eventually(SOON, "clients to be held back", || {
        let reply = asker.command(["INFO", "clients"]);
        String::from_utf8_lossy(reply.as_bytes().unwrap()).contains(&line)
    });
}

#[test]
fn scripts_and_functions_that_only_read_go_on() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], "auth = \"none\""));
    let mut other = redkeel.client();
    for resp in ["2", "3"] {
        let mut client = redkeel.client();
        client.command(["HELLO", resp]);
        assert_eq!(client.command(["SET", "key", "7"]), simple("OK"));
        assert_eq!(client.command(["FUNCTION", "LOAD", "REPLACE", LIBRARY]), bulk("lib"));
        let plain = client.command(["SCRIPT", "LOAD", "return redis.call('INCR', KEYS[1])"]);
        assert_eq!(other.command(["CLIENT", "PAUSE", "60000", "WRITE"]), simple("OK"));

        assert_eq!(client.command(["EVAL", NO_WRITES, "1", "key"]), bulk("7"));
        let sha = client.command(["SCRIPT", "LOAD", NO_WRITES]);
        let sha = std::str::from_utf8(sha.as_bytes().unwrap()).unwrap();
        assert_eq!(client.command(["EVALSHA", sha, "1", "key"]), bulk("7"));
        // Names of functions have no case.
        for name in ["Reads", "READS", "reads"] {
            assert_eq!(client.command(["FCALL", name, "1", "key"]), bulk("7"));
        }
        assert_eq!(client.command(["FCALL_RO", "reads", "1", "key"]), bulk("7"));
        // In a transaction, step by step or whole.
        assert_eq!(client.command(["MULTI"]), simple("OK"));
        assert_eq!(client.command(["EVAL", NO_WRITES, "1", "key"]), simple("QUEUED"));
        assert_eq!(client.command(["EXEC"]), Value::Array(vec![bulk("7")]));
        let whole: [&[&str]; 3] = [&["MULTI"], &["EVAL", NO_WRITES, "1", "key"], &["EXEC"]];
        assert_eq!(client.pipeline(whole)[2], Value::Array(vec![bulk("7")]));
        // It is refused, whatever it would do.
        assert!(error_text(&client.command(["SET", "key"])).is_some());
        assert!(error_text(&client.command(["EXEC"])).is_some());

        let plain = std::str::from_utf8(plain.as_bytes().unwrap()).unwrap();
        let script = "return redis.call('INCR', KEYS[1])";
        let held: [&[&str]; 7] = [
            &["FCALL", "writes", "1", "key"],
            &["FCALL", "unknown", "1", "key"],
            &["EVAL", script, "1", "key"],
            &["EVALSHA", plain, "1", "key"],
            &["EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8dc", "0"],
            &["PFCOUNT", "hll"],
            &["PUBLISH", "channel", "message"],
        ];
        let mut waiting: Vec<Client> = held.iter().map(|_| redkeel.client()).collect();
        for (waiting, command) in waiting.iter_mut().zip(held) {
            waiting.send(command);
        }
        let mut open = redkeel.client();
        let whole: [&[&str]; 3] = [&["MULTI"], &["PFCOUNT", "hll"], &["EXEC"]];
        whole.iter().for_each(|command| open.send(*command));
        wait_held(&mut other, held.len() + 1);
        assert_eq!(server.cli(["GET", "key"]), bulk("7"));
        assert_eq!(other.command(["CLIENT", "UNPAUSE"]), simple("OK"));
        let replies: Vec<Value> = waiting.iter_mut().map(Client::receive).collect();
        let numbers = [0, 2, 3, 5, 6].map(|index: usize| replies[index].as_int());
        assert!(numbers.iter().all(Option::is_some), "{replies:?}");
        for unknown in [1, 4] {
            assert!(error_text(&replies[unknown]).is_some(), "{replies:?}");
        }
        let transaction = [open.receive(), open.receive(), open.receive()];
        assert_eq!(transaction[2], Value::Array(vec![Value::Integer(0)]));
    }
}

#[test]
fn a_transaction_waits_for_what_it_may_write() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], "auth = \"none\""));
    let mut other = redkeel.client();
    let mut writer = redkeel.client();
    assert_eq!(writer.command(["MULTI"]), simple("OK"));
    assert_eq!(writer.command(["SET", "key", "1"]), simple("QUEUED"));
    let mut reader = redkeel.client();
    assert_eq!(reader.command(["MULTI"]), simple("OK"));
    assert_eq!(reader.command(["GET", "key"]), simple("QUEUED"));
    assert_eq!(other.command(["CLIENT", "PAUSE", "60000", "WRITE"]), simple("OK"));
    writer.send(["EXEC"]);
    wait_held(&mut other, 1);
    assert_eq!(reader.command(["EXEC"]), Value::Array(vec![Value::Null]));
    assert_eq!(other.command(["CLIENT", "UNPAUSE"]), simple("OK"));
    assert_eq!(writer.receive(), Value::Array(vec![simple("OK")]));
    // What was queued is forgotten with its transaction.
    assert_eq!(other.command(["CLIENT", "PAUSE", "60000", "WRITE"]), simple("OK"));
    assert_eq!(error_text(&writer.command(["EXEC"])).unwrap(), "ERR EXEC without MULTI");
    assert_eq!(other.command(["CLIENT", "UNPAUSE"]), simple("OK"));
}

#[test]
fn a_pause_in_a_transaction_begins_with_its_end() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], "auth = \"none\""));
    let mut client = redkeel.client();
    // On both workers.
    let mut others: Vec<Client> = (0..4).map(|_| redkeel.client()).collect();
    let paused: [&[&str]; 5] = [
        &["MULTI"],
        &["SET", "a", "1"],
        &["CLIENT", "PAUSE", "60000", "WRITE"],
        &["SET", "b", "1"],
        &["EXEC"],
    ];
    for step in &paused[..4] {
        client.command(*step);
    }
    assert_eq!(others[0].command(["SET", "c", "0"]), simple("OK"));
    let done = Value::Array(vec![simple("OK"), simple("OK"), simple("OK")]);
    assert_eq!(client.command(["EXEC"]), done);
    for other in &mut others {
        assert_eq!(other.command(["GET", "b"]), bulk("1"));
        other.send(["INCR", "c"]);
    }
    wait_held(&mut client, 4);
    assert_eq!(server.cli(["GET", "c"]), bulk("0"));
    // The node goes on: its connections are everybody's.
    assert_eq!(server.cli(["SET", "d", "1"]), simple("OK"));
    let unpaused: [&[&str]; 3] = [&["MULTI"], &["CLIENT", "UNPAUSE"], &["EXEC"]];
    assert_eq!(client.pipeline(unpaused)[2], Value::Array(vec![simple("OK")]));
    assert!(others.iter_mut().all(|other| other.receive().as_int().is_some()));

    // One that is discarded, or in error, never was.
    for last in ["DISCARD", "EXEC"] {
        assert_eq!(client.command(["MULTI"]), simple("OK"));
        if last == "EXEC" {
            assert!(error_text(&client.command(["SET", "a"])).is_some());
        }
        assert_eq!(client.command(["CLIENT", "PAUSE", "60000", "WRITE"]), simple("QUEUED"));
        client.command([last]);
        assert_eq!(others[0].command(["SET", "c", "1"]), simple("OK"));
    }
}

#[test]
fn the_nodes_say_who_may_pause_in_a_transaction() {
    let server = RedisServer::start();
    let rule =
        ["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-client|pause", "-function|list"];
    assert_eq!(server.cli(rule), simple("OK"));
    let redkeel = ready(proxy([&server], ""));
    let mut client = redkeel.client();
    assert_eq!(client.command(["FUNCTION", "LOAD", LIBRARY]), bulk("lib"));
    let mut other = redkeel.client();
    assert_eq!(client.command(["AUTH", "app", "pw"]), simple("OK"));
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    let error = error_text(&client.command(["CLIENT", "PAUSE", "60000", "WRITE"])).unwrap();
    assert!(error.starts_with("NOPERM"), "{error}");
    assert!(error_text(&client.command(["EXEC"])).unwrap().starts_with("EXECABORT"));
    assert_eq!(other.command(["SET", "key", "1"]), simple("OK"));

    // Which functions only read is not said to this user: it waits.
    assert_eq!(other.command(["CLIENT", "PAUSE", "60000", "WRITE"]), simple("OK"));
    client.send(["FCALL", "reads", "1", "key"]);
    wait_held(&mut other, 1);
    assert_eq!(other.command(["CLIENT", "UNPAUSE"]), simple("OK"));
    assert_eq!(client.receive(), bulk("1"));
}
