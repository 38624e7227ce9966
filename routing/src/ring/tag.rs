//! Hash tags: the part of a key that is hashed in place of the whole.

use std::ops::Range;

use memchr::memchr;

/// Where in `key` stands what is hashed: what is between the first opening character and the first closing one after it, and
/// the whole key if there is none, or nothing between.
///
/// The rule of twemproxy (`server_pool_idx`), of Redis Cluster (`keyHashSlot`) and of Envoy is the same; the last two only
/// know `{}`. A key whose first tag is empty is hashed whole even if another follows.
#[inline]
pub fn hashed(key: &[u8], tag: Option<[u8; 2]>) -> Range<usize> {
    let whole = 0..key.len();
    let Some([open, close]) = tag else { return whole };
    let Some(start) = memchr(open, key).map(|at| at + 1) else { return whole };
    match memchr(close, &key[start..]) {
        Some(length) if length > 0 => start..start + length,
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part<'a>(key: &'a str, tag: &str) -> &'a str {
        let tag = tag.as_bytes().try_into().ok();
        &key[hashed(key.as_bytes(), tag)]
    }

    #[test]
    fn the_first_tag_counts_unless_it_is_empty() {
        assert_eq!(part("{user1000}.following", "{}"), "user1000");
        assert_eq!(part("a{b}c{d}", "{}"), "b");
        assert_eq!(part("foo{{bar}}zap", "{}"), "{bar");
        assert_eq!(part("foo{}{bar}", "{}"), "foo{}{bar}");
        assert_eq!(part("{}x", "{}"), "{}x");
    }

    #[test]
    fn a_tag_that_is_not_whole_is_none() {
        for key in ["", "x", "{", "}", "a{b", "a}b", "}{", "}a{b"] {
            assert_eq!(part(key, "{}"), key);
        }
        assert_eq!(part("}a{b}", "{}"), "b");
    }

    #[test]
    fn any_two_characters_will_do() {
        assert_eq!(part("x$id$y", "$$"), "id");
        assert_eq!(part("x$$y$z$", "$$"), "x$$y$z$");
        assert_eq!(part("x$y", "$$"), "x$y");
        assert_eq!(part("x[a}b]", "[]"), "a}b");
        assert_eq!(part("a{b}c", ""), "a{b}c");
    }
}
