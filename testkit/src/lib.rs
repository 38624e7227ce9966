//! What integration tests, the demo and the benchmarks are made of: real servers on free ports, the
//! real proxy binary, a small client, a link with faults, and a load that checks every reply.
//!
//! Everything blocks and runs on plain threads. What a test takes for granted panics where it
//! fails, with the failed program's log; children die with the test, however it ends.
#![expect(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failed step is a failed test; tests measure real time"
)]

mod address;
mod client;
mod corpus;
mod dns;
mod folder;
mod history;
mod http;
mod libraries;
mod link;
mod load;
mod log;
mod network;
mod peers;
mod port;
mod process;
mod redis;
mod redkeel;
pub mod script;
mod sentinel;
pub mod sim;
mod stream;
mod tls;
pub mod usage;
mod wait;

pub use self::tls::{Authority, Certificate, Secure};
pub use address::Address;
pub use client::{Client, bulk, error_text, simple};
pub use corpus::replay;
pub use dns::{DnsServer, Service};
pub use folder::Folder;
pub use history::{History, HistoryAudit, Reads};
pub use http::{HttpReply, get as http_get, post as http_post};
pub use libraries::{client_libraries, find_program, node, python};
pub use link::FaultyLink;
pub use load::{
    Audit, Load, LoadBuilder, LoadReport, OpCounts, Outcome as WriteOutcome, Written, audit,
};
pub use log::LogLine;
pub use network::{Host, Network};
pub use peers::Peer;
pub use port::Port;
pub use process::{Process, bind_to_cpu};
pub use redis::{RedisBuilder, RedisServer};
pub use redkeel::{Redkeel, RedkeelBuilder};
pub use resp::Value;
pub use rustix::process::Signal;
pub use sentinel::{Sentinel, SentinelBuilder, Sentinels};
pub use stream::Stream;
pub use wait::{Outcome, eventually, within_time};
