//! The first bytes of a reply's elements, shared by the scanner and the tree.

use memchr::memchr;

use crate::ReplyError;
use crate::number::{self, Line};

/// Longest header, in bytes: type, minus, the 19 digits of `i64::MAX`, CRLF.
pub(crate) const MAX_HEADER_LEN: usize = 23;

/// What an element's header says about the bytes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// The rest of the line is the value.
    Line,
    /// So many bytes and CRLF.
    Bulk(u64),
    /// A null that the header spells out.
    Null,
    /// So many elements (of a map two per pair).
    Elements(u64),
    /// So many elements that say something about the value behind them.
    Attribute(u64),
}

/// Reads the header at the front of `buf`: what it says and how many bytes it has. `None` if it
/// goes on behind the buffer.
#[inline]
pub(crate) fn read(buf: &[u8]) -> Result<Option<(Header, usize)>, ReplyError> {
    let Some((&kind, rest)) = buf.split_first() else { return Ok(None) };
    match kind {
        b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => return Ok(Some((Header::Line, 1))),
        b'$' | b'*' | b'%' | b'~' | b'>' | b'|' | b'=' | b'!' => {}
        b';' | b'.' => return Err(ReplyError::Streamed(kind)),
        _ => return Err(ReplyError::UnknownType(kind)),
    }
    let (value, used) = match number::line(rest) {
        Line::Number { value, used } => (value, used),
        Line::More => return Ok(None),
        Line::Invalid if rest.first() == Some(&b'?') => return Err(ReplyError::Streamed(kind)),
        Line::Invalid => return Err(ReplyError::Malformed(kind)),
        Line::TooLong => return Err(ReplyError::LineTooLong(kind)),
    };
    let header = match (kind, u64::try_from(value)) {
        (b'$' | b'=' | b'!', Ok(len)) => Header::Bulk(len),
        (b'%', Ok(pairs)) => Header::Elements(twice(pairs)?),
        (b'|', Ok(pairs)) => Header::Attribute(twice(pairs)?),
        (_, Ok(elements)) => Header::Elements(elements),
        (b'$' | b'*', Err(_)) if value == -1 => Header::Null,
        (_, Err(_)) => return Err(ReplyError::Malformed(kind)),
    };
    Ok(Some((header, 1 + used)))
}

fn twice(pairs: u64) -> Result<u64, ReplyError> {
    pairs.checked_mul(2).ok_or(ReplyError::TooManyElements)
}

/// The offset behind the first CRLF. A CR alone is part of the text.
#[inline]
pub(crate) fn find_crlf(buf: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let lf = from + memchr(b'\r', buf.get(from..)?)? + 1;
        if *buf.get(lf)? == b'\n' {
            return Some(lf + 1);
        }
        from = lf;
    }
}
