//! `[pool.NAME.users.USER]`.

use super::{OptionTable, Optional};
use crate::kinds::{CommandRules, NamePatterns, UserPasswords};

pub(crate) static TABLE: OptionTable = OptionTable {
    path: "pool.NAME.users.\"USER\"",
    place: "`[pool.NAME.users.\"USER\"]`",
    meaning: "A user, for `auth = \"users\"`: what clients may do is checked here, the nodes see the credentials of \
              `upstream`. As in Redis, a new user may do nothing before something is granted; the user `default`, whose \
              name AUTH may leave out, may do everything that is not taken away.",
    options: &[&PASSWORD, &COMMANDS, &KEYS, &CHANNELS],
    tables: &[],
    later: &[],
};

pub(crate) static PASSWORD: Optional<UserPasswords> = Optional {
    key: "password",
    kind: UserPasswords,
    absent: None,
    example: "{ sha256 = \"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\" }",
    meaning: "The password, its SHA-256, or a list of passwords each of which is right.",
    more: "To change a password without an interruption, list both until all clients have the new one.",
};

pub(crate) static COMMANDS: Optional<CommandRules> = Optional {
    key: "commands",
    kind: CommandRules,
    absent: Some("none; for `default`: `[\"+@all\"]`"),
    example: "[\"+@read\", \"+config|get\", \"-get\"]",
    meaning: "What the user may run: ACL rules of Redis (`+@read`, `-get`, `+config|get`), in order.",
    more: "Commands of the categories `@dangerous`, `@admin` and `@scripting` are granted by their name or by these categories \
           only: neither `+@all` nor another category grants them. What a script does nobody sees before it runs: whoever may \
           run scripts or functions may do with any key what the credentials of `upstream` may. Commands that Redkeel does not know need \
           `+@all` or their name.",
};

pub(crate) static KEYS: Optional<NamePatterns> = Optional {
    key: "keys",
    kind: NamePatterns { sign: '~' },
    absent: Some("none; for `default`: all"),
    example: "[\"report:*\"]",
    meaning: "Patterns of the keys that the user may name, as in `KEYS`; `\"*\"`: all.",
    more: "As in Redis they are checked where a command names keys: SCAN and DBSIZE are about all keys. Who may not use all keys \
           gets no command whose keys are not known, no BY and GET of SORT, and no command over 1 MiB whose keys do not come within its first MiB.",
};

pub(crate) static CHANNELS: Optional<NamePatterns> = Optional {
    key: "channels",
    kind: NamePatterns { sign: '&' },
    absent: Some("none; for `default`: all"),
    example: "[\"news:*\"]",
    meaning: "Patterns of the channels that the user may publish and subscribe to; `\"*\"`: all.",
    more: "PSUBSCRIBE takes a pattern that stands here literally.",
};
