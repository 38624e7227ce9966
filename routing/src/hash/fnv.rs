//! Fowler, Noll and Vo's functions.
//!
//! twemproxy keeps those of 64 bits in 32. Products and exclusive ors never carry downwards, so the lower halves of the
//! 64-bit constants give the same.

use super::CharSign;

const INIT_64: u32 = 0x8422_2325;
const PRIME_64: u32 = 0x0000_01b3;
const INIT_32: u32 = 2_166_136_261;
const PRIME_32: u32 = 16_777_619;

pub(super) fn fnv1_64(key: &[u8], sign: CharSign) -> u32 {
    fnv1(key, sign, INIT_64, PRIME_64)
}

pub(super) fn fnv1a_64(key: &[u8], sign: CharSign) -> u32 {
    fnv1a(key, sign, INIT_64, PRIME_64)
}

pub(super) fn fnv1_32(key: &[u8], sign: CharSign) -> u32 {
    fnv1(key, sign, INIT_32, PRIME_32)
}

pub(super) fn fnv1a_32(key: &[u8], sign: CharSign) -> u32 {
    fnv1a(key, sign, INIT_32, PRIME_32)
}

#[inline]
fn fnv1(key: &[u8], sign: CharSign, init: u32, prime: u32) -> u32 {
    key.iter().fold(init, |hash, &byte| hash.wrapping_mul(prime) ^ sign.widen(byte))
}

#[inline]
fn fnv1a(key: &[u8], sign: CharSign, init: u32, prime: u32) -> u32 {
    key.iter().fold(init, |hash, &byte| (hash ^ sign.widen(byte)).wrapping_mul(prime))
}
