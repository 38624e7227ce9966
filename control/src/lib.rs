//! The control plane's I/O: it probes the nodes, resolves their names, hears what the data plane saw, and publishes
//! what follows from that.
//!
//! What follows is decided in `topology`, by [`topology::PoolState`]; here are the sockets, the clock and the log. All
//! of it is one future, [`Control::run`], that suits a runtime of one thread: a loop that owns the pools, per node a
//! task that owns the probe connection, and per Sentinel one that asks it and one that listens to it.

mod clock;
mod connection;
mod control;
mod evidence;
mod hands;
mod log;
mod pool;
mod prober;
mod request;
mod resolver;
mod sentinel;
mod settings;
mod switchover;

pub use control::Control;
pub use evidence::EvidenceSender;
