//! Where a command goes: the table of DESIGN §2.6, as code. `explain` prints what this says.

use commands::{Command, Kind, SubscribeKind};
use config::Mode;
use topology::{Learned, LearnedCommands};

use crate::Call;
use crate::access::{self, Access};
use crate::info;

/// Which node a command needs. Ordered by strength: a batch goes where its most demanding command must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Any node that takes reads, by the pool's `reads`.
    Reads,
    /// A node that is a replica, whatever `reads` says: it refuses what writes.
    Replica,
    /// The first node in configuration order that takes reads: a cursor means something only where it was given.
    First,
    /// The shard's primary.
    Primary,
}

/// How a command travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Over a lane: one reply, and the connection is as it was.
    Lane {
        /// To which node.
        target: Target,
        /// Running it twice is as good as once: it may be sent again when its answer was lost.
        repeatable: bool,
        /// Its error replies are its own affair (scripts return any text): never held or replayed on them.
        opaque: bool,
    },
    /// To every node of the shard; the primary's reply is the client's.
    Everywhere,
    /// Over a connection of the client's own.
    Pinned {
        /// To which node.
        target: Target,
        /// What makes it need one.
        reason: PinReason,
    },
    /// Answered by Redkeel, or by the node on its behalf.
    Local(Local),
    /// Refused with an error.
    Reject(Rejection),
}

/// Why a command needs a connection of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinReason {
    /// It may wait; the flag says whether it only reads.
    Blocking {
        /// Takes no element: may be issued again after a lost connection.
        reads_only: bool,
    },
    /// MULTI whose EXEC has not come yet.
    Multi,
    /// WATCH.
    Watch,
    /// One of the SUBSCRIBE family.
    Subscribe(SubscribeKind),
    /// MONITOR.
    Monitor,
    /// WAIT and WAITAOF: travel with a PING before them.
    Wait,
    /// Nobody has described it: it may block or change the connection.
    Unknown,
    /// A module's command: likewise.
    Module,
    /// A node takes it while a script keeps it busy, and it is about that script: in no database.
    WhileBusy,
}

/// Commands about the client's own connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each is the command of that name (`ACL WHOAMI`), but for HangUp: what an HTTP client sends, and Info: \
              INFO about clients among others"
)]
pub enum Local {
    Auth,
    Hello,
    Select,
    Reset,
    Quit,
    Client,
    Exec,
    Discard,
    Unwatch,
    WhoAmI,
    Info,
    HangUp,
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A write on a `read` endpoint.
    ReadOnly,
    /// Replication commands, always.
    Replication,
    /// By the pool's `refuse`.
    Configured,
    /// The client has to log in first.
    Stranger,
    /// The user may not run it.
    Command {
        /// It is the subcommand that may not be run.
        with_subcommand: bool,
    },
    /// The user may not use one of its keys, or nobody knows what its keys are.
    Key,
    /// The user may not use one of its channels.
    Channel,
    /// Wrong number of arguments, so that its keys cannot be found.
    Arity,
    /// `SORT … BY` by someone who may not use all keys.
    SortBy,
    /// `SORT … GET` by someone who may not use all keys.
    SortGet,
    /// It has not come far enough to tell.
    Undecided,
}

/// What decides besides the command itself.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The listener's mode.
    pub mode: Mode,
    /// The pool's `refuse`, in upper case.
    pub refuse: &'a [String],
    /// What the nodes taught us.
    pub learned: &'a LearnedCommands,
    /// Whose rights count.
    pub access: Access<'a>,
}

/// Where `call` goes under `rules`, and the table's entry for it where there is one.
///
/// With a wrong number of arguments it does nothing but get one error, whatever it would do otherwise; the node says
/// which. To the primary where one may be asked: a newer server may know more arguments than the table does.
pub fn classify(call: Call<'_>, rules: &Rules<'_>) -> (Way, Option<&'static Command>) {
    let (way, command) = classify_begun(call, rules);
    match command {
        Some(command) if !command.accepts(call.len()) && !matches!(way, Way::Reject(_)) => (
            Way::Lane { target: by_mode(rules.mode), repeatable: false, opaque: false },
            Some(command),
        ),
        _ => (way, command),
    }
}

/// As [`classify`], for a command whose arguments have not all come.
pub fn classify_begun(call: Call<'_>, rules: &Rules<'_>) -> (Way, Option<&'static Command>) {
    let command = find(call);
    if !matches!(rules.access, Access::Open)
        && let Some(way) = guarded(call, command, rules.access)
    {
        return (way, command);
    }
    if !rules.refuse.is_empty() && is_refused(call, rules.refuse) {
        return (Way::Reject(Rejection::Configured), command);
    }
    let way = match command {
        Some(command) => known(command, call, rules.mode),
        None => unknown(call, rules),
    };
    (way, command)
}

/// What becomes of a command because of who its client is.
#[cold]
fn guarded(call: Call<'_>, command: Option<&'static Command>, access: Access<'_>) -> Option<Way> {
    if is_http(call) {
        return None;
    }
    if let Some(rejection) = access::denied(call, access) {
        return Some(Way::Reject(rejection));
    }
    // The nodes would name the user of `upstream`.
    let own = command.is_some_and(|command| command.name == "ACL WHOAMI");
    own.then_some(Way::Local(Local::WhoAmI))
}

/// A browser that was sent here to talk to Redis (Redis, `securityWarningCommand`).
fn is_http(call: Call<'_>) -> bool {
    call.name().eq_ignore_ascii_case(b"POST") || call.name().eq_ignore_ascii_case(b"HOST:")
}

/// The table's entry: the subcommand's own where the command is a container.
fn find(call: Call<'_>) -> Option<&'static Command> {
    let command = commands::lookup(call.name())?;
    if command.has_subcommands() && call.len() > 1 && command.kind != Kind::Client {
        return command.subcommand(call.arg(1));
    }
    Some(command)
}

fn is_refused(call: Call<'_>, refuse: &[String]) -> bool {
    refuse.iter().any(|entry| match entry.split_once(' ') {
        None => call.name().eq_ignore_ascii_case(entry.as_bytes()),
        Some((name, sub)) => {
            call.name().eq_ignore_ascii_case(name.as_bytes())
                && call.arg(1).eq_ignore_ascii_case(sub.as_bytes())
        }
    })
}

fn known(command: &'static Command, call: Call<'_>, mode: Mode) -> Way {
    let read_only = mode == Mode::Read;
    match command.kind {
        Kind::Read => {
            Way::Lane { target: by_reads(mode), repeatable: true, opaque: command.flags.script() }
        }
        Kind::Write if read_only => Way::Reject(Rejection::ReadOnly),
        Kind::Write => Way::Lane { target: Target::Primary, repeatable: false, opaque: false },
        Kind::MayReplicate => Way::Lane {
            target: if read_only { Target::Replica } else { Target::Primary },
            repeatable: command.flags.readonly(),
            opaque: command.flags.script(),
        },
        Kind::Cursor => Way::Lane {
            target: if read_only { Target::First } else { Target::Primary },
            repeatable: true,
            opaque: false,
        },
        Kind::Server if command.name == "INFO" && info::shows_clients(call) => {
            Way::Local(Local::Info)
        }
        Kind::Server => Way::Lane {
            target: if read_only { Target::Reads } else { Target::Primary },
            repeatable: command.flags.readonly() || only_asks(command.name),
            opaque: false,
        },
        Kind::Everywhere => Way::Everywhere,
        Kind::Blocking => blocking(command, call, mode),
        Kind::Wait => Way::Pinned { target: by_mode(mode), reason: PinReason::Wait },
        Kind::Subscribe(kind) => {
            Way::Pinned { target: by_mode(mode), reason: PinReason::Subscribe(kind) }
        }
        Kind::Multi => Way::Pinned { target: by_mode(mode), reason: PinReason::Multi },
        Kind::Watch => Way::Pinned { target: by_mode(mode), reason: PinReason::Watch },
        Kind::Monitor => Way::Pinned { target: by_mode(mode), reason: PinReason::Monitor },
        Kind::Module if command.flags.allow_busy() => {
            Way::Pinned { target: by_mode(mode), reason: PinReason::WhileBusy }
        }
        Kind::Module => {
            let target = if read_only { Target::Replica } else { Target::Primary };
            Way::Pinned { target, reason: PinReason::Module }
        }
        Kind::Exec => Way::Local(Local::Exec),
        Kind::Discard => Way::Local(Local::Discard),
        Kind::Unwatch => Way::Local(Local::Unwatch),
        Kind::Auth => Way::Local(Local::Auth),
        Kind::Hello => Way::Local(Local::Hello),
        Kind::Select => Way::Local(Local::Select),
        Kind::Reset => Way::Local(Local::Reset),
        Kind::Quit => Way::Local(Local::Quit),
        Kind::Client => Way::Local(Local::Client),
        Kind::Refused => Way::Reject(Rejection::Replication),
    }
}

/// Where reads go.
fn by_reads(mode: Mode) -> Target {
    match mode {
        Mode::Write => Target::Primary,
        Mode::Split | Mode::Read | Mode::Tcp(_) => Target::Reads,
    }
}

/// Where everything else goes that a replica may run as well.
fn by_mode(mode: Mode) -> Target {
    match mode {
        Mode::Read => Target::Reads,
        Mode::Split | Mode::Write | Mode::Tcp(_) => Target::Primary,
    }
}

fn blocking(command: &'static Command, call: Call<'_>, mode: Mode) -> Way {
    let reads_only = command.flags.readonly();
    if mode == Mode::Read && !reads_only {
        return Way::Reject(Rejection::ReadOnly);
    }
    let target = if reads_only { by_reads(mode) } else { Target::Primary };
    // Its timeout may be its last argument, and not have come.
    match commands::blocks(command, call.announced(), |index| call.arg(index)) {
        Some(_) => Way::Pinned { target, reason: PinReason::Blocking { reads_only } },
        None => Way::Lane { target, repeatable: reads_only, opaque: false },
    }
}

/// A command that the table lacks counts as a write until the nodes have described it.
fn unknown(call: Call<'_>, rules: &Rules<'_>) -> Way {
    let read_only = rules.mode == Mode::Read;
    let careful = if read_only { Target::Replica } else { Target::Primary };
    if is_http(call) {
        return Way::Local(Local::HangUp);
    }
    match learned(call.name(), rules.learned) {
        Some(learned) if learned.flags.module => {
            let read = learned.flags.readonly && !learned.flags.write;
            let target = if read { by_reads(rules.mode) } else { careful };
            Way::Pinned { target, reason: PinReason::Module }
        }
        Some(learned) if !learned.flags.blocking => {
            let read = learned.flags.readonly && learned.first_key > 0;
            let target = if read { by_reads(rules.mode) } else { careful };
            Way::Lane { target, repeatable: read, opaque: !read }
        }
        _ => Way::Pinned { target: careful, reason: PinReason::Unknown },
    }
}

pub(crate) fn learned(name: &[u8], learned: &LearnedCommands) -> Option<Learned> {
    if learned.is_empty() || name.len() > 64 {
        return None;
    }
    let mut upper = [0u8; 64];
    let upper = &mut upper[..name.len()];
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    learned.get(&*upper).copied()
}

/// Commands about the server that change nothing, though `COMMAND` does not flag them readonly.
fn only_asks(name: &str) -> bool {
    matches!(
        name,
        "INFO"
            | "ROLE"
            | "TIME"
            | "LASTSAVE"
            | "CONFIG GET"
            | "SLOWLOG GET"
            | "SLOWLOG LEN"
            | "LATENCY LATEST"
            | "LATENCY HISTORY"
            | "LATENCY DOCTOR"
            | "MEMORY STATS"
            | "MEMORY DOCTOR"
    ) || name.starts_with("COMMAND")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::with_call;
    use std::collections::HashMap;
    use topology::CommandFlags;

    fn way_with(line: &str, mode: Mode, refuse: &[String], learned: &LearnedCommands) -> Way {
        with_call(line, |call| {
            classify(call, &Rules { mode, refuse, learned, access: Access::Open }).0
        })
    }

    fn way(line: &str, mode: Mode) -> Way {
        way_with(line, mode, &[], &HashMap::new())
    }

    fn lane(target: Target, repeatable: bool) -> Way {
        Way::Lane { target, repeatable, opaque: false }
    }

    #[test]
    fn reads_go_by_reads_and_writes_to_the_primary() {
        assert_eq!(way("get k", Mode::Split), lane(Target::Reads, true));
        assert_eq!(way("GET k", Mode::Write), lane(Target::Primary, true));
        assert_eq!(way("ping", Mode::Split), lane(Target::Reads, true));
        assert_eq!(way("SET k v", Mode::Split), lane(Target::Primary, false));
        assert_eq!(way("LTRIM k 0 1", Mode::Split), lane(Target::Primary, false));
        assert_eq!(way("BITPOS k 1", Mode::Split), lane(Target::Reads, true));
        assert_eq!(way("GETDEL k", Mode::Split), lane(Target::Primary, false));
        assert_eq!(way("SORT k STORE d", Mode::Split), lane(Target::Primary, false));
    }

    #[test]
    fn a_read_endpoint_refuses_writes_and_keeps_what_may_write_off_the_primary() {
        assert_eq!(way("SET k v", Mode::Read), Way::Reject(Rejection::ReadOnly));
        assert_eq!(way("BLPOP k 0", Mode::Read), Way::Reject(Rejection::ReadOnly));
        assert_eq!(way("SCAN 0", Mode::Read), lane(Target::First, true));
        assert_eq!(
            way("EVAL x 0", Mode::Read),
            Way::Lane { target: Target::Replica, repeatable: false, opaque: true }
        );
        assert_eq!(
            way("NOSUCH x", Mode::Read),
            Way::Pinned { target: Target::Replica, reason: PinReason::Unknown }
        );
    }

    #[test]
    fn xread_is_pinned_only_where_it_blocks() {
        assert_eq!(way("XREAD STREAMS s 0", Mode::Split), lane(Target::Reads, true));
        assert_eq!(
            way("XREAD BLOCK 0 STREAMS s $", Mode::Split),
            Way::Pinned { target: Target::Reads, reason: PinReason::Blocking { reads_only: true } }
        );
    }

    #[test]
    fn config_get_is_not_config_set() {
        assert_eq!(way("CONFIG GET *", Mode::Split), lane(Target::Primary, true));
        assert_eq!(way("CONFIG SET a b", Mode::Split), lane(Target::Primary, false));
    }

    #[test]
    fn only_what_info_says_of_clients_is_the_pools() {
        for mode in [Mode::Split, Mode::Write, Mode::Read] {
            assert_eq!(way("INFO", mode), Way::Local(Local::Info));
            assert_eq!(way("info server clients", mode), Way::Local(Local::Info));
        }
        assert_eq!(way("INFO memory", Mode::Split), lane(Target::Primary, true));
        assert_eq!(way("INFO memory", Mode::Read), lane(Target::Reads, true));
    }

    #[test]
    fn a_wrong_number_of_arguments_changes_nothing() {
        for line in ["EXEC x", "MULTI x", "RESET x", "UNWATCH x", "WATCH", "SUBSCRIBE", "SELECT"] {
            assert_eq!(way(line, Mode::Split), lane(Target::Primary, false), "{line}");
            assert_eq!(way(line, Mode::Read), lane(Target::Reads, false), "{line}");
        }
        assert_eq!(way("BLPOP k", Mode::Split), lane(Target::Primary, false));
        assert_eq!(way("BLPOP k", Mode::Read), Way::Reject(Rejection::ReadOnly));
    }

    #[test]
    fn refusals() {
        assert_eq!(way("PSYNC ? -1", Mode::Split), Way::Reject(Rejection::Replication));
        let refuse = ["FLUSHALL".to_owned(), "CONFIG SET".to_owned()];
        let none = HashMap::new();
        let rejected = Way::Reject(Rejection::Configured);
        assert_eq!(way_with("flushall", Mode::Split, &refuse, &none), rejected);
        assert_eq!(way_with("config set a b", Mode::Split, &refuse, &none), rejected);
        assert_ne!(way_with("config get a", Mode::Split, &refuse, &none), rejected);
    }

    #[test]
    fn what_ends_a_script_does_not_queue_behind_it() {
        for line in ["SCRIPT KILL", "FUNCTION KILL", "FUNCTION STATS", "SHUTDOWN NOSAVE"] {
            let reason = PinReason::WhileBusy;
            let pinned = Way::Pinned { target: Target::Primary, reason };
            assert_eq!(way(line, Mode::Split), pinned, "{line}");
        }
    }

    #[test]
    fn an_unknown_command_is_pinned_until_it_is_learned() {
        assert_eq!(
            way("FOO.GET k", Mode::Split),
            Way::Pinned { target: Target::Primary, reason: PinReason::Unknown }
        );
        let entry = |flags| Learned { flags, arity: 2, first_key: 1, last_key: 1, key_step: 1 };
        let read = CommandFlags { readonly: true, ..CommandFlags::default() };
        let mut learned = HashMap::new();
        learned.insert(b"FOOGET".to_vec().into_boxed_slice(), entry(read));
        learned.insert(
            b"FOO.GET".to_vec().into_boxed_slice(),
            entry(CommandFlags { module: true, ..read }),
        );
        assert_eq!(way_with("fooget k", Mode::Split, &[], &learned), lane(Target::Reads, true));
        assert_eq!(
            way_with("foo.get k", Mode::Split, &[], &learned),
            Way::Pinned { target: Target::Reads, reason: PinReason::Module }
        );
    }
}
