//! MULTI and WATCH: on one shard.

use testkit::{Value, bulk, error_text, simple};

use crate::{key_of_each, keys_beside, servers, sharded};

fn integers(numbers: &[i64]) -> Value {
    Value::Array(numbers.iter().map(|number| Value::Integer(*number)).collect())
}

#[test]
fn a_transaction_of_one_shard_runs_whole_or_step_by_step() {
    let servers = servers(3);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys = keys_beside(&mut client, &servers[1], 2);
    let (a, b) = (keys[0].as_str(), keys[1].as_str());
    let whole = [vec!["MULTI"], vec!["INCR", a], vec!["INCR", b], vec!["PING"], vec!["EXEC"]];
    let replies = client.pipeline(&whole);
    let result = Value::Array(vec![Value::Integer(1), Value::Integer(1), simple("PONG")]);
    let queued = simple("QUEUED");
    assert_eq!(replies, [simple("OK"), queued.clone(), queued.clone(), queued.clone(), result]);
    // One by one, and with a command before the first key.
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    assert_eq!(client.command(["PING"]), queued);
    assert_eq!(client.command(["INCR", a]), queued);
    assert_eq!(client.command(["INCR", b]), queued);
    let result = Value::Array(vec![simple("PONG"), Value::Integer(2), Value::Integer(2)]);
    assert_eq!(client.command(["EXEC"]), result);
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    assert_eq!(client.command(["EXEC"]), Value::Array(vec![]));
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    assert_eq!(client.command(["INCR", a]), queued);
    assert_eq!(client.command(["DISCARD"]), simple("OK"));
    assert_eq!(client.command(["GET", a]), bulk("2"));
    assert_eq!(error_text(&client.command(["EXEC"])).unwrap(), "ERR EXEC without MULTI");
}

#[test]
fn a_transaction_over_shards_is_refused_with_the_reason_and_nothing_of_it_runs() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    let (a, b) = (keys[0].as_str(), keys[1].as_str());
    for step_by_step in [false, true] {
        let commands = [vec!["MULTI"], vec!["SET", a, "1"], vec!["SET", b, "1"], vec!["EXEC"]];
        let replies = if step_by_step {
            commands.iter().map(|command| client.command(command)).collect()
        } else {
            client.pipeline(&commands)
        };
        assert_eq!(replies[..2], [simple("OK"), simple("QUEUED")]);
        let error = error_text(&replies[2]).unwrap();
        let expected = "CROSSSHARD redkeel: a transaction of pool main runs on one shard: this one on main/s0, and \
                        the command has keys of main/s1 (a hash tag keeps keys together)";
        assert_eq!(error, expected);
        let error = error_text(&replies[3]).unwrap();
        assert_eq!(error, "EXECABORT Transaction discarded because of previous errors.");
        assert_eq!(client.command(["EXISTS", a, b]), Value::Integer(0));
    }
    // What is about all shards, or has keys of several.
    for command in [vec!["DBSIZE"], vec!["MGET", a, b], vec!["SELECT", "1"], vec!["SUBSCRIBE", "x"]]
    {
        client.command(["MULTI"]);
        let error = error_text(&client.command(&command)).unwrap();
        assert!(error.starts_with("CROSSSHARD redkeel: "), "{command:?}: {error}");
        assert!(error_text(&client.command(["EXEC"])).unwrap().starts_with("EXECABORT"));
    }
    assert_eq!(client.command(["PING"]), simple("PONG"));
}

#[test]
fn watched_keys_bind_the_transaction_to_their_shard() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    let (a, b) = (keys[0].as_str(), keys[1].as_str());
    let mut other = redkeel.client();
    assert_eq!(client.command(["WATCH", a]), simple("OK"));
    assert_eq!(other.command(["SET", a, "changed"]), simple("OK"));
    let replies = client.pipeline([vec!["MULTI"], vec!["SET", a, "mine"], vec!["EXEC"]]);
    assert_eq!(replies[2], Value::Null);
    assert_eq!(client.command(["GET", a]), bulk("changed"));
    // The other shard's keys may be used meanwhile, but not in the transaction.
    assert_eq!(client.command(["WATCH", a]), simple("OK"));
    assert_eq!(client.command(["SET", b, "1"]), simple("OK"));
    let error = error_text(&client.command(["WATCH", b])).unwrap();
    assert!(error.contains("one shard at a time"), "{error}");
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    assert!(error_text(&client.command(["INCR", b])).unwrap().starts_with("CROSSSHARD"));
    assert!(error_text(&client.command(["EXEC"])).unwrap().starts_with("EXECABORT"));
    assert_eq!(client.command(["WATCH", a]), simple("OK"));
    assert_eq!(client.command(["UNWATCH"]), simple("OK"));
    other.command(["SET", a, "again"]);
    let replies = client.pipeline([vec!["MULTI"], vec!["INCR", b], vec!["EXEC"]]);
    assert_eq!(replies[2], integers(&[2]));
    assert_eq!(client.command(["WATCH", b]), simple("OK"));
    let replies = client.pipeline([vec!["MULTI"], vec!["INCR", b], vec!["EXEC"]]);
    assert_eq!(replies[2], integers(&[3]));
}

#[test]
fn what_has_no_keys_is_queued_or_refused_as_on_one_server() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    for command in [vec!["UNWATCH"], vec!["ECHO", "x"]] {
        assert_eq!(client.command(&command), simple("QUEUED"), "{command:?}");
    }
    assert_eq!(client.command(["INCR", &keys[1]]), simple("QUEUED"));
    let result = Value::Array(vec![simple("OK"), bulk("x"), Value::Integer(1)]);
    assert_eq!(client.command(["EXEC"]), result);
    // Before the first key.
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    let error = error_text(&client.command(["ECHO"])).unwrap();
    assert_eq!(error, "ERR wrong number of arguments for 'echo' command");
    assert!(error_text(&client.command(["EXEC"])).unwrap().starts_with("EXECABORT"));
}
