//! The replies of several shards become one.

use std::collections::HashSet;

use resp::Protocol;

use super::parts::{Elements, header, integer, is_null};
use super::{info, pairs};

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Arrays whose elements stand in the order of the keys.
    Interleave,
    /// Numbers, added.
    Sum,
    /// The smallest number.
    Least,
    /// The greatest number.
    Greatest,
    /// Arrays of numbers: the smallest in each place.
    LeastEach,
    /// All say the same: the first.
    Same,
    /// Arrays, one behind the other.
    Concat,
    /// The same, each element once.
    Union,
    /// Names and numbers in turn; the numbers are added.
    SumByName,
    /// One of those that are no null.
    AnyKey,
    /// One success is enough.
    AnyDone,
    /// INFO's sections.
    Info,
    /// CONFIG GET's names and values.
    Config,
}

/// A reply is not what it should be: nothing sensible can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmergeable;

/// Appends to `out` what `replies`, none of them an error, say together. `order`: for each key its part, where the command was split
/// by keys. `turn`: any number, another each time.
///
/// # Errors
///
/// Where a reply is of another kind than the command's; `out` is as before.
pub fn merge(
    how: Merge,
    replies: &[&[u8]],
    order: &[u32],
    turn: u64,
    protocol: Protocol,
    out: &mut Vec<u8>,
) -> Result<(), Unmergeable> {
    let before = out.len();
    let merged = merge_into(how, replies, order, turn, protocol, out);
    if merged.is_none() {
        out.truncate(before);
    }
    merged.ok_or(Unmergeable)
}

fn merge_into(
    how: Merge,
    replies: &[&[u8]],
    order: &[u32],
    turn: u64,
    protocol: Protocol,
    out: &mut Vec<u8>,
) -> Option<()> {
    let numbers = || replies.iter().map(|reply| integer(reply)).collect::<Option<Vec<i64>>>();
    match how {
        Merge::Interleave => interleave(replies, order, out)?,
        Merge::Sum => {
            let sum = numbers()?.into_iter().fold(0, i64::saturating_add);
            resp::write_integer(out, sum);
        }
        Merge::Least => resp::write_integer(out, numbers()?.into_iter().min()?),
        Merge::Greatest => resp::write_integer(out, numbers()?.into_iter().max()?),
        Merge::LeastEach => least_each(replies, out)?,
        Merge::Same | Merge::AnyDone => out.extend_from_slice(replies.first()?),
        Merge::Concat => concat(replies, out)?,
        Merge::Union => union(replies, out)?,
        Merge::SumByName => pairs::sum(replies, protocol, out)?,
        Merge::AnyKey => {
            let keys: Vec<&[u8]> =
                replies.iter().copied().filter(|reply| !is_null(reply)).collect();
            match keys.len() {
                0 => out.extend_from_slice(replies.first()?),
                count => out.extend_from_slice(keys[(turn % count as u64) as usize]),
            }
        }
        Merge::Info => info::merge(replies, protocol, out)?,
        Merge::Config => pairs::join(replies, protocol, out)?,
    }
    Some(())
}

/// Each reply has an element for each of its keys.
fn interleave(replies: &[&[u8]], order: &[u32], out: &mut Vec<u8>) -> Option<()> {
    let mut elements: Vec<Elements<'_>> =
        replies.iter().map(|reply| Elements::of(reply)).collect::<Option<_>>()?;
    let count: usize = elements.iter().map(Elements::len).sum();
    if count != order.len() {
        return None;
    }
    out.reserve(replies.iter().map(|reply| reply.len()).sum());
    resp::write_array_header(out, order.len());
    for part in order {
        out.extend_from_slice(elements.get_mut(*part as usize)?.next()?);
    }
    Some(())
}

fn concat(replies: &[&[u8]], out: &mut Vec<u8>) -> Option<()> {
    let mut count = 0;
    for reply in replies {
        count += Elements::of(reply)?.len();
    }
    out.reserve(replies.iter().map(|reply| reply.len()).sum());
    resp::write_array_header(out, count);
    for reply in replies {
        out.extend_from_slice(header(reply)?.2);
    }
    Some(())
}

fn union(replies: &[&[u8]], out: &mut Vec<u8>) -> Option<()> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for reply in replies {
        for element in Elements::of(reply)? {
            if seen.insert(element) {
                all.push(element);
            }
        }
    }
    resp::write_array_header(out, all.len());
    all.into_iter().for_each(|element| out.extend_from_slice(element));
    Some(())
}

fn least_each(replies: &[&[u8]], out: &mut Vec<u8>) -> Option<()> {
    let mut least: Vec<i64> =
        Elements::of(replies.first()?)?.map(integer).collect::<Option<_>>()?;
    for reply in &replies[1..] {
        let elements = Elements::of(reply)?;
        if elements.len() != least.len() {
            return None;
        }
        for (least, element) in least.iter_mut().zip(elements) {
            *least = (*least).min(integer(element)?);
        }
    }
    resp::write_array_header(out, least.len());
    least.into_iter().for_each(|number| resp::write_integer(out, number));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn merged(how: Merge, replies: &[&str], order: &[u32]) -> Result<String, Unmergeable> {
        let replies: Vec<Vec<u8>> =
            replies.iter().map(|reply| reply.replace('|', "\r\n").into_bytes()).collect();
        let mut out = b"before".to_vec();
        let replies: Vec<&[u8]> = replies.iter().map(Vec::as_slice).collect();
        let result = merge(how, &replies, order, 1, Protocol::Resp2, &mut out);
        let text = String::from_utf8(out).unwrap().replace("\r\n", "|");
        let rest = text.strip_prefix("before").unwrap().to_owned();
        assert!(result.is_ok() || rest.is_empty(), "what cannot be merged leaves nothing");
        result.map(|()| rest)
    }

    fn good(how: Merge, replies: &[&str]) -> String {
        merged(how, replies, &[]).unwrap()
    }

    #[test]
    fn values_stand_where_their_keys_stood() {
        let replies = ["*2|$1|a|$-1|", "*1|$3|b|c|"];
        // An element may hold line ends.
        let replies = [replies[0], &replies[1].replace("b|c", "bcd")];
        let merged_ok = merged(Merge::Interleave, &replies, &[1, 0, 0]);
        assert_eq!(merged_ok.unwrap(), "*3|$3|bcd|$1|a|$-1|");
        for bad in [&[0, 0][..], &[0, 0, 0], &[0, 0, 1, 1], &[0, 0, 7]] {
            assert_eq!(merged(Merge::Interleave, &replies, bad), Err(Unmergeable), "{bad:?}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(good(Merge::Sum, &[":2|", ":40|"]), ":42|");
        assert_eq!(good(Merge::Least, &[":2|", ":-4|"]), ":-4|");
        assert_eq!(good(Merge::Greatest, &[":2|", ":-4|"]), ":2|");
        assert_eq!(good(Merge::LeastEach, &["*2|:1|:0|", "*2|:0|:1|"]), "*2|:0|:0|");
        assert_eq!(merged(Merge::LeastEach, &["*2|:1|:0|", "*1|:0|"], &[]), Err(Unmergeable));
        assert_eq!(merged(Merge::Sum, &[":2|", "+OK|"], &[]), Err(Unmergeable));
        let huge = format!(":{}|", i64::MAX);
        assert_eq!(good(Merge::Sum, &[&huge, ":1|"]), huge);
    }

    #[test]
    fn arrays() {
        assert_eq!(
            good(Merge::Concat, &["*1|$1|a|", "*0|", "*2|$1|a|$1|b|"]),
            "*3|$1|a|$1|a|$1|b|"
        );
        assert_eq!(good(Merge::Union, &["*1|$1|a|", "*2|$1|a|$1|b|"]), "*2|$1|a|$1|b|");
        assert_eq!(merged(Merge::Concat, &["*1|$1|a|", "*-1|"], &[]), Err(Unmergeable));
    }

    #[test]
    fn a_random_key_is_one_that_there_is() {
        assert_eq!(good(Merge::AnyKey, &["$-1|", "$1|a|", "$-1|"]), "$1|a|");
        assert_eq!(good(Merge::AnyKey, &["$-1|", "$-1|"]), "$-1|");
    }

    proptest! {
        #[test]
        fn whatever_nodes_say_nothing_panics(
            replies in prop::collection::vec(prop::collection::vec(
                prop_oneof![Just(b'*'), Just(b'$'), Just(b':'), Just(b'\r'), Just(b'\n'), Just(b'%'), b'0'..=b'9', any::<u8>()],
                0..40,
            ), 0..4),
            order in prop::collection::vec(0u32..5, 0..6),
            turn in any::<u64>(),
        ) {
            use Merge::{AnyDone, AnyKey, Concat, Config, Greatest, Info, Interleave, Least, LeastEach, Same, Sum, SumByName, Union};
            let replies: Vec<&[u8]> = replies.iter().map(Vec::as_slice).collect();
            for how in [Interleave, Sum, Least, Greatest, LeastEach, Same, Concat, Union, SumByName, AnyKey, AnyDone, Info, Config] {
                let mut out = Vec::new();
                let merged = merge(how, &replies, &order, turn, Protocol::Resp3, &mut out);
                prop_assert!(merged.is_ok() || out.is_empty());
            }
        }
    }
}
