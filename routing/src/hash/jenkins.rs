//! Bob Jenkins' lookup3 (`hashlittle`), begun as libmemcached and twemproxy do.

const INITIAL: u32 = 13;

pub(super) fn jenkins(key: &[u8]) -> u32 {
    // A key has at most 512 MiB.
    let start = 0xdead_beef_u32.wrapping_add(key.len() as u32).wrapping_add(INITIAL);
    let (mut a, mut b, mut c) = (start, start, start);
    if key.is_empty() {
        return c;
    }
    // The last block is mixed in another way, even if it is whole.
    let last = (key.len() - 1) / 12 * 12;
    let (blocks, _) = key[..last].as_chunks::<12>();
    for block in blocks {
        add(&mut a, &mut b, &mut c, block);
        mix(&mut a, &mut b, &mut c);
    }
    let mut rest = [0; 12];
    rest[..key.len() - last].copy_from_slice(&key[last..]);
    add(&mut a, &mut b, &mut c, &rest);
    finish(&mut a, &mut b, &mut c);
    c
}

fn add(a: &mut u32, b: &mut u32, c: &mut u32, block: &[u8; 12]) {
    let (words, _) = block.as_chunks::<4>();
    *a = a.wrapping_add(u32::from_le_bytes(words[0]));
    *b = b.wrapping_add(u32::from_le_bytes(words[1]));
    *c = c.wrapping_add(u32::from_le_bytes(words[2]));
}

fn mix(a: &mut u32, b: &mut u32, c: &mut u32) {
    for turns in [[4, 6, 8], [16, 19, 4]] {
        *a = a.wrapping_sub(*c) ^ c.rotate_left(turns[0]);
        *c = c.wrapping_add(*b);
        *b = b.wrapping_sub(*a) ^ a.rotate_left(turns[1]);
        *a = a.wrapping_add(*c);
        *c = c.wrapping_sub(*b) ^ b.rotate_left(turns[2]);
        *b = b.wrapping_add(*a);
    }
}

fn finish(a: &mut u32, b: &mut u32, c: &mut u32) {
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(14));
    *a = (*a ^ *c).wrapping_sub(c.rotate_left(11));
    *b = (*b ^ *a).wrapping_sub(a.rotate_left(25));
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(16));
    *a = (*a ^ *c).wrapping_sub(c.rotate_left(4));
    *b = (*b ^ *a).wrapping_sub(a.rotate_left(14));
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(24));
}
