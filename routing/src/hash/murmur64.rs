//! MurmurHash64A with the seed of libstdc++'s `std::hash`, by which Envoy hashes the keys of its Redis proxy.

const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const SEED: u64 = 0xc70f_6907;

pub(crate) fn murmur64(key: &[u8]) -> u64 {
    let mut hash = SEED ^ (key.len() as u64).wrapping_mul(MULTIPLIER);
    let (blocks, tail) = key.as_chunks::<8>();
    for block in blocks {
        let word = fold(u64::from_le_bytes(*block).wrapping_mul(MULTIPLIER), 47);
        hash = (hash ^ word.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        let mut word = [0; 8];
        word[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(MULTIPLIER);
    }
    hash = fold(hash, 47).wrapping_mul(MULTIPLIER);
    fold(hash, 47)
}

fn fold(value: u64, bits: u32) -> u64 {
    value ^ (value >> bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_libstdcxx_calculates() {
        // `std::hash<std::string>` of GCC on x86-64.
        for (key, expected) in [
            (&b""[..], 6_142_509_188_972_423_790),
            (b"foo", 9_631_199_822_919_835_226),
            (b"bar", 11_474_628_671_133_349_555),
            (b"user:1000", 9_913_810_270_617_923_547),
            (b"\xff\x00\x80", 5_511_382_861_264_266_401),
            (b"0123456789abcdef", 10_613_591_747_391_057_286),
        ] {
            assert_eq!(murmur64(key), expected, "{key:?}");
        }
    }
}
