//! Looking into replies: headers and elements, as ranges.

use resp::{ReplyScanner, Skip};

/// The first line of a reply: its marker, the number in it, and what follows the line.
pub(super) fn header(reply: &[u8]) -> Option<(u8, i64, &[u8])> {
    let end = reply.iter().position(|byte| *byte == b'\n')?;
    let (marker, line) = reply.get(..end.checked_sub(1)?)?.split_first()?;
    let number = std::str::from_utf8(line).ok()?.parse().ok()?;
    Some((*marker, number, &reply[end + 1..]))
}

/// The number that an integer reply is.
pub(super) fn integer(reply: &[u8]) -> Option<i64> {
    header(reply).filter(|(marker, ..)| *marker == b':').map(|(_, number, _)| number)
}

/// The bytes of a bulk or verbatim string.
pub(super) fn string(reply: &[u8]) -> Option<&[u8]> {
    let (marker, len, rest) = header(reply)?;
    let bytes = rest.get(..usize::try_from(len).ok()?)?;
    match marker {
        b'$' => Some(bytes),
        // `txt:` stands before the text.
        b'=' => bytes.get(4..),
        _ => None,
    }
}

/// Is it no value: the null of either protocol?
pub(super) fn is_null(reply: &[u8]) -> bool {
    reply.starts_with(b"_") || reply.starts_with(b"$-1") || reply.starts_with(b"*-1")
}

/// The elements of an array, a set, or a map (keys and values in turn), one after the other.
pub(super) struct Elements<'a> {
    left: usize,
    rest: &'a [u8],
    scanner: ReplyScanner,
}

impl<'a> Elements<'a> {
    pub(super) fn of(reply: &'a [u8]) -> Option<Self> {
        let (marker, count, rest) = header(reply)?;
        let count = usize::try_from(count).ok()?;
        let left = match marker {
            b'*' | b'~' => count,
            b'%' => count.checked_mul(2)?,
            _ => return None,
        };
        Some(Self { left, rest, scanner: ReplyScanner::new() })
    }

    pub(super) fn len(&self) -> usize {
        self.left
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        match self.scanner.scan(self.rest) {
            Ok(Skip::Complete(len)) => {
                let (element, rest) = self.rest.split_at(len);
                self.rest = rest;
                Some(element)
            }
            Ok(Skip::Incomplete) | Err(_) => None,
        }
    }
}
