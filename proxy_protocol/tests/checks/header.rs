//! What holds for whatever a connection begins with: shared by the replayed corpus, the properties and the fuzz target.

use std::net::SocketAddr;

use proxy_protocol::{Addresses, MAX_HEADER, Parsed, Version, parse};

/// However much of it has come, it is judged alike; a header is within what has come; and one for the same addresses is
/// read as such.
pub(crate) fn check_header(bytes: &[u8]) {
    let whole = parse(bytes);
    for end in 0..bytes.len() {
        match parse(&bytes[..end]) {
            Ok(Parsed::Incomplete) => {}
            found => assert_eq!(found, whole, "of {end} bytes"),
        }
    }
    let Ok(Parsed::Header { len, addresses: given }) = whole else { return };
    assert!(len <= bytes.len() && len <= MAX_HEADER, "{len} bytes");
    // IPv4 in disguise is written as such, and addresses of two families are none.
    let plain = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    let addresses = given
        .map(|own| Addresses { source: plain(own.source), destination: plain(own.destination) })
        .filter(|own| own.source.is_ipv4() == own.destination.is_ipv4());
    for version in [Version::V1, Version::V2] {
        let written = version.header(given);
        let read = Ok(Parsed::Header { len: written.len(), addresses });
        assert_eq!(parse(&written), read, "{version:?}");
    }
}
