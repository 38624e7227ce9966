//! Events as log lines.

use topology::{Event, EventKind};
use tracing::{info, warn};

/// Writes each event once. What belongs to a switchover that is `planned` is no reason for a warning.
pub(crate) fn log(pool: &str, events: &[Event], planned: bool) {
    for event in events {
        let node = event.node.as_deref();
        let kind = &event.kind;
        let part = matches!(kind, EventKind::PrimaryLost { .. } | EventKind::Fenced { .. });
        if event.is_warning() && !(planned && part) {
            warn!(pool, node, "{event}");
        } else {
            info!(pool, node, "{event}");
        }
    }
}
