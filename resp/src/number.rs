//! Decimal numbers as the protocol writes them.
//!
//! Redis reads lengths with `string2ll` (util.c): digits with an optional minus, and nothing but
//! the shortest spelling of a number: no plus, no leading zero, no `-0`, no blanks.

/// Digits of `i64::MAX`; a `u64` holds every number of so many digits.
const MAX_DIGITS: usize = 19;

/// The beginning of a line that holds one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A number and its CRLF, together `used` bytes.
    Number { value: i64, used: usize },
    /// Right so far, but the line goes on behind the buffer.
    More,
    /// Not a number, or not followed by CRLF.
    Invalid,
    /// A number that does not fit `i64`, or begins so.
    TooLong,
}

/// Reads a number and the CRLF behind it from the front of `buf`.
#[inline]
pub(crate) fn line(buf: &[u8]) -> Line {
    let negative = buf.first() == Some(&b'-');
    let digits = if negative { &buf[1..] } else { buf };
    let mut magnitude = 0u64;
    for (count, &byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return if byte == b'\r' {
                end(&digits[count..], count, magnitude, negative)
            } else {
                Line::Invalid
            };
        }
        if count == MAX_DIGITS {
            return Line::TooLong;
        }
        // A zero stands alone and has no sign.
        if magnitude == 0 && (count > 0 || (negative && digit == 0)) {
            return Line::Invalid;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    Line::More
}

/// The line's end: `rest` begins with CR.
#[inline]
fn end(rest: &[u8], digits: usize, magnitude: u64, negative: bool) -> Line {
    if digits == 0 {
        return Line::Invalid;
    }
    match rest.get(1) {
        None => Line::More,
        Some(b'\n') => {
            let value = if negative {
                0i64.checked_sub_unsigned(magnitude)
            } else {
                i64::try_from(magnitude).ok()
            };
            let used = usize::from(negative) + digits + 2;
            value.map_or(Line::TooLong, |value| Line::Number { value, used })
        }
        Some(_) => Line::Invalid,
    }
}

/// Appends a number in decimal.
#[inline]
pub(crate) fn write_decimal(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut first = digits.len();
    let mut rest = value;
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(value: i64, used: usize) -> Line {
        Line::Number { value, used }
    }

    #[test]
    fn only_the_shortest_spelling_is_a_number() {
        let table: &[(&[u8], Line)] = &[
            (b"0\r\n", number(0, 3)),
            (b"7\r\nmore", number(7, 3)),
            (b"-1\r\n", number(-1, 4)),
            (b"9223372036854775807\r\n", number(i64::MAX, 21)),
            (b"-9223372036854775808\r\n", number(i64::MIN, 22)),
            (b"", Line::More),
            (b"-", Line::More),
            (b"12", Line::More),
            (b"12\r", Line::More),
            (b"\r\n", Line::Invalid),
            (b"-\r\n", Line::Invalid),
            (b"+1\r\n", Line::Invalid),
            (b"03\r\n", Line::Invalid),
            (b"00\r\n", Line::Invalid),
            (b"-0\r\n", Line::Invalid),
            (b"-03\r\n", Line::Invalid),
            (b" 3\r\n", Line::Invalid),
            (b"3 \r\n", Line::Invalid),
            (b"3\n", Line::Invalid),
            (b"3\rx", Line::Invalid),
            (b"0x3\r\n", Line::Invalid),
            (b"3?\r\n", Line::Invalid),
            (b"9223372036854775808\r\n", Line::TooLong),
            (b"-9223372036854775809\r\n", Line::TooLong),
            (b"18446744073709551616\r\n", Line::TooLong),
            (b"11111111111111111111", Line::TooLong),
        ];
        for (input, expected) in table {
            assert_eq!(line(input), *expected, "{:?}", String::from_utf8_lossy(input));
        }
    }

    proptest! {
        #[test]
        fn every_number_is_read_back(value: i64) {
            let text = format!("{value}\r\n");
            prop_assert_eq!(line(text.as_bytes()), number(value, text.len()));
            for cut in 0..text.len() {
                prop_assert_eq!(line(&text.as_bytes()[..cut]), Line::More);
            }
        }

        #[test]
        fn every_number_is_written_as_rust_does(value: u64) {
            let mut out = Vec::new();
            write_decimal(&mut out, value);
            prop_assert_eq!(out, value.to_string().into_bytes());
        }
    }
}
