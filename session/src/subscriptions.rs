//! What a client is subscribed to, and which of the values on its connection are confirmations or messages.

use std::collections::BTreeSet;

use commands::SubscribeKind;

use crate::Call;

/// What a name of a channel is looked up among.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// SUBSCRIBE.
    Channels,
    /// PSUBSCRIBE.
    Patterns,
    /// SSUBSCRIBE.
    ShardChannels,
}

impl Space {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Channels, Self::Patterns, Self::ShardChannels];

    /// Where a command of the family looks, and whether it subscribes.
    pub fn of(kind: SubscribeKind) -> (Self, bool) {
        match kind {
            SubscribeKind::Subscribe => (Self::Channels, true),
            SubscribeKind::Unsubscribe => (Self::Channels, false),
            SubscribeKind::Psubscribe => (Self::Patterns, true),
            SubscribeKind::Punsubscribe => (Self::Patterns, false),
            SubscribeKind::Ssubscribe => (Self::ShardChannels, true),
            SubscribeKind::Sunsubscribe => (Self::ShardChannels, false),
        }
    }

    /// The command that subscribes, or ends a subscription; its confirmation is named alike, in lower case.
    pub fn command(self, subscribes: bool) -> &'static str {
        match (self, subscribes) {
            (Self::Channels, true) => "SUBSCRIBE",
            (Self::Channels, false) => "UNSUBSCRIBE",
            (Self::Patterns, true) => "PSUBSCRIBE",
            (Self::Patterns, false) => "PUNSUBSCRIBE",
            (Self::ShardChannels, true) => "SSUBSCRIBE",
            (Self::ShardChannels, false) => "SUNSUBSCRIBE",
        }
    }
}

/// The channels, patterns and shard channels of one client, as the nodes have confirmed them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions {
    channels: BTreeSet<Box<[u8]>>,
    patterns: BTreeSet<Box<[u8]>>,
    shard_channels: BTreeSet<Box<[u8]>>,
}

impl Subscriptions {
    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard_channels.is_empty()
    }

    fn set(&self, space: Space) -> &BTreeSet<Box<[u8]>> {
        match space {
            Space::Channels => &self.channels,
            Space::Patterns => &self.patterns,
            Space::ShardChannels => &self.shard_channels,
        }
    }

    fn set_mut(&mut self, space: Space) -> &mut BTreeSet<Box<[u8]>> {
        match space {
            Space::Channels => &mut self.channels,
            Space::Patterns => &mut self.patterns,
            Space::ShardChannels => &mut self.shard_channels,
        }
    }

    /// Adds a channel; false: it was there.
    pub fn insert(&mut self, space: Space, channel: &[u8]) -> bool {
        self.set_mut(space).insert(channel.into())
    }

    /// Removes a channel; false: it was not there.
    pub fn remove(&mut self, space: Space, channel: &[u8]) -> bool {
        self.set_mut(space).remove(channel)
    }

    /// Is there a channel of this name?
    pub fn contains(&self, space: Space, channel: &[u8]) -> bool {
        self.set(space).contains(channel)
    }

    /// All names of one kind.
    pub fn names(&self, space: Space) -> impl Iterator<Item = &[u8]> {
        self.set(space).iter().map(|name| &**name)
    }

    /// The count that a confirmation carries: shard channels are counted apart.
    pub fn confirmed_count(&self, space: Space) -> usize {
        match space {
            Space::Channels | Space::Patterns => self.channels.len() + self.patterns.len(),
            Space::ShardChannels => self.shard_channels.len(),
        }
    }

    /// How many channels, patterns and shard channels.
    pub fn counts(&self) -> [usize; 3] {
        [self.channels.len(), self.patterns.len(), self.shard_channels.len()]
    }

    /// How many confirmations a command of the family will get, if it is sent when all before it are confirmed.
    pub fn confirmations(&self, kind: SubscribeKind, call: Call<'_>) -> u32 {
        let named = call.len().saturating_sub(1);
        let count = match kind {
            SubscribeKind::Subscribe | SubscribeKind::Psubscribe | SubscribeKind::Ssubscribe => {
                named
            }
            _ if named > 0 => named,
            SubscribeKind::Unsubscribe => self.channels.len(),
            SubscribeKind::Punsubscribe => self.patterns.len(),
            SubscribeKind::Sunsubscribe => self.shard_channels.len(),
        };
        // Where there is nothing to name, one that names nothing, or one error.
        u32::try_from(count).unwrap_or(u32::MAX).max(1)
    }

    /// A node has confirmed one channel.
    pub fn confirm(&mut self, kind: SubscribeKind, channel: Option<&[u8]>) {
        let Some(channel) = channel else { return };
        match Space::of(kind) {
            (space, true) => _ = self.insert(space, channel),
            (space, false) => _ = self.remove(space, channel),
        }
    }

    /// The commands that subscribe a fresh connection to all of it, each with the number of its confirmations.
    pub fn resubscribe(&self) -> Vec<(Vec<u8>, u32)> {
        let mut commands = Vec::new();
        let sets = [
            (b"SUBSCRIBE".as_slice(), &self.channels),
            (b"PSUBSCRIBE".as_slice(), &self.patterns),
            (b"SSUBSCRIBE".as_slice(), &self.shard_channels),
        ];
        for (name, set) in sets {
            if !set.is_empty() {
                let mut args: Vec<&[u8]> = vec![name];
                args.extend(set.iter().map(|channel| &**channel));
                let mut command = Vec::new();
                resp::write_command(&mut command, &args);
                commands.push((command, u32::try_from(set.len()).unwrap_or(u32::MAX)));
            }
        }
        commands
    }
}

/// A command of the family without the first `confirmed` channels that it names, appended to `out`.
pub fn without_confirmed(call: Call<'_>, confirmed: u32, out: &mut Vec<u8>) {
    let mut args = vec![call.name()];
    args.extend(call.rest().skip(confirmed as usize));
    resp::write_command(out, &args);
}

/// What a value on a subscriber's connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PubSubValue<'a> {
    /// The confirmation of one channel.
    Confirmation {
        /// Which of the family it confirms.
        kind: SubscribeKind,
        /// `None`: there was nothing to unsubscribe from.
        channel: Option<&'a [u8]>,
    },
    /// A message, or another push that nobody's command is answered by.
    Message,
    /// The reply to an ordinary command.
    Reply,
}

/// Tells confirmations, messages and replies apart. In RESP3 the former two are pushes; in RESP2 arrays, which are
/// looked at only on the connection of a subscriber.
pub fn pubsub_value(value: &[u8]) -> PubSubValue<'_> {
    let Some((marker @ (b'*' | b'>'), _)) = value.split_first() else {
        return PubSubValue::Reply;
    };
    let mut lines = value.splitn(4, |byte| *byte == b'\n');
    let (_, _, Some(name), rest) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
        return PubSubValue::Reply;
    };
    let kind = match name.strip_suffix(b"\r").unwrap_or(name) {
        b"subscribe" => SubscribeKind::Subscribe,
        b"unsubscribe" => SubscribeKind::Unsubscribe,
        b"psubscribe" => SubscribeKind::Psubscribe,
        b"punsubscribe" => SubscribeKind::Punsubscribe,
        b"ssubscribe" => SubscribeKind::Ssubscribe,
        b"sunsubscribe" => SubscribeKind::Sunsubscribe,
        b"message" | b"pmessage" | b"smessage" => return PubSubValue::Message,
        _ if *marker == b'>' => return PubSubValue::Message,
        _ => return PubSubValue::Reply,
    };
    PubSubValue::Confirmation { kind, channel: rest.and_then(confirmed_channel) }
}

/// Which subscription a message belongs to: its channel, or the pattern that matched.
pub fn message_topic(value: &[u8]) -> Option<(Space, &[u8])> {
    let (_, rest) = line(value)?;
    let (name, rest) = bulk(rest)?;
    let space = match name {
        b"message" => Space::Channels,
        b"pmessage" => Space::Patterns,
        b"smessage" => Space::ShardChannels,
        _ => return None,
    };
    Some((space, bulk(rest)?.0))
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end.checked_sub(1)?)?, bytes.get(end + 1..)?))
}

fn bulk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = line(bytes)?;
    let len: usize = std::str::from_utf8(header.strip_prefix(b"$")?).ok()?.parse().ok()?;
    Some((rest.get(..len)?, rest.get(len.checked_add(2)?..)?))
}

/// The channel of a confirmation: `rest` is what follows its name.
fn confirmed_channel(rest: &[u8]) -> Option<&[u8]> {
    let header = rest.iter().position(|byte| *byte == b'\n')?;
    if !rest.starts_with(b"$") || rest.starts_with(b"$-") {
        return None;
    }
    // `channel\r\n:N\r\n`
    let body = rest.get(header + 1..)?;
    let colon = body.iter().rposition(|byte| *byte == b':')?;
    body.get(..colon.checked_sub(2)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::with_call;

    #[test]
    fn confirmations_are_counted_per_channel() {
        use SubscribeKind::{Psubscribe, Punsubscribe, Subscribe, Unsubscribe};
        let mut subscriptions = Subscriptions::default();
        let count = |subscriptions: &Subscriptions, kind, line: &str| {
            with_call(line, |call| subscriptions.confirmations(kind, call))
        };
        assert_eq!(count(&subscriptions, Unsubscribe, "UNSUBSCRIBE"), 1);
        assert_eq!(count(&subscriptions, Subscribe, "SUBSCRIBE a b"), 2);
        subscriptions.confirm(Subscribe, Some(b"a"));
        subscriptions.confirm(Subscribe, Some(b"b"));
        subscriptions.confirm(Psubscribe, Some(b"p*"));
        let counts: Vec<u32> =
            subscriptions.resubscribe().iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!(count(&subscriptions, Unsubscribe, "UNSUBSCRIBE"), 2);
        assert_eq!(count(&subscriptions, Punsubscribe, "PUNSUBSCRIBE p* q*"), 2);
        subscriptions.confirm(Unsubscribe, Some(b"a"));
        subscriptions.confirm(Unsubscribe, Some(b"b"));
        subscriptions.confirm(Unsubscribe, None);
        assert!(!subscriptions.is_empty());
        subscriptions.confirm(Punsubscribe, Some(b"p*"));
        assert!(subscriptions.is_empty());
    }

    #[test]
    fn what_is_confirmed_is_not_asked_for_again() {
        let rest = with_call("SUBSCRIBE a b c", |call| {
            let mut out = Vec::new();
            without_confirmed(call, 2, &mut out);
            out
        });
        assert_eq!(rest, b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n");
    }

    #[test]
    fn a_message_belongs_to_a_channel_or_a_pattern() {
        let message = b"*3\r\n$7\r\nmessage\r\n$4\r\na\r\nb\r\n$2\r\nhi\r\n";
        assert_eq!(message_topic(message), Some((Space::Channels, b"a\r\nb".as_slice())));
        let message = b"*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$2\r\nab\r\n$0\r\n\r\n";
        assert_eq!(message_topic(message), Some((Space::Patterns, b"a*".as_slice())));
        for none in [b"*3\r\n$9\r\nsubscribe\r\n".as_slice(), b"+PONG\r\n", b"*0\r\n", b""] {
            assert_eq!(message_topic(none), None);
        }
    }

    #[test]
    fn values_are_told_apart() {
        let confirmed = |kind, channel| PubSubValue::Confirmation { kind, channel };
        let confirmation = b"*3\r\n$9\r\nsubscribe\r\n$4\r\na:\r\n\r\n:1\r\n";
        let expected = confirmed(SubscribeKind::Subscribe, Some(b"a:\r\n".as_slice()));
        assert_eq!(pubsub_value(confirmation), expected);
        for none in ["_", "$-1"] {
            let confirmation = format!(">3\r\n$11\r\nunsubscribe\r\n{none}\r\n:0\r\n");
            let expected = confirmed(SubscribeKind::Unsubscribe, None);
            assert_eq!(pubsub_value(confirmation.as_bytes()), expected);
        }
        let message = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n";
        assert_eq!(pubsub_value(message), PubSubValue::Message);
        assert_eq!(pubsub_value(b">2\r\n$10\r\ninvalidate\r\n_\r\n"), PubSubValue::Message);
        assert_eq!(pubsub_value(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"), PubSubValue::Reply);
        assert_eq!(pubsub_value(b"+PONG\r\n"), PubSubValue::Reply);
        assert_eq!(pubsub_value(b"*0\r\n"), PubSubValue::Reply);
    }
}
