//! Scripts and functions are there after a failover, and whenever a node has lost them.

use testkit::{Client, RedisServer, Redkeel, Value, bulk, error_text, simple};

use crate::common::{
    DOWN, FENCED, HELD, LOSS, expecting, promote, proxy, ready, replicated, wait_down,
    wait_for_primary,
};

/// As EVALSHA names them: `redis-cli SCRIPT LOAD`.
const ONE: (&str, &str) = ("return 1", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
const UNKNOWN: &str = "0123456789abcdef0123456789abcdef01234567";

fn start(nodes: &[RedisServer]) -> Redkeel {
    let builder = proxy(nodes, "timeouts.hold = \"15s\"");
    ready(builder)
}

/// The first node will go.
fn start_expecting_a_failover(nodes: &[RedisServer]) -> Redkeel {
    let builder = proxy(nodes, "timeouts.hold = \"15s\"");
    ready(expecting(builder, &[DOWN, HELD, FENCED, LOSS]))
}

fn load(client: &mut Client, text: &str) -> String {
    let sha = client.command(["SCRIPT", "LOAD", text]);
    String::from_utf8(sha.as_bytes().unwrap().to_vec()).unwrap()
}

fn flush(node: &RedisServer) {
    assert_eq!(node.cli(["SCRIPT", "FLUSH"]), simple("OK"));
}

fn assert_no_script(reply: &Value) {
    let text = error_text(reply).unwrap();
    assert_eq!(text, "NOSCRIPT No matching script. Please use EVAL.");
}

#[test]
fn scripts_and_functions_are_there_after_a_failover() {
    let mut nodes = replicated(1);
    let redkeel = start_expecting_a_failover(&nodes);
    // One client of each worker, and of the others some.
    let mut clients: Vec<Client> = (0..4).map(|_| redkeel.client()).collect();
    let incr = load(&mut clients[0], "return redis.call('INCR', KEYS[1])");
    let sha = load(&mut clients[0], ONE.0);
    assert_eq!(sha, ONE.1);
    let seen = "return redis.call('INCRBY', KEYS[1], 10)";
    assert_eq!(clients[1].command(["EVAL", seen, "1", "n"]), Value::Integer(10));
    let by_ten = nodes[0].cli(["SCRIPT", "LOAD", seen]);
    let by_ten = String::from_utf8(by_ten.as_bytes().unwrap().to_vec()).unwrap();
    let library = "#!lua name=own\nredis.register_function('two', function() return 2 end)";
    assert_eq!(clients[2].command(["FUNCTION", "LOAD", library]), bulk("own"));
    // A replica that was restarted has no scripts.
    flush(&nodes[1]);
    assert_eq!(clients[0].command(["WAIT", "1", "0"]), Value::Integer(1));
    nodes[0].kill9();
    wait_down(&redkeel, &nodes[0]);
    promote(&nodes[1]);
    wait_for_primary(&redkeel, &nodes[1]);
    let mut n = 10;
    for client in &mut clients {
        n += 1;
        assert_eq!(client.command(["EVALSHA", &incr, "1", "n"]), Value::Integer(n));
        n += 10;
        assert_eq!(client.command(["EVALSHA", &by_ten, "1", "n"]), Value::Integer(n));
        assert_eq!(client.command(["EVALSHA_RO", ONE.1, "0"]), Value::Integer(1));
        assert_eq!(client.command(["FCALL", "two", "0"]), Value::Integer(2));
    }
}

#[test]
fn a_transaction_finds_its_scripts_on_a_new_primary() {
    let mut nodes = replicated(1);
    let redkeel = start_expecting_a_failover(&nodes);
    let mut clients: Vec<Client> = (0..4).map(|_| redkeel.client()).collect();
    let whole = load(&mut clients[0], "return redis.call('INCR', KEYS[1])");
    let open = load(&mut clients[1], "return redis.call('INCRBY', KEYS[1], 1)");
    flush(&nodes[1]);
    nodes[0].kill9();
    wait_down(&redkeel, &nodes[0]);
    promote(&nodes[1]);
    wait_for_primary(&redkeel, &nodes[1]);
    let mut n = 0;
    for client in &mut clients {
        let replies = client.pipeline([
            vec!["MULTI"],
            vec!["EVALSHA", &whole, "1", "n"],
            vec!["EVALSHA", UNKNOWN, "0"],
            vec!["EXEC"],
        ]);
        n += 1;
        let results = replies[3].as_array().unwrap();
        assert_eq!(results[0], Value::Integer(n));
        assert_no_script(&results[1]);
        assert_eq!(client.command(["WATCH", "watched"]), simple("OK"));
        assert_eq!(client.command(["EVALSHA", &whole, "1", "n"]), Value::Integer(n + 1));
        assert_eq!(client.command(["MULTI"]), simple("OK"));
        assert_eq!(client.command(["EVALSHA", &open, "1", "n"]), simple("QUEUED"));
        assert_eq!(client.command(["EXEC"]), Value::Array(vec![Value::Integer(n + 2)]));
        n += 2;
    }
}

#[test]
fn a_script_that_a_node_has_lost_is_loaded_and_the_command_repeated_in_its_place() {
    let nodes = replicated(0);
    let redkeel = start(&nodes);
    let mut client = redkeel.client();
    let append = load(&mut client, "return redis.call('APPEND', KEYS[1], ARGV[1])");
    for round in 0..3 {
        client.command(["DEL", "key"]);
        flush(&nodes[0]);
        let replies = client.pipeline([
            vec!["EVALSHA", &append, "1", "key", "ab"],
            vec!["EVALSHA", UNKNOWN, "0"],
            vec!["EVALSHA", &append, "1", "key", "c"],
            vec!["ECHO", "between"],
            vec!["EVALSHA", &append.to_ascii_uppercase(), "1", "key", "d"],
            vec!["GET", "key"],
        ]);
        assert_eq!(replies[0], Value::Integer(2), "round {round}");
        assert_no_script(&replies[1]);
        assert_eq!(replies[2..5], [Value::Integer(3), bulk("between"), Value::Integer(4)]);
    }
    // Where a connection of the client's own is in use, that is kept.
    flush(&nodes[0]);
    assert_eq!(client.command(["WATCH", "key"]), simple("OK"));
    assert_eq!(client.command(["EVALSHA", &append, "1", "other", "x"]), Value::Integer(1));
    assert_eq!(nodes[0].cli(["SET", "key", "changed"]), simple("OK"));
    let replies = client.pipeline([vec!["MULTI"], vec!["GET", "key"], vec!["EXEC"]]);
    assert_eq!(replies[2], Value::Null);
    assert_eq!(
        client.command(["SCRIPT", "EXISTS", &append]),
        Value::Array(vec![Value::Integer(1)])
    );
}

#[test]
fn scripts_that_were_flushed_or_never_seen_are_not_there() {
    let nodes = replicated(1);
    let redkeel = start(&nodes);
    let mut clients: Vec<Client> = (0..4).map(|_| redkeel.client()).collect();
    assert_no_script(&clients[0].command(["EVALSHA", ONE.1, "0"]));
    assert_eq!(clients[0].command(["EVAL", ONE.0, "0"]), Value::Integer(1));
    assert_eq!(clients[0].command(["EVALSHA", ONE.1, "0"]), Value::Integer(1));
    assert_eq!(clients[1].command(["EVALSHA_RO", ONE.1, "0"]), Value::Integer(1));
    assert_eq!(clients[1].command(["SCRIPT", "FLUSH", "ASYNC"]), simple("OK"));
    for client in &mut clients {
        assert_no_script(&client.command(["EVALSHA", ONE.1, "0"]));
        assert_no_script(&client.command(["EVALSHA_RO", ONE.1, "0"]));
    }
}

#[test]
fn a_user_who_may_not_load_scripts_is_told_that_there_is_none() {
    let nodes = replicated(0);
    let user = ["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-script|load"];
    assert_eq!(nodes[0].cli(user), simple("OK"));
    let redkeel = start(&nodes);
    let mut client = redkeel.client();
    assert_eq!(client.command(["EVAL", ONE.0, "0"]), Value::Integer(1));
    flush(&nodes[0]);
    let mut app = redkeel.client();
    assert_eq!(app.command(["AUTH", "app", "pw"]), simple("OK"));
    let replies = app.pipeline([["EVALSHA", ONE.1, "0"], ["EVALSHA", ONE.1, "0"]]);
    for reply in &replies {
        assert_no_script(reply);
    }
    assert_eq!(app.command(["PING"]), simple("PONG"));
}
