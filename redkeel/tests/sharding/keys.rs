//! Keys as they occur, and as they do not.

use std::collections::BTreeSet;

use fastrand::Rng;

/// `count` different keys: the empty one, short and long ones, text, any bytes, and such with hash tags that are whole, empty, nested or
/// not closed. `tag` is what the pool takes for a tag; its characters occur also where the pool has none.
pub(crate) fn keys(seed: u64, count: usize, tag: Option<[u8; 2]>) -> Vec<Vec<u8>> {
    let mut random = Rng::with_seed(seed);
    let mut keys = BTreeSet::from([vec![]]);
    while keys.len() < count {
        keys.insert(key(&mut random, tag.unwrap_or(*b"{}")));
    }
    keys.into_iter().collect()
}

fn key(random: &mut Rng, [open, close]: [u8; 2]) -> Vec<u8> {
    match random.u8(0..6) {
        0 => format!("user:{}", random.u32(..10_000_000)).into_bytes(),
        1 => bytes(random, 200),
        2 => bytes(random, 24),
        3 => bytes(random, 5),
        4 => [&[open], &*bytes(random, 12), &[close], &*bytes(random, 12)].concat(),
        _ => {
            let letters = [b'a', 0xe9, open, close, open, close];
            (0..random.usize(..14)).map(|_| letters[random.usize(..letters.len())]).collect()
        }
    }
}

fn bytes(random: &mut Rng, longest: usize) -> Vec<u8> {
    (0..random.usize(..=longest)).map(|_| random.u8(..)).collect()
}
