//! From a key to a number: twemproxy's twelve hash functions, bit for bit, and those that single distributions bring along.
//!
//! twemproxy hands its keys to C functions as `char`, whose sign differs between processors: on x86-64 a byte from 0x80 up
//! enters some of the functions sign-extended, on aarch64 it does not. So a ring that was filled through twemproxy on the one
//! is not the ring of the other. [`CharSign`] says which it was.

mod crc16;
mod crc32;
mod fnv;
mod hsieh;
mod jenkins;
mod md5;
mod murmur;
mod murmur64;
mod one_at_a_time;
mod xxhash64;

use std::fmt;
use std::str::FromStr;

pub use crc16::{SLOTS, slot};
pub(crate) use md5::{big_endian as md5_big_endian, words as md5_words};
pub(crate) use murmur64::murmur64;
pub(crate) use xxhash64::xxhash64;

use crate::unknown_name::UnknownName;

/// A hash function of twemproxy's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hash {
    /// Bob Jenkins' one-at-a-time.
    OneAtATime,
    /// The first four bytes of the MD5 digest, little-endian.
    Md5,
    /// CRC-16/XMODEM whose accumulator is never cut to 16 bits: the lower half is Redis Cluster's.
    Crc16,
    /// Fifteen bits of the IEEE CRC-32. Nearly all keys get to one shard of a ketama ring: for rings that exist only.
    Crc32,
    /// The IEEE CRC-32.
    Crc32a,
    /// FNV-1 of 64 bits, of which 32 are kept.
    Fnv1x64,
    /// FNV-1a of 64 bits, of which 32 are kept; twemproxy's default.
    #[default]
    Fnv1ax64,
    /// FNV-1 of 32 bits.
    Fnv1x32,
    /// FNV-1a of 32 bits.
    Fnv1ax32,
    /// Paul Hsieh's SuperFastHash.
    Hsieh,
    /// MurmurHash2, whose seed depends on the length.
    Murmur,
    /// Bob Jenkins' lookup3.
    Jenkins,
}

impl Hash {
    /// All of them, in twemproxy's order.
    pub const ALL: [Self; 12] = [
        Self::OneAtATime,
        Self::Md5,
        Self::Crc16,
        Self::Crc32,
        Self::Crc32a,
        Self::Fnv1x64,
        Self::Fnv1ax64,
        Self::Fnv1x32,
        Self::Fnv1ax32,
        Self::Hsieh,
        Self::Murmur,
        Self::Jenkins,
    ];

    /// As written in the configuration, twemproxy's and ours.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneAtATime => "one_at_a_time",
            Self::Md5 => "md5",
            Self::Crc16 => "crc16",
            Self::Crc32 => "crc32",
            Self::Crc32a => "crc32a",
            Self::Fnv1x64 => "fnv1_64",
            Self::Fnv1ax64 => "fnv1a_64",
            Self::Fnv1x32 => "fnv1_32",
            Self::Fnv1ax32 => "fnv1a_32",
            Self::Hsieh => "hsieh",
            Self::Murmur => "murmur",
            Self::Jenkins => "jenkins",
        }
    }

    /// The function's value for `key`, as twemproxy's function gives it.
    ///
    /// A pool of twemproxy's does not hash an empty key: that rule is the ring's.
    pub fn of(self, key: &[u8], sign: CharSign) -> u32 {
        match self {
            Self::OneAtATime => one_at_a_time::one_at_a_time(key, sign),
            Self::Md5 => md5::words(key)[0],
            Self::Crc16 => crc16::crc16(key),
            Self::Crc32 => (crc32::crc32(key) >> 16) & 0x7fff,
            Self::Crc32a => crc32::crc32(key),
            Self::Fnv1x64 => fnv::fnv1_64(key, sign),
            Self::Fnv1ax64 => fnv::fnv1a_64(key, sign),
            Self::Fnv1x32 => fnv::fnv1_32(key, sign),
            Self::Fnv1ax32 => fnv::fnv1a_32(key, sign),
            Self::Hsieh => hsieh::hsieh(key, sign),
            Self::Murmur => murmur::murmur(key),
            Self::Jenkins => jenkins::jenkins(key),
        }
    }

    /// Whether the value for keys with bytes from 0x80 up depends on [`CharSign`].
    pub fn depends_on_sign(self) -> bool {
        matches!(
            self,
            Self::OneAtATime
                | Self::Fnv1x64
                | Self::Fnv1ax64
                | Self::Fnv1x32
                | Self::Fnv1ax32
                | Self::Hsieh
        )
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Hash {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find(name, &Self::ALL, Self::as_str)
    }
}

/// How C's `char` counts where the keys were hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CharSign {
    /// Bytes from 0x80 up are negative: x86-64.
    #[default]
    Signed,
    /// No byte is negative: aarch64 on Linux.
    Unsigned,
}

impl CharSign {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Signed, Self::Unsigned];

    /// As written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Unsigned => "unsigned",
        }
    }

    /// The byte as C converts a `char` to a `uint32_t`.
    #[inline]
    fn widen(self, byte: u8) -> u32 {
        match self {
            Self::Signed => i32::from(byte.cast_signed()).cast_unsigned(),
            Self::Unsigned => u32::from(byte),
        }
    }
}

impl fmt::Display for CharSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CharSign {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find(name, &Self::ALL, Self::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for hash in Hash::ALL {
            assert_eq!(hash.as_str().parse(), Ok(hash));
            assert_eq!(hash.to_string(), hash.as_str());
        }
        for sign in CharSign::ALL {
            assert_eq!(sign.as_str().parse(), Ok(sign));
        }
        let wrong = "sha1".parse::<Hash>().unwrap_err().to_string();
        assert!(wrong.starts_with("\"sha1\" is none of one_at_a_time, md5, "), "{wrong}");
    }

    #[test]
    fn the_sign_matters_where_it_is_said_to() {
        let keys: Vec<Vec<u8>> = (0..4).map(|ascii| [&b"abc"[..ascii], b"\xe9"].concat()).collect();
        for hash in Hash::ALL {
            let differs = keys
                .iter()
                .any(|key| hash.of(key, CharSign::Signed) != hash.of(key, CharSign::Unsigned));
            assert_eq!(differs, hash.depends_on_sign(), "{hash}");
        }
    }
}
