//! One client's conversation: what a command means for the connection it came by.
//!
//! Pure: classification of commands, the answers that Redkeel gives itself, the state that a client
//! expects its connection to have (database, protocol, name, transaction, subscriptions).

mod access;
mod answer;
mod blocking;
mod call;
mod classify;
mod client;
mod clients;
mod conversation;
mod failures;
mod glob;
mod info;
mod read_only;
pub mod shards;
mod subscriptions;
mod tracking;
mod transaction;

pub use access::Access;
pub use answer::{Refusal, error, refusal};
pub use blocking::with_remaining;
pub use call::Call;
pub use classify::{Local, PinReason, Rejection, Rules, Target, Way, classify, classify_begun};
pub use client::{
    AuthRequest, ClientCommand, HelloRequest, Keep, ReplyMode, parse_auth, parse_client,
    parse_hello, parse_select,
};
pub use clients::ClientsRequest;
pub use conversation::{Conversation, HiddenBytes, Login, Selector, Standing, Who};
pub use failures::{LoginFailures, Origin};
pub use info::{ClientCounts, with_client_counts};
pub use read_only::{is_no_writes, reading_functions};
pub use subscriptions::{
    PubSubValue, Space, Subscriptions, message_topic, pubsub_value, without_confirmed,
};
pub use tracking::{Tracking, invalidated, is_broken_redirect, redirected_info};
pub use transaction::{Effect, Transaction, effect, element, with_elements};
