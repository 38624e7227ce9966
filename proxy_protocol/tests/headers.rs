//! Headers that are written are read again, wherever they are split; what is none is refused, and nothing panics.

#[path = "checks/header.rs"]
mod check;

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use proxy_protocol::{Addresses, Malformed, Parsed, Version, parse};

fn addresses(source: &str, destination: &str) -> Addresses {
    let read = |text: &str| text.parse().expect("an address");
    Addresses { source: read(source), destination: read(destination) }
}

fn header(len: usize, addresses: Option<Addresses>) -> Result<Parsed, Malformed> {
    Ok(Parsed::Header { len, addresses })
}

#[test]
fn lines() {
    let text = b"PROXY TCP4 192.168.0.1 10.0.0.1 56324 6379\r\nPING\r\n";
    let expected = addresses("192.168.0.1:56324", "10.0.0.1:6379");
    assert_eq!(parse(text), header(text.len() - 6, Some(expected)));
    let text = b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n";
    let expected = addresses("[2001:db8::1]:1", "[::1]:65535");
    assert_eq!(parse(text), header(text.len(), Some(expected)));
    assert_eq!(parse(b"PROXY UNKNOWN\r\n"), header(15, None));
    assert_eq!(parse(b"PROXY UNKNOWN ffff:f::1 x y 1\r\n"), header(31, None));
    for (text, error) in [
        (&b"PING\r\n"[..], Malformed::Absent),
        (b"*1\r\n$4\r\nPING\r\n", Malformed::Absent),
        (b"PROXYTCP4", Malformed::Absent),
        (b"proxy TCP4 ", Malformed::Absent),
        (b"PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n", Malformed::Unknown),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", Malformed::Address),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n", Malformed::Address),
        (b"PROXY TCP4 1.1.1.1  1.1.1.1 1 1\r\n", Malformed::Address),
        (b"PROXY TCP4 ::1 ::1 1 1\r\n", Malformed::Address),
        (b"PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n", Malformed::Address),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n", Malformed::Address),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n", Malformed::Address),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 \xff\r\n", Malformed::Address),
        (b"\r\n\r\n\0\r\nQUIT\r", Malformed::Absent),
        (b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", Malformed::Unknown),
        (b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\0", Malformed::Unknown),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\0", Malformed::Unknown),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0412345", Malformed::Address),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", Malformed::TooLong),
    ] {
        assert_eq!(parse(text), Err(error), "{:?}", String::from_utf8_lossy(text));
    }
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
    assert_eq!(parse(&endless), Err(Malformed::TooLong));
    assert_eq!(parse(&endless[..100]), Ok(Parsed::Incomplete));
}

#[test]
fn additions_and_local_ones() {
    let expected = addresses("1.2.3.4:5", "6.7.8.9:10");
    let mut bytes = Version::V2.header(Some(expected));
    bytes[15] += 7;
    bytes.extend(b"\x04\0\x04abcd");
    bytes.extend(b"PING\r\n");
    assert_eq!(parse(&bytes), header(bytes.len() - 6, Some(expected)));
    // LOCAL with an address that does not count.
    bytes[12] = 0x20;
    assert_eq!(parse(&bytes), header(bytes.len() - 6, None));
    // A unix socket's.
    let mut unix = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8".to_vec();
    unix.extend([0; 216]);
    assert_eq!(parse(&unix), header(unix.len(), None));
    let mixed = addresses("1.2.3.4:5", "[::1]:6");
    assert_eq!(Version::V1.header(Some(mixed)), b"PROXY UNKNOWN\r\n");
    assert_eq!(parse(&Version::V2.header(Some(mixed))), header(16, None));
}

fn any_addresses() -> impl Strategy<Value = Addresses> {
    let v4 =
        (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    // Those that are IPv4 in disguise are written as such.
    let v6 = (any::<[u8; 16]>(), any::<[u8; 16]>())
        .prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)))
        .prop_filter("plain", |(a, b)| a.to_canonical() == *a && b.to_canonical() == *b);
    (prop_oneof![v4, v6], any::<(u16, u16)>()).prop_map(|((a, b), (from, to))| Addresses {
        source: SocketAddr::new(a, from),
        destination: SocketAddr::new(b, to),
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_wherever_it_is_split(
        given in proptest::option::of(any_addresses()),
        binary in any::<bool>(),
        behind in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let version = if binary { Version::V2 } else { Version::V1 };
        let written = version.header(given);
        for end in 0..written.len() {
            prop_assert_eq!(parse(&written[..end]), Ok(Parsed::Incomplete));
        }
        let bytes = [written.as_slice(), &behind].concat();
        prop_assert_eq!(parse(&bytes), header(written.len(), given));
    }

    #[test]
    fn garbage_is_judged_alike_however_much_has_come(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        begin in 0..4_usize,
    ) {
        let starts: [&[u8]; 4] = [b"", b"PROXY ", b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n\x21"];
        bytes.splice(..0, starts[begin].iter().copied());
        check::check_header(&bytes);
    }
}
