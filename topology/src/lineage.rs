//! Replication identifiers, and which data continues which.

use std::fmt;

/// A `master_replid`: the name of one history of writes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplId([u8; 40]);

impl ReplId {
    /// Parses the 40 letters and digits of INFO; all zeros, Redis' "none", is no identifier.
    pub fn parse(text: &str) -> Option<Self> {
        let id: [u8; 40] = text.as_bytes().try_into().ok()?;
        let valid = id.iter().all(u8::is_ascii_alphanumeric) && id.iter().any(|byte| *byte != b'0');
        valid.then_some(Self(id))
    }
}

impl fmt::Debug for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Where a node's data comes from: its history, and the one that this was branched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// `master_replid`.
    pub id: ReplId,
    /// `master_replid2` with `second_repl_offset`.
    pub parent: Option<Parent>,
}

/// The history that a lineage continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// `master_replid2`.
    pub id: ReplId,
    /// The last offset that both histories have: `second_repl_offset` - 1.
    pub shared: u64,
}

impl Lineage {
    /// Does this lineage have everything that a node at `offset` of `other` has? The test that a
    /// master applies before a partial resync (replication.c, masterTryPartialResynchronization),
    /// without the question whether its backlog still reaches so far.
    pub fn covers(&self, other: &Self, offset: u64) -> bool {
        self.id == other.id
            || self.parent.is_some_and(|parent| parent.id == other.id && offset <= parent.shared)
    }

    /// Was this lineage branched from `other`?
    pub fn branched_from(&self, other: &Self) -> bool {
        self.parent.is_some_and(|parent| parent.id == other.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(letter: char) -> ReplId {
        ReplId::parse(&letter.to_string().repeat(40)).unwrap()
    }

    #[test]
    fn only_forty_letters_that_are_not_all_zero_are_an_identifier() {
        assert!(ReplId::parse("b48219af8436b4c8cc0bec932911fc1462902dfd").is_some());
        for text in ["", "b482", &"0".repeat(40), &"a".repeat(41), &"-".repeat(40)] {
            assert_eq!(ReplId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_lineage_covers_its_parent_up_to_the_branch() {
        let old = Lineage { id: id('a'), parent: None };
        let new = Lineage { id: id('b'), parent: Some(Parent { id: id('a'), shared: 100 }) };
        assert!(new.covers(&old, 100));
        assert!(!new.covers(&old, 101));
        assert!(new.covers(&new, 5000));
        assert!(!old.covers(&new, 0));
        assert!(new.branched_from(&old) && !old.branched_from(&new));
    }
}
