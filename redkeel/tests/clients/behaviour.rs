//! What a conversation of single commands does not show: the bytes themselves, large values, long pipelines, and where
//! Redkeel is meant to differ from a single server.

use testkit::{Address, Client, RedisServer, Redkeel, Value, bulk, error_text, simple};

use crate::common::{LISTENERS, proxy, ready};
use crate::connection::{Connection, command};

fn start(server: &RedisServer) -> Redkeel {
    ready(proxy([server], LISTENERS).listeners(2))
}

/// The addresses to compare: Redkeel's listeners.
fn listeners(redkeel: &Redkeel) -> [Address; 2] {
    [redkeel.address_in("main", "split"), redkeel.address_in("main", "write")]
}

/// What comes back for `bytes`, and then QUIT, until the peer closes.
fn answer_to(address: &Address, bytes: &[u8]) -> String {
    let mut connection = Connection::open(address);
    connection.send(&[bytes, b"QUIT\r\n"].concat());
    connection.rest().escape_ascii().to_string()
}

#[test]
fn odd_requests_are_answered_as_the_server_does() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let requests: &[&[u8]] = &[
        b"PING\r\n",
        b"PING\n",
        b"  PING  \r\nECHO  spaces \r\n",
        b"SET key \"quoted \\x41\\n value\"\r\nGET key\r\n",
        b"SET 'single \\' quote' \"\"\r\nGET 'single \\' quote'\r\n",
        b"\r\n\r\n\n\r\nPING\r\n",
        b"*0\r\nPING\r\n",
        b"*-1\r\nPING\r\n",
        b"*-5\r\n*1\r\n$4\r\nPING\r\n",
        b"*0\r\n*0\r\n*1\r\n$4\r\nPING\r\n*0\r\n",
        b"\r\nMULTI\r\n\r\n*0\r\nPING\r\nEXEC\r\n",
        b"*1\r\n$4\r\nPING\r\nPING inline\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
        b"QUIT\r\nSET key unseen\r\n",
        b"PING\r\nQUIT\r\nPING\r\n",
        b"MULTI\r\nQUIT\r\n",
        b"GET key\r\n",
        // Broken frames end the connection.
        b"PING \"unbalanced\r\nPING\r\n",
        b"PING \"joined\"word\r\n",
        b"PING\r\n*x\r\nPING\r\n",
        b"*99999999999\r\n",
        b"*1\r\nPING\r\n",
        b"*1\r\n+PING\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$x\r\n",
        b"*1\r\n$99999999999\r\n",
        b"*1\r\n$536870913\r\n",
    ];
    for request in requests {
        let expected = answer_to(server.address(), request);
        for listener in listeners(&redkeel) {
            assert_eq!(answer_to(&listener, request), expected, "{}", request.escape_ascii());
        }
    }
}

#[test]
fn what_an_http_client_sends_ends_its_connection_and_nothing_else() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    for request in ["POST / HTTP/1.1\r\nSET a b\r\n", "GET / HTTP/1.1\r\nHost: x\r\nSET a b\r\n"] {
        for listener in listeners(&redkeel) {
            let answer = answer_to(&listener, request.as_bytes());
            assert!(!answer.contains("OK") && !answer.contains("UNKNOWN"), "{request:?}: {answer}");
        }
    }
    assert_eq!(server.cli(["GET", "a"]), Value::Null);
    let failures = &redkeel.status()["pools"][0]["nodes"][0]["connection_failures"];
    assert_eq!(*failures, 0, "{:#}", redkeel.status());
}

#[test]
fn values_of_any_size_pass_unchanged() {
    const MIB: usize = 1 << 20;
    let server = RedisServer::start();
    let redkeel = start(&server);
    let sizes = [0, 1, 16 << 10, MIB - 100, MIB - 1, MIB, MIB + 1, 5_000_000];
    for listener in listeners(&redkeel) {
        for resp3 in [false, true] {
            let mut client = Client::connect(&listener);
            if resp3 {
                client.command(["HELLO", "3"]);
            }
            for size in sizes {
                let value: Vec<u8> =
                    (0..size).map(|at| (at * 31 + at / 251 + size) as u8).collect();
                let set = [b"SET".as_slice(), b"key", &value];
                assert_eq!(client.command(set), simple("OK"), "{size}");
                assert!(client.command(["GET", "key"]).as_bytes() == Some(&value), "GET {size}");
                assert!(server.cli(["GET", "key"]).as_bytes() == Some(&value), "stored {size}");
                // Between others, and twice in one write.
                let echo = [b"ECHO".as_slice(), &value];
                let commands: [&[&[u8]]; 6] = [
                    &[b"PING"],
                    &set,
                    &[b"GET", b"key"],
                    &echo,
                    &[b"GET", b"key"],
                    &[b"DEL", b"key"],
                ];
                let replies = client.pipeline(commands.map(|command| command.iter().copied()));
                assert_eq!(replies[..2], [simple("PONG"), simple("OK")], "{size}");
                for reply in &replies[2..5] {
                    assert!(reply.as_bytes() == Some(&value), "{size}: {reply:.60?}");
                }
                assert_eq!(replies[5], Value::Integer(1));
                let list = [b"RPUSH".as_slice(), b"list", &value, b"small", &value];
                let in_transaction: [&[&[u8]]; 4] =
                    [&[b"MULTI"], &list, &[b"LRANGE", b"list", b"0", b"-1"], &[b"EXEC"]];
                let replies =
                    client.pipeline(in_transaction.map(|command| command.iter().copied()));
                let elements = Value::Array(vec![bulk(&value), bulk("small"), bulk(&value)]);
                assert!(
                    replies[3] == Value::Array(vec![Value::Integer(3), elements]),
                    "EXEC {size}"
                );
                assert_eq!(client.command(["DEL", "list"]), Value::Integer(1));
            }
        }
    }
}

#[test]
fn a_command_of_thousands_of_arguments_passes() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    for listener in listeners(&redkeel) {
        let mut client = Client::connect(&listener);
        let keys: Vec<String> = (0..1000).map(|number| format!("key:{number}")).collect();
        let pairs = keys.iter().flat_map(|key| [key.as_str(), "value"]);
        assert_eq!(client.command(["MSET"].into_iter().chain(pairs)), simple("OK"));
        let names = || keys.iter().map(String::as_str);
        let reply = client.command(["MGET"].into_iter().chain(names()));
        assert_eq!(reply, Value::Array(vec![bulk("value"); 1000]));
        assert_eq!(client.command(["DEL"].into_iter().chain(names())), Value::Integer(1000));
    }
}

#[test]
fn a_pipeline_of_a_hundred_thousand_commands_is_answered_in_order() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut bytes = Vec::new();
    let mut expected = Vec::new();
    for number in 0..50_000 {
        let text = number.to_string();
        bytes.extend(command(&["INCR", "counter"]));
        bytes.extend(command(&["ECHO", &text]));
        expected.push(format!(":{}\r\n", number + 1));
        expected.push(format!("${}\r\n{text}\r\n", text.len()));
    }
    for listener in listeners(&redkeel) {
        server.cli(["DEL", "counter"]);
        let replies = Connection::open(&listener).exchange(&bytes, expected.len());
        for (number, (reply, expected)) in replies.iter().zip(&expected).enumerate() {
            assert_eq!(
                reply.escape_ascii().to_string(),
                expected.escape_default().to_string(),
                "{number}"
            );
        }
    }
}

#[test]
fn half_closed_clients_get_all_their_replies() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let value = "x".repeat(300_000);
    server.cli(["SET", "key", &value]);
    let mut bytes = Vec::new();
    for _ in 0..50 {
        bytes.extend(command(&["GET", "key"]));
    }
    bytes.extend(command(&["MULTI"]));
    bytes.extend(command(&["INCR", "counter"]));
    bytes.extend(command(&["CLIENT", "GETNAME"]));
    bytes.extend(command(&["EXEC"]));
    for listener in listeners(&redkeel) {
        let mut connection = Connection::open(&listener);
        connection.send(&bytes);
        connection.shutdown_write();
        for _ in 0..50 {
            assert_eq!(connection.reply().len(), value.len() + 11);
        }
        let rest = connection.rest().escape_ascii().to_string();
        let expected = "+OK\\r\\n+QUEUED\\r\\n+QUEUED\\r\\n*2\\r\\n:1\\r\\n$-1\\r\\n";
        assert_eq!(rest, expected);
        server.cli(["DEL", "counter"]);
    }
}

#[test]
fn users_on_one_port_have_their_own_rights() {
    let server = RedisServer::builder()
        .requirepass("secret")
        .option("user", "reader on >reads ~open:* +@read")
        .option("user", "writer on >writes ~* +set +ping")
        .start();
    let redkeel = ready(proxy([&server], "upstream.password = \"secret\""));
    let mut clients = [redkeel.client(), redkeel.client(), redkeel.client(), redkeel.client()];
    let [stranger, reader, writer, admin] = &mut clients;
    for round in 0..3 {
        let text = round.to_string();
        if round > 0 {
            assert_eq!(reader.command(["AUTH", "reader", "reads"]), simple("OK"));
            assert_eq!(writer.command(["AUTH", "writer", "writes"]), simple("OK"));
            assert_eq!(admin.command(["AUTH", "secret"]), simple("OK"));
        }
        let replies = [
            stranger.command(["SET", "open:x", &text]),
            reader.command(["SET", "open:x", &text]),
            writer.command(["SET", "open:x", &text]),
            admin.command(["GET", "open:x"]),
            reader.command(["GET", "open:x"]),
            reader.command(["GET", "closed"]),
            writer.command(["GET", "open:x"]),
            stranger.command(["GET", "open:x"]),
        ];
        let codes = replies.map(|reply| match error_text(&reply) {
            Some(text) => text.split(' ').next().unwrap().to_owned(),
            None => String::from_utf8_lossy(reply.as_bytes().unwrap()).into_owned(),
        });
        let expected = if round == 0 {
            ["NOAUTH"; 8]
        } else {
            ["NOAUTH", "NOPERM", "OK", &text, &text, "NOPERM", "NOPERM", "NOAUTH"]
        };
        assert_eq!(codes, expected, "round {round}");
    }
    // A lane of the right user is of no use to one who knows no password.
    let refused = stranger.command(["AUTH", "writer", "reads"]);
    assert_eq!(error_text(&refused).unwrap().split(' ').next(), Some("WRONGPASS"));
    assert!(error_text(&stranger.command(["PING"])).unwrap().starts_with("NOAUTH"));
    // What was revoked is not handed on.
    server.cli(["ACL", "SETUSER", "writer", "off"]);
    let refused = stranger.command(["AUTH", "writer", "writes"]);
    assert_eq!(error_text(&refused).unwrap().split(' ').next(), Some("WRONGPASS"));
}

/// The whole list: everything else is as on the server.
#[test]
fn what_differs_from_a_single_server() {
    let server = RedisServer::start();
    let redkeel = start(&server);
    let mut one = redkeel.client();
    let mut two = redkeel.client();
    // A client's number and description are Redkeel's.
    let ids = [one.command(["CLIENT", "ID"]), two.command(["CLIENT", "ID"])];
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.as_int() > Some(0)), "{ids:?}");
    assert_eq!(one.command(["CLIENT", "SETNAME", "me"]), simple("OK"));
    assert_eq!(one.command(["CLIENT", "SETINFO", "LIB-NAME", "lib"]), simple("OK"));
    let info = one.command(["CLIENT", "INFO"]);
    let info = String::from_utf8_lossy(info.as_bytes().unwrap()).into_owned();
    let id = ids[0].as_int().unwrap();
    assert!(info.starts_with(&format!("id={id} addr=127.0.0.1:")), "{info}");
    for field in [" name=me ", " db=0 ", " user=default ", " lib-name=lib "] {
        assert!(info.contains(field), "{info}");
    }
    // Inside a transaction as well.
    for words in [
        &["MULTI"] as &[&str],
        &["CLIENT", "GETNAME"],
        &["CLIENT", "SETNAME", "you"],
        &["CLIENT", "GETNAME"],
        &["CLIENT", "ID"],
        &["INCR", "n"],
        &["CLIENT", "SETNAME", "me"],
        &["CLIENT", "INFO"],
    ] {
        one.command(words);
    }
    let reply = one.command(["EXEC"]);
    let results = reply.as_array().unwrap();
    let names = [bulk("me"), simple("OK"), bulk("you"), ids[0].clone(), Value::Integer(1)];
    assert_eq!(results[..5], names);
    let info = String::from_utf8_lossy(results[6].as_bytes().unwrap()).into_owned();
    assert!(info.starts_with(&format!("id={id} ")) && info.contains(" name=me "), "{info}");
    assert_eq!(one.command(["CLIENT", "GETNAME"]), bulk("me"));
    // The clients that the node lists are Redkeel's connections; Redkeel lists its own.
    let list = server.cli(["CLIENT", "LIST"]);
    assert!(!String::from_utf8_lossy(list.as_bytes().unwrap()).contains("name=me"), "{list:?}");
    let list = one.command(["CLIENT", "LIST"]);
    assert_eq!(String::from_utf8_lossy(list.as_bytes().unwrap()).lines().count(), 2);

    for command in [&["SYNC"] as &[_], &["PSYNC", "?", "-1"], &["REPLCONF", "capa", "eof"]] {
        let name = command[0].to_ascii_lowercase();
        let expected = format!("ERR redkeel: '{name}' is not passed on by a proxy");
        assert_eq!(error_text(&one.command(command)), Some(expected));
    }
    for line in ["CLIENT REPLY OFF", "CLIENT REPLY SKIP", "SUBSCRIBE news", "PUNSUBSCRIBE"] {
        one.command(["MULTI"]);
        let refused = error_text(&one.command(line.split(' '))).unwrap();
        assert!(refused.ends_with(" is not allowed in transactions"), "{line}: {refused}");
        let aborted = error_text(&one.command(["EXEC"])).unwrap();
        assert!(aborted.starts_with("EXECABORT"), "{aborted}");
    }
    // A missing line end is an error.
    let expected = "-ERR Protocol error: expected CRLF after bulk\\r\\n";
    for listener in listeners(&redkeel) {
        assert_eq!(answer_to(&listener, b"*1\r\n$4\r\nPINGPING"), expected);
    }
}

/// Before AUTH, commands about the client that no node is asked about are answered; nothing else is.
#[test]
fn what_differs_before_authentication() {
    let server = RedisServer::builder().requirepass("secret").start();
    let redkeel = ready(proxy([&server], "upstream.password = \"secret\""));
    let mut client = redkeel.client();
    assert_eq!(client.command(["CLIENT", "SETNAME", "me"]), simple("OK"));
    assert_eq!(client.command(["CLIENT", "GETNAME"]), bulk("me"));
    assert_eq!(client.command(["UNWATCH"]), simple("OK"));
    assert_eq!(error_text(&client.command(["EXEC"])).unwrap(), "ERR EXEC without MULTI");
    assert!(error_text(&client.command(["CLIENT", "LIST"])).unwrap().starts_with("NOAUTH"));
}
