//! What a Sentinel publishes (sentinel.c, sentinelEvent).

use std::sync::Arc;

use super::answer::node_name;

/// Something that a Sentinel published about our master, or about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentinelEvent {
    /// It is about to replace the primary at this address: `+try-failover`, and `+failover-state-…` up to the promotion.
    FailoverBegan(Arc<str>),
    /// It gave that up: `-failover-abort-…`.
    FailoverAborted,
    /// It distrusts its clock (`+tilt`), or trusts it again (`-tilt`).
    Tilt(bool),
    /// Anything else: worth asking.
    Other,
}

impl SentinelEvent {
    /// Reads what was published on a channel of a Sentinel. `None`: it is about another master, or about nobody.
    ///
    /// `+switch-master NAME OLD-IP OLD-PORT NEW-IP NEW-PORT`, `+tilt #tilt mode entered`, and else
    /// `master NAME IP PORT …` or `TYPE NAME IP PORT @ MASTER-NAME MASTER-IP MASTER-PORT …`.
    pub fn parse(channel: &[u8], message: &[u8], master: &str) -> Option<Self> {
        let channel = std::str::from_utf8(channel).ok()?;
        match channel {
            "+tilt" => return Some(Self::Tilt(true)),
            "-tilt" => return Some(Self::Tilt(false)),
            _ => {}
        }
        let message = std::str::from_utf8(message).ok()?;
        let words: Vec<&str> = message.split(' ').collect();
        if channel == "+switch-master" {
            return (words.first() == Some(&master)).then_some(Self::Other);
        }
        let about = match words.iter().position(|word| *word == "@") {
            Some(at) => &words[at + 1..],
            None if words[0] == "master" => &words[1..],
            None => return None,
        };
        let [name, host, port, ..] = about else { return None };
        if *name != master {
            return None;
        }
        Some(match channel {
            "+try-failover"
            | "+failover-state-select-slave"
            | "+failover-state-send-slaveof-noone"
            | "+failover-state-wait-promotion" => Self::FailoverBegan(node_name(host, port)?),
            _ if channel.starts_with("-failover-abort-") => Self::FailoverAborted,
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_as_redis_publishes_them() {
        let began = || Some(SentinelEvent::FailoverBegan("10.0.0.1:6379".into()));
        for (channel, message, expected) in [
            ("+try-failover", "master m 10.0.0.1 6379", began()),
            ("+failover-state-select-slave", "master m 10.0.0.1 6379", began()),
            (
                "+failover-state-send-slaveof-noone",
                "slave 10.0.0.2:6379 10.0.0.2 6379 @ m 10.0.0.1 6379",
                began(),
            ),
            (
                "-failover-abort-not-elected",
                "master m 10.0.0.1 6379",
                Some(SentinelEvent::FailoverAborted),
            ),
            (
                "-failover-abort-slave-timeout",
                "master m 10.0.0.1 6379",
                Some(SentinelEvent::FailoverAborted),
            ),
            ("+failover-state-reconf-slaves", "master m 10.0.0.1 6379", Some(SentinelEvent::Other)),
            ("+switch-master", "m 10.0.0.1 6379 10.0.0.2 6379", Some(SentinelEvent::Other)),
            ("+odown", "master m 10.0.0.1 6379 #quorum 2/2", Some(SentinelEvent::Other)),
            (
                "+sdown",
                "sentinel 196d 10.0.0.9 26379 @ m 10.0.0.1 6379",
                Some(SentinelEvent::Other),
            ),
            ("+tilt", "#tilt mode entered", Some(SentinelEvent::Tilt(true))),
            ("-tilt", "#tilt mode exited", Some(SentinelEvent::Tilt(false))),
            ("+try-failover", "master other 10.0.0.1 6379", None),
            ("+switch-master", "other 10.0.0.1 6379 10.0.0.2 6379", None),
            ("+sdown", "slave 10.0.0.2:6379 10.0.0.2 6379 @ other 10.0.0.1 6379", None),
            ("+new-epoch", "1", None),
            ("+vote-for-leader", "196d6fe8b00d6c8317f38e33ede21d3813784c85 1", None),
            ("+try-failover", "master m", None),
            ("+try-failover", "master m 10.0.0.1 x", None),
            ("", "", None),
        ] {
            let parsed = SentinelEvent::parse(channel.as_bytes(), message.as_bytes(), "m");
            assert_eq!(parsed, expected, "{channel} {message}");
        }
        assert_eq!(SentinelEvent::parse(b"\xff", b"master m 10.0.0.1 6379", "m"), None);
    }
}
