//! What the distributions promise: that they are even, and what moves when a shard goes.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod edges;
mod even;
mod removal;

use routing::{Distribution, Member, Ring, Sharding};

/// `count` shards of weight 1.
fn equal(count: usize) -> Vec<Member> {
    (1..=count).map(|number| Member { name: format!("server{number}"), weight: 1 }).collect()
}

fn sharding(distribution: Distribution) -> Sharding {
    Sharding { distribution, ..Sharding::default() }
}

fn whole(distribution: Distribution, members: &[Member]) -> Ring {
    Ring::new(&sharding(distribution), members, &vec![true; members.len()]).unwrap()
}
