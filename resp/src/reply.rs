//! Finding the end of a reply without looking into it.

use crate::ReplyError;
use crate::header::{self, Header, MAX_HEADER_LEN, find_crlf};

/// Skips one value after the other, of RESP2 or RESP3, however deep they are.
///
/// Its state has a fixed size: instead of a stack it counts the elements that are still to come. An
/// aggregate of `n` elements adds `n`, of `n` pairs `2n`, and each element that ends takes one off.
/// Attributes add their pairs without being an element, so they belong to the value behind them.
#[derive(Clone, Debug, Default)]
pub struct ReplyScanner {
    /// Elements that have not ended yet, the value itself included; 0 between values.
    outstanding: u64,
    part: Part,
}

/// What the last buffer ended with.
#[derive(Clone, Copy, Debug, Default)]
enum Part {
    /// The end of an element, or a header that announces more.
    #[default]
    Whole,
    /// The first `len` bytes of a header.
    Header { bytes: [u8; MAX_HEADER_LEN], len: u8 },
    /// A line that is a value; `cr`: its last byte was a CR.
    Line { cr: bool },
    /// A bulk of which `left` bytes are to come, its CRLF included.
    Bulk { left: u64 },
}

/// How far a value has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The value ends after so many bytes of the buffer. What follows is the next value's.
    Complete(usize),
    /// The whole buffer belongs to the value, and it is not the end.
    Incomplete,
}

impl ReplyScanner {
    /// A scanner before its first value.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the next byte begins a value.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.outstanding == 0
    }

    /// Reads on to the end of the current value, or of `buf`, which continues where the last call
    /// has stopped. After an error the scanner is of no further use.
    #[inline]
    pub fn scan(&mut self, buf: &[u8]) -> Result<Skip, ReplyError> {
        if self.is_idle() {
            if let Some(len) = whole_leaf(buf) {
                return Ok(Skip::Complete(len));
            }
            if buf.is_empty() {
                return Ok(Skip::Incomplete);
            }
            self.outstanding = 1;
        }
        self.scan_parts(buf)
    }

    /// Goes from element to element.
    fn scan_parts(&mut self, buf: &[u8]) -> Result<Skip, ReplyError> {
        let mut rest = buf;
        while !rest.is_empty() {
            let used = match self.part {
                Part::Whole => match whole_bulk(rest) {
                    Some(len) => {
                        self.end_element();
                        len
                    }
                    None => self.begin_element(rest)?,
                },
                Part::Header { bytes, len } => self.collect_header(rest, bytes, len)?,
                Part::Line { cr } => self.continue_line(rest, cr),
                Part::Bulk { left } => self.continue_bulk(rest, left)?,
            };
            rest = rest.get(used..).unwrap_or_default();
            if self.outstanding == 0 {
                return Ok(Skip::Complete(buf.len() - rest.len()));
            }
        }
        Ok(Skip::Incomplete)
    }

    /// Reads the header at the front of `rest`; returns the bytes used.
    fn begin_element(&mut self, rest: &[u8]) -> Result<usize, ReplyError> {
        match header::read(rest)? {
            Some((header, used)) => {
                self.enter(header)?;
                Ok(used)
            }
            None => self.collect_header(rest, [0; MAX_HEADER_LEN], 0),
        }
    }

    /// Reads a header of which the first `had` bytes came with earlier buffers.
    fn collect_header(
        &mut self,
        rest: &[u8],
        mut bytes: [u8; MAX_HEADER_LEN],
        had: u8,
    ) -> Result<usize, ReplyError> {
        let had = usize::from(had);
        let mut has = had;
        for (kept, byte) in bytes[had..].iter_mut().zip(rest) {
            *kept = *byte;
            has += 1;
        }
        match header::read(&bytes[..has])? {
            Some((header, header_len)) => {
                self.enter(header)?;
                Ok(header_len - had)
            }
            // A full array is never incomplete, so nothing of `rest` is left over.
            None => {
                self.part = Part::Header { bytes, len: has as u8 };
                Ok(rest.len())
            }
        }
    }

    /// Goes on behind a header.
    fn enter(&mut self, header: Header) -> Result<(), ReplyError> {
        self.part = Part::Whole;
        match header {
            Header::Line => self.part = Part::Line { cr: false },
            Header::Bulk(len) => self.part = Part::Bulk { left: len + 2 },
            Header::Null => self.end_element(),
            Header::Elements(elements) => {
                self.end_element();
                self.expect(elements)?;
            }
            Header::Attribute(elements) => self.expect(elements)?,
        }
        Ok(())
    }

    fn expect(&mut self, elements: u64) -> Result<(), ReplyError> {
        self.outstanding =
            self.outstanding.checked_add(elements).ok_or(ReplyError::TooManyElements)?;
        Ok(())
    }

    fn end_element(&mut self) {
        debug_assert!(self.outstanding > 0, "an element has ended that was not expected");
        self.outstanding -= 1;
        self.part = Part::Whole;
    }

    /// Skips a line whose last byte before `rest` was a CR if `cr`.
    fn continue_line(&mut self, rest: &[u8], cr: bool) -> usize {
        if cr && rest.first() == Some(&b'\n') {
            self.end_element();
            return 1;
        }
        match find_crlf(rest) {
            Some(end) => {
                self.end_element();
                end
            }
            None => {
                self.part = Part::Line { cr: rest.last() == Some(&b'\r') };
                rest.len()
            }
        }
    }

    /// Skips a bulk of which `left` bytes are to come.
    fn continue_bulk(&mut self, rest: &[u8], left: u64) -> Result<usize, ReplyError> {
        let used = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        let still = left - used as u64;
        // Of the CRLF, the last two bytes, this buffer may have any part.
        for (byte, behind) in rest[..used].iter().rev().zip(still..2) {
            if *byte != b"\n\r"[behind as usize] {
                return Err(ReplyError::UnterminatedBulk);
            }
        }
        if still == 0 {
            self.end_element();
        } else {
            self.part = Part::Bulk { left: still };
        }
        Ok(used)
    }
}

/// The length of the value at the front of `buf` if it is whole and has no elements: nearly every
/// reply, and nearly every element of the others. What is broken is left to the slow path.
#[inline]
fn whole_leaf(buf: &[u8]) -> Option<usize> {
    match buf.first()? {
        // What most writes are answered.
        b'+' if buf.starts_with(b"+OK\r\n") => Some(5),
        b'+' | b'-' | b':' => Some(1 + find_crlf(&buf[1..])?),
        b'$' => whole_bulk(buf).or_else(|| whole_other_leaf(buf)),
        _ => whole_other_leaf(buf),
    }
}

fn whole_other_leaf(buf: &[u8]) -> Option<usize> {
    match header::read(buf) {
        Ok(Some((Header::Line, used))) => Some(used + find_crlf(&buf[used..])?),
        Ok(Some((Header::Bulk(len), used))) => {
            let end = used.checked_add(usize::try_from(len).ok()?)?;
            let behind = buf.get(end..)?;
            behind.starts_with(b"\r\n").then_some(end + 2)
        }
        Ok(Some((Header::Null, used))) => Some(used),
        _ => None,
    }
}

/// The length of the bulk string at the front of `buf` if it is whole, well-formed and shorter than 10,000 bytes: what most
/// replies, and most elements of the others, are made of.
#[inline]
fn whole_bulk(buf: &[u8]) -> Option<usize> {
    let digits = buf.strip_prefix(b"$")?;
    let mut len = 0;
    for (count, &byte) in digits.iter().take(5).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let payload = 1 + count + 2;
            let is_end = |at: usize| buf.get(at..at + 2) == Some(b"\r\n");
            let whole = count > 0 && is_end(payload - 2) && is_end(payload + len);
            return whole.then_some(payload + len + 2);
        }
        // A zero stands alone.
        if len == 0 && count > 0 {
            return None;
        }
        len = len * 10 + usize::from(digit);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(input: &[u8]) -> Result<Skip, ReplyError> {
        ReplyScanner::new().scan(input)
    }

    #[test]
    fn every_type_is_skipped_to_its_end() {
        for value in [
            "+OK\r\n",
            "+\r\n",
            "+a\rb\r\r\n",
            "-ERR no\r\n",
            ":-7\r\n",
            "$3\r\nfoo\r\n",
            "$0\r\n\r\n",
            "$4\r\n\r\n\r\n\r\n",
            "$-1\r\n",
            "*0\r\n",
            "*-1\r\n",
            "*2\r\n:1\r\n$1\r\na\r\n",
            "_\r\n",
            ",1.5e3\r\n",
            "#t\r\n",
            "(-123456789012345678901234567890\r\n",
            "!5\r\nERR x\r\n",
            "=6\r\ntxt:ab\r\n",
            "%1\r\n+k\r\n*1\r\n+v\r\n",
            "~2\r\n+a\r\n+b\r\n",
            ">2\r\n+message\r\n*0\r\n",
            "*1\r\n*1\r\n*1\r\n*0\r\n",
            "|1\r\n+ttl\r\n:10\r\n$1\r\nv\r\n",
            "|1\r\n+a\r\n%1\r\n+b\r\n+c\r\n|0\r\n*2\r\n+x\r\n|1\r\n+d\r\n+e\r\n+y\r\n",
        ] {
            assert_eq!(skip(value.as_bytes()), Ok(Skip::Complete(value.len())), "{value:?}");
            let followed = format!("{value}+next\r\n");
            assert_eq!(skip(followed.as_bytes()), Ok(Skip::Complete(value.len())), "{value:?}");
            for cut in 0..value.len() {
                assert_eq!(skip(&value.as_bytes()[..cut]), Ok(Skip::Incomplete), "{value:?}");
            }
        }
    }

    #[test]
    fn what_is_no_reply() {
        use ReplyError::{
            LineTooLong, Malformed, Streamed, TooManyElements, UnknownType, UnterminatedBulk,
        };
        for (input, error) in [
            ("x", UnknownType(b'x')),
            ("\r\n", UnknownType(b'\r')),
            ("*1\r\n?", UnknownType(b'?')),
            ("$?\r\n", Streamed(b'$')),
            ("*?\r\n", Streamed(b'*')),
            ("%?\r\n", Streamed(b'%')),
            ("~?\r\n", Streamed(b'~')),
            (";4\r\n", Streamed(b';')),
            (".\r\n", Streamed(b'.')),
            ("$-2\r\n", Malformed(b'$')),
            ("$+1\r\n", Malformed(b'$')),
            ("*-2\r\n", Malformed(b'*')),
            ("%-1\r\n", Malformed(b'%')),
            ("*\r\n", Malformed(b'*')),
            ("*1\n", Malformed(b'*')),
            ("*1\rx", Malformed(b'*')),
            ("$12345678901234567890", LineTooLong(b'$')),
            ("*9223372036854775808\r\n", LineTooLong(b'*')),
            ("$3\r\nabcd", UnterminatedBulk),
            ("$3\r\nabc\rx", UnterminatedBulk),
            ("$3\r\nabc\n\r", UnterminatedBulk),
        ] {
            assert_eq!(skip(input.as_bytes()), Err(error), "{input:?}");
        }
        // One array in the other until the count is full.
        let announced = "*9223372036854775807\r\n";
        assert_eq!(skip(announced.repeat(2).as_bytes()), Ok(Skip::Incomplete));
        assert_eq!(skip(announced.repeat(3).as_bytes()), Err(TooManyElements));
        assert_eq!(skip(b"%9223372036854775807\r\n"), Ok(Skip::Incomplete));
    }

    #[test]
    fn a_tebibyte_is_skipped_in_pieces() {
        let mut scanner = ReplyScanner::new();
        assert_eq!(scanner.scan(b"*2\r\n$1099511627776\r\n"), Ok(Skip::Incomplete));
        let piece = vec![0u8; 1 << 28];
        for _ in 0..1 << 12 {
            assert_eq!(scanner.scan(&piece), Ok(Skip::Incomplete));
        }
        assert_eq!(scanner.scan(b"\r"), Ok(Skip::Incomplete));
        assert_eq!(scanner.scan(b"\n"), Ok(Skip::Incomplete));
        assert_eq!(scanner.scan(b"+OK\r\n+next"), Ok(Skip::Complete(5)));
        assert!(scanner.is_idle());
    }

    #[test]
    fn nesting_has_no_limit() {
        let deep = "*1\r\n".repeat(100_000) + "_\r\n";
        assert_eq!(skip(deep.as_bytes()), Ok(Skip::Complete(deep.len())));
    }

    #[test]
    fn an_empty_buffer_begins_nothing() {
        let mut scanner = ReplyScanner::new();
        assert_eq!(scanner.scan(b""), Ok(Skip::Incomplete));
        assert!(scanner.is_idle());
        assert_eq!(scanner.scan(b"$"), Ok(Skip::Incomplete));
        assert_eq!(scanner.scan(b""), Ok(Skip::Incomplete));
        assert!(!scanner.is_idle());
        assert_eq!(scanner.scan(b"-1\r\n"), Ok(Skip::Complete(4)));
        assert!(scanner.is_idle());
    }
}
