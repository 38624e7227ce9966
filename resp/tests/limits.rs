//! What the request scanner refuses, and in which words.

use resp::{Limits, RequestError, RequestScanner, Scan};

fn scan(input: &[u8], limits: &Limits) -> Result<Scan, RequestError> {
    RequestScanner::new().scan(input, limits)
}

fn incomplete(known: u64) -> Result<Scan, RequestError> {
    Ok(Scan::Incomplete { known })
}

fn inline(len: usize) -> Result<Scan, RequestError> {
    Ok(Scan::Complete { len, inline: true })
}

#[test]
fn what_is_refused_and_how_redis_says_it() {
    let table: &[(&[u8], &str)] = &[
        (b"*x\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"*01\r\n", "invalid multibulk length"),
        (b"*1 \r\n", "invalid multibulk length"),
        (b"*1\rx", "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*10000000\r\n", "invalid multibulk length"),
        (b"*99999999999999999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$4\rx", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$4294967296\r\n", "invalid bulk length"),
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*1\r\n\r\n", "expected '$', got '\\x0d'"),
        (b"*1\r\n\xff\r\n", "expected '$', got '\\xff'"),
        (b"*1\r\n$1\r\nab\r\n", "expected CRLF after bulk"),
        (b"*1\r\n$1\r\na\n\n", "expected CRLF after bulk"),
    ];
    for (input, text) in table {
        let error = scan(input, &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("Protocol error: {text}"));
    }
    assert_eq!(
        RequestError::UnbalancedQuotes.to_string(),
        "Protocol error: unbalanced quotes in request"
    );
}

#[test]
fn lines_end_within_the_limit() {
    let limits = Limits { max_inline: 100, ..Limits::default() };
    for (start, end, text) in [
        ("", "\n", "too big inline request"),
        ("*", "\r\n", "too big mbulk count string"),
        ("*1\r\n", "\r\n", "too big bulk count string"),
    ] {
        let line = |len: usize| format!("{start}{}", "x".repeat(len)).into_bytes();
        let header = start.len() - start.find('\n').map_or(0, |lf| lf + 1);
        let longest = 100 - header;
        let mut scanner = RequestScanner::new();
        for len in 0..=longest {
            let scanned = scanner.scan(&line(len), &limits);
            assert!(matches!(scanned, Ok(Scan::Incomplete { .. })));
        }
        let error = scanner.scan(&line(longest + 1), &limits).unwrap_err();
        assert_eq!(error.to_string(), format!("Protocol error: {text}"));

        let mut ended = line(longest);
        ended.extend_from_slice(end.as_bytes());
        let scanned = scan(&ended, &limits);
        assert_ne!(scanned, Err(error));
        let mut ended = line(longest + 1);
        ended.extend_from_slice(end.as_bytes());
        assert_eq!(scan(&ended, &limits), Err(error));
    }
}

#[test]
fn requests_end_within_the_limit() {
    let limits = Limits { max_request: 40, ..Limits::default() };
    let too_large = Err(RequestError::TooLarge { max_request: 40 });
    let scan = |input: &[u8]| scan(input, &limits);
    assert_eq!(scan(b"*6\r\n"), incomplete(40));
    assert_eq!(scan(b"*7\r\n"), too_large);
    assert_eq!(scan(b"*1\r\n$29\r\n"), incomplete(40));
    assert_eq!(scan(b"*1\r\n$30\r\n"), too_large);
    assert_eq!(scan(b"*2\r\n$23\r\n"), incomplete(40));
    assert_eq!(scan(b"*2\r\n$24\r\n"), too_large);
    assert_eq!(scan(&[&[b'x'; 39][..], b"\n"].concat()), inline(40));
    assert_eq!(scan(&[&[b'x'; 40][..], b"\n"].concat()), too_large);
    assert_eq!(
        RequestError::TooLarge { max_request: 40 }.to_string(),
        "Protocol error: request is larger than max_request (40 bytes)"
    );
}

#[test]
fn lengths_beyond_4_gib_do_not_overflow() {
    let limits = Limits { max_bulk: u64::MAX, max_request: u64::MAX, ..Limits::default() };
    let scanned = scan(b"*2\r\n$9223372036854775807\r\n", &limits);
    assert_eq!(scanned, incomplete(26 + i64::MAX as u64 + 2 + 6));
}
