//! Conversations that must be the same with Redkeel as with the server itself, byte by byte.
//!
//! `conversations/*.txt` have one command a line, with quotes as in `redis-cli`. A blank line ends a conversation: the
//! next one has a connection of its own. `N> ` before a command says that it has N replies instead of one.

use std::fmt::Write as _;

use testkit::{Address, Client, RedisServer, Redkeel};

use crate::common::{LISTENERS, proxy, ready};
use crate::connection::Connection;

/// A command as typed, its bytes, and how many replies it has.
struct Line {
    text: String,
    bytes: Vec<u8>,
    replies: usize,
}

type Conversation = Vec<Line>;

fn parse(file: &str) -> Vec<Conversation> {
    let mut conversations = vec![Vec::new()];
    for text in file.lines().filter(|line| !line.starts_with('#')) {
        if text.is_empty() {
            conversations.push(Vec::new());
            continue;
        }
        let (replies, command) = match text.split_once("> ") {
            Some((count, rest)) if count.parse::<usize>().is_ok() => (count.parse().unwrap(), rest),
            _ => (1, text),
        };
        let mut bytes = Vec::new();
        resp::inline_to_multibulk(command.as_bytes(), &mut bytes).unwrap();
        let line = Line { text: text.to_owned(), bytes, replies };
        conversations.last_mut().unwrap().push(line);
    }
    conversations.retain(|conversation| !conversation.is_empty());
    conversations
}

/// How a conversation is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    /// Each command when the one before is answered.
    InTurn,
    /// All in one write.
    AtOnce,
    /// All, each byte in a write of its own.
    Bytewise,
}

/// The replies of each command.
fn hold(
    address: &Address,
    conversation: &Conversation,
    manner: Manner,
    resp3: bool,
) -> Vec<Vec<u8>> {
    let mut connection = Connection::open(address);
    if resp3 {
        connection.send(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
        connection.reply();
    }
    let whole: Vec<u8> = conversation.iter().flat_map(|line| line.bytes.clone()).collect();
    match manner {
        Manner::InTurn => {}
        Manner::AtOnce => connection.send(&whole),
        Manner::Bytewise => connection.send_bytewise(&whole),
    }
    let mut replies = Vec::new();
    for line in conversation {
        if manner == Manner::InTurn {
            connection.send(&line.bytes);
        }
        let mut own: Vec<u8> = (0..line.replies).flat_map(|_| connection.reply()).collect();
        if line.replies > 1 && line.text.ends_with("UNSUBSCRIBE") {
            // All channels, in the order of a hash table.
            own.sort_unstable();
        }
        replies.push(masked(own));
    }
    // Possible in every state, and says so.
    connection.send(b"*1\r\n$5\r\nRESET\r\n");
    let end = connection.reply();
    let (end, first) = (end.escape_ascii(), &conversation[0].text);
    assert_eq!(end.to_string(), "+RESET\\r\\n", "{manner:?}: a reply too many after {first}");
    replies
}

/// HELLO says the connection's number.
fn masked(mut reply: Vec<u8>) -> Vec<u8> {
    let id = b"$2\r\nid\r\n:";
    if let Some(at) = reply.windows(id.len()).position(|window| window == id) {
        let from = at + id.len();
        let digits = reply[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        reply.splice(from..from + digits, *b"ID");
    }
    reply
}

/// Holds every conversation of the file with the server itself and through Redkeel, in each manner.
fn compare(server: &RedisServer, redkeel: &Redkeel, file: &str) {
    let mut differences = String::new();
    for conversation in parse(file) {
        for resp3 in [false, true] {
            reset(server);
            let expected = hold(server.address(), &conversation, Manner::InTurn, resp3);
            for mode in ["split", "write"] {
                for manner in [Manner::InTurn, Manner::AtOnce, Manner::Bytewise] {
                    reset(server);
                    let address = redkeel.address_in("main", mode);
                    forget_scripts(&address);
                    let replies = hold(&address, &conversation, manner, resp3);
                    let how = format!("{mode}, RESP3 {resp3}, {manner:?}");
                    differences += &difference(&conversation, &expected, &replies, &how);
                }
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// The same with a replica, through a `read` listener before it.
pub(crate) fn compare_reads(replica: &RedisServer, redkeel: &Redkeel, file: &str) {
    let mut differences = String::new();
    for conversation in parse(file) {
        for resp3 in [false, true] {
            replica.cli(["SCRIPT", "FLUSH"]);
            let expected = hold(replica.address(), &conversation, Manner::InTurn, resp3);
            for manner in [Manner::InTurn, Manner::AtOnce, Manner::Bytewise] {
                forget_scripts(&redkeel.address());
                let replies = hold(&redkeel.address(), &conversation, manner, resp3);
                let how = format!("read, RESP3 {resp3}, {manner:?}");
                differences += &difference(&conversation, &expected, &replies, &how);
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// Every command that is answered in another way, in words.
fn difference(
    conversation: &Conversation,
    expected: &[Vec<u8>],
    replies: &[Vec<u8>],
    how: &str,
) -> String {
    let mut text = String::new();
    let lines = conversation.iter().zip(expected).zip(replies);
    for ((line, expected), reply) in lines {
        if expected != reply {
            let (expected, reply) = (expected.escape_ascii(), reply.escape_ascii());
            let first = &conversation[0].text;
            writeln!(
                text,
                "{how}, after \"{first}\": {}\n  redis:   {expected:.600}\n  redkeel: {reply:.600}",
                line.text
            )
            .unwrap();
        }
    }
    text
}

/// No keys, no scripts, no functions, no counts.
fn reset(server: &RedisServer) {
    let replies = server.client().pipeline([
        vec!["FLUSHALL"],
        vec!["SCRIPT", "FLUSH"],
        vec!["FUNCTION", "FLUSH"],
        vec!["CONFIG", "RESETSTAT"],
    ]);
    assert!(replies.iter().all(|reply| *reply == testkit::simple("OK")), "{replies:?}");
}

/// Redkeel loads scripts again that a node has lost.
fn forget_scripts(address: &Address) {
    let mut client = Client::connect(address);
    client.command(["AUTH", "secret"]);
    assert_eq!(client.command(["SCRIPT", "FLUSH"]), testkit::simple("OK"));
}

fn compare_plain(file: &str) {
    // What is slow is up to the machine. Timeouts are looked at as often as the server's clock ticks.
    let options = [("slowlog-log-slower-than", "-1"), ("hz", "500")];
    let server = options
        .iter()
        .fold(RedisServer::builder(), |builder, (name, value)| builder.option(name, value))
        .start();
    let redkeel = ready(proxy([&server], LISTENERS).listeners(2));
    compare(&server, &redkeel, file);
}

#[test]
fn data() {
    compare_plain(include_str!("conversations/data.txt"));
}

#[test]
fn transactions() {
    compare_plain(include_str!("conversations/transactions.txt"));
}

#[test]
fn connection() {
    compare_plain(include_str!("conversations/connection.txt"));
}

#[test]
fn server() {
    compare_plain(include_str!("conversations/server.txt"));
}

#[test]
fn subscriptions() {
    compare_plain(include_str!("conversations/subscriptions.txt"));
}

/// Of subscribers whose connection to the node is not their own.
#[test]
fn shared_subscriptions() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], LISTENERS).listeners(2));
    // More than each worker counts one by one.
    let mut others: Vec<Client> = (0..40).map(|_| redkeel.client()).collect();
    for other in &mut others {
        other.command(["SUBSCRIBE", "filler"]);
    }
    compare(&server, &redkeel, include_str!("conversations/subscriptions.txt"));
}

#[test]
fn authentication() {
    let server = RedisServer::builder()
        .requirepass("secret")
        .option("user", "reader on >reads ~open:* +@read +@connection +@transaction +@blocking +eval +acl|whoami")
        .start();
    let settings = format!("{LISTENERS}\nupstream.password = \"secret\"");
    let redkeel = ready(proxy([&server], &settings).listeners(2));
    compare(&server, &redkeel, include_str!("conversations/authentication.txt"));
}
