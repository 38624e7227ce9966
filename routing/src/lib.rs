//! Choosing: which of the nodes that may take a command gets it.
//!
//! Pure functions over candidates; loads, weights and seeds come in as arguments.

mod balance;

pub use balance::{Balance, Balancer, Candidate};
