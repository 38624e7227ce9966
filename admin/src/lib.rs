//! What operators look at: metrics, status, health and readiness over HTTP.
//!
//! Nearly everything here is read: from the published Snapshot, from the counters that the workers send
//! when asked, and from the kernel. Nothing is kept between requests but a few seconds of samples,
//! and none of these requests can delay a worker by more than the copy of its counters.

mod bind;
mod counts;
mod health;
mod latency;
mod metrics;
mod names;
mod pages;
mod process;
mod report;
mod sampler;
mod serve;
mod serving;
mod status;
mod switchover;

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod docs;

pub use bind::{Listener, bind};
pub use serve::{BoundListener, Sources, serve};
pub use status::{
    ClientsStatus, HeldStatus, LatencyStatus, ListenerStatus, NodeStatus, Percentiles, PoolStatus,
    SentinelStatus, SentinelsStatus, Status, WorkerStatus,
};
pub use switchover::{SwitchoverAnswer, SwitchoverStep};
