//! What the tests of clients share.

use testkit::{RedisServer, RedkeelBuilder};

pub(crate) use crate::scene::{SOON, ready, replicated};

/// One listener in each of the two modes for everyday use.
pub(crate) const LISTENERS: &str =
    "listen = [\"127.0.0.1:0\", { address = \"127.0.0.1:0\", mode = \"write\" }]";

/// As [`crate::scene::proxy`]. A machine that is busy with other tests may make a node look down for a moment, which clients
/// do not notice.
pub(crate) fn proxy<'a>(
    nodes: impl IntoIterator<Item = &'a RedisServer>,
    settings: &str,
) -> RedkeelBuilder {
    let builder = crate::scene::proxy(nodes, settings);
    builder.expect_log(" is down: ").expect_log("is not the primary any more, and writes are held")
}
