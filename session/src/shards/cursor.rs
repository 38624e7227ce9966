//! SCAN's cursor over several shards: it says which shard is being walked, and how far.
//!
//! A shard's own cursor, times the number of shards, plus the shard: so a client's 0 begins, an answered 0 ends, and each
//! number between them names both. It means something as long as the number of shards stays.

use super::parts::{Elements, header, string};

/// A cursor of the pool, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which shard is being walked.
    pub shard: usize,
    /// Its own cursor.
    pub own: u64,
}

impl Cursor {
    /// The cursor that a client sends, in a pool of so many shards; `None` where it is none.
    pub fn parse(text: &[u8], shards: usize) -> Option<Self> {
        let whole: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        let shards = shards.max(1) as u64;
        Some(Self { shard: (whole % shards) as usize, own: whole / shards })
    }

    /// What the client is given once the shard has answered with its next cursor; `None` where that is too large a number.
    pub fn next(self, own: u64, shards: usize) -> Option<u64> {
        match (own, self.shard + 1) {
            (0, next) if next >= shards => Some(0),
            (0, next) => Some(next as u64),
            (own, _) => own.checked_mul(shards as u64)?.checked_add(self.shard as u64),
        }
    }

    /// Rewrites the shard's reply, appended to `out`. `None`: it is no reply of SCAN, or its cursor is too large.
    pub fn rewrite(self, reply: &[u8], shards: usize, out: &mut Vec<u8>) -> Option<()> {
        let mut elements = Elements::of(reply).filter(|elements| elements.len() == 2)?;
        let own = std::str::from_utf8(string(elements.next()?)?).ok()?.parse().ok()?;
        let keys = elements.next()?;
        header(keys).filter(|(marker, ..)| *marker == b'*')?;
        let next = self.next(own, shards)?;
        resp::write_array_header(out, 2);
        resp::write_bulk(out, next.to_string().as_bytes());
        out.extend_from_slice(keys);
        Some(())
    }
}

/// The request of `call` with the shard's own cursor.
pub fn with_cursor(call: crate::Call<'_>, own: u64) -> Vec<u8> {
    let own = own.to_string();
    let args: Vec<&[u8]> = (0..call.len())
        .map(|index| if index == 1 { own.as_bytes() } else { call.arg(index) })
        .collect();
    let mut out = Vec::new();
    resp::write_command(&mut out, &args);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rewritten(cursor: Cursor, reply: &str) -> Option<String> {
        let mut out = Vec::new();
        cursor.rewrite(reply.replace('|', "\r\n").as_bytes(), 3, &mut out)?;
        Some(String::from_utf8(out).unwrap().replace("\r\n", "|"))
    }

    #[test]
    fn one_shard_after_the_other() {
        let at = |shard, own| Cursor { shard, own };
        assert_eq!(Cursor::parse(b"0", 3), Some(at(0, 0)));
        assert_eq!(rewritten(at(0, 0), "*2|$2|17|*1|$1|k|").unwrap(), "*2|$2|51|*1|$1|k|");
        assert_eq!(Cursor::parse(b"51", 3), Some(at(0, 17)));
        assert_eq!(rewritten(at(0, 17), "*2|$1|0|*0|").unwrap(), "*2|$1|1|*0|");
        assert_eq!(Cursor::parse(b"1", 3), Some(at(1, 0)));
        assert_eq!(rewritten(at(2, 5), "*2|$1|0|*0|").unwrap(), "*2|$1|0|*0|");
        let too_large = format!("*2|$20|{}|*0|", u64::MAX);
        assert_eq!(rewritten(at(0, 0), &too_large), None);
        for odd in ["*2|$1|x|*0|", "*1|$1|0|", "+OK|", "*2|$1|0|+OK|"] {
            assert_eq!(rewritten(at(0, 0), odd), None, "{odd}");
        }
        assert_eq!(Cursor::parse(b"-1", 3), None);
        assert_eq!(Cursor::parse(b"x", 3), None);
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_was(shards in 1usize..100, shard in 0usize..100, own in 1u64..1 << 50) {
            let shard = shard % shards;
            let next = Cursor { shard, own: 7 }.next(own, shards).unwrap();
            let parsed = Cursor::parse(next.to_string().as_bytes(), shards);
            prop_assert_eq!(parsed, Some(Cursor { shard, own }));
        }
    }
}
