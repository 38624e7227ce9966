//! The ACL categories of a command, as Redis has them: `@read`, `@hash`, ….

use std::fmt;

use crate::flags;

/// A set of ACL categories.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Categories(u32);

pub(crate) const KEYSPACE: u32 = 1 << 0;
pub(crate) const SET: u32 = 1 << 1;
pub(crate) const SORTEDSET: u32 = 1 << 2;
pub(crate) const LIST: u32 = 1 << 3;
pub(crate) const HASH: u32 = 1 << 4;
pub(crate) const STRING: u32 = 1 << 5;
pub(crate) const BITMAP: u32 = 1 << 6;
pub(crate) const HYPERLOGLOG: u32 = 1 << 7;
pub(crate) const GEO: u32 = 1 << 8;
pub(crate) const STREAM: u32 = 1 << 9;
pub(crate) const CONNECTION: u32 = 1 << 10;
pub(crate) const TRANSACTION: u32 = 1 << 11;
pub(crate) const SCRIPTING: u32 = 1 << 12;
/// `@admin` without the flag `admin`: `ROLE`, `LASTSAVE`.
pub(crate) const ADMINISTRATION: u32 = 1 << 13;
const READ: u32 = 1 << 14;
const WRITE: u32 = 1 << 15;
const FAST: u32 = 1 << 16;
const SLOW: u32 = 1 << 17;
const BLOCKING: u32 = 1 << 18;
const PUBSUB: u32 = 1 << 19;
const DANGEROUS: u32 = 1 << 20;

/// Every category with its name behind the `@`.
const NAMES: [(u32, &str); 21] = [
    (KEYSPACE, "keyspace"),
    (READ, "read"),
    (WRITE, "write"),
    (SET, "set"),
    (SORTEDSET, "sortedset"),
    (LIST, "list"),
    (HASH, "hash"),
    (STRING, "string"),
    (BITMAP, "bitmap"),
    (HYPERLOGLOG, "hyperloglog"),
    (GEO, "geo"),
    (STREAM, "stream"),
    (PUBSUB, "pubsub"),
    (ADMINISTRATION, "admin"),
    (FAST, "fast"),
    (SLOW, "slow"),
    (BLOCKING, "blocking"),
    (DANGEROUS, "dangerous"),
    (CONNECTION, "connection"),
    (TRANSACTION, "transaction"),
    (SCRIPTING, "scripting"),
];

impl Categories {
    /// What a command has in common with others (`groups`), and what its flags imply
    /// (server.c `setImplicitACLCategories`).
    pub(crate) const fn of(groups: u32, bits: u32) -> Categories {
        let mut categories = groups;
        if bits & flags::WRITE != 0 {
            categories |= WRITE;
        }
        if bits & flags::READONLY != 0 && groups & SCRIPTING == 0 {
            categories |= READ;
        }
        if bits & flags::ADMIN != 0 {
            categories |= ADMINISTRATION | DANGEROUS;
        }
        if bits & flags::DANGEROUS != 0 {
            categories |= DANGEROUS;
        }
        if bits & flags::PUBSUB != 0 {
            categories |= PUBSUB;
        }
        if bits & flags::BLOCKING != 0 {
            categories |= BLOCKING;
        }
        categories |= if bits & flags::FAST != 0 { FAST } else { SLOW };
        Categories(categories)
    }

    /// The category of this name, without the `@`, in lower case.
    pub(crate) fn named(name: &str) -> Option<Categories> {
        NAMES.iter().find(|(_, own)| *own == name).map(|(bit, _)| Categories(*bit))
    }

    /// The names of all categories there are.
    pub fn all_names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name)| *name)
    }

    /// The names of these.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(bit, _)| self.0 & bit != 0).map(|(_, name)| *name)
    }

    pub(crate) const fn has_any_of(self, other: Categories) -> bool {
        self.0 & other.0 != 0
    }

    /// Those that are only granted by these names themselves: what may harm the server or everyone's data, and scripts,
    /// whose commands nobody sees before they run.
    pub(crate) const EXPLICIT: Categories = Categories(DANGEROUS | ADMINISTRATION | SCRIPTING);
}

impl fmt::Debug for Categories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
