//! What is larger than any buffer passes through without being gathered.

use std::io::{Read, Write};
use std::time::Duration;

use testkit::{Client, RedisServer, Redkeel, Stream, Value, simple};

use crate::scene::{proxy, ready};

const MIB: usize = 1 << 20;
/// `proto-max-bulk-len`, and `limits.max_bulk`.
const LARGEST: usize = 512 * MIB;
/// What Redkeel may need for one such value, in or out.
const MEMORY: u64 = 8 << 20;
/// A server that copies half a gigabyte for its reply answers nobody meanwhile, probes neither.
const FROZEN: &str = "health.timeout = \"10s\"\ntimeouts.hold = \"60s\"";
/// For the transfer of a value, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// A value that shows where a byte of it is missing, in blocks: each begins with its number.
fn block(number: usize, into: &mut [u8]) {
    for (at, byte) in into.iter_mut().enumerate() {
        *byte = (at * 31 + at / 251) as u8;
    }
    into[..8].copy_from_slice(&(number as u64).to_le_bytes());
}

/// The most memory that Redkeel has needed so far.
fn peak(redkeel: &Redkeel) -> u64 {
    testkit::usage::peak_bytes(redkeel.pid()).unwrap()
}

fn open(redkeel: &Redkeel) -> Stream {
    let stream = redkeel.address().connect(PATIENCE).unwrap();
    stream.set_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn line(stream: &mut Stream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

fn set(stream: &mut Stream, key: &str, size: usize) {
    write!(stream, "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${size}\r\n", key.len()).unwrap();
    let mut bytes = vec![0; MIB];
    for number in 0..size / MIB {
        block(number, &mut bytes);
        stream.write_all(&bytes).unwrap();
    }
    stream.write_all(b"\r\n").unwrap();
    assert_eq!(line(stream), "+OK\r\n");
}

fn get(stream: &mut Stream, key: &str, size: usize) {
    write!(stream, "*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len()).unwrap();
    assert_eq!(line(stream), format!("${size}\r\n"));
    let (mut expected, mut bytes) = (vec![0; MIB], vec![0; MIB]);
    for number in 0..size / MIB {
        block(number, &mut expected);
        stream.read_exact(&mut bytes).unwrap();
        assert!(bytes == expected, "block {number} is not what was written");
    }
    assert_eq!(line(stream), "\r\n");
}

#[test]
fn a_value_of_512_mib_passes_and_is_not_gathered() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], FROZEN));
    let mut stream = open(&redkeel);
    // What the first value of some size needs, every one of them reuses.
    set(&mut stream, "warm", 4 * MIB);
    get(&mut stream, "warm", 4 * MIB);
    let before = peak(&redkeel);
    set(&mut stream, "big", LARGEST);
    let after_set = peak(&redkeel) - before;
    get(&mut stream, "big", LARGEST);
    let after_get = peak(&redkeel) - before;
    println!("512 MiB: memory grew by {} KiB in, {} KiB in all", after_set >> 10, after_get >> 10);
    assert!(after_set < MEMORY && after_get < MEMORY, "{after_set} {after_get}");
    let length = server.cli(["STRLEN", "big"]);
    assert_eq!(length, Value::Integer(LARGEST as i64));
    // One byte more is refused in Redis' own words, as it is by the server.
    let text = format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${}\r\n", LARGEST + 1);
    stream.write_all(text.as_bytes()).unwrap();
    assert_eq!(line(&mut stream), "-ERR Protocol error: invalid bulk length\r\n");
}

/// Ten connections at once: what is in flight of each is bounded, not only of one.
#[test]
fn several_large_values_at_once_need_little_each() {
    const CLIENTS: usize = 8;
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], FROZEN));
    let mut stream = open(&redkeel);
    set(&mut stream, "warm", 4 * MIB);
    get(&mut stream, "warm", 4 * MIB);
    let before = peak(&redkeel);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let mut stream = open(&redkeel);
            scope.spawn(move || {
                let key = format!("big{number}");
                set(&mut stream, &key, 64 * MIB);
                get(&mut stream, &key, 64 * MIB);
            });
        }
    });
    let grown = peak(&redkeel) - before;
    println!("{CLIENTS} values of 64 MiB at once: memory grew by {} KiB", grown >> 10);
    assert!(grown < CLIENTS as u64 * MEMORY, "{grown}");
}

/// A million fields to a client that reads when it likes: others are served meanwhile, and Redkeel does not gather what
/// is not read.
#[test]
fn a_reply_of_a_million_fields_waits_for_its_slow_reader() {
    const FIELDS: usize = 1_000_000;
    let server = RedisServer::start();
    let mut filler = server.client();
    for chunk in 0..FIELDS / 1000 {
        let mut words = vec!["HSET".to_owned(), "hash".to_owned()];
        for field in chunk * 1000..(chunk + 1) * 1000 {
            words.extend([format!("field:{field}"), format!("value:{field}")]);
        }
        assert_eq!(filler.command(&words), Value::Integer(1000));
    }
    let redkeel = ready(proxy([&server], FROZEN));
    let mut other = redkeel.client();
    assert_eq!(other.command(["SET", "key", "value"]), simple("OK"));
    let before = peak(&redkeel);
    let mut slow = open(&redkeel);
    slow.write_all(b"*2\r\n$7\r\nHGETALL\r\n$4\r\nhash\r\n").unwrap();
    assert_eq!(line(&mut slow), format!("*{}\r\n", 2 * FIELDS));
    let (mut reply, mut bytes) = (Vec::new(), vec![0; 256 << 10]);
    let mut rounds = 0;
    while !is_whole(&reply, FIELDS) {
        let count = slow.read(&mut bytes).unwrap();
        assert!(count > 0, "closed after {} bytes", reply.len());
        reply.extend_from_slice(&bytes[..count]);
        assert_eq!(other.command(["GET", "key"]), testkit::bulk("value"));
        rounds += 1;
    }
    let grown = peak(&redkeel) - before;
    println!("{} bytes in {rounds} reads: memory grew by {} KiB", reply.len(), grown >> 10);
    assert!(grown < 2 * MEMORY, "{grown}");
    let text = String::from_utf8(reply).unwrap();
    let mut fields: Vec<usize> =
        text.split("\r\n").filter_map(|line| line.strip_prefix("field:")?.parse().ok()).collect();
    fields.sort_unstable();
    assert!(fields.iter().copied().eq(0..FIELDS), "{} fields", fields.len());
    let values = text.split("\r\n").filter(|line| line.starts_with("value:")).count();
    assert_eq!(values, FIELDS);
}

/// All digits are known: the length of the whole reply is too.
fn is_whole(reply: &[u8], fields: usize) -> bool {
    let bulk = |text: usize| format!("${text}\r\n").len() + text + 2;
    let mut length = 0;
    let (mut digits, mut from) = (1, 0);
    while from < fields {
        let until = fields.min(10_usize.pow(digits));
        length += (until - from) * 2 * bulk("field:".len() + digits as usize);
        (from, digits) = (until, digits + 1);
    }
    reply.len() >= length
}

/// The smallest and the largest that a client sends behind each other.
#[test]
fn small_commands_behind_a_large_one_keep_their_order() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], FROZEN));
    let mut client: Client = redkeel.client();
    let value = vec![b'x'; 20 * MIB];
    let commands: [&[&[u8]]; 5] = [
        &[b"SET", b"key", b"first"],
        &[b"SET", b"key", &value],
        &[b"STRLEN", b"key"],
        &[b"GET", b"key"],
        &[b"SET", b"key", b"last"],
    ];
    let replies = client.pipeline(commands.map(|command| command.iter().copied()));
    assert_eq!(replies[..2], [simple("OK"), simple("OK")]);
    assert_eq!(replies[2], Value::Integer(20 * MIB as i64));
    assert!(replies[3].as_bytes() == Some(&value));
    assert_eq!(replies[4], simple("OK"));
    assert_eq!(client.command(["GET", "key"]), testkit::bulk("last"));
}
