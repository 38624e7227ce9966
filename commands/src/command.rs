//! One command, or one subcommand of a container.

use crate::categories::Categories;
use crate::flags::Flags;
use crate::keys::Keys;
use crate::kind::Kind;
use crate::lookup;
use crate::overlay;

/// What is known about a command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Upper case; a subcommand has its container's name before it: `CONFIG GET`.
    pub name: &'static str,
    /// Number of arguments, the name included; negative: at least that many.
    pub arity: i16,
    /// What the server says of it, and a few flags of our own.
    pub flags: Flags,
    /// Its ACL categories.
    pub categories: Categories,
    /// How it travels.
    pub kind: Kind,
    /// Where its keys are.
    pub keys: Keys,
    /// Its place in the table.
    pub(crate) position: u16,
    /// A container's subcommands: from where in the table.
    pub(crate) subcommands_at: u16,
    /// And how many.
    pub(crate) subcommands: u16,
}

impl Command {
    /// A row of a table, as a server describes the command; the overlay completes it.
    /// `groups`: the ACL categories that its flags do not imply.
    pub(crate) const fn row(
        name: &'static str,
        arity: i16,
        bits: u32,
        groups: u32,
        keys: Keys,
    ) -> Command {
        let arity = match overlay::arity(name) {
            Some(arity) => arity,
            None => arity,
        };
        let flags = Flags::new(bits).with(overlay::flags(name));
        let categories = Categories::of(groups, bits);
        let kind = Kind::of(name, flags, keys);
        let (position, subcommands_at, subcommands) = (0, 0, 0);
        Command {
            name,
            arity,
            flags,
            categories,
            kind,
            keys,
            position,
            subcommands_at,
            subcommands,
        }
    }

    /// A row whose keys the server cannot describe: the overlay has to, or this does not compile.
    pub(crate) const fn movable(name: &'static str, arity: i16, bits: u32, groups: u32) -> Command {
        let keys = overlay::keys(name).expect("`overlay::keys` says where these keys are");
        Command::row(name, arity, bits, groups, keys)
    }

    /// Is `argc` (the name included) acceptable?
    pub const fn accepts(&self, argc: usize) -> bool {
        let arity = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { argc >= arity } else { argc == arity }
    }

    /// Is it a container, such as `CONFIG`? Its subcommands have entries of their own.
    pub const fn has_subcommands(&self) -> bool {
        self.subcommands > 0
    }

    /// The entry of a container's subcommand, by the argument behind the name, in any case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Command> {
        let behind_space = self.name.len() + 1;
        lookup::subcommands(self).iter().find(|subcommand| {
            let own = subcommand.name.as_bytes().get(behind_space..);
            own.is_some_and(|own| own.eq_ignore_ascii_case(name))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Kind, lookup};

    #[test]
    fn arity_is_exact_or_a_minimum() {
        let accepted = |name: &str| {
            let command = lookup(name.as_bytes()).unwrap();
            (0..6).filter(|&argc| command.accepts(argc)).collect::<Vec<_>>()
        };
        assert_eq!(accepted("GET"), [2]);
        assert_eq!(accepted("SET"), [3, 4, 5]);
        assert_eq!(accepted("PING"), [1, 2, 3, 4, 5]);
        // WITHSCORE, of a newer server than the one that described it.
        assert_eq!(accepted("ZRANK"), [3, 4, 5]);
    }

    #[test]
    fn a_subcommand_has_its_own_entry() {
        let config = lookup(b"config").unwrap();
        assert!(config.has_subcommands());
        assert_eq!(config.subcommand(b"gEt").unwrap().name, "CONFIG GET");
        assert_eq!(config.subcommand(b"SET").unwrap().name, "CONFIG SET");
        assert!(config.subcommand(b"NOSUCH").is_none());
        assert!(config.subcommand(b"").is_none());
        assert!(config.subcommand(b"CONFIG GET").is_none());
    }

    #[test]
    fn a_plain_command_has_none() {
        let get = lookup(b"GET").unwrap();
        assert!(!get.has_subcommands());
        assert!(get.subcommand(b"GET").is_none());
        // Its neighbour in the table begins with its name.
        assert!(lookup(b"XREAD").unwrap().subcommand(b"GROUP").is_none());
    }

    #[test]
    fn subcommands_of_both_sources_are_found() {
        let client = lookup(b"CLIENT").unwrap();
        for name in ["ID", "SETINFO", "NO-TOUCH", "CAPA", "UNPAUSE", "HELP"] {
            assert_eq!(client.subcommand(name.as_bytes()).unwrap().kind, Kind::Client, "{name}");
        }
    }
}
