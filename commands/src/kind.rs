//! How a command travels through the proxy, and the rule that says so.

use crate::flags::Flags;
use crate::keys::Keys;
use crate::overlay;

/// How a command travels through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads keys: goes where the pool's `reads` says. Also the read-only scripts, `PING`, `ECHO`.
    Read,
    /// Writes keys: goes to the primary.
    Write,
    /// Not flagged write, yet may write or be replicated: `EVAL`, `FCALL`, `PUBLISH`, `PFCOUNT`, ….
    MayReplicate,
    /// `SCAN`, `HSCAN`, `SSCAN`, `ZSCAN`: a cursor means something only on the node that gave it.
    Cursor,
    /// `SCRIPT LOAD`, `SCRIPT FLUSH`: to every node of the shard; the primary's answer counts.
    Everywhere,
    /// About the server: one request, one reply, and the connection stays as it was.
    Server,
    /// May wait, always or by an option; see [`blocks`](crate::blocks).
    Blocking,
    /// `WAIT`, `WAITAOF`.
    Wait,
    /// Begins or ends a subscription; any number of replies.
    Subscribe(SubscribeKind),
    /// `MULTI`.
    Multi,
    /// `EXEC`.
    Exec,
    /// `DISCARD`.
    Discard,
    /// `WATCH`.
    Watch,
    /// `UNWATCH`.
    Unwatch,
    /// `MONITOR`.
    Monitor,
    /// `AUTH`.
    Auth,
    /// `HELLO`.
    Hello,
    /// `SELECT`.
    Select,
    /// `RESET`.
    Reset,
    /// `QUIT`.
    Quit,
    /// `CLIENT` and its subcommands: about the client's own connection.
    Client,
    /// The replication protocol (`SYNC`, `PSYNC`, `REPLCONF`): never passed on.
    Refused,
    /// Needs a connection of its own: a module's command, of which nobody knows what it does to
    /// its connection, and the server's few that change it, may not answer, or must not queue
    /// behind others (`ASKING`, `SCRIPT DEBUG`, `SHUTDOWN`, `SCRIPT KILL`, …).
    Module,
}

/// Which of the six subscription commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscribeKind {
    /// `SUBSCRIBE`.
    Subscribe,
    /// `UNSUBSCRIBE`.
    Unsubscribe,
    /// `PSUBSCRIBE`: by pattern.
    Psubscribe,
    /// `PUNSUBSCRIBE`.
    Punsubscribe,
    /// `SSUBSCRIBE`: a shard's channel.
    Ssubscribe,
    /// `SUNSUBSCRIBE`.
    Sunsubscribe,
}

impl Kind {
    /// The rule: what the overlay says by name goes first; then the flags,
    /// in this order: a module's; may wait; may write; reads and has keys. What remains is about the server:
    /// `tests/kinds.txt` lists every command's kind, so that a new one is seen there.
    pub(crate) const fn of(name: &str, flags: Flags, keys: Keys) -> Kind {
        match overlay::kind(name) {
            Some(kind) => kind,
            None if flags.module() => Kind::Module,
            None if flags.blocking() => Kind::Blocking,
            None if flags.write() => Kind::Write,
            None if flags.readonly() && !matches!(keys, Keys::None) => Kind::Read,
            None => Kind::Server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{all, lookup};

    fn of(line: &str) -> Kind {
        let mut words = line.split(' ');
        let command = lookup(words.next().unwrap().as_bytes()).unwrap();
        words.next().map_or(command, |name| command.subcommand(name.as_bytes()).unwrap()).kind
    }

    /// Each was wrong in some proxy.
    #[test]
    fn reads_and_writes() {
        for name in ["LTRIM", "GETSET", "GETDEL", "GETEX", "SORT", "GEORADIUS", "BITFIELD", "COPY"]
        {
            assert_eq!(of(name), Kind::Write, "{name}");
        }
        for name in ["BITPOS", "SORT_RO", "GEORADIUS_RO", "BITFIELD_RO", "TOUCH", "EXISTS", "DUMP"]
        {
            assert_eq!(of(name), Kind::Read, "{name}");
        }
        for name in ["EVAL_RO", "EVALSHA_RO", "FCALL_RO", "PING", "ECHO"] {
            assert_eq!(of(name), Kind::Read, "{name}");
        }
        for name in ["EVAL", "EVALSHA", "FCALL", "PUBLISH", "SPUBLISH", "PFCOUNT"] {
            assert_eq!(of(name), Kind::MayReplicate, "{name}");
        }
    }

    #[test]
    fn subcommands_travel_each_their_own_way() {
        for (line, kind) in [
            ("XINFO STREAM", Kind::Read),
            ("OBJECT ENCODING", Kind::Read),
            ("MEMORY USAGE", Kind::Read),
            ("MEMORY STATS", Kind::Server),
            ("XGROUP CREATE", Kind::Write),
            ("FUNCTION LOAD", Kind::Write),
            ("FUNCTION LIST", Kind::Server),
            ("FUNCTION KILL", Kind::Module),
            ("SCRIPT LOAD", Kind::Everywhere),
            ("SCRIPT FLUSH", Kind::Everywhere),
            ("SCRIPT EXISTS", Kind::Server),
            ("SCRIPT DEBUG", Kind::Module),
            ("CONFIG GET", Kind::Server),
            ("CLIENT NO-EVICT", Kind::Client),
        ] {
            assert_eq!(of(line), kind, "{line}");
        }
    }

    #[test]
    fn nothing_that_holds_up_or_changes_its_connection_may_share_one() {
        for command in all() {
            let shares = matches!(
                command.kind,
                Kind::Read
                    | Kind::Write
                    | Kind::MayReplicate
                    | Kind::Cursor
                    | Kind::Everywhere
                    | Kind::Server
            );
            let flags = command.flags;
            // PUBLISH and PUBSUB answer once, and SAVE holds up the whole server anyway.
            let subscribes = flags.pubsub() && command.name.ends_with("SUBSCRIBE");
            let alone = flags.no_multi() && command.name != "SAVE";
            let special = flags.blocking() || flags.module() || subscribes || alone;
            assert!(!(shares && special), "{command:?}");
        }
    }
}
