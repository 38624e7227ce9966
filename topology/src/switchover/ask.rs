//! What the nodes, and the Sentinel that chooses, are sent.

use std::sync::Arc;
use std::time::Duration;

/// The channel that whoever changes the primary listens to. It needs no key, and ends with the connection.
const CLAIM: &str = "redkeel:switchover";

/// One request to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To show to everybody who changes the primary that we do, for as long as the connection lives, which is used for
    /// nothing else.
    Claim,
    /// How many show that.
    Claims,
    /// How it stands in replication.
    State,
    /// The same, and that it tells its primary at once how far it is; by itself it does so once a second.
    Nudge,
    /// To hand over to the replica with this address.
    Failover {
        /// As the primary lists it.
        host: String,
        /// As the primary lists it.
        port: u16,
        /// After which it gives up by itself.
        timeout: Duration,
    },
    /// To give up handing over.
    FailoverAbort,
    /// To let writes wait.
    Pause {
        /// After which they go on by themselves.
        time: Duration,
    },
    /// To let them go on.
    Unpause,
    /// To become the replica of another, and at the same moment to let writes go on, which it then refuses.
    Demote {
        /// Of this host,
        host: String,
        /// at this port.
        port: u16,
    },
    /// Whether it would let itself be demoted: the same commands are queued, and dropped.
    RehearseDemotion,
    /// To become a primary.
    Promote,
    /// To become the replica of another. Where it is one already nothing happens.
    Follow {
        /// Of this host,
        host: String,
        /// at this port.
        port: u16,
    },
    /// To write its role into its configuration file.
    Save,
    /// A Sentinel: which replicas it knows.
    Candidates {
        /// Of this master.
        master: Arc<str>,
    },
    /// A Sentinel: to replace the primary.
    Elect {
        /// Of this master.
        master: Arc<str>,
    },
}

/// Which replies end the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// So many.
    Count(usize),
    /// A PONG: a command before it may have a reply or none.
    UntilPong,
}

impl Ask {
    /// The commands, which go out together.
    pub fn commands(&self) -> Vec<Vec<Vec<u8>>> {
        let millis = |time: &Duration| time.as_millis().to_string();
        let follow = |host: &str, port: u16| command(&["REPLICAOF", host, &port.to_string()]);
        match self {
            Self::Claim => vec![command(&["SUBSCRIBE", CLAIM])],
            Self::Claims => vec![command(&["PUBSUB", "NUMSUB", CLAIM])],
            Self::State => vec![command(&["INFO", "replication"])],
            // The reply of GETACK goes to the primary; only an error comes back (replconfCommand).
            Self::Nudge => vec![
                command(&["REPLCONF", "GETACK", "*"]),
                command(&["INFO", "replication"]),
                command(&["PING"]),
            ],
            Self::Failover { host, port, timeout } => {
                let (port, timeout) = (port.to_string(), millis(timeout));
                vec![command(&["FAILOVER", "TO", host, &port, "TIMEOUT", &timeout])]
            }
            Self::FailoverAbort => vec![command(&["FAILOVER", "ABORT"])],
            Self::Pause { time } => vec![command(&["CLIENT", "PAUSE", &millis(time), "WRITE"])],
            Self::Unpause => vec![command(&["CLIENT", "UNPAUSE"])],
            Self::Demote { host, port } => vec![
                command(&["MULTI"]),
                follow(host, *port),
                command(&["CLIENT", "UNPAUSE"]),
                command(&["EXEC"]),
            ],
            Self::RehearseDemotion => vec![
                command(&["MULTI"]),
                command(&["REPLICAOF", "NO", "ONE"]),
                command(&["CLIENT", "UNPAUSE"]),
                command(&["DISCARD"]),
            ],
            Self::Promote => vec![command(&["REPLICAOF", "NO", "ONE"])],
            Self::Follow { host, port } => vec![follow(host, *port)],
            Self::Save => vec![command(&["CONFIG", "REWRITE"])],
            Self::Candidates { master } => vec![command(&["SENTINEL", "REPLICAS", master])],
            Self::Elect { master } => vec![command(&["SENTINEL", "FAILOVER", master])],
        }
    }

    /// What comes back.
    pub fn replies(&self) -> Replies {
        match self {
            Self::Nudge => Replies::UntilPong,
            other => Replies::Count(other.commands().len()),
        }
    }
}

fn command(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
