//! The wire: RESP2, RESP3 and inline commands as bytes.
//!
//! Requests are scanned into ranges of the bytes they arrived in ([`RequestScanner`]), replies are
//! skipped without being looked into ([`ReplyScanner`]), and what Redkeel says itself is appended
//! to a buffer (`write_…`). [`Value`] is an owned tree for the control plane and for tests.
//!
//! Nothing here does I/O, and nothing panics whatever the bytes are.
//!
//! ```
//! use resp::{Limits, ReplyScanner, RequestScanner, Scan, Skip};
//!
//! let received = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*1\r\n";
//! let mut requests = RequestScanner::new();
//! let scanned = requests.scan(received, &Limits::default())?;
//! assert_eq!(scanned, Scan::Complete { len: 22, inline: false });
//! assert_eq!(requests.args()[1].of(received), b"key");
//!
//! let mut replies = ReplyScanner::new();
//! assert_eq!(replies.scan(b"$5\r\nval")?, Skip::Incomplete);
//! assert_eq!(replies.scan(b"ue\r\n+OK\r\n")?, Skip::Complete(4));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod header;
mod inline;
mod number;
mod protocol;
mod reply;
mod request;
mod value;
mod write;

pub use error::{ReplyError, RequestError};
pub use inline::inline_to_multibulk;
pub use protocol::Protocol;
pub use reply::{ReplyScanner, Skip};
pub use request::{ArgRange, Limits, RequestScanner, Scan};
pub use value::{Value, ValueLimits};
pub use write::{
    write_array_header, write_bulk, write_command, write_error, write_integer, write_map_header,
    write_null, write_null_array, write_push_header, write_simple, write_verbatim,
};
