//! Headers to send.

use std::net::{IpAddr, SocketAddr};

use crate::{Addresses, SIGNATURE};

pub(crate) fn line(addresses: Option<Addresses>) -> Vec<u8> {
    let Some((source, destination)) = addresses.and_then(same_family) else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let ports = (source.port(), destination.port());
    format!("PROXY {family} {from} {to} {} {}\r\n", ports.0, ports.1).into_bytes()
}

pub(crate) fn binary(addresses: Option<Addresses>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some((source, destination)) = addresses.and_then(same_family) else {
        // Version 2, LOCAL; no address.
        header.extend([0x20, 0, 0, 0]);
        return header;
    };
    let (family, length) = if source.is_ipv4() { (0x11, 12) } else { (0x21, 36) };
    header.extend([0x21, family, 0, length]);
    for address in [source, destination] {
        match address.ip() {
            IpAddr::V4(ip) => header.extend(ip.octets()),
            IpAddr::V6(ip) => header.extend(ip.octets()),
        }
    }
    header.extend(source.port().to_be_bytes());
    header.extend(destination.port().to_be_bytes());
    header
}

/// Both addresses as IPv4, or both as IPv6: a header has one family.
fn same_family(addresses: Addresses) -> Option<(SocketAddr, SocketAddr)> {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (plain(addresses.source), plain(addresses.destination));
    (source.is_ipv4() == destination.is_ipv4()).then_some((source, destination))
}
