//! Headers that came.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{Addresses, MAX_HEADER, MAX_LINE, SIGNATURE};

/// What a connection has said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Not enough to tell.
    Incomplete,
    /// All of its header.
    Header {
        /// Bytes of the header; what the client sent follows.
        len: usize,
        /// On whose behalf; `None`: the connection's own (LOCAL, UNKNOWN), or of no IP address.
        addresses: Option<Addresses>,
    },
}

/// Why this is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It begins with something else.
    Absent,
    /// Longer than allowed.
    TooLong,
    /// A version, command or family that is not TCP's.
    Unknown,
    /// An address or port that is none.
    Address,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there is no PROXY protocol header",
            Self::TooLong => "the PROXY protocol header is too long",
            Self::Unknown => "the PROXY protocol header has an unknown version, command or family",
            Self::Address => "the PROXY protocol header has an address that is none",
        })
    }
}

impl std::error::Error for Malformed {}

/// Reads the header at the start of `bytes`.
///
/// # Errors
///
/// Whatever follows, these are no header.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    const LINE: &[u8] = b"PROXY ";
    if begins(bytes, LINE) {
        return if bytes.len() < LINE.len() { Ok(Parsed::Incomplete) } else { line(bytes) };
    }
    if begins(bytes, SIGNATURE) {
        return binary(bytes);
    }
    Err(Malformed::Absent)
}

/// May this be, or become, something that begins like this?
fn begins(bytes: &[u8], like: &[u8]) -> bool {
    let common = bytes.len().min(like.len());
    bytes[..common] == like[..common]
}

fn line(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let most = bytes.len().min(MAX_LINE);
    let Some(end) = bytes[..most].windows(2).position(|two| two == b"\r\n") else {
        let incomplete = bytes.len() < MAX_LINE;
        return if incomplete { Ok(Parsed::Incomplete) } else { Err(Malformed::TooLong) };
    };
    let len = end + 2;
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| Malformed::Address)?;
    let mut words = text.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(Parsed::Header { len, addresses: None });
    }
    if family != "TCP4" && family != "TCP6" {
        return Err(Malformed::Unknown);
    }
    let fields: Vec<&str> = words.collect();
    let [source, destination, source_port, destination_port] = *fields.as_slice() else {
        return Err(Malformed::Address);
    };
    let address = |ip: &str, port: &str| {
        let ip: IpAddr = ip.parse().ok()?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port: u16 = port.parse().ok().filter(|_| digits)?;
        (ip.is_ipv4() == (family == "TCP4")).then(|| SocketAddr::new(ip, port))
    };
    let source = address(source, source_port).ok_or(Malformed::Address)?;
    let destination = address(destination, destination_port).ok_or(Malformed::Address)?;
    Ok(Parsed::Header { len, addresses: Some(Addresses { source, destination }) })
}

fn binary(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let Some(&[command, family, high, low]) =
        bytes.get(SIGNATURE.len()..).and_then(|rest| rest.first_chunk::<4>())
    else {
        return Ok(Parsed::Incomplete);
    };
    let begin = SIGNATURE.len() + 4;
    let len = begin + usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 || command & 0xf > 1 {
        return Err(Malformed::Unknown);
    }
    if len > MAX_HEADER {
        return Err(Malformed::TooLong);
    }
    let Some(body) = bytes.get(begin..len) else {
        return Ok(Parsed::Incomplete);
    };
    let addresses = match (command & 0xf, family) {
        // LOCAL: whatever else it says does not count.
        (0, _) => None,
        (_, 0x11) => Some(addresses::<4>(body, |ip| Ipv4Addr::from(ip).into())?),
        (_, 0x21) => Some(addresses::<16>(body, |ip| Ipv6Addr::from(ip).into())?),
        // Unspecified, and unix sockets, whose addresses are nobody's.
        (_, 0x00 | 0x31) => None,
        _ => return Err(Malformed::Unknown),
    };
    Ok(Parsed::Header { len, addresses })
}

/// Two addresses, then two ports; what follows are additions.
fn addresses<const N: usize>(
    body: &[u8],
    ip: fn([u8; N]) -> IpAddr,
) -> Result<Addresses, Malformed> {
    let read = || {
        let (source, rest) = body.split_first_chunk::<N>()?;
        let (destination, rest) = rest.split_first_chunk::<N>()?;
        let (source_port, rest) = rest.split_first_chunk::<2>()?;
        let (destination_port, _) = rest.split_first_chunk::<2>()?;
        Some(Addresses {
            source: SocketAddr::new(ip(*source), u16::from_be_bytes(*source_port)),
            destination: SocketAddr::new(ip(*destination), u16::from_be_bytes(*destination_port)),
        })
    };
    read().ok_or(Malformed::Address)
}
