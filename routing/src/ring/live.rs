//! The shards that a ring is built from.

use super::{LONGEST_NAME, Member, RingError};

/// A shard that gets keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live<'a> {
    /// Its place in the configuration.
    pub(super) shard: u32,
    pub(super) name: &'a str,
    /// Never 0.
    pub(super) weight: u32,
}

/// Those that are live and have a weight, in the configuration's order; never none.
pub(super) fn live<'a>(members: &'a [Member], mask: &[bool]) -> Result<Vec<Live<'a>>, RingError> {
    debug_assert_eq!(members.len(), mask.len(), "each shard is live or is not");
    check_names(members)?;
    let live: Vec<Live<'_>> = (0..)
        .zip(members)
        .zip(mask)
        .filter(|((_, member), live)| **live && member.weight > 0)
        .map(|((shard, member), _)| Live { shard, name: &member.name, weight: member.weight })
        .collect();
    if live.is_empty() {
        return Err(RingError::NoShard);
    }
    let sum: u64 = live.iter().map(|one| u64::from(one.weight)).sum();
    if sum > u64::from(u32::MAX) {
        return Err(RingError::Weights);
    }
    Ok(live)
}

/// The sum of all weights; [`live`] has seen to it that it fits.
pub(super) fn total_weight(live: &[Live<'_>]) -> u32 {
    live.iter().map(|one| one.weight).sum()
}

/// By name: the configuration's order has no say.
pub(super) fn by_name<'a>(live: &[Live<'a>]) -> Vec<Live<'a>> {
    let mut sorted = live.to_vec();
    sorted.sort_unstable_by_key(|one| one.name);
    sorted
}

/// In twemproxy's order: shorter names first, those of one length by their bytes (`conf_validate_server` with
/// `string_compare`). That, and not the file's, is the order that its distributions know.
pub(super) fn as_twemproxy_sorts<'a>(live: &[Live<'a>]) -> Vec<Live<'a>> {
    let mut sorted = live.to_vec();
    sorted.sort_unstable_by_key(|one| (one.name.len(), one.name));
    sorted
}

fn check_names(members: &[Member]) -> Result<(), RingError> {
    let mut names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    names.sort_unstable();
    if names.first().is_some_and(|name| name.is_empty()) {
        return Err(RingError::NoName);
    }
    if let Some(long) = names.iter().find(|name| name.len() > LONGEST_NAME) {
        return Err(RingError::LongName(long.chars().take(40).collect()));
    }
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(RingError::SameName(pair[0].to_owned())),
        None => Ok(()),
    }
}
