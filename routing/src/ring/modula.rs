//! twemproxy's modula: each shard as often as its weight says, in twemproxy's order.

use super::live::{Live, as_twemproxy_sorts};

pub(super) fn places(live: &[Live<'_>]) -> Box<[u32]> {
    let sorted = as_twemproxy_sorts(live);
    sorted.iter().flat_map(|one| std::iter::repeat_n(one.shard, one.weight as usize)).collect()
}
