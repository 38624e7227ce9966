//! Bob Jenkins' one-at-a-time.

use super::CharSign;

pub(super) fn one_at_a_time(key: &[u8], sign: CharSign) -> u32 {
    let mut hash = 0_u32;
    for &byte in key {
        hash = hash.wrapping_add(sign.widen(byte));
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}
