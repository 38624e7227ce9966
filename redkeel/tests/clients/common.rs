//! What the tests of clients share.

use testkit::{RedisServer, RedkeelBuilder};

pub(crate) use crate::scene::{SOON, ready, replicated};

/// One listener in each of the two modes for everyday use.
pub(crate) const LISTENERS: &str =
    "listen = [\"127.0.0.1:0\", { address = \"127.0.0.1:0\", mode = \"write\" }]";

/// As [`crate::scene::proxy`], with patient probes: these nodes stay well, and a machine that is busy with other tests
/// must not make them look otherwise.
pub(crate) fn proxy<'a>(
    nodes: impl IntoIterator<Item = &'a RedisServer>,
    settings: &str,
) -> RedkeelBuilder {
    let patient = if settings.contains("health.") { "" } else { "health.timeout = \"5s\"\n" };
    crate::scene::proxy(nodes, &format!("{settings}\n{patient}"))
}
