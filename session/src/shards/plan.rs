//! Which shards a command is for.

use std::ops::ControlFlow;

use commands::{Command, Keys, Kind};
use topology::LearnedCommands;

use super::merge::Merge;
use crate::Call;
use crate::classify::learned;

/// How keys are laid out over shards.
pub trait Layout {
    /// The shard of a key, or of a channel.
    fn shard(&self, key: &[u8]) -> usize;

    /// The shards of many keys, in their order.
    fn shards<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Vec<usize> {
        keys.map(|key| self.shard(key)).collect()
    }

    /// Where what has no key goes if it has to be always the same: the first shard that is not left out.
    fn first(&self) -> usize {
        0
    }

    /// May MSETNX be split, though it is not atomic then?
    fn splits_msetnx(&self) -> bool;
}

/// What is done with a command in a pool of several shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It goes to this shard as it is.
    One(usize),
    /// Any shard can answer it.
    Any,
    /// Each shard gets the part with its keys, which stand at every `step`th argument.
    Split {
        /// Distance between two keys.
        step: usize,
        /// How the replies become one.
        merge: Merge,
    },
    /// Each shard gets it as it is.
    All(Merge),
    /// `SCAN`: one shard after the other.
    Scan,
    /// `WAIT`, `WAITAOF`: the shards that the client has written to.
    Written,
    /// Its keys are on several shards: these two arguments, for example.
    Crosses {
        /// A key.
        one: usize,
        /// A key of another shard.
        other: usize,
    },
    /// It speaks of one server, and which one cannot be told.
    OneServer,
}

/// Where `call` goes. `command` is the table's entry for it, the subcommand's own where there is one.
pub fn plan(
    call: Call<'_>,
    command: Option<&Command>,
    learned: &LearnedCommands,
    layout: &impl Layout,
) -> Plan {
    match command {
        Some(command) if !command.accepts(call.len()) => Plan::Any,
        Some(command) if command.keys == Keys::None => keyless(call, command, layout),
        Some(command) => keyed(call, command, layout),
        None => undescribed(call, learned, layout),
    }
}

fn keyed(call: Call<'_>, command: &Command, layout: &impl Layout) -> Plan {
    let mut first: Option<(usize, usize)> = None;
    let mut other = None;
    let visited = commands::visit_keys(
        command,
        call.len(),
        |index| call.arg(index),
        |index| {
            let shard = layout.shard(call.arg(index));
            match first {
                None => first = Some((index, shard)),
                Some((_, known)) if known != shard => {
                    other = Some(index);
                    return ControlFlow::Break(());
                }
                Some(_) => {}
            }
            ControlFlow::Continue(())
        },
    );
    match (first, other) {
        // A script that names no key may still write: it does so on one shard, always the same.
        (None, _) if visited.is_ok() => Plan::One(layout.first()),
        // A node says in its own words what is wrong with it.
        (None, _) => Plan::Any,
        (Some((_, shard)), None) => Plan::One(shard),
        (Some((one, _)), Some(other)) => match crossing(command, layout) {
            // A key without its value: in parts each would be well formed.
            Some(Plan::Split { step, .. }) if !(call.len() - 1).is_multiple_of(step) => Plan::Any,
            crossing => crossing.unwrap_or(Plan::Crosses { one, other }),
        },
    }
}

/// The commands that mean the same for all keys together as for some at a time.
fn crossing(command: &Command, layout: &impl Layout) -> Option<Plan> {
    let (step, merge) = match command.name {
        "MGET" => (1, Merge::Interleave),
        "DEL" | "UNLINK" | "EXISTS" | "TOUCH" => (1, Merge::Sum),
        "MSET" => (2, Merge::Same),
        "MSETNX" if layout.splits_msetnx() => (2, Merge::Least),
        _ => return None,
    };
    Some(Plan::Split { step, merge })
}

fn keyless(call: Call<'_>, command: &Command, layout: &impl Layout) -> Plan {
    let merge = match command.name {
        "PUBLISH" | "SPUBLISH" => return Plan::One(layout.shard(call.arg(1))),
        "SCAN" => return Plan::Scan,
        "WAIT" | "WAITAOF" => return Plan::Written,
        // A script that names no key may still write.
        _ if command.flags.script() => return Plan::One(layout.first()),
        "MONITOR" | "SHUTDOWN" | "DEBUG" | "REPLICAOF" | "SLAVEOF" | "FAILOVER"
        | "SCRIPT DEBUG" => {
            return Plan::OneServer;
        }
        "ACL LOG" if call.arg(2).eq_ignore_ascii_case(b"RESET") => Merge::Same,
        "KEYS" | "SLOWLOG GET" | "COMMANDLOG GET" | "ACL LOG" => Merge::Concat,
        "PUBSUB CHANNELS" | "PUBSUB SHARDCHANNELS" => Merge::Union,
        "PUBSUB NUMSUB" | "PUBSUB SHARDNUMSUB" => Merge::SumByName,
        "PUBSUB NUMPAT" => Merge::Greatest,
        "DBSIZE" | "SLOWLOG LEN" | "COMMANDLOG LEN" | "LATENCY RESET" => Merge::Sum,
        "LASTSAVE" | "ACL DELUSER" => Merge::Least,
        "SCRIPT EXISTS" => Merge::LeastEach,
        "RANDOMKEY" => Merge::AnyKey,
        "INFO" => Merge::Info,
        "CONFIG GET" => Merge::Config,
        "SCRIPT KILL" | "FUNCTION KILL" => Merge::AnyDone,
        "FLUSHALL" | "FLUSHDB" | "SWAPDB" | "SCRIPT LOAD" | "SCRIPT FLUSH" | "FUNCTION LOAD"
        | "FUNCTION DELETE" | "FUNCTION FLUSH" | "FUNCTION RESTORE" | "CONFIG SET"
        | "CONFIG RESETSTAT" | "CONFIG REWRITE" | "SLOWLOG RESET" | "COMMANDLOG RESET"
        | "MEMORY PURGE" | "SAVE" | "BGSAVE" | "BGREWRITEAOF" | "ACL SETUSER" | "ACL LOAD"
        | "ACL SAVE" | "MODULE LOAD" | "MODULE LOADEX" | "MODULE UNLOAD" => Merge::Same,
        _ => return Plan::Any,
    };
    debug_assert_ne!(command.kind, Kind::Refused, "classified before");
    Plan::All(merge)
}

/// A command that the table lacks. As nearly all commands have their key first, that is taken for one until a node has
/// said where its keys are.
fn undescribed(call: Call<'_>, known: &LearnedCommands, layout: &impl Layout) -> Plan {
    let Some(learned) = learned(call.name(), known) else {
        let key = call.rest().next();
        return Plan::One(key.map_or_else(|| layout.first(), |key| layout.shard(key)));
    };
    let Ok(first) = usize::try_from(learned.first_key) else {
        return Plan::One(layout.first());
    };
    if first == 0 || first >= call.len() {
        return Plan::One(layout.first());
    }
    let last = match usize::try_from(learned.last_key) {
        Ok(last) => last.min(call.len() - 1),
        Err(_) => call.len().saturating_sub(learned.last_key.unsigned_abs() as usize),
    };
    let step = usize::try_from(learned.key_step).unwrap_or(1).max(1);
    let shard = layout.shard(call.arg(first));
    let other = (first..=last).step_by(step).find(|index| layout.shard(call.arg(*index)) != shard);
    other.map_or(Plan::One(shard), |other| Plan::Crosses { one: first, other })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::with_call;
    use std::collections::HashMap;
    use topology::{CommandFlags, Learned};

    /// The shard is the number that a key ends with.
    struct ByDigit {
        msetnx: bool,
    }

    impl Layout for ByDigit {
        fn shard(&self, key: &[u8]) -> usize {
            usize::from(key.last().map_or(0, |byte| byte - b'0'))
        }

        fn splits_msetnx(&self) -> bool {
            self.msetnx
        }
    }

    fn planned_by(line: &str, known: &LearnedCommands, msetnx: bool) -> Plan {
        with_call(line, |call| {
            let command = commands::lookup(call.name());
            let command = match command {
                Some(command) if command.has_subcommands() && call.len() > 1 => {
                    command.subcommand(call.arg(1))
                }
                other => other,
            };
            plan(call, command, known, &ByDigit { msetnx })
        })
    }

    fn planned(line: &str) -> Plan {
        planned_by(line, &HashMap::new(), false)
    }

    #[test]
    fn keys_of_one_shard_go_there_as_they_are() {
        for line in ["GET k1", "MSET a1 x b1 y", "EVAL script 2 a1 b1 x", "XREAD STREAMS s1 0"] {
            assert_eq!(planned(line), Plan::One(1), "{line}");
        }
        assert_eq!(planned("SUBSTR k2 0 1"), Plan::One(2));
        assert_eq!(planned("PUBLISH news3 hello"), Plan::One(3));
        assert_eq!(planned("OBJECT ENCODING k2"), Plan::One(2));
        assert_eq!(planned("XGROUP CREATE k2 g 0"), Plan::One(2));
    }

    #[test]
    fn what_can_be_split_is_split() {
        let split = |step, merge| Plan::Split { step, merge };
        assert_eq!(planned("MGET a1 a2"), split(1, Merge::Interleave));
        assert_eq!(planned("MSET a1 x a2 y"), split(2, Merge::Same));
        for line in ["DEL a1 a2", "UNLINK a1 a2", "EXISTS a1 a2", "TOUCH a1 a2"] {
            assert_eq!(planned(line), split(1, Merge::Sum), "{line}");
        }
        let crosses = Plan::Crosses { one: 1, other: 3 };
        assert_eq!(planned("MSETNX a1 x a2 y"), crosses);
        let none = HashMap::new();
        assert_eq!(planned_by("MSETNX a1 x a2 y", &none, true), split(2, Merge::Least));
    }

    #[test]
    fn what_cannot_be_split_names_two_keys() {
        assert_eq!(planned("RENAME a1 b2"), Plan::Crosses { one: 1, other: 2 });
        assert_eq!(planned("SINTER a1 b1 c2"), Plan::Crosses { one: 1, other: 3 });
        assert_eq!(planned("EVAL script 2 a1 b2"), Plan::Crosses { one: 3, other: 4 });
        assert_eq!(planned("BLPOP a1 b2 0"), Plan::Crosses { one: 1, other: 2 });
    }

    #[test]
    fn commands_without_keys() {
        assert_eq!(planned("PING"), Plan::Any);
        assert_eq!(planned("DBSIZE"), Plan::All(Merge::Sum));
        assert_eq!(planned("SCRIPT LOAD x"), Plan::All(Merge::Same));
        assert_eq!(planned("CONFIG GET *"), Plan::All(Merge::Config));
        assert_eq!(planned("ACL LOG"), Plan::All(Merge::Concat));
        assert_eq!(planned("ACL LOG 3"), Plan::All(Merge::Concat));
        assert_eq!(planned("ACL LOG reset"), Plan::All(Merge::Same));
        assert_eq!(planned("MODULE LOAD x.so"), Plan::All(Merge::Same));
        assert_eq!(planned("SCAN 0"), Plan::Scan);
        assert_eq!(planned("WAIT 1 0"), Plan::Written);
        assert_eq!(planned("EVAL script 0"), Plan::One(0));
        assert_eq!(planned("MONITOR"), Plan::OneServer);
    }

    #[test]
    fn a_wrong_number_of_arguments_is_a_nodes_to_refuse() {
        assert_eq!(planned("GET"), Plan::Any);
        assert_eq!(planned("DBSIZE x"), Plan::Any);
        assert_eq!(planned("EVAL script 5 a1"), Plan::Any);
        assert_eq!(planned("MSET a1 x b2"), Plan::Any);
    }

    #[test]
    fn an_unknown_command_goes_by_its_first_argument_until_it_is_learned() {
        assert_eq!(planned("BF.ADD k2 x"), Plan::One(2));
        assert_eq!(planned("NOSUCH"), Plan::One(0));
        let entry = |first_key, last_key, key_step| Learned {
            flags: CommandFlags::default(),
            arity: -2,
            first_key,
            last_key,
            key_step,
        };
        let learned = |name: &str, learned| {
            HashMap::from([(name.as_bytes().to_vec().into_boxed_slice(), learned)])
        };
        let known = learned("X.MGET", entry(1, -2, 1));
        assert_eq!(planned_by("x.mget a1 b1 path2", &known, false), Plan::One(1));
        let crosses = Plan::Crosses { one: 1, other: 2 };
        assert_eq!(planned_by("x.mget a1 b2 path2", &known, false), crosses);
        let known = learned("X.LIST", entry(0, 0, 0));
        assert_eq!(planned_by("x.list a1", &known, false), Plan::One(0));
        let known = learned("X.ODD", entry(7, -9, 1));
        assert_eq!(planned_by("x.odd a1", &known, false), Plan::One(0));
    }
}
