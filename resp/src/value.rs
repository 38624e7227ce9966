//! Replies as an owned tree.
//!
//! For the control plane, whose few replies are small and looked into, and for tests. The data path
//! never builds one.

use crate::ReplyError;
use crate::header::{self, Header};

/// A reply. Attributes are skipped.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+`
    Simple(Vec<u8>),
    /// `-`, and `!` of RESP3: the code and what follows.
    Error(Vec<u8>),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// `_`, and of RESP2 `$-1` and `*-1`.
    Null,
    /// `*`
    Array(Vec<Value>),
    /// `%`
    Map(Vec<(Value, Value)>),
    /// `~`
    Set(Vec<Value>),
    /// `>`
    Push(Vec<Value>),
    /// `,`
    Double(f64),
    /// `#`
    Boolean(bool),
    /// `(`: its digits, perhaps behind a minus.
    BigNumber(Vec<u8>),
    /// `=`
    Verbatim {
        /// Such as `txt` or `mkd`.
        format: [u8; 3],
        /// What follows the colon.
        text: Vec<u8>,
    },
}

/// What a [`Value`] may be.
#[derive(Clone, Copy, Debug)]
pub struct ValueLimits {
    /// Bytes on the wire.
    pub max_bytes: usize,
    /// Values in all its aggregates and attributes together, the outermost one included.
    pub max_elements: usize,
    /// How deep aggregates and attributes may nest; 0 allows none.
    pub max_depth: usize,
}

impl Value {
    /// Parses the value at the front of `buf`; returns it and how many bytes it has. `None` if it
    /// goes on behind the buffer; the next call begins again.
    pub fn parse(buf: &[u8], limits: &ValueLimits) -> Result<Option<(Self, usize)>, ReplyError> {
        let within = &buf[..buf.len().min(limits.max_bytes)];
        let mut parser = Parser { rest: within, elements_left: limits.max_elements };
        match parser.value(limits.max_depth)? {
            Some(value) => Ok(Some((value, within.len() - parser.rest.len()))),
            None if within.len() == limits.max_bytes => Err(ReplyError::LimitExceeded),
            None => Ok(None),
        }
    }

    /// The bytes of a string of any kind.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(text) | Self::Bulk(text) | Self::Verbatim { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The number of an integer.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements of an array, set or push.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) | Self::Set(elements) | Self::Push(elements) => Some(elements),
            _ => None,
        }
    }
}

/// What its functions return is `None` where the buffer ends.
struct Parser<'a> {
    rest: &'a [u8],
    elements_left: usize,
}

impl<'a> Parser<'a> {
    /// Recursive, up to `depth`.
    fn value(&mut self, depth: usize) -> Result<Option<Value>, ReplyError> {
        self.elements_left = self.elements_left.checked_sub(1).ok_or(ReplyError::LimitExceeded)?;
        loop {
            let Some((header, used)) = header::read(self.rest)? else { return Ok(None) };
            let kind = self.rest[0];
            self.rest = &self.rest[used..];
            return match header {
                Header::Null => Ok(Some(Value::Null)),
                Header::Line => self.take_line().map(|line| line_value(kind, line)).transpose(),
                Header::Bulk(len) => {
                    self.take_bulk(len)?.map(|bytes| bulk_value(kind, bytes)).transpose()
                }
                Header::Elements(elements) => {
                    Ok(self.elements(elements, depth)?.map(|elements| aggregate(kind, elements)))
                }
                Header::Attribute(elements) => match self.elements(elements, depth)? {
                    Some(_) => continue,
                    None => Ok(None),
                },
            };
        }
    }

    /// The vector grows as elements come: what is announced costs nothing.
    fn elements(&mut self, len: u64, depth: usize) -> Result<Option<Vec<Value>>, ReplyError> {
        let depth = depth.checked_sub(1).ok_or(ReplyError::LimitExceeded)?;
        if len > self.elements_left as u64 {
            return Err(ReplyError::LimitExceeded);
        }
        let mut elements = Vec::new();
        for _ in 0..len {
            let Some(element) = self.value(depth)? else { return Ok(None) };
            elements.push(element);
        }
        Ok(Some(elements))
    }

    /// The text up to the next CRLF.
    fn take_line(&mut self) -> Option<&'a [u8]> {
        let (line, rest) = self.rest.split_at(header::find_crlf(self.rest)?);
        self.rest = rest;
        line.strip_suffix(b"\r\n")
    }

    fn take_bulk(&mut self, len: u64) -> Result<Option<&'a [u8]>, ReplyError> {
        let len = usize::try_from(len).map_err(|_| ReplyError::LimitExceeded)?;
        let Some((bytes, behind)) = self.rest.split_at_checked(len) else { return Ok(None) };
        match behind {
            [b'\r', b'\n', rest @ ..] => {
                self.rest = rest;
                Ok(Some(bytes))
            }
            [] | [b'\r'] => Ok(None),
            _ => Err(ReplyError::UnterminatedBulk),
        }
    }
}

fn line_value(kind: u8, line: &[u8]) -> Result<Value, ReplyError> {
    let value = match (kind, line) {
        (b'+', text) => Some(Value::Simple(text.to_vec())),
        (b'-', text) => Some(Value::Error(text.to_vec())),
        (b':', digits) => text(digits).and_then(|text| text.parse().ok()).map(Value::Integer),
        (b',', digits) => text(digits).and_then(|text| text.parse().ok()).map(Value::Double),
        (b'(', digits) if is_integer(digits) => Some(Value::BigNumber(digits.to_vec())),
        (b'#', b"t") => Some(Value::Boolean(true)),
        (b'#', b"f") => Some(Value::Boolean(false)),
        (b'_', b"") => Some(Value::Null),
        _ => None,
    };
    value.ok_or(ReplyError::Malformed(kind))
}

fn bulk_value(kind: u8, bytes: &[u8]) -> Result<Value, ReplyError> {
    match kind {
        b'!' => Ok(Value::Error(bytes.to_vec())),
        b'=' => match bytes.split_first_chunk() {
            Some((format, [b':', text @ ..])) => {
                Ok(Value::Verbatim { format: *format, text: text.to_vec() })
            }
            _ => Err(ReplyError::Malformed(kind)),
        },
        _ => Ok(Value::Bulk(bytes.to_vec())),
    }
}

fn aggregate(kind: u8, elements: Vec<Value>) -> Value {
    match kind {
        b'%' => Value::Map(pairs(elements)),
        b'~' => Value::Set(elements),
        b'>' => Value::Push(elements),
        _ => Value::Array(elements),
    }
}

fn pairs(elements: Vec<Value>) -> Vec<(Value, Value)> {
    let mut pairs = Vec::with_capacity(elements.len() / 2);
    let mut elements = elements.into_iter();
    while let (Some(key), Some(value)) = (elements.next(), elements.next()) {
        pairs.push((key, value));
    }
    pairs
}

fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok()
}

fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ValueLimits = ValueLimits { max_bytes: 100, max_elements: 5, max_depth: 2 };

    fn parse(input: &str) -> Result<Option<Value>, ReplyError> {
        Ok(Value::parse(input.as_bytes(), &LIMITS)?.map(|(value, len)| {
            assert_eq!(len, input.len());
            value
        }))
    }

    #[test]
    fn doubles_as_redis_writes_them() {
        for (input, number) in [
            (",1\r\n", 1.0),
            (",-1.5\r\n", -1.5),
            (",3.0000000000000001e+17\r\n", 3e17),
            (",inf\r\n", f64::INFINITY),
            (",-inf\r\n", f64::NEG_INFINITY),
        ] {
            assert_eq!(parse(input), Ok(Some(Value::Double(number))));
        }
        assert!(matches!(parse(",nan\r\n"), Ok(Some(Value::Double(number))) if number.is_nan()));
    }

    #[test]
    fn lines_are_looked_into() {
        for input in [
            ":\r\n",
            ":1x\r\n",
            ":9223372036854775808\r\n",
            ",x\r\n",
            ",\r\n",
            "#x\r\n",
            "_x\r\n",
            "(\r\n",
            "(-\r\n",
            "(1.5\r\n",
            "=3\r\ntxt\r\n",
            "=4\r\ntxt \r\n",
            ",\u{e9}\r\n",
        ] {
            assert_eq!(parse(input), Err(ReplyError::Malformed(input.as_bytes()[0])), "{input:?}");
        }
    }

    #[test]
    fn attributes_are_skipped() {
        let input = "*2\r\n|1\r\n+ttl\r\n:10\r\n:1\r\n:2\r\n";
        let limits = ValueLimits { max_elements: 5, ..LIMITS };
        let expected = Value::Array(vec![Value::Integer(1), Value::Integer(2)]);
        assert_eq!(Value::parse(input.as_bytes(), &limits), Ok(Some((expected, input.len()))));
    }

    #[test]
    fn limits_hold() {
        let limited = Err(ReplyError::LimitExceeded);
        assert!(matches!(parse("*4\r\n+\r\n+\r\n+\r\n+\r\n"), Ok(Some(_))));
        assert_eq!(parse("*5\r\n"), limited);
        assert_eq!(parse("*9223372036854775807\r\n"), limited);
        assert_eq!(parse("*2\r\n*2\r\n+\r\n+\r\n*1\r\n"), limited);

        assert!(matches!(parse("*1\r\n*0\r\n"), Ok(Some(_))));
        assert_eq!(parse("*1\r\n*1\r\n*0\r\n"), limited);
        assert_eq!(parse("*1\r\n|1\r\n%0\r\n"), limited);

        let longest = format!("+{}\r\n", "x".repeat(97));
        assert!(matches!(parse(&longest), Ok(Some(_))));
        assert_eq!(parse(&longest[..99]), Ok(None));
        assert_eq!(parse(&format!("+x{}", &longest[1..])), limited);
        assert_eq!(parse(&format!("$1000\r\n{}", "x".repeat(93))), limited);
    }

    #[test]
    fn helpers_answer_for_their_kinds() {
        assert_eq!(Value::Simple(b"a".to_vec()).as_bytes(), Some(&b"a"[..]));
        assert_eq!(Value::Bulk(b"a".to_vec()).as_bytes(), Some(&b"a"[..]));
        let verbatim = Value::Verbatim { format: *b"txt", text: b"a".to_vec() };
        assert_eq!(verbatim.as_bytes(), Some(&b"a"[..]));
        assert_eq!(Value::Error(b"a".to_vec()).as_bytes(), None);
        assert_eq!(Value::Integer(3).as_int(), Some(3));
        assert_eq!(Value::Bulk(b"3".to_vec()).as_int(), None);
        assert_eq!(Value::Set(vec![Value::Null]).as_array(), Some(&[Value::Null][..]));
        assert_eq!(Value::Null.as_array(), None);
    }
}
