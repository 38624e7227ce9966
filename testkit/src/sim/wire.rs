//! Looking into replies.

use resp::{ReplyScanner, Skip};

/// One whole value, as it is on the wire.
pub(crate) type Raw<'a> = &'a [u8];

/// The text of the first line, without its marker.
pub(crate) fn line(raw: Raw<'_>) -> &[u8] {
    let end = raw.iter().position(|byte| *byte == b'\r').unwrap_or(raw.len());
    raw.get(1..end).unwrap_or_default()
}

/// The payload of a bulk string.
pub(crate) fn bulk(raw: Raw<'_>) -> Option<&[u8]> {
    if raw.first() != Some(&b'$') || raw.get(1) == Some(&b'-') {
        return None;
    }
    let header = line(raw).len() + 3;
    raw.get(header..raw.len() - 2)
}

pub(crate) fn integer(raw: Raw<'_>) -> Option<i64> {
    if raw.first() != Some(&b':') {
        return None;
    }
    std::str::from_utf8(line(raw)).ok()?.parse().ok()
}

pub(crate) fn is_error(raw: Raw<'_>) -> bool {
    raw.first() == Some(&b'-')
}

/// The first word of an error.
pub(crate) fn code(raw: Raw<'_>) -> &str {
    let text = line(raw).split(|byte| *byte == b' ').next().unwrap_or_default();
    std::str::from_utf8(text).unwrap_or("?")
}

/// The null of this protocol that stands where a string could be.
pub(crate) fn null(resp3: bool) -> &'static [u8] {
    if resp3 { b"_\r\n" } else { b"$-1\r\n" }
}

/// The null of this protocol that stands where an array could be.
pub(crate) fn null_array(resp3: bool) -> &'static [u8] {
    if resp3 { b"_\r\n" } else { b"*-1\r\n" }
}

/// The elements of an array, a push or a map.
pub(crate) fn elements(raw: Raw<'_>) -> Option<Vec<Raw<'_>>> {
    if !matches!(raw.first(), Some(b'*' | b'>' | b'%')) || raw.get(1) == Some(&b'-') {
        return None;
    }
    let mut rest = &raw[line(raw).len() + 3..];
    let mut elements = Vec::new();
    while !rest.is_empty() {
        match ReplyScanner::new().scan(rest) {
            Ok(Skip::Complete(len)) => {
                elements.push(&rest[..len]);
                rest = &rest[len..];
            }
            _ => return None,
        }
    }
    Some(elements)
}

/// For a person: the beginning, without control characters.
pub(crate) fn shown(raw: Raw<'_>) -> String {
    let text: String = raw.iter().take(80).map(|byte| byte.escape_ascii().to_string()).collect();
    if raw.len() > 80 { format!("{text}… ({} bytes)", raw.len()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_apart() {
        let raw = b"*3\r\n$3\r\nabc\r\n:-5\r\n*-1\r\n";
        let parts = elements(raw).unwrap();
        assert_eq!(bulk(parts[0]), Some(b"abc".as_slice()));
        assert_eq!(integer(parts[1]), Some(-5));
        assert_eq!(parts[2], null_array(false));
        assert_eq!(elements(b"*0\r\n"), Some(vec![]));
        assert_eq!(code(b"-NOPRIMARY redkeel: x\r\n"), "NOPRIMARY");
    }
}
