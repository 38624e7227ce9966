//! What comes in: the answers to probes, and what the data plane saw.

use std::fmt;
use std::sync::Arc;

use resp::Value;

use crate::{NodeId, Process, Refusal, Replication, RoleReply, Sighting, Time};

/// One thing observed of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// A probe has ended.
    Probed(Probed),
    /// The node closed the idle probe connection: a reason to dial again at once, and no more than that.
    ProbeConnectionLost {
        /// This node.
        node: NodeId,
    },
    /// The data plane saw something: a reason to probe at once, and no more than that.
    Sighted {
        /// At this node.
        node: NodeId,
        /// What was seen.
        sighting: Sighting,
        /// When.
        at: Time,
    },
}

/// A probe and its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    /// Of this node.
    pub node: NodeId,
    /// When its first byte was sent on the connection that answered; or when it was begun.
    pub sent: Time,
    /// When the answer was complete, or the probe given up.
    pub answered: Time,
    /// The answer.
    pub outcome: Result<Answer, Failure>,
}

/// A node that answers: whatever it says, it is alive.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The process at the other end of this connection; asked once per connection.
    pub process: Result<Arc<Process>, Refusal>,
    /// The reply of PING: does it execute ordinary commands?
    pub serving: Serving,
    /// The reply of ROLE.
    pub role: Result<RoleReply, Refusal>,
    /// The reply of `INFO replication`, where the probe asked for it.
    pub replication: Option<Result<Replication, Refusal>>,
}

/// Does a node execute ordinary commands?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// Yes. So it is too when PING got an error that has nothing to do with reads, such as MISCONF.
    Yes,
    /// It loads its data.
    Loading,
    /// Its link is down and it is configured to refuse reads then (`replica-serve-stale-data no`).
    MasterDown,
    /// A script runs.
    Busy,
}

impl Serving {
    /// Parses the reply of PING.
    pub fn parse(reply: &Value) -> Self {
        let Value::Error(text) = reply else { return Self::Yes };
        match Refusal::from_error(text) {
            Refusal::Loading => Self::Loading,
            Refusal::MasterDown => Self::MasterDown,
            Refusal::Busy => Self::Busy,
            _ => Self::Yes,
        }
    }
}

/// A node that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The connect was refused: proof that nothing listens there.
    Refused,
    /// No answer in time.
    TimedOut,
    /// The connection was closed, and so was the one dialled next.
    Lost,
    /// The connect failed otherwise: the system's words.
    Unreachable(Box<str>),
    /// It closed the connection with this error.
    TurnedAway(Box<str>),
    /// There is no TLS with it; completes "the node …".
    Tls(Box<str>),
    /// It does not speak the Redis protocol, or says more than any probe's answer needs.
    Protocol,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refuses connections"),
            Self::TimedOut => f.write_str("does not answer"),
            Self::Lost => f.write_str("closes its connections"),
            Self::Unreachable(why) => write!(f, "cannot be reached: {why}"),
            Self::TurnedAway(text) => write!(f, "turns the probe away: {text}"),
            Self::Tls(why) => f.write_str(why),
            Self::Protocol => f.write_str("does not speak the Redis protocol"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_about_serving_makes_a_node_unfit() {
        let serving = |reply| Serving::parse(&reply);
        let error = |text: &str| Value::Error(text.as_bytes().to_vec());
        assert_eq!(serving(Value::Simple(b"PONG".to_vec())), Serving::Yes);
        assert_eq!(serving(error("MISCONF Redis is configured to save")), Serving::Yes);
        assert_eq!(serving(error("LOADING Redis is loading")), Serving::Loading);
        assert_eq!(serving(error("MASTERDOWN Link with MASTER")), Serving::MasterDown);
        assert_eq!(serving(error("BUSY Redis is busy")), Serving::Busy);
    }
}
