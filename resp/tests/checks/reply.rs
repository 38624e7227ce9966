//! What holds for any bytes that a server sends.

use resp::{ReplyError, ReplyScanner, Skip, Value, ValueLimits};

const LIMITS: ValueLimits = ValueLimits { max_bytes: 1 << 20, max_elements: 1000, max_depth: 16 };

/// Where the values of a stream end, and how the stream ends: inside a value or not, or broken.
type Ends = (Vec<usize>, Result<bool, ReplyError>);

/// Skips `input` as a stream of replies: whole, in every two pieces, and byte by byte.
pub(crate) fn check_reply(input: &[u8]) {
    let whole = ends(&[input]);
    for at in 1..input.len() {
        let (front, back) = input.split_at(at);
        assert_eq!(ends(&[front, back]), whole, "split at {at}");
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(ends(&bytes), whole, "byte by byte");

    let mut start = 0;
    for end in whole.0 {
        check_value(&input[start..], Ok(Skip::Complete(end - start)));
        start = end;
    }
    let last = whole.1.map(|_| Skip::Incomplete);
    check_value(&input[start..], last);
}

fn ends(chunks: &[&[u8]]) -> Ends {
    let mut scanner = ReplyScanner::new();
    let mut ends = Vec::new();
    let mut offset = 0;
    for chunk in chunks {
        let mut rest = *chunk;
        while !rest.is_empty() {
            match scanner.scan(rest) {
                Ok(Skip::Complete(len)) => {
                    assert!(len > 0 && scanner.is_idle());
                    offset += len;
                    ends.push(offset);
                    rest = &rest[len..];
                }
                Ok(Skip::Incomplete) => {
                    assert!(!scanner.is_idle());
                    offset += rest.len();
                    rest = &[];
                }
                Err(error) => return (ends, Err(error)),
            }
        }
    }
    (ends, Ok(scanner.is_idle()))
}

/// The tree agrees with what the scanner has found, except that it looks into lines and has limits.
fn check_value(input: &[u8], skipped: Result<Skip, ReplyError>) {
    match Value::parse(input, &LIMITS) {
        Ok(Some((_, len))) => assert_eq!(skipped, Ok(Skip::Complete(len))),
        Ok(None) => assert_eq!(skipped, Ok(Skip::Incomplete)),
        Err(ReplyError::LimitExceeded | ReplyError::Malformed(_)) => {}
        Err(error) => assert_eq!(skipped, Err(error)),
    }
}
