//! The picture of the world: which nodes a pool has, what each of them is, who takes writes.
//!
//! A [`Snapshot`] is immutable and versioned. [`PoolState`] turns observations (probe answers, and what
//! the data plane saw) into the next one; [`Published`] hands it to the workers. The message types by which
//! workers, control plane and administration talk live here as well, because this is the lowest crate
//! that all of them know.
//!
//! This crate does no I/O and reads no clock.

mod address;
mod authority;
mod counts;
mod event;
mod evidence;
mod fitness;
mod info;
mod lag;
mod learning;
mod lineage;
mod mail;
mod names;
mod node;
mod observation;
mod peers;
mod pool;
mod primary;
mod probe_times;
mod process;
mod publish;
mod pulse;
mod refusal;
mod replication;
mod role_reply;
mod schedule;
mod sentinel;
mod settings;
mod shard;
mod shown;
mod snapshot;
mod switchover;
mod time;
mod verdict;

pub use address::Address;
pub use counts::{ErrorKind, Handshake, NodeCounts, PoolCounts, WorkerCounts, latency_histogram};
pub use event::{Event, EventKind};
pub use evidence::{Evidence, Sighting};
pub use lineage::{Lineage, Parent, ReplId};
pub use mail::{Mail, WorkerHandle, Workers};
pub use observation::{Answer, Failure, Observation, Probed, Serving};
pub use peers::{ClientFilter, ClientKind, ClientsOrder, ClientsReport, PeerMail, Ticket};
pub use pool::{NodeIds, PoolState, ProbeOrder};
pub use process::Process;
pub use publish::Published;
pub use refusal::{Refusal, printable};
pub use replication::Replication;
pub use role_reply::{Link, RoleReply};
pub use sentinel::{
    SentinelAnswer, SentinelEvent, SentinelId, SentinelObservation, SentinelSettings, SentinelView,
    SentinelsView,
};
pub use settings::{Resolved, Server, Settings, Target};
pub use snapshot::{
    CommandFlags, Health, Lag, Learned, LearnedCommands, NodeId, NodeView, PoolId, PoolView, Role,
    ShardView, Snapshot,
};
pub use switchover::{
    Ask, Cast, Do, Elector, Ending, Outcome, Party, Replies, Switchover, SwitchoverDesk,
    SwitchoverOrder, SwitchoverReport,
};
pub use time::Time;
