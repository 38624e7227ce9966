//! `redkeel explain`: where a command would go, without sending anything.
//!
//! The way is what `session::classify` says, which is what the data plane asks for each command;
//! this module only puts it into words.

mod shards;

use std::os::unix::ffi::OsStrExt;

use commands::Command;
use config::{Config, Mode, Pool, Reads, RetryWrites, TcpRole};
use resp::RequestScanner;
use session::{Access, Call, Local, PinReason, Rejection, Rules, Target, Way};
use topology::LearnedCommands;

use self::shards::Groups;
use crate::cli::ExplainArgs;
use crate::failure::Failure;
use crate::output::print;
use crate::source;

/// Explains the command for each listener of each pool.
pub(crate) fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let words: Vec<&[u8]> = args.command.iter().map(|word| word.as_bytes()).collect();
    let line = Line::new(&words)?;
    let mut text = about(line.call());
    match &args.config {
        Some(file) => text += &line.explain(&source::of_file(file)?.config),
        None => {
            for mode in ["split", "read", "write"] {
                let [listen, server] = ["127.0.0.1:6379", "127.0.0.1:6380"].map(str::to_owned);
                text += &line.explain(&source::of_pool(&[listen], &[server], Some(mode))?);
            }
        }
    }
    print(&text)
}

/// A command line as the data plane gets to see it.
struct Line {
    bytes: Vec<u8>,
    scanner: RequestScanner,
}

impl Line {
    fn new(words: &[&[u8]]) -> Result<Self, Failure> {
        // Whatever fits on a command line: what a pool's own limits refuse does not depend on the command.
        let limits = resp::Limits {
            max_bulk: u64::from(u32::MAX),
            max_request: u64::from(u32::MAX),
            max_args: u32::MAX,
            max_inline: 0,
        };
        let mut bytes = Vec::new();
        resp::write_command(&mut bytes, words);
        let mut scanner = RequestScanner::new();
        scanner.scan(&bytes, &limits).map_err(|error| {
            Failure::internal(anyhow::anyhow!("a command of our own making: {error}"))
        })?;
        Ok(Self { bytes, scanner })
    }

    fn call(&self) -> Call<'_> {
        Call::new(&self.bytes, self.scanner.args())
    }

    fn explain(&self, config: &Config) -> String {
        let mut text = String::new();
        let groups = Groups::of(config);
        for pool in &config.pools {
            for listener in &pool.listeners {
                text += &format!(
                    "\npool {}, {} ({})\n",
                    pool.name,
                    listener.address,
                    listener.mode.as_str()
                );
                text += &self.at(pool, listener.mode, &groups);
            }
        }
        text
    }

    fn at(&self, pool: &Pool, mode: Mode, groups: &Groups) -> String {
        if let Mode::Tcp(role) = mode {
            let node = match role {
                TcpRole::Primary => "the primary",
                TcpRole::Replica => "a node that takes reads",
            };
            return field(
                "goes to",
                &format!("{node}, like every byte of this client: nothing is looked at"),
            );
        }
        let learned = LearnedCommands::new();
        let rules = Rules { mode, refuse: &pool.refuse, learned: &learned, access: Access::Open };
        let (way, command) = session::classify(self.call(), &rules);
        groups
            .explain(pool, mode, self.call(), way, command)
            .unwrap_or_else(|| travels(self.call(), command, mode, way, pool, ""))
    }
}

/// How a command goes to the nodes of a pool with one group; `group` stands before what is said of the node.
fn travels(
    call: Call<'_>,
    command: Option<&'static Command>,
    mode: Mode,
    way: Way,
    pool: &Pool,
    group: &str,
) -> String {
    let node = |target| format!("{group}{}", place(target, pool));
    match way {
        Way::Lane { target, repeatable, opaque } => {
            let repeat = Repeat { call, command, pool, repeatable };
            field("goes to", &node(target))
                + &field("travels", "over a shared connection (lane)")
                + &field("if lost", &repeat.text())
                + &field("if refused", if_refused(opaque))
        }
        Way::Everywhere => {
            let first = if mode == Mode::Read { Target::Reads } else { Target::Primary };
            let text =
                format!("{group}every node; the client gets the reply of {}", place(first, pool));
            field("goes to", &text) + &field("travels", "over shared connections (lanes)")
        }
        Way::Pinned { target, reason } => {
            let travels = format!("over a connection of the client's own: {}", pin_text(reason));
            field("goes to", &node(target))
                + &field("travels", &travels)
                + &field("if lost", lost_text(reason))
        }
        Way::Local(local) => field("answered", local_text(local, pool)),
        Way::Reject(rejection) => field("refused", rejection_text(rejection)),
    }
}

/// One line under its heading.
fn field(label: &str, text: &str) -> String {
    format!("  {label:<10}  {text}\n")
}

// === the command itself ===

/// What it is, whatever the pool.
fn about(call: Call<'_>) -> String {
    let words: Vec<String> = (0..call.len()).map(|index| shown(call.arg(index))).collect();
    let mut text = words.join(" ") + "\n";
    let learned = LearnedCommands::new();
    let rules = Rules { mode: Mode::Split, refuse: &[], learned: &learned, access: Access::Open };
    let (_, command) = session::classify(call, &rules);
    let Some(command) = command else {
        let why = "not in the built-in table: until a node's COMMAND INFO has described it, it counts as a write";
        return text + &field("unknown", why);
    };
    let flags: Vec<&str> = command.flags.words().collect();
    text += &field("command", &format!("{}: {}", command.name, flags.join(", ")));
    if !command.accepts(call.len()) {
        text += &field("wrong", &format!("its node will refuse it: {}", arity_text(command)));
    }
    text + &field("keys", &keys_text(command, call))
}

fn arity_text(command: &Command) -> String {
    // The table counts the name, people count what follows it.
    let least = command.arity.unsigned_abs() - 1 - command.name.matches(' ').count() as u16;
    let at_least = if command.arity < 0 { "at least " } else { "" };
    let plural = if least == 1 { "" } else { "s" };
    format!("{} takes {at_least}{least} argument{plural}", command.name)
}

fn keys_text(command: &Command, call: Call<'_>) -> String {
    let mut indexes = Vec::new();
    match commands::keys(command, call.len(), |index| call.arg(index), &mut indexes) {
        Err(error) => format!("not found: {error}"),
        Ok(()) if indexes.is_empty() => "none".to_owned(),
        Ok(()) => {
            let keys: Vec<String> = indexes.iter().map(|index| shown(call.arg(*index))).collect();
            keys.join(" ")
        }
    }
}

/// An argument as one would type it: what is not printable is escaped, what is empty is quoted.
fn shown(bytes: &[u8]) -> String {
    if bytes.is_empty() { "\"\"".to_owned() } else { bytes.escape_ascii().to_string() }
}

// === where it goes ===

fn place(target: Target, pool: &Pool) -> String {
    let balance = pool.balance.as_str();
    match target {
        Target::Primary => "the primary".to_owned(),
        Target::Replica => format!(
            "a replica by {balance}, never the primary: the replica refuses it if it writes"
        ),
        Target::First => {
            "the first node in configuration order that takes reads: a cursor means something only there"
                .to_owned()
        }
        Target::Reads => match pool.reads {
            Reads::PreferReplica => format!(
                "a replica by {balance}, the primary while there is none (reads = \"prefer-replica\")"
            ),
            Reads::Replica => format!("a replica by {balance} (reads = \"replica\")"),
            Reads::PreferPrimary => format!(
                "the primary, a replica by {balance} while there is none (reads = \"prefer-primary\")"
            ),
            Reads::Primary => "the primary (reads = \"primary\")".to_owned(),
            Reads::Any => format!("the primary or a replica by {balance} (reads = \"any\")"),
        },
    }
}

// === what happens when its answer is lost ===

struct Repeat<'a> {
    call: Call<'a>,
    command: Option<&'static Command>,
    pool: &'a Pool,
    repeatable: bool,
}

impl Repeat<'_> {
    fn text(&self) -> String {
        if self.repeatable {
            let retries = self.pool.limits.retries;
            format!("sent again, to another node if there is one, up to {retries} times")
        } else if self.is_idempotent() && self.pool.retry_writes == RetryWrites::Idempotent {
            "sent again: running it twice does what once does (retry_writes = \"idempotent\")"
                .to_owned()
        } else {
            "the client gets -OUTCOMEUNKNOWN: it may have run".to_owned()
        }
    }

    fn is_idempotent(&self) -> bool {
        let arg = |index| self.call.arg(index);
        self.command.is_some_and(|command| commands::idempotent(command, self.call.len(), arg))
    }
}

fn if_refused(opaque: bool) -> &'static str {
    if opaque {
        "the error is passed on: a script may have written before it failed"
    } else {
        "with READONLY, LOADING, MASTERDOWN or the like: held, then sent to another node"
    }
}

fn lost_text(reason: PinReason) -> &'static str {
    match reason {
        PinReason::Blocking { reads_only: true } => "issued again for the remaining time",
        PinReason::Blocking { reads_only: false } => {
            "the client gets -OUTCOMEUNKNOWN: an element may be gone"
        }
        PinReason::Multi => {
            "before EXEC: EXEC gets -EXECABORT, nothing ran; after it: -OUTCOMEUNKNOWN"
        }
        PinReason::Watch => "EXEC gets nil, as if a watched key had changed",
        PinReason::Subscribe(_) => {
            "subscribed again elsewhere; messages in between are missed, and counted"
        }
        PinReason::Monitor => "the client is closed",
        PinReason::Wait => "0 replicas are answered",
        PinReason::Unknown | PinReason::Module | PinReason::WhileBusy => {
            "the client gets -OUTCOMEUNKNOWN: it may have run"
        }
    }
}

fn pin_text(reason: PinReason) -> &'static str {
    match reason {
        PinReason::Blocking { .. } => "it may wait",
        PinReason::Multi => {
            "a transaction is open until EXEC (one that arrives whole goes over a lane, as one unit)"
        }
        PinReason::Watch => "the node remembers the watched keys for that connection",
        PinReason::Subscribe(_) => "messages come by it",
        PinReason::Monitor => "the node's commands come by it",
        PinReason::Wait => "asked of the node that ran the client's own writes",
        PinReason::Unknown => "nobody has described it, it may wait or change its connection",
        PinReason::Module => "it may wait or change its connection",
        PinReason::WhileBusy => "it must not wait behind the script that it is about",
    }
}

// === what no node gets ===

fn local_text(local: Local, pool: &Pool) -> &'static str {
    match local {
        Local::Auth | Local::Hello if pool.auth == config::Auth::PassThrough => {
            "by a node: the credentials are passed on, and key the client's connections from then on"
        }
        Local::Auth | Local::Hello if pool.auth == config::Auth::Users => {
            "by Redkeel: the credentials are checked by the pool's users"
        }
        Local::Info => "by a node, with the pool's clients for its own connections",
        Local::WhoAmI => "by Redkeel: the nodes would name the user of `upstream`",
        Local::Auth => "by Redkeel: clients need no credentials here (auth = \"none\")",
        Local::Hello => "by Redkeel: the protocol is the client's own",
        Local::Select => {
            "by Redkeel: the client's later commands go over connections with that database"
        }
        Local::Reset => "by Redkeel: the client is as new",
        Local::Quit => "by Redkeel, then the connection is closed",
        Local::HangUp => "not at all: the connection is closed, as it is what an HTTP client sends",
        Local::Client => "by Redkeel; CLIENT TRACKING takes a connection of the client's own",
        Local::Exec => {
            "by the node that has the transaction; without MULTI: -ERR EXEC without MULTI"
        }
        Local::Discard => {
            "by the node that has the transaction; without MULTI: -ERR DISCARD without MULTI"
        }
        Local::Unwatch => "by the node that watches; without WATCH: by Redkeel",
    }
}

fn rejection_text(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::ReadOnly => "-READONLY: this listener takes no writes",
        Rejection::Replication => "always: replication does not pass a proxy",
        Rejection::Configured => "by this pool's `refuse`",
        _ => "by what the client's user may do",
    }
}
