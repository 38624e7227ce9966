//! Appending replies and commands to a buffer.

use crate::Protocol;
use crate::number::write_decimal;

/// Appends a simple string, `+text`.
///
/// It is a line: a CR or LF in it becomes a space, as in Redis.
pub fn write_simple(out: &mut Vec<u8>, text: impl AsRef<[u8]>) {
    write_line(out, b'+', text.as_ref());
}

/// Appends an error, `-text`; `text` begins with the code, such as `ERR`.
///
/// It is a line: a CR or LF in it becomes a space, as in Redis.
pub fn write_error(out: &mut Vec<u8>, text: &str) {
    write_line(out, b'-', text.as_bytes());
}

/// Appends an integer, `:value`.
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    out.push(b':');
    if value < 0 {
        out.push(b'-');
    }
    write_decimal(out, value.unsigned_abs());
    out.extend_from_slice(b"\r\n");
}

/// Appends a bulk string.
#[inline]
pub fn write_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    write_header(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends a text: a verbatim string in RESP3, a bulk string in RESP2.
pub fn write_verbatim(out: &mut Vec<u8>, text: &[u8], protocol: Protocol) {
    match protocol {
        Protocol::Resp2 => write_bulk(out, text),
        Protocol::Resp3 => {
            write_header(out, b'=', text.len() + 4);
            out.extend_from_slice(b"txt:");
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends the header of an array; its `len` elements follow.
#[inline]
pub fn write_array_header(out: &mut Vec<u8>, len: usize) {
    write_header(out, b'*', len);
}

/// Appends the header of a map; its `len` pairs follow. In RESP2 it is an array of keys and values.
pub fn write_map_header(out: &mut Vec<u8>, len: usize, protocol: Protocol) {
    match protocol {
        Protocol::Resp2 => write_header(out, b'*', len * 2),
        Protocol::Resp3 => write_header(out, b'%', len),
    }
}

/// Appends the header of a push; its `len` elements follow. In RESP2 it is an array.
pub fn write_push_header(out: &mut Vec<u8>, len: usize, protocol: Protocol) {
    match protocol {
        Protocol::Resp2 => write_header(out, b'*', len),
        Protocol::Resp3 => write_header(out, b'>', len),
    }
}

/// Appends the null that stands where a string could be.
pub fn write_null(out: &mut Vec<u8>, protocol: Protocol) {
    out.extend_from_slice(match protocol {
        Protocol::Resp2 => b"$-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

/// Appends the null that stands where an array could be.
pub fn write_null_array(out: &mut Vec<u8>, protocol: Protocol) {
    out.extend_from_slice(match protocol {
        Protocol::Resp2 => b"*-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

/// Appends a command as an array of bulk strings.
pub fn write_command(out: &mut Vec<u8>, args: &[&[u8]]) {
    write_array_header(out, args.len());
    for arg in args {
        write_bulk(out, arg);
    }
}

#[inline]
fn write_header(out: &mut Vec<u8>, kind: u8, len: usize) {
    out.push(kind);
    write_decimal(out, len as u64);
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    let start = out.len();
    out.extend_from_slice(text);
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines() {
        assert_eq!(written(|out| write_simple(out, "OK")), "+OK\r\n");
        assert_eq!(written(|out| write_simple(out, b"OK")), "+OK\r\n");
        assert_eq!(written(|out| write_error(out, "ERR a\r\nb\nc")), "-ERR a  b c\r\n");
        assert_eq!(written(|out| write_integer(out, 0)), ":0\r\n");
        assert_eq!(written(|out| write_integer(out, i64::MIN)), ":-9223372036854775808\r\n");
        assert_eq!(written(|out| write_integer(out, i64::MAX)), ":9223372036854775807\r\n");
    }

    #[test]
    fn the_protocol_decides_the_type() {
        use Protocol::{Resp2, Resp3};
        assert_eq!(written(|out| write_map_header(out, 3, Resp2)), "*6\r\n");
        assert_eq!(written(|out| write_map_header(out, 3, Resp3)), "%3\r\n");
        assert_eq!(written(|out| write_push_header(out, 3, Resp2)), "*3\r\n");
        assert_eq!(written(|out| write_push_header(out, 3, Resp3)), ">3\r\n");
        assert_eq!(written(|out| write_null(out, Resp2)), "$-1\r\n");
        assert_eq!(written(|out| write_null(out, Resp3)), "_\r\n");
        assert_eq!(written(|out| write_null_array(out, Resp2)), "*-1\r\n");
        assert_eq!(written(|out| write_null_array(out, Resp3)), "_\r\n");
    }

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        assert_eq!(
            written(|out| write_command(out, &[b"SET", b"key", b""])),
            "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n"
        );
    }
}
