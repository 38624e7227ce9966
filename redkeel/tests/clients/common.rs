//! What the tests of clients share.

pub(crate) use crate::scene::{SOON, proxy, ready, replicated};

/// One listener in each of the two modes for everyday use.
pub(crate) const LISTENERS: &str =
    "listen = [\"127.0.0.1:0\", { address = \"127.0.0.1:0\", mode = \"write\" }]";
