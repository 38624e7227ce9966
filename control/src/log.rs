//! Events as log lines.

use topology::Event;
use tracing::{info, warn};

/// Writes each event once.
pub(crate) fn log(pool: &str, events: &[Event]) {
    for event in events {
        let node = event.node.as_deref();
        if event.is_warning() {
            warn!(pool, node, "{event}");
        } else {
            info!(pool, node, "{event}");
        }
    }
}
