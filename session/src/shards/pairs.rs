//! Replies that are names and values in turn: an array, or in RESP3 a map.

use std::collections::HashMap;

use resp::Protocol;

use super::parts::{Elements, integer, string};

/// Adds the numbers of equal names (`PUBSUB NUMSUB`); names stand as in the first reply that has them.
pub(super) fn sum(replies: &[&[u8]], protocol: Protocol, out: &mut Vec<u8>) -> Option<()> {
    let mut names: Vec<(&[u8], i64)> = Vec::new();
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    for reply in replies {
        let mut elements = Elements::of(reply)?;
        while elements.len() > 0 {
            let name = elements.next()?;
            let number = integer(elements.next()?)?;
            let place = *places.entry(name).or_insert_with(|| {
                names.push((name, 0));
                names.len() - 1
            });
            let (_, sum) = names.get_mut(place)?;
            *sum = sum.saturating_add(number);
        }
    }
    begin(replies, names.len(), protocol, out)?;
    for (name, number) in names {
        out.extend_from_slice(name);
        resp::write_integer(out, number);
    }
    Some(())
}

/// Values that are the same everywhere stand once; others one behind the other, with commas between them, in the order of
/// the shards (`CONFIG GET`).
pub(super) fn join(replies: &[&[u8]], protocol: Protocol, out: &mut Vec<u8>) -> Option<()> {
    let mut names: Vec<(&[u8], Vec<&[u8]>)> = Vec::new();
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    for reply in replies {
        let mut elements = Elements::of(reply)?;
        while elements.len() > 0 {
            let name = elements.next()?;
            let value = string(elements.next()?)?;
            let place = *places.entry(name).or_insert_with(|| {
                names.push((name, Vec::new()));
                names.len() - 1
            });
            names.get_mut(place)?.1.push(value);
        }
    }
    begin(replies, names.len(), protocol, out)?;
    for (name, values) in names {
        out.extend_from_slice(name);
        match values.split_first() {
            Some((first, rest)) if rest.iter().any(|value| value != first) => {
                resp::write_bulk(out, &values.join(b",".as_slice()));
            }
            Some((first, _)) => resp::write_bulk(out, first),
            None => return None,
        }
    }
    Some(())
}

/// The header of so many pairs, of the kind that the nodes gave.
fn begin(replies: &[&[u8]], pairs: usize, protocol: Protocol, out: &mut Vec<u8>) -> Option<()> {
    match replies.first()?.first()? {
        b'%' => resp::write_map_header(out, pairs, protocol),
        _ => resp::write_array_header(out, pairs * 2),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Merging = fn(&[&[u8]], Protocol, &mut Vec<u8>) -> Option<()>;

    fn merged(how: Merging, replies: &[&str], protocol: Protocol) -> String {
        let replies: Vec<Vec<u8>> =
            replies.iter().map(|reply| reply.replace('|', "\r\n").into_bytes()).collect();
        let replies: Vec<&[u8]> = replies.iter().map(Vec::as_slice).collect();
        let mut out = Vec::new();
        how(&replies, protocol, &mut out).unwrap();
        String::from_utf8(out).unwrap().replace("\r\n", "|")
    }

    #[test]
    fn numbers_of_a_name_are_added() {
        let replies = ["*4|$1|a|:1|$1|b|:2|", "*4|$1|b|:3|$1|a|:0|"];
        assert_eq!(merged(sum, &replies, Protocol::Resp2), "*4|$1|a|:1|$1|b|:5|");
    }

    #[test]
    fn values_that_differ_are_all_shown() {
        let replies = ["*4|$1|a|$1|1|$1|b|$1|x|", "*4|$1|a|$1|1|$1|b|$1|y|"];
        assert_eq!(merged(join, &replies, Protocol::Resp2), "*4|$1|a|$1|1|$1|b|$3|x,y|");
        let replies = ["%1|$1|a|$1|1|", "%1|$1|a|$1|2|"];
        assert_eq!(merged(join, &replies, Protocol::Resp3), "%1|$1|a|$3|1,2|");
    }
}
