//! Commands and keys that a user may and may not use, tried in every way that a client has: nothing gets around it.

use testkit::{Client, RedisServer, Redkeel, Value, bulk, error_text, simple};

use crate::scene::{SOON, proxy, ready};
use crate::ways::{Outcome, WAYS};

const USERS: &str = r#"
auth = "users"
[pool.main.upstream]
password = "upstream"
[pool.main.users.report]
password = "r"
commands = ["+@all", "+sort", "+sort_ro"]
keys     = ["report:*"]
channels = ["news:*"]
[pool.main.users.reader]
password = "d"
commands = ["+@read", "+@connection", "+@transaction", "-strlen", "+config|get"]
keys     = ["*"]
[pool.main.users.scripts]
password = "s"
commands = ["+@all", "+@scripting"]
keys     = ["report:*"]
"#;

fn server() -> RedisServer {
    let server = RedisServer::builder().requirepass("upstream").start();
    let mut client = server.client();
    assert_eq!(client.command(["SET", "secret", "untouched"]), simple("OK"));
    server
}

fn start(server: &RedisServer, users: &str) -> Redkeel {
    ready(proxy([server], users).expect_log("may run scripts"))
}

fn log_in(redkeel: &Redkeel, user: &str, password: &str) -> Client {
    let mut client = redkeel.client();
    assert_eq!(client.command(["AUTH", user, password]), simple("OK"));
    client
}

const NO_KEY: &str =
    "NOPERM this user has no permissions to access one of the keys used as arguments";
const NO_CHANNEL: &str =
    "NOPERM this user has no permissions to access one of the channels used as arguments";

fn no_command(name: &str) -> String {
    format!("NOPERM this user has no permissions to run the '{name}' command")
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn what_a_user_may_runs_in_every_way() {
    let server = server();
    let redkeel = start(&server, USERS);
    for (user, password, lines) in [
        (
            "report",
            "r",
            &[
                "GET report:1",
                "MGET report:1 report:2",
                "DEL report:1 report:2",
                "LPUSH report:list 1 2 3",
                "SORT report:list BY nosort",
                "SORT report:list STORE report:sorted",
                "ZUNIONSTORE report:z 2 report:a report:b",
                "OBJECT ENCODING report:list",
                "XREAD COUNT 1 STREAMS report:x report:y 0 0",
                "PUBLISH news:a hello",
                "PING",
                "SCAN 0",
                "BLPOP report:list report:none 0.1",
            ][..],
        ),
        ("reader", "d", &["GET secret", "CONFIG GET port", "EXISTS secret", "SCAN 0"]),
        ("scripts", "s", &["EVAL return(1) 1 report:1", "EVAL_RO return(1) 0"]),
    ] {
        for (name, way) in WAYS {
            let mut client = log_in(&redkeel, user, password);
            for line in lines {
                assert_eq!(way(&mut client, &words(line)), Outcome::Ran, "{user}, {name}: {line}");
            }
        }
    }
}

#[test]
fn what_a_user_may_not_is_refused_in_every_way() {
    let server = server();
    let redkeel = start(&server, USERS);
    let keys = [
        "GET secret",
        "SET secret 1",
        "DEL report:1 secret",
        "MSET report:1 a secret b",
        "RENAME secret report:1",
        "COPY secret report:1",
        "SORT report:list STORE secret",
        "GEORADIUS report:geo 1 2 3 m STORE secret",
        "GEORADIUSBYMEMBER report:geo m 3 m STOREDIST secret",
        "XREAD STREAMS report:x secret 0 0",
        "XREADGROUP GROUP g c STREAMS secret >",
        "ZUNIONSTORE report:z 2 report:a secret",
        "ZUNIONSTORE secret 1 report:a",
        "BITOP NOT secret report:a",
        "OBJECT ENCODING secret",
        "MEMORY USAGE secret",
        "BLPOP report:list secret 0",
        "WATCH secret",
        "PFCOUNT report:h secret",
        "JSON.GET report:1",
        "OBJECT NOSUCH secret",
    ];
    let mut rows: Vec<(&str, &str, &str, String)> =
        keys.into_iter().map(|line| ("report", "r", line, NO_KEY.to_owned())).collect();
    for (line, name) in [
        ("EVAL return(1) 0", "eval"),
        ("EVALSHA abc 0", "evalsha"),
        ("EVAL_RO return(1) 1 report:1", "eval_ro"),
        ("FCALL f 0", "fcall"),
        ("SCRIPT LOAD return(1)", "script|load"),
        ("FUNCTION LIST", "function|list"),
        ("KEYS *", "keys"),
        ("FLUSHALL", "flushall"),
        ("CONFIG GET requirepass", "config|get"),
        ("CLIENT KILL 1.2.3.4:5", "client|kill"),
        ("ACL LIST", "acl|list"),
        ("ACL SETUSER x on", "acl|setuser"),
        ("DEBUG SLEEP 0", "debug"),
        ("MIGRATE h 1 report:1 0 10", "migrate"),
        ("MONITOR", "monitor"),
        ("REPLICAOF NO ONE", "replicaof"),
        ("SYNC", "sync"),
    ] {
        rows.push(("report", "r", line, no_command(name)));
    }
    rows.push(("report", "r", "PUBLISH olds hello", NO_CHANNEL.to_owned()));
    rows.push(("report", "r", "SUBSCRIBE news:a olds", NO_CHANNEL.to_owned()));
    rows.push(("report", "r", "PSUBSCRIBE *", NO_CHANNEL.to_owned()));
    let by = "ERR BY option of SORT denied due to insufficient ACL permissions.";
    rows.push(("report", "r", "SORT report:list BY sec*", by.to_owned()));
    let get = "ERR GET option of SORT denied due to insufficient ACL permissions.";
    rows.push(("report", "r", "SORT report:list GET secret", get.to_owned()));
    for (line, name) in [
        ("SET secret 1", "set"),
        ("STRLEN secret", "strlen"),
        ("KEYS *", "keys"),
        ("CONFIG SET maxmemory 1", "config|set"),
        ("SUBSCRIBE a", "subscribe"),
        ("JSON.GET a", "json.get"),
        ("NOSUCH", "nosuch"),
    ] {
        rows.push(("reader", "d", line, no_command(name)));
    }
    rows.push(("scripts", "s", "EVAL return(1) 1 secret", NO_KEY.to_owned()));
    rows.push(("scripts", "s", "FCALL f 2 report:1 secret", NO_KEY.to_owned()));
    for (name, way) in WAYS {
        for (user, password, line, error) in &rows {
            let mut client = log_in(&redkeel, user, password);
            let found = way(&mut client, &words(line));
            assert_eq!(found, Outcome::Refused(error.clone()), "{user}, {name}: {line}");
        }
    }
    // None of it has reached the server.
    let mut direct = server.client();
    assert_eq!(direct.command(["GET", "secret"]), bulk("untouched"));
    let Value::Bulk(stats) = direct.command(["INFO", "commandstats"]) else { panic!() };
    let stats = String::from_utf8(stats.to_vec()).unwrap();
    for name in ["eval", "fcall", "keys", "flushall", "config|set", "watch", "monitor", "rename"] {
        assert!(!stats.contains(&format!("cmdstat_{name}:")), "{name}: {stats}");
    }
}

#[test]
fn strangers_get_nothing() {
    let server = server();
    let redkeel = start(&server, USERS);
    let refused = Outcome::Refused("NOAUTH Authentication required.".to_owned());
    let hello = "NOAUTH HELLO must be called with the client already authenticated";
    for line in
        ["PING", "GET secret", "NOSUCH", "ACL WHOAMI", "CLIENT ID", "SUBSCRIBE a", "COMMAND"]
    {
        let mut client = redkeel.client();
        assert_eq!(crate::ways::outcome(&client.command(words(line))), refused, "{line}");
        let replies = client.pipeline([&["MULTI"][..], &words(line), &["EXEC"]]);
        for reply in replies {
            assert_eq!(crate::ways::outcome(&reply), refused, "{line}");
        }
        assert!(error_text(&client.command(["HELLO", "3"])).unwrap().starts_with(hello));
        assert_eq!(client.command(["QUIT"]), simple("OK"));
    }
    // As on a server: nothing large before the login.
    let mut client = redkeel.client();
    client.send_raw(b"*2\r\n$4\r\nAUTH\r\n$20000\r\n");
    let error = error_text(&client.receive()).unwrap();
    assert!(error.starts_with("ERR Protocol error"), "{error}");
    client.expect_closed();
}

#[test]
fn reset_logs_out_and_auth_changes_the_user() {
    let server = server();
    let redkeel = start(&server, USERS);
    let mut client = log_in(&redkeel, "report", "r");
    assert_eq!(client.command(["ACL", "WHOAMI"]), bulk("report"));
    let info = client.command(["CLIENT", "INFO"]);
    let info = String::from_utf8_lossy(info.as_bytes().unwrap()).into_owned();
    assert!(info.contains(" user=report ") && info.contains(" addr=127.0.0.1:"), "{info}");
    // What was sent behind AUTH has the rights of the new user, what stood before it those of the old one.
    let replies = client.pipeline([
        &["GET", "secret"][..],
        &["AUTH", "reader", "d"],
        &["GET", "secret"],
        &["SET", "report:1", "x"],
        &["AUTH", "reader", "wrong"],
        &["GET", "secret"],
        &["HELLO", "3", "AUTH", "report", "r"],
        &["GET", "secret"],
        &["RESET"],
        &["GET", "report:1"],
    ]);
    let texts: Vec<Option<String>> = replies.iter().map(error_text).collect();
    let starts = |index: usize, text: &str| {
        assert!(texts[index].as_deref().unwrap_or_default().starts_with(text), "{replies:?}");
    };
    starts(0, NO_KEY);
    assert_eq!((&replies[1], &replies[2]), (&simple("OK"), &bulk("untouched")));
    starts(3, &no_command("set"));
    starts(4, "WRONGPASS invalid username-password pair or user is disabled.");
    assert_eq!(replies[5], bulk("untouched"));
    assert!(texts[6].is_none());
    starts(7, NO_KEY);
    assert_eq!(replies[8], simple("RESET"));
    starts(9, "NOAUTH");
    // Inside a transaction nobody becomes somebody else.
    let mut client = log_in(&redkeel, "report", "r");
    let replies = client.pipeline([&["MULTI"][..], &["AUTH", "reader", "d"], &["EXEC"]]);
    assert!(error_text(&replies[2]).unwrap().starts_with("EXECABORT"), "{replies:?}");
    assert_eq!(client.command(["ACL", "WHOAMI"]), bulk("report"));
}

#[test]
fn a_large_command_is_judged_before_anything_of_it_is_sent() {
    let server = server();
    let redkeel = start(&server, USERS);
    let value = "v".repeat(3 << 20);
    let mut client = log_in(&redkeel, "report", "r");
    assert_eq!(client.command(["SET", "report:large", &value]), simple("OK"));
    let error = error_text(&client.command(["SET", "secret", &value])).unwrap();
    assert_eq!(error, NO_KEY);
    // The second key comes behind the first MiB.
    let error = error_text(&client.command(["MSET", "report:1", &value, "secret", "x"])).unwrap();
    assert!(error.starts_with("NOPERM redkeel: the keys"), "{error}");
    // Many small arguments, announced all at once: the keys are waited for.
    let members: Vec<String> = (0..200_000).map(|member| format!("m{member}")).collect();
    let line = ["SADD", "report:set"].into_iter().chain(members.iter().map(String::as_str));
    assert_eq!(client.command(line), Value::Integer(200_000));
    let line = ["SADD", "secret"].into_iter().chain(members.iter().map(String::as_str));
    assert_eq!(error_text(&client.command(line)).unwrap(), NO_KEY);
    // Its key comes late, and alone.
    let mut slow = log_in(&redkeel, "report", "r");
    slow.send_raw(b"*300000\r\n$4\r\nSADD\r\n");
    assert_eq!(client.command(["PING"]), simple("PONG"));
    slow.send_raw(b"$6\r\nsecret\r\n");
    let error = error_text(&slow.receive()).unwrap();
    assert_eq!(error, NO_KEY);
    // In a transaction it aborts the rest.
    assert_eq!(client.command(["MULTI"]), simple("OK"));
    assert_eq!(client.command(["SET", "report:1", "x"]), simple("QUEUED"));
    assert_eq!(error_text(&client.command(["SET", "secret", &value])).unwrap(), NO_KEY);
    let exec = error_text(&client.command(["EXEC"])).unwrap();
    assert!(exec.starts_with("EXECABORT"), "{exec}");
    assert_eq!(server.client().command(["GET", "secret"]), bulk("untouched"));
}

#[test]
fn a_connection_of_ones_own_has_no_more_rights() {
    let server = server();
    let redkeel = start(&server, USERS);
    let mut client = log_in(&redkeel, "report", "r");
    assert_eq!(client.command(["WATCH", "report:1"]), simple("OK"));
    assert_eq!(error_text(&client.command(["GET", "secret"])).unwrap(), NO_KEY);
    assert_eq!(client.command(["UNWATCH"]), simple("OK"));
    let mut client = log_in(&redkeel, "report", "r");
    client.command(["SUBSCRIBE", "news:a"]);
    assert_eq!(error_text(&client.command(["SUBSCRIBE", "olds"])).unwrap(), NO_CHANNEL);
    assert_eq!(error_text(&client.command(["PSUBSCRIBE", "*"])).unwrap(), NO_CHANNEL);
    // Half a command, then the rest.
    let mut client = log_in(&redkeel, "report", "r");
    for byte in b"*2\r\n$3\r\nGET\r\n$6\r\nsecret\r\n" {
        client.send_raw(&[*byte]);
    }
    assert_eq!(error_text(&client.receive()).unwrap(), NO_KEY);
}

/// Subscribers beyond the first of each worker share a connection, whoever they are.
#[test]
fn a_connection_that_users_share_gives_none_the_rights_of_another() {
    let server = server();
    let redkeel = start(&server, USERS);
    let mut clients: Vec<Client> = (0..80)
        .map(|_| {
            let mut client = log_in(&redkeel, "report", "r");
            let reply = client.command(["SUBSCRIBE", "news:a"]);
            assert_eq!(reply.as_array().unwrap()[0], bulk("subscribe"));
            client
        })
        .collect();
    server.cli(["PUBLISH", "olds", "secret"]);
    for client in &mut clients {
        assert_eq!(error_text(&client.command(["SUBSCRIBE", "olds"])).unwrap(), NO_CHANNEL);
        assert_eq!(error_text(&client.command(["PSUBSCRIBE", "news:?"])).unwrap(), NO_CHANNEL);
    }
    // Who may use no channel gets none of those that others are subscribed to.
    for _ in 0..4 {
        let mut reader = log_in(&redkeel, "reader", "d");
        let refusal = error_text(&reader.command(["SUBSCRIBE", "news:a"])).unwrap();
        assert!(refusal.starts_with("NOPERM"), "{refusal}");
    }
    server.cli(["PUBLISH", "news:a", "hello"]);
    for client in &mut clients {
        let message = Value::Array(vec![bulk("message"), bulk("news:a"), bulk("hello")]);
        assert_eq!(client.receive(), message);
    }
}

#[test]
fn commands_about_all_clients_are_for_who_was_granted_them() {
    let server = server();
    let redkeel = start(&server, USERS);
    let mut reader = log_in(&redkeel, "reader", "d");
    for (line, name) in [
        ("CLIENT LIST", "client|list"),
        ("CLIENT KILL TYPE normal", "client|kill"),
        ("CLIENT PAUSE 1000", "client|pause"),
        ("CLIENT UNBLOCK 1", "client|unblock"),
    ] {
        assert_eq!(error_text(&reader.command(words(line))).unwrap(), no_command(name));
    }
    let info = reader.command(["CLIENT", "INFO"]);
    let info = String::from_utf8(info.as_bytes().unwrap().to_vec()).unwrap();
    assert!(info.contains(" user=reader "), "{info}");
}

/// What each command of a batch is told is what it would be told alone.
#[test]
fn a_batch_is_judged_command_by_command() {
    let server = server();
    let redkeel = start(&server, USERS);
    let mut random = fastrand::Rng::with_seed(23);
    let lines = [
        "GET report:1",
        "GET secret",
        "SET report:1 x",
        "SET secret x",
        "MGET report:1 report:2",
        "MGET report:1 secret",
        "KEYS *",
        "PING",
        "INCR report:n",
        "DEL secret",
        "ECHO a",
        "OBJECT ENCODING secret",
        "PUBLISH news:a x",
        "PUBLISH olds x",
        "EVAL return(1) 0",
        "NOSUCH a",
        "CLIENT ID",
        "SELECT 0",
        "SELECT 1",
    ];
    let mut alone = log_in(&redkeel, "report", "r");
    let refused: Vec<bool> = lines
        .iter()
        .map(|line| crate::ways::outcome(&alone.command(words(line))) != Outcome::Ran)
        .collect();
    assert!(refused.iter().filter(|refused| **refused).count() >= 8);
    for _ in 0..60 {
        let batch: Vec<usize> =
            (0..random.usize(2..40)).map(|_| random.usize(..lines.len())).collect();
        let mut client = log_in(&redkeel, "report", "r");
        let replies = client.pipeline(batch.iter().map(|&line| words(lines[line])));
        for (line, reply) in batch.iter().zip(&replies) {
            let found = crate::ways::outcome(reply) != Outcome::Ran;
            assert_eq!(found, refused[*line], "{}: {reply:?}", lines[*line]);
        }
    }
    assert_eq!(server.client().command(["GET", "secret"]), bulk("untouched"));
}

/// Commands that wait for a primary are judged again when they are sent, by the same rights.
#[test]
fn what_is_held_has_no_more_rights() {
    let mut server = server();
    let redkeel = ready(
        proxy([&server], &format!("timeouts = {{ hold = '20s' }}\n{USERS}"))
            .expect_log("down")
            .expect_log("primary")
            .expect_log("may run scripts"),
    );
    let mut client = log_in(&redkeel, "report", "r");
    server.kill9();
    redkeel
        .wait_until(SOON, "the node to be down", |status| status["pools"][0]["primary"].is_null());
    let bytes = b"*3\r\n$3\r\nSET\r\n$8\r\nreport:1\r\n$1\r\na\r\n*3\r\n$3\r\nSET\r\n$6\r\nsecret\r\n$1\r\na\r\n";
    client.send_raw(bytes);
    redkeel.wait_until(SOON, "commands to be held", |status| {
        status["pools"][0]["held"]["clients"] == 1
    });
    server.restart();
    client.set_timeout(SOON);
    assert_eq!(client.receive(), simple("OK"));
    assert_eq!(error_text(&client.receive()).unwrap(), NO_KEY);
}

#[test]
fn what_a_pool_refuses_is_refused_in_every_way() {
    let server = RedisServer::start();
    let redkeel = ready(proxy(
        [&server],
        "refuse = ['FLUSHALL', 'CONFIG SET', 'EVAL', 'BLPOP', 'SUBSCRIBE', 'CLIENT KILL', 'JSON.DEL', 'SCRIPT']",
    ));
    let refused = [
        ("FLUSHALL", "flushall"),
        ("CONFIG SET maxmemory 1", "config set"),
        ("EVAL return(1) 0", "eval"),
        ("BLPOP a 0", "blpop"),
        ("SUBSCRIBE a", "subscribe"),
        ("CLIENT KILL 1.2.3.4:5", "client kill"),
        ("JSON.DEL a", "json.del"),
        ("SCRIPT LOAD x", "script load"),
    ];
    for (name, way) in WAYS {
        for (line, said) in refused {
            let found = way(&mut redkeel.client(), &words(line));
            let error = format!("ERR redkeel: '{said}' is refused by this pool's configuration");
            assert_eq!(found, Outcome::Refused(error), "{name}: {line}");
        }
        let mut client = redkeel.client();
        assert_eq!(way(&mut client, &words("CONFIG GET port")), Outcome::Ran, "{name}");
    }
    // As large as it likes to be.
    let mut client = redkeel.client();
    let error = error_text(&client.command(["EVAL", &"x".repeat(3 << 20), "0"])).unwrap();
    assert!(error.contains("'eval' is refused"), "{error}");
    assert_eq!(client.command(["SET", "a", "1"]), simple("OK"));
}
