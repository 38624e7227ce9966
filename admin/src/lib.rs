//! What operators look at: metrics, status, health and readiness over HTTP.
//!
//! Everything here is read: from the published Snapshot, from the counters that the workers send
//! when asked, and from the kernel. Nothing is kept between requests but a few seconds of samples,
//! and no request here can delay a worker by more than the copy of its counters.

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
