//! Networks of addresses, for `allow` and `deny`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// All addresses whose first bits are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Is the address one of them? An IPv4 address in an IPv6 one counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                shared(32, self.bits, (own.to_bits() ^ other.to_bits()).into())
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                shared(128, self.bits, own.to_bits() ^ other.to_bits())
            }
            _ => false,
        }
    }

    /// The same with all bits behind its own cleared.
    fn trimmed(self) -> Self {
        let address = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        };
        Self { address, ..self }
    }
}

/// Is nothing different within the first `bits` of `width`?
fn shared(width: u32, bits: u8, different: u128) -> bool {
    different.checked_shr(width - u32::from(bits)).unwrap_or(0) == 0
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Network {
    /// What it was probably meant to be, if anything.
    type Err = Option<Network>;

    /// `10.0.0.0/8`, or one address.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| None)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok().filter(|bits| *bits <= most).ok_or(None)?
            }
            Some(_) => return Err(None),
        };
        let network = Network { address, bits };
        if network.trimmed() == network { Ok(network) } else { Err(Some(network.trimmed())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::1"),
            ("0.0.0.0/0", "1.2.3.4", "::1"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("192.168.1.128/25", "192.168.1.200", "192.168.1.100"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
        }
    }

    #[test]
    fn what_is_no_network() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/", "host", "::/129"]
        {
            assert_eq!(text.parse::<Network>(), Err(None), "{text}");
        }
        let meant: Network = "10.0.0.0/8".parse().unwrap();
        assert_eq!("10.1.0.0/8".parse::<Network>(), Err(Some(meant)));
    }
}
