//! What a node says unasked: messages, tracking pushes, MONITOR lines; and confirmations of subscriptions, which look alike.

use resp::Protocol;
use session::{PubSubValue, is_broken_redirect, pubsub_value};

use crate::Engine;
use crate::client::Client;
use crate::slots::Key;
use crate::upstream::{PendingKind, Value};

impl Engine {
    /// A message, a tracking push or a MONITOR line: true if the value is one, and no command's reply.
    pub(crate) fn unasked(&mut self, key: Key, client_key: Key, value: Value) -> bool {
        let (Some(client), Some(upstream)) =
            (self.clients.get_mut(client_key), self.upstreams.get_mut(key))
        else {
            return false;
        };
        let Some(special) = client.special.as_deref_mut() else {
            return value.first == b'>';
        };
        if special.monitoring && upstream.queue.is_empty() {
            return true;
        }
        if value.streamed {
            return value.is_message;
        }
        let is_resp2 = client.talk.standing.protocol == Protocol::Resp2;
        let may_be_pubsub = value.first == b'>'
            || (value.first == b'*' && is_resp2 && special.listens_itself())
            || upstream.queue.front().is_some_and(|front| front.kind == PendingKind::Subscribe);
        if !may_be_pubsub {
            return false;
        }
        let redirects = special.receiver.is_some();
        if redirects && is_broken_redirect(client.output.tail(value.len)) {
            // Both connections are about to be set up again; the node's name for the other means nothing to the client.
            client.output.truncate_tail(value.len);
            return true;
        }
        match pubsub_value(client.output.tail(value.len)) {
            PubSubValue::Message => true,
            PubSubValue::Reply => value.first == b'>',
            PubSubValue::Confirmation { kind, channel } => {
                special.subscriptions.confirm(kind, channel);
                let Some(front) = upstream.queue.front_mut() else {
                    // A node may end a subscription by itself (SUNSUBSCRIBE when a slot moves).
                    return true;
                };
                if front.flags.swallow {
                    // Set up again after a loss: the client has had its confirmation long ago.
                    client.output.truncate_tail(value.len);
                }
                if front.kind == PendingKind::Subscribe {
                    front.replies = front.replies.saturating_sub(1);
                    let front = *front;
                    if front.replies == 0 {
                        // The gap ends with the last command that subscribes again; a connection that was lost before
                        // this did not end it.
                        let mut behind = upstream.queue.iter().skip(1);
                        let more = behind.any(|pending| {
                            pending.flags.swallow && pending.kind == PendingKind::Subscribe
                        });
                        let ends = front.flags.swallow && !more;
                        self.pools[upstream.pool].counts.subscription_gaps_total += u64::from(ends);
                        self.pop_front(key);
                        self.settle_reply(key, client_key, front);
                    }
                }
                true
            }
        }
    }
}

impl Client {
    /// Is the value whose beginning has come a message? What is handed over as it comes cannot be looked at in the end.
    pub(crate) fn begins_message(&self, first: u8) -> bool {
        let listens = self.special.as_ref().is_some_and(|special| special.listens_itself());
        let looks_alike = first == b'*' && self.talk.standing.protocol == Protocol::Resp2;
        first == b'>'
            || (listens
                && looks_alike
                && pubsub_value(self.output.uncommitted()) == PubSubValue::Message)
    }
}
