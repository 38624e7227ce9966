//! Choosing: which of the nodes that may take a command gets it.
//!
//! Pure functions over candidates; loads, weights, times and seeds come in as arguments.

mod balance;
mod latency;
mod slow_start;

pub use balance::{Balance, Balancer, Candidate};
pub use latency::Latency;
pub use slow_start::{WHOLE, share};
