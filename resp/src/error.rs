//! Why bytes are refused.

use std::fmt;

/// Why a request is refused. The text is what Redis says behind `-ERR `; it then closes the
/// connection, since nobody can tell where the next request begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// `*` is followed by something else than a number, or by too large a one.
    InvalidMultibulkLength,
    /// `$` is followed by something else than a number, or by a negative or too large one.
    InvalidBulkLength,
    /// An argument begins with this byte.
    ExpectedDollar(u8),
    /// The line that begins with `*` does not end.
    MultibulkLineTooLong,
    /// The line that should say the length of an argument does not end.
    BulkLineTooLong,
    /// The inline command does not end.
    InlineTooLong,
    /// A quote of an inline command is not closed, or not followed by a blank.
    UnbalancedQuotes,
    /// An argument is not followed by CRLF.
    UnterminatedBulk,
    /// The request has more bytes than this limit.
    TooLarge {
        /// The limit in bytes.
        max_request: u64,
    },
}

/// Why bytes are no reply. Nobody can tell where the next reply begins, so the connection that
/// they came over is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// No type begins with this byte.
    UnknownType(u8),
    /// This type byte is followed by something else than it can have, such as no number.
    Malformed(u8),
    /// A length line of this type has more digits than any length.
    LineTooLong(u8),
    /// A type that is announced without its length; no server sends it.
    Streamed(u8),
    /// A bulk is not followed by CRLF.
    UnterminatedBulk,
    /// More elements are announced than can be counted.
    TooManyElements,
    /// Larger or deeper than [`ValueLimits`](crate::ValueLimits) allow.
    LimitExceeded,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Self::InvalidMultibulkLength => f.write_str("invalid multibulk length"),
            Self::InvalidBulkLength => f.write_str("invalid bulk length"),
            Self::ExpectedDollar(byte @ b' '..=b'~') => {
                write!(f, "expected '$', got '{}'", char::from(*byte))
            }
            Self::ExpectedDollar(byte) => write!(f, "expected '$', got '\\x{byte:02x}'"),
            Self::MultibulkLineTooLong => f.write_str("too big mbulk count string"),
            Self::BulkLineTooLong => f.write_str("too big bulk count string"),
            Self::InlineTooLong => f.write_str("too big inline request"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            Self::UnterminatedBulk => f.write_str("expected CRLF after bulk"),
            Self::TooLarge { max_request } => {
                write!(f, "request is larger than max_request ({max_request} bytes)")
            }
        }
    }
}

impl std::error::Error for RequestError {}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(kind) => {
                write!(f, "no reply begins with '{}'", kind.escape_ascii())
            }
            Self::Malformed(kind) => {
                write!(f, "a reply of type '{}' is malformed", kind.escape_ascii())
            }
            Self::LineTooLong(kind) => {
                write!(f, "a reply of type '{}' has too long a length line", kind.escape_ascii())
            }
            Self::Streamed(kind) => {
                write!(f, "a reply of type '{}' is streamed", kind.escape_ascii())
            }
            Self::UnterminatedBulk => f.write_str("a bulk reply is not followed by CRLF"),
            Self::TooManyElements => f.write_str("a reply announces too many elements"),
            Self::LimitExceeded => f.write_str("a reply is too large or too deep"),
        }
    }
}

impl std::error::Error for ReplyError {}
