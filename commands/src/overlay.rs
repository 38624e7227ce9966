//! What no server's `COMMAND` tells, by name; it completes the rows of `table.rs` and `added.rs`.

use crate::flags::{IDEMPOTENT, MAY_REPLICATE, SCRIPT};
use crate::keys::Keys;
use crate::kind::{Kind, SubscribeKind};

/// The kind of a command whose flags do not tell it.
pub(crate) const fn kind(name: &str) -> Option<Kind> {
    Some(match name.as_bytes() {
        b"PING" | b"ECHO" => Kind::Read,
        b"EVAL" | b"EVALSHA" | b"FCALL" | b"PUBLISH" | b"SPUBLISH" | b"PFCOUNT" => {
            Kind::MayReplicate
        }
        b"SCAN" | b"HSCAN" | b"SSCAN" | b"ZSCAN" | b"CLUSTERSCAN" => Kind::Cursor,
        // Not replicated, so every node needs it. The FUNCTION commands are replicated writes.
        b"SCRIPT LOAD" | b"SCRIPT FLUSH" => Kind::Everywhere,
        b"WAIT" | b"WAITAOF" => Kind::Wait,
        b"SUBSCRIBE" => Kind::Subscribe(SubscribeKind::Subscribe),
        b"UNSUBSCRIBE" => Kind::Subscribe(SubscribeKind::Unsubscribe),
        b"PSUBSCRIBE" => Kind::Subscribe(SubscribeKind::Psubscribe),
        b"PUNSUBSCRIBE" => Kind::Subscribe(SubscribeKind::Punsubscribe),
        b"SSUBSCRIBE" => Kind::Subscribe(SubscribeKind::Ssubscribe),
        b"SUNSUBSCRIBE" => Kind::Subscribe(SubscribeKind::Sunsubscribe),
        b"MULTI" => Kind::Multi,
        b"EXEC" => Kind::Exec,
        b"DISCARD" => Kind::Discard,
        b"WATCH" => Kind::Watch,
        b"UNWATCH" => Kind::Unwatch,
        b"MONITOR" => Kind::Monitor,
        b"AUTH" => Kind::Auth,
        b"HELLO" => Kind::Hello,
        b"SELECT" => Kind::Select,
        b"RESET" => Kind::Reset,
        b"QUIT" => Kind::Quit,
        b"CLIENT" | [b'C', b'L', b'I', b'E', b'N', b'T', b' ', ..] => Kind::Client,
        b"SYNC" | b"PSYNC" | b"REPLCONF" => Kind::Refused,
        // They change their connection: cluster flags, or the next script's debugger.
        b"ASKING" | b"READONLY" | b"READWRITE" | b"SCRIPT DEBUG" => Kind::Module,
        // What it prepares belongs to the connection.
        b"HIMPORT" | [b'H', b'I', b'M', b'P', b'O', b'R', b'T', b' ', ..] => Kind::Module,
        // They must not queue behind the script that they are to end, or to tell about.
        b"SCRIPT KILL" | b"FUNCTION KILL" | b"FUNCTION STATS" => Kind::Module,
        // No reply when it succeeds; any number, or none, by subcommand.
        b"SHUTDOWN" | b"DEBUG" => Kind::Module,
        _ => return None,
    })
}

/// Flags that `COMMAND` does not report.
pub(crate) const fn flags(name: &str) -> u32 {
    match name.as_bytes() {
        b"EVAL" | b"EVALSHA" | b"FCALL" => SCRIPT | MAY_REPLICATE,
        b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL_RO" => SCRIPT,
        b"PUBLISH" | b"SPUBLISH" | b"PFCOUNT" => MAY_REPLICATE,
        b"SET" | b"SETEX" | b"PSETEX" | b"MSET" | b"HSET" | b"HMSET" | b"DEL" | b"UNLINK"
        | b"HDEL" | b"SADD" | b"SREM" | b"ZADD" | b"ZREM" | b"EXPIREAT" | b"PEXPIREAT"
        | b"PERSIST" => IDEMPOTENT,
        _ => 0,
    }
}

/// Where the keys are that the server's key specifications cannot describe.
pub(crate) const fn keys(name: &str) -> Option<Keys> {
    match name.as_bytes() {
        b"SORT" => Some(Keys::Store { options: 2 }),
        b"GEORADIUS" => Some(Keys::Store { options: 6 }),
        b"GEORADIUSBYMEMBER" => Some(Keys::Store { options: 5 }),
        b"XREAD" | b"XREADGROUP" => Some(Keys::Streams),
        b"MIGRATE" => Some(Keys::Migrate),
        // Its BY and GET patterns name keys only together with what the list holds.
        b"SORT_RO" => Some(Keys::range(1, 1, 1)),
        _ => None,
    }
}

/// The arity of a command that takes more arguments on newer servers than on the one that
/// described it.
pub(crate) const fn arity(name: &str) -> Option<i16> {
    match name.as_bytes() {
        // WITHSCORE (Redis 7.2).
        b"ZRANK" | b"ZREVRANK" => Some(-3),
        // A command without arguments (Redis 7.2).
        b"COMMAND GETKEYS" | b"COMMAND GETKEYSANDFLAGS" => Some(-3),
        // NO ONE (Valkey 9.0).
        b"CLUSTER REPLICATE" => Some(-3),
        _ => None,
    }
}
