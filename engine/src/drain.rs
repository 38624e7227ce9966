//! The end: what is in flight is answered, everyone else is let go.

use crate::Engine;
use crate::slots::Key;

impl Engine {
    /// From now on a client is closed as soon as nothing of it is unanswered. Subscribers wait for nothing.
    pub fn drain(&mut self) {
        self.draining = true;
        let keys: Vec<Key> = self.clients.keys().collect();
        for key in keys {
            self.close_if_idle(key);
        }
    }

    /// All clients have gone.
    pub fn is_drained(&self) -> bool {
        self.draining && self.clients.len() == 0
    }

    pub(crate) fn close_if_idle(&mut self, key: Key) {
        let idle = self.clients.get(key).is_some_and(|client| {
            let raw = matches!(client.mode, config::Mode::Tcp(_));
            !raw && !client.is_leg() && client.is_idle()
        });
        if idle {
            self.close_client(key);
        }
    }
}
