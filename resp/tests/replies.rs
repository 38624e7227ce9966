//! Random replies through the scanner and the tree, in pieces and damaged.

#[path = "checks/reply.rs"]
mod check;

use check::check_reply;
use proptest::collection::vec;
use proptest::prelude::*;
use resp::{Protocol, ReplyScanner, Skip, Value, ValueLimits};

const NO_LIMITS: ValueLimits =
    ValueLimits { max_bytes: usize::MAX, max_elements: usize::MAX, max_depth: 64 };

/// A reply on the wire, and the tree that it is.
#[derive(Clone, Debug)]
struct Reply {
    wire: Vec<u8>,
    value: Value,
}

impl Reply {
    fn new(wire: impl Into<Vec<u8>>, value: Value) -> Self {
        Self { wire: wire.into(), value }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    "[ -~\r]{0,20}".prop_map(|text| (text + ".").into_bytes())
}

fn line(kind: u8, text: &[u8]) -> Vec<u8> {
    [&[kind], text, b"\r\n"].concat()
}

fn bulk(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], bytes.len().to_string().as_bytes(), b"\r\n", bytes, b"\r\n"].concat()
}

fn resp2_leaf() -> impl Strategy<Value = Reply> {
    prop_oneof![
        text().prop_map(|text| Reply::new(line(b'+', &text), Value::Simple(text))),
        text().prop_map(|text| Reply::new(line(b'-', &text), Value::Error(text))),
        any::<i64>().prop_map(|n| Reply::new(format!(":{n}\r\n"), Value::Integer(n))),
        vec(any::<u8>(), 0..30)
            .prop_map(|bytes| Reply::new(bulk(b'$', &bytes), Value::Bulk(bytes))),
        Just(Reply::new("$-1\r\n", Value::Null)),
        Just(Reply::new("*-1\r\n", Value::Null)),
    ]
}

fn resp3_leaf() -> impl Strategy<Value = Reply> {
    prop_oneof![
        4 => resp2_leaf(),
        1 => Just(Reply::new("_\r\n", Value::Null)),
        1 => Just(Reply::new("#t\r\n", Value::Boolean(true))),
        1 => Just(Reply::new("#f\r\n", Value::Boolean(false))),
        1 => any::<f64>().prop_filter("NaN equals nothing", |n| !n.is_nan())
            .prop_map(|n| Reply::new(format!(",{n:e}\r\n"), Value::Double(n))),
        1 => "-?[0-9]{1,40}".prop_map(|digits| {
            Reply::new(format!("({digits}\r\n"), Value::BigNumber(digits.into_bytes()))
        }),
        1 => vec(any::<u8>(), 0..30)
            .prop_map(|bytes| Reply::new(bulk(b'!', &bytes), Value::Error(bytes))),
        1 => vec(any::<u8>(), 0..30).prop_map(|text| {
            let wire = bulk(b'=', &[b"txt:", text.as_slice()].concat());
            Reply::new(wire, Value::Verbatim { format: *b"txt", text })
        }),
    ]
}

fn wires(replies: &[Reply]) -> Vec<u8> {
    replies.iter().flat_map(|reply| reply.wire.clone()).collect()
}

fn values(replies: Vec<Reply>) -> Vec<Value> {
    replies.into_iter().map(|reply| reply.value).collect()
}

fn aggregate(kind: char, elements: Vec<Reply>) -> Reply {
    let mut wire = format!("{kind}{}\r\n", elements.len()).into_bytes();
    wire.extend(wires(&elements));
    let elements = values(elements);
    let value = match kind {
        '~' => Value::Set(elements),
        '>' => Value::Push(elements),
        _ => Value::Array(elements),
    };
    Reply::new(wire, value)
}

fn map(pairs: Vec<(Reply, Reply)>) -> Reply {
    let mut wire = format!("%{}\r\n", pairs.len()).into_bytes();
    for (key, value) in &pairs {
        wire.extend_from_slice(&key.wire);
        wire.extend_from_slice(&value.wire);
    }
    let value = pairs.into_iter().map(|(key, value)| (key.value, value.value)).collect();
    Reply::new(wire, Value::Map(value))
}

fn with_attributes(pairs: Vec<(Reply, Reply)>, reply: Reply) -> Reply {
    let mut wire = map(pairs).wire;
    wire[0] = b'|';
    wire.extend(reply.wire);
    Reply::new(wire, reply.value)
}

fn resp2() -> impl Strategy<Value = Reply> {
    resp2_leaf().prop_recursive(4, 30, 6, |element| {
        vec(element, 0..6).prop_map(|elements| aggregate('*', elements))
    })
}

fn resp3() -> impl Strategy<Value = Reply> {
    resp3_leaf().prop_recursive(4, 30, 6, |element| {
        let elements = vec(element.clone(), 0..6);
        let pairs = vec((element.clone(), element.clone()), 0..3);
        prop_oneof![
            elements.clone().prop_map(|elements| aggregate('*', elements)),
            elements.clone().prop_map(|elements| aggregate('~', elements)),
            elements.prop_map(|elements| aggregate('>', elements)),
            pairs.clone().prop_map(map),
            (pairs, element).prop_map(|(pairs, reply)| with_attributes(pairs, reply)),
        ]
    })
}

/// Every reply of the stream is read as the tree it is, and skipped as long as it is.
fn check_stream(replies: Vec<Reply>) -> Result<(), TestCaseError> {
    let input = wires(&replies);
    let mut scanner = ReplyScanner::new();
    let mut rest = input.as_slice();
    for reply in replies {
        let len = reply.wire.len();
        prop_assert_eq!(scanner.scan(rest), Ok(Skip::Complete(len)));
        prop_assert_eq!(Value::parse(rest, &NO_LIMITS), Ok(Some((reply.value, len))));
        rest = &rest[len..];
    }
    prop_assert!(rest.is_empty());
    check_reply(&input);
    Ok(())
}

/// Bytes that look like replies more often than random ones do.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        4 => resp3().prop_map(|reply| reply.wire),
        2 => "[$*%~>|=!;.?][-+?]?[0-9]{0,3}\r?\n?".prop_map(String::into_bytes),
        1 => "[-+:_#,(][a-z0-9.]{0,4}\r?\n?".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..8),
    ];
    vec(fragment, 0..6).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn resp2_replies_are_read_and_skipped(replies in vec(resp2(), 1..4)) {
        check_stream(replies)?;
    }

    #[test]
    fn resp3_replies_are_read_and_skipped(replies in vec(resp3(), 1..4)) {
        check_stream(replies)?;
    }

    #[test]
    fn what_is_written_is_read_back(
        number: i64,
        bytes in vec(any::<u8>(), 0..30),
        text in "[ -~]{0,20}",
        resp3: bool,
    ) {
        let protocol = if resp3 { Protocol::Resp3 } else { Protocol::Resp2 };
        let mut out = Vec::new();
        resp::write_push_header(&mut out, 8, protocol);
        resp::write_simple(&mut out, &text);
        resp::write_error(&mut out, &text);
        resp::write_integer(&mut out, number);
        resp::write_bulk(&mut out, &bytes);
        resp::write_null(&mut out, protocol);
        resp::write_null_array(&mut out, protocol);
        resp::write_array_header(&mut out, 0);
        resp::write_map_header(&mut out, 1, protocol);
        resp::write_command(&mut out, &[&bytes, b"x"]);
        resp::write_integer(&mut out, 1);

        let command = Value::Array(vec![Value::Bulk(bytes.clone()), Value::Bulk(b"x".to_vec())]);
        let map = match protocol {
            Protocol::Resp2 => Value::Array(vec![command, Value::Integer(1)]),
            Protocol::Resp3 => Value::Map(vec![(command, Value::Integer(1))]),
        };
        let elements = vec![
            Value::Simple(text.clone().into_bytes()),
            Value::Error(text.into_bytes()),
            Value::Integer(number),
            Value::Bulk(bytes),
            Value::Null,
            Value::Null,
            Value::Array(Vec::new()),
            map,
        ];
        let expected = match protocol {
            Protocol::Resp2 => Value::Array(elements),
            Protocol::Resp3 => Value::Push(elements),
        };
        prop_assert_eq!(Value::parse(&out, &NO_LIMITS), Ok(Some((expected, out.len()))));
    }

    #[test]
    fn pieces_of_replies_hold_the_rules(input in fragments()) {
        check_reply(&input);
    }

    #[test]
    fn damaged_replies_hold_the_rules(reply in resp3(), at: prop::sample::Index, byte: u8) {
        let mut input = reply.wire;
        let at = at.index(input.len());
        input[at] = byte;
        check_reply(&input);
    }

    #[test]
    fn garbage_holds_the_rules(input in vec(any::<u8>(), 0..200)) {
        check_reply(&input);
    }
}
