//! Finding the end and the arguments of a request.
//!
//! Follows `processMultibulkBuffer` and `processInlineBuffer` of Redis 7.0 (networking.c), with the
//! same words for the same faults. Two things are stricter, because what a client sends travels on
//! connections that it shares with others: the CR of a length line and the bytes of an argument
//! must be followed by what the protocol says (Redis skips those bytes unread). And a NUL is a byte
//! like any other, where Redis' C strings end at it.

use memchr::memchr;

use crate::RequestError;
use crate::inline::trim_blanks;
use crate::number::{self, Line};

/// The shortest argument on the wire, `$0\r\n\r\n`, in bytes.
const MIN_ARG_LEN: u64 = 6;

/// Capacity of the argument list that is kept between requests, in entries.
const KEPT_ARGS: usize = 1024;

/// What a request may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest argument, in bytes (Redis: `proto-max-bulk-len`).
    pub max_bulk: u64,
    /// Longest request as it is on the wire, in bytes.
    pub max_request: u64,
    /// Most arguments, the command's name included.
    pub max_args: u32,
    /// Longest inline command or length line, in bytes (Redis: `PROTO_INLINE_MAX_SIZE`).
    pub max_inline: usize,
}

/// Where an argument is: offsets into the bytes of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgRange {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

/// Finds the end of one request after the other, and their arguments.
///
/// Keeps its position between calls, so that a request that arrives in pieces is read once.
#[derive(Debug, Default)]
pub struct RequestScanner {
    args: Vec<ArgRange>,
    /// Announced arguments; 0 until the header is read.
    argc: u32,
    /// Offset of the first byte that is not understood yet.
    at: usize,
    /// Bytes behind `at` that are known to hold no end of line.
    searched: usize,
    /// Length of the argument that begins at `at`, once its header is read.
    bulk: Option<u64>,
    /// The last call completed a request.
    finished: bool,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// More bytes are needed.
    Incomplete {
        /// Bytes this request will have at least, from the lengths announced so far; more than
        /// the buffer has.
        known: u64,
    },
    /// The request is whole.
    Complete {
        /// Bytes of the buffer that it takes.
        len: usize,
        /// It is a line of text; [`inline_to_multibulk`](crate::inline_to_multibulk) splits it.
        inline: bool,
    },
}

impl RequestScanner {
    /// A scanner before its first request. Allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads on in the current request.
    ///
    /// `buf` begins with the first byte of the request. After [`Scan::Incomplete`] the next call
    /// gets the same bytes and more behind them. After [`Scan::Complete`] the next call begins a
    /// new request. After an error only [`reset`](Self::reset) makes sense.
    pub fn scan(&mut self, buf: &[u8], limits: &Limits) -> Result<Scan, RequestError> {
        if self.finished {
            self.reset();
        }
        if self.argc > 0 {
            return self.scan_args(buf, limits);
        }
        match buf.first() {
            Some(b'*') => self.scan_multibulk(buf, limits),
            Some(_) => self.scan_inline(buf, limits),
            None => Ok(Scan::Incomplete { known: 1 }),
        }
    }

    /// The arguments seen so far; after [`Scan::Complete`] all of them.
    ///
    /// An inline command counts as one argument here: the line without the blanks around it. A
    /// request without arguments (`*0`, `*-1`, a blank line) is ignored by Redis without a reply.
    #[inline]
    pub fn args(&self) -> &[ArgRange] {
        &self.args
    }

    /// How many arguments the header of the request announces; 0 before it is known.
    pub fn argc(&self) -> u32 {
        self.argc
    }

    /// Forgets the current request, and gives memory back that a large one has taken.
    #[inline]
    pub fn reset(&mut self) {
        self.args.clear();
        if self.args.capacity() > KEPT_ARGS {
            self.args.shrink_to(KEPT_ARGS);
        }
        self.argc = 0;
        self.at = 0;
        self.searched = 0;
        self.bulk = None;
        self.finished = false;
    }

    /// Reads `*n` and, if it is there, what follows.
    fn scan_multibulk(&mut self, buf: &[u8], limits: &Limits) -> Result<Scan, RequestError> {
        let Line::Number { value, used } = number::line(&buf[1..]) else {
            return self.no_length(buf, limits, LengthLine::Multibulk);
        };
        if value > i64::from(limits.max_args) {
            return Err(RequestError::InvalidMultibulkLength);
        }
        self.step_over(1 + used);
        // Redis takes a negative number for none.
        self.argc = u32::try_from(value).unwrap_or(0);
        check_size(self.announced(), limits)?;
        self.scan_args(buf, limits)
    }

    /// Reads arguments until the last or the end of the buffer.
    #[inline]
    fn scan_args(&mut self, buf: &[u8], limits: &Limits) -> Result<Scan, RequestError> {
        while self.args.len() < self.argc as usize {
            let bulk = match self.bulk {
                Some(bulk) => bulk,
                None => {
                    let header = buf.get(self.at..).unwrap_or_default();
                    let Some((b'$', digits)) = header.split_first() else {
                        return self.no_length(buf, limits, LengthLine::Bulk);
                    };
                    let Line::Number { value, used } = number::line(digits) else {
                        return self.no_length(buf, limits, LengthLine::Bulk);
                    };
                    self.begin_bulk(value, used, limits)?
                }
            };
            let rest = buf.get(self.at..).unwrap_or_default();
            let Some((payload, end)) = split_bulk(rest, bulk) else {
                return Ok(self.incomplete(buf));
            };
            if end != *b"\r\n" {
                return Err(RequestError::UnterminatedBulk);
            }
            let len = payload.len();
            self.push_arg(self.at, self.at + len)?;
            self.step_over(len + 2);
            self.bulk = None;
        }
        Ok(self.complete(false))
    }

    /// Steps over an argument's header of `used` bytes behind `$`.
    #[inline]
    fn begin_bulk(
        &mut self,
        value: i64,
        used: usize,
        limits: &Limits,
    ) -> Result<u64, RequestError> {
        let bulk = u64::try_from(value).map_err(|_| RequestError::InvalidBulkLength)?;
        if bulk > limits.max_bulk {
            return Err(RequestError::InvalidBulkLength);
        }
        self.step_over(1 + used);
        self.bulk = Some(bulk);
        check_size(self.announced(), limits)?;
        Ok(bulk)
    }

    /// Reads a request that is a line of text.
    fn scan_inline(&mut self, buf: &[u8], limits: &Limits) -> Result<Scan, RequestError> {
        let Some(lf) = self.find_in_line(b'\n', buf, limits) else {
            if buf.len() > limits.max_inline {
                return Err(RequestError::InlineTooLong);
            }
            return Ok(self.incomplete(buf));
        };
        check_size(lf as u64 + 1, limits)?;
        let (text, start) = trim_blanks(&buf[..lf]);
        if !text.is_empty() {
            self.push_arg(start, start + text.len())?;
        }
        self.step_over(lf + 1);
        Ok(self.complete(true))
    }

    /// The line at `at` is no length, or not yet.
    #[cold]
    fn no_length(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        kind: LengthLine,
    ) -> Result<Scan, RequestError> {
        let len = buf.len() - self.at;
        match self.find_in_line(b'\r', buf, limits) {
            None if len > limits.max_inline => Err(kind.too_long()),
            None => Ok(self.incomplete(buf)),
            // Redis judges a line when the byte behind its CR is there.
            Some(cr) if cr + 1 == len => Ok(self.incomplete(buf)),
            Some(_) => Err(kind.invalid(buf[self.at])),
        }
    }

    /// Offset behind `at` of the line's end, which must come within the limit.
    fn find_in_line(&mut self, end: u8, buf: &[u8], limits: &Limits) -> Option<usize> {
        let line = &buf[self.at..];
        let line = &line[..line.len().min(limits.max_inline.saturating_add(1))];
        let found = memchr(end, &line[self.searched..]).map(|offset| self.searched + offset);
        self.searched = found.unwrap_or(line.len());
        found
    }

    #[inline]
    fn step_over(&mut self, bytes: usize) {
        self.at += bytes;
        self.searched = 0;
    }

    #[inline]
    fn push_arg(&mut self, start: usize, end: usize) -> Result<(), RequestError> {
        let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(end)) else {
            return Err(RequestError::TooLarge { max_request: u64::from(u32::MAX) });
        };
        self.args.push(ArgRange { start, end });
        Ok(())
    }

    /// Bytes that the request has at least, from what its headers say.
    #[inline]
    fn announced(&self) -> u64 {
        let mut missing = u64::from(self.argc) - self.args.len() as u64;
        let mut known = self.at as u64;
        if let Some(bulk) = self.bulk {
            known = known.saturating_add(bulk).saturating_add(2);
            missing -= 1;
        }
        known.saturating_add(missing * MIN_ARG_LEN)
    }

    fn incomplete(&self, buf: &[u8]) -> Scan {
        Scan::Incomplete { known: self.announced().max(buf.len() as u64 + 1) }
    }

    fn complete(&mut self, inline: bool) -> Scan {
        self.finished = true;
        Scan::Complete { len: self.at, inline }
    }
}

/// The lines that announce a length.
#[derive(Clone, Copy)]
enum LengthLine {
    Multibulk,
    Bulk,
}

impl LengthLine {
    fn too_long(self) -> RequestError {
        match self {
            Self::Multibulk => RequestError::MultibulkLineTooLong,
            Self::Bulk => RequestError::BulkLineTooLong,
        }
    }

    fn invalid(self, first: u8) -> RequestError {
        match self {
            Self::Multibulk => RequestError::InvalidMultibulkLength,
            Self::Bulk if first == b'$' => RequestError::InvalidBulkLength,
            Self::Bulk => RequestError::ExpectedDollar(first),
        }
    }
}

/// The argument of `len` bytes at the front of `rest` and the two bytes behind it, if all are there.
#[inline]
fn split_bulk(rest: &[u8], len: u64) -> Option<(&[u8], [u8; 2])> {
    let (payload, behind) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    Some((payload, *behind.first_chunk()?))
}

#[inline]
fn check_size(known: u64, limits: &Limits) -> Result<(), RequestError> {
    if known > limits.max_request {
        return Err(RequestError::TooLarge { max_request: limits.max_request });
    }
    Ok(())
}

impl Default for Limits {
    /// The defaults of the configuration.
    fn default() -> Self {
        Self {
            max_bulk: 512 * 1024 * 1024,
            max_request: 1024 * 1024 * 1024,
            max_args: 1024 * 1024,
            max_inline: 64 * 1024,
        }
    }
}

impl ArgRange {
    /// The argument's bytes; `request` is what the scanner has read.
    #[inline]
    pub fn of(self, request: &[u8]) -> &[u8] {
        &request[self.start as usize..self.end as usize]
    }

    /// Bytes of the argument.
    #[inline]
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the argument is the empty string.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_command;

    fn scan(input: &[u8]) -> Result<Scan, RequestError> {
        RequestScanner::new().scan(input, &Limits::default())
    }

    fn complete(len: usize) -> Result<Scan, RequestError> {
        Ok(Scan::Complete { len, inline: false })
    }

    fn inline(len: usize) -> Result<Scan, RequestError> {
        Ok(Scan::Complete { len, inline: true })
    }

    fn incomplete(known: u64) -> Result<Scan, RequestError> {
        Ok(Scan::Incomplete { known })
    }

    #[test]
    fn arguments_are_ranges_of_the_request() {
        let input = b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\nva\r\nl\r\n*1\r\n";
        let mut scanner = RequestScanner::new();
        assert_eq!(scanner.argc(), 0);
        assert_eq!(scanner.scan(input, &Limits::default()), complete(input.len() - 4));
        assert_eq!(scanner.argc(), 3);
        let args: Vec<_> = scanner.args().iter().map(|arg| arg.of(input)).collect();
        assert_eq!(args, [&b"SET"[..], b"", b"va\r\nl"]);
        assert!(scanner.args()[1].is_empty());
        assert_eq!(scanner.args()[2].len(), 5);

        assert_eq!(scanner.scan(b"*1\r\n$4\r\nPING\r\n", &Limits::default()), complete(14));
        assert_eq!(scanner.args(), [ArgRange { start: 8, end: 12 }]);
    }

    #[test]
    fn redis_ignores_requests_without_arguments() {
        for (input, expected) in [
            (&b"*0\r\n*1"[..], complete(4)),
            (b"*-1\r\n", complete(5)),
            (b"*-9223372036854775808\r\n", complete(23)),
            (b"\r\nPING", inline(2)),
            (b"\n", inline(1)),
            (b" \t\x0b\r\n", inline(5)),
        ] {
            let mut scanner = RequestScanner::new();
            assert_eq!(scanner.scan(input, &Limits::default()), expected);
            assert!(scanner.args().is_empty());
        }
    }

    #[test]
    fn an_inline_command_is_one_argument() {
        for (input, len, text) in [
            (&b"PING\r\n"[..], 6, &b"PING"[..]),
            (b"PING\nPING\n", 5, b"PING"),
            (b" \x0bSET k 'a b' \r\n", 16, b"SET k 'a b'"),
            (b"+OK\r\n", 5, b"+OK"),
            (b"a\0b\r\n", 5, b"a\0b"),
        ] {
            let mut scanner = RequestScanner::new();
            assert_eq!(scanner.scan(input, &Limits::default()), inline(len));
            let args: Vec<_> = scanner.args().iter().map(|arg| arg.of(input)).collect();
            assert_eq!(args, [text]);
        }
    }

    #[test]
    fn the_least_length_is_known_from_the_headers() {
        for (input, known) in [
            (&b""[..], 1),
            (b"*", 2),
            (b"*2\r", 4),
            (b"PING", 5),
            (b"*2\r\n", 4 + 2 * 6),
            (b"*2\r\n$100\r\n", 10 + 102 + 6),
            (b"*2\r\n$100\r\nabc", 10 + 102 + 6),
            (b"*2\r\n$3\r\nabc\r\n", 13 + 6),
            (b"*2\r\n$3\r\nabc\r\n$536870912\r\n", 25 + 536_870_912 + 2),
            (b"*1\r\nthis is not a header, but", 30),
        ] {
            assert_eq!(scan(input), incomplete(known), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn announced_arguments_cost_nothing() {
        let mut scanner = RequestScanner::new();
        let scanned = scanner.scan(b"*1048576\r\n$4\r\nMSET\r\n", &Limits::default());
        assert!(matches!(scanned, Ok(Scan::Incomplete { known: 6_000_000.. })));
        assert_eq!(scanner.argc(), 1_048_576);
        assert!(scanner.args.capacity() <= 4);
    }

    #[test]
    fn reset_forgets_the_request_and_frees_a_large_list() {
        let mut input = Vec::new();
        write_command(&mut input, &vec![&b"x"[..]; 5000]);
        let mut scanner = RequestScanner::new();
        assert_eq!(scanner.args.capacity(), 0);
        assert_eq!(scanner.scan(&input, &Limits::default()), complete(input.len()));
        assert_eq!(scanner.args().len(), 5000);
        scanner.reset();
        assert_eq!(scanner.args.capacity(), KEPT_ARGS);
        assert_eq!((scanner.args().len(), scanner.argc()), (0, 0));

        assert_eq!(scanner.scan(b"*2\r\n$1\r\na\r\n$1", &Limits::default()), incomplete(17));
        assert_eq!(scanner.args().len(), 1);
        scanner.reset();
        assert_eq!(scanner.scan(b"*1\r\n$4\r\nPING\r\n", &Limits::default()), complete(14));
    }
}
