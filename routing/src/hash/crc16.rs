//! CRC-16/XMODEM: twemproxy's `crc16`, and Redis Cluster's slots.

/// How many slots Redis Cluster has (`CLUSTER_SLOTS`, cluster.h).
pub const SLOTS: u16 = 16_384;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u32) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc & 0xffff;
        byte += 1;
    }
    table
}

/// As twemproxy has it: the accumulator has 32 bits and what is shifted beyond the sixteenth stays.
pub(super) fn crc16(key: &[u8]) -> u32 {
    key.iter().fold(0, |crc, &byte| {
        let index = ((crc >> 8) ^ u32::from(byte)) & 0xff;
        (crc << 8) ^ TABLE[index as usize]
    })
}

/// Redis Cluster's slot of what is hashed of a key (`keyHashSlot`, cluster.c).
#[inline]
pub fn slot(hashed: &[u8]) -> u16 {
    let [.., high, low] = crc16(hashed).to_be_bytes();
    u16::from_be_bytes([high, low]) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_half_is_redis_clusters() {
        // The Redis Cluster specification: CRC16("123456789") = 0x31c3.
        assert_eq!(crc16(b"123456789") & 0xffff, 0x31c3);
        assert_eq!(slot(b"123456789"), 12_739);
    }

    #[test]
    fn slots_are_what_cluster_keyslot_says() {
        for (key, expected) in
            [("foo", 12_182), ("somekey", 11_058), ("hello", 866), ("", 0), ("user1000", 3_443)]
        {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }
}
