//! What the rings take from an MD5 digest.

use md5::{Digest, Md5};

/// The digest as four little-endian numbers: twemproxy's `md5` is the first, its ketama uses all four.
pub(crate) fn words(text: &[u8]) -> [u32; 4] {
    let digest: [u8; 16] = Md5::digest(text).into();
    let (words, _) = digest.as_chunks::<4>();
    [0, 1, 2, 3].map(|word| u32::from_le_bytes(words[word]))
}

/// The digest's first four bytes as a big-endian number.
pub(crate) fn big_endian(text: &[u8]) -> u32 {
    words(text)[0].swap_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_cut_into_numbers() {
        // RFC 1321, A.5: MD5("abc") = 900150983cd24fb0d6963f7d28e17f72.
        assert_eq!(words(b"abc"), [0x9850_0190, 0xb04f_d23c, 0x7d3f_96d6, 0x727f_e128]);
        assert_eq!(big_endian(b"abc"), 0x9001_5098);
    }
}
