//! One command with keys of several shards becomes one command for each of them.

use super::plan::Layout;
use crate::Call;

/// What one shard gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whose keys it has.
    pub shard: usize,
    /// A request.
    pub request: Vec<u8>,
}

/// A command in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// One for each shard that has a key, by their first keys' places.
    pub parts: Vec<Part>,
    /// For each key its part.
    pub order: Vec<u32>,
}

/// Splits a command whose keys stand at every `step`th argument, from the first on; what stands behind a key goes with it.
pub fn split(call: Call<'_>, step: usize, layout: &impl Layout) -> Split {
    let mut split = Split { parts: Vec::new(), order: Vec::with_capacity(call.len() / step) };
    let mut counts: Vec<usize> = Vec::new();
    let mut part_of: Vec<Option<u32>> = Vec::new();
    for shard in layout.shards((1..call.len()).step_by(step).map(|index| call.arg(index))) {
        if shard >= part_of.len() {
            part_of.resize(shard + 1, None);
        }
        let part = *part_of[shard].get_or_insert_with(|| {
            split.parts.push(Part { shard, request: Vec::new() });
            counts.push(0);
            (split.parts.len() - 1) as u32
        });
        counts[part as usize] += 1;
        split.order.push(part);
    }
    let whole = (0..call.len()).map(|index| call.arg(index).len() + 16).sum::<usize>();
    for (part, count) in split.parts.iter_mut().zip(counts) {
        // Values may differ in size: a part that is longer than its share grows.
        part.request.reserve(32 + whole * (1 + count * step) / call.len());
        resp::write_array_header(&mut part.request, 1 + count * step);
        resp::write_bulk(&mut part.request, call.name());
    }
    for (key, part) in split.order.iter().enumerate() {
        let request = &mut split.parts[*part as usize].request;
        let (from, to) = (1 + key * step, 1 + (key + 1) * step);
        request.extend_from_slice(call.raw(from, to).unwrap_or_default());
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::with_call;

    struct ByDigit;

    impl Layout for ByDigit {
        fn shard(&self, key: &[u8]) -> usize {
            usize::from(key.last().map_or(0, |byte| byte - b'0'))
        }

        fn splits_msetnx(&self) -> bool {
            false
        }
    }

    fn request(words: &str) -> Vec<u8> {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let mut out = Vec::new();
        resp::write_command(&mut out, &words);
        out
    }

    #[test]
    fn a_shard_gets_one_request_with_its_keys_in_order() {
        let split = with_call("mget a1 b2 c1 a1", |call| split(call, 1, &ByDigit));
        assert_eq!(split.order, [0, 1, 0, 0]);
        let parts = [(1, "mget a1 c1 a1"), (2, "mget b2")];
        let parts = parts.map(|(shard, words)| Part { shard, request: request(words) });
        assert_eq!(split.parts, parts);
    }

    #[test]
    fn values_go_with_their_keys() {
        let split = with_call("MSET a1 x b2 y c1 z", |call| split(call, 2, &ByDigit));
        assert_eq!(split.order, [0, 1, 0]);
        assert_eq!(split.parts[0].request, request("MSET a1 x c1 z"));
        assert_eq!(split.parts[1].request, request("MSET b2 y"));
    }
}
