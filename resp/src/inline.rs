//! Inline commands: a line of text instead of an array, for people with `telnet` or `nc`.

use crate::RequestError;
use crate::write::{write_array_header, write_bulk};

/// Appends an inline command as the array of bulk strings that says the same.
///
/// `line` may end with its LF or CRLF. A blank line becomes `*0\r\n`. Quotes work as in Redis
/// (`sdssplitargs`, sds.c): `"…"` knows `\n \r \t \b \a \xHH` and takes any other escaped byte as
/// it is, `'…'` knows `\'`, and a closing quote is followed by a blank or nothing. `out` is left as
/// it was if the line is refused.
pub fn inline_to_multibulk(line: &[u8], out: &mut Vec<u8>) -> Result<(), RequestError> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut rest = line.strip_suffix(b"\r").unwrap_or(line);
    // The arguments one after the other, and where each ends.
    let mut text = Vec::with_capacity(rest.len());
    let mut ends = Vec::new();
    loop {
        rest = skip_blanks(rest);
        if rest.is_empty() {
            break;
        }
        rest = take_arg(rest, &mut text)?;
        ends.push(text.len());
    }
    write_array_header(out, ends.len());
    let mut start = 0;
    for end in ends {
        write_bulk(out, &text[start..end]);
        start = end;
    }
    Ok(())
}

/// What C's `isspace` says; Rust's `is_ascii_whitespace` leaves out the vertical tab.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The line without the blanks around it, and how many are before it.
pub(crate) fn trim_blanks(line: &[u8]) -> (&[u8], usize) {
    let text = skip_blanks(line);
    let end = text.iter().rposition(|&byte| !is_blank(byte)).map_or(0, |last| last + 1);
    (&text[..end], line.len() - text.len())
}

fn skip_blanks(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|&&byte| is_blank(byte)).count();
    &line[blanks..]
}

/// Appends the argument at the front of `rest` to `text`; returns what is behind it.
fn take_arg<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], RequestError> {
    while let [byte, tail @ ..] = rest {
        rest = match byte {
            // Fewer than `is_blank` has: a vertical tab or form feed inside a word belongs to it.
            b' ' | b'\n' | b'\r' | b'\t' => break,
            b'"' => return take_double_quoted(tail, text),
            b'\'' => return take_single_quoted(tail, text),
            _ => {
                text.push(*byte);
                tail
            }
        };
    }
    Ok(rest)
}

fn take_double_quoted<'a>(
    mut rest: &'a [u8],
    text: &mut Vec<u8>,
) -> Result<&'a [u8], RequestError> {
    loop {
        let (byte, tail) = match rest {
            [b'"', tail @ ..] => return end_of_quotes(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex_digit(*high) << 4 | hex_digit(*low), tail)
            }
            [b'\\', escaped, tail @ ..] => (unescape(*escaped), tail),
            [byte, tail @ ..] => (*byte, tail),
            [] => return Err(RequestError::UnbalancedQuotes),
        };
        text.push(byte);
        rest = tail;
    }
}

fn take_single_quoted<'a>(
    mut rest: &'a [u8],
    text: &mut Vec<u8>,
) -> Result<&'a [u8], RequestError> {
    loop {
        let (byte, tail) = match rest {
            [b'\'', tail @ ..] => return end_of_quotes(tail),
            [b'\\', b'\'', tail @ ..] => (b'\'', tail),
            [byte, tail @ ..] => (*byte, tail),
            [] => return Err(RequestError::UnbalancedQuotes),
        };
        text.push(byte);
        rest = tail;
    }
}

/// A closing quote also closes the argument.
fn end_of_quotes(rest: &[u8]) -> Result<&[u8], RequestError> {
    match rest.first() {
        Some(byte) if !is_blank(*byte) => Err(RequestError::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// The value of a byte that is a hexadecimal digit.
fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_command;

    fn split(line: &str) -> Result<Vec<u8>, RequestError> {
        let mut out = Vec::new();
        inline_to_multibulk(line.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn words_and_quotes() {
        let table: &[(&str, &[&[u8]])] = &[
            ("", &[]),
            ("\r\n", &[]),
            (" \t\x0b\x0c\r \r\n", &[]),
            ("PING", &[b"PING"]),
            ("PING\n", &[b"PING"]),
            ("  SET  key\tvalue \r\n", &[b"SET", b"key", b"value"]),
            ("a\x0bb \x0bc", &[b"a\x0bb", b"c"]),
            ("a\rb\r\n", &[b"a", b"b"]),
            (r#"SET k """#, &[b"SET", b"k", b""]),
            (r"SET k ''", &[b"SET", b"k", b""]),
            (r#""a b"  'c d'"#, &[b"a b", b"c d"]),
            (r#""\n\r\t\b\a\x00\xfF\q\"\\""#, &[b"\n\r\t\x08\x07\x00\xffq\"\\"]),
            (r#""\x4g\x""#, &[b"x4gx"]),
            (r"'\n\'\x41'", &[br"\n'\x41"]),
            (r#"ab"c d""#, &[b"abc d"]),
            (r"ab'c d'", &[b"abc d"]),
            ("a\\ b", &[b"a\\", b"b"]),
            ("\"a\"\x0bb", &[b"a", b"b"]),
            ("a\0b", &[b"a\0b"]),
        ];
        for (line, args) in table {
            let mut expected = Vec::new();
            write_command(&mut expected, args);
            assert_eq!(split(line), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn a_quote_is_closed_before_a_blank() {
        for line in [r#"""#, "'", r#"a "b"#, r#"a "b\"#, r#""a\""#, r"'a\'", r#""a"b"#, "'a'b"] {
            assert_eq!(split(line), Err(RequestError::UnbalancedQuotes), "{line:?}");
        }
    }

    #[test]
    fn it_appends_only_what_is_accepted() {
        let mut out = b"before".to_vec();
        assert!(inline_to_multibulk(b"SET k 'v", &mut out).is_err());
        assert_eq!(out, b"before");
        inline_to_multibulk(b"PING\r\n", &mut out).unwrap();
        assert_eq!(out, b"before*1\r\n$4\r\nPING\r\n");
    }
}
