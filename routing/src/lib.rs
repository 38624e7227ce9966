//! Choosing: which of the nodes that may take a command gets it, and which shard a key lives on.
//!
//! Pure functions over candidates and keys; loads, weights, times and seeds come in as arguments.

mod balance;
mod hash;
mod latency;
mod ring;
mod slow_start;
mod unknown_name;

pub use balance::{Balance, Balancer, Candidate};
pub use hash::{CharSign, Hash, SLOTS, slot};
pub use latency::Latency;
pub use ring::{
    Distribution, LONGEST_NAME, MOST_POINTS, Member, Placed, Ring, RingError, Sharding, hashed,
};
pub use slow_start::{WHOLE, share};
pub use unknown_name::UnknownName;
