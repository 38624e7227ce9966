//! xxHash of 64 bits, by which Envoy places its hosts.

use twox_hash::XxHash64;

pub(crate) fn xxhash64(text: &[u8], seed: u64) -> u64 {
    XxHash64::oneshot(seed, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_xxhash() {
        // The check values of its specification and of its author's test program.
        assert_eq!(xxhash64(b"", 0), 0xef46_db37_51d8_e999);
        assert_eq!(xxhash64(b"abc", 0), 0x44bc_2cf5_ad77_0999);
        assert_ne!(xxhash64(b"abc", 1), xxhash64(b"abc", 0));
    }
}
