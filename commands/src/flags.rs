//! The flags of a command: what `COMMAND` reports, and what the overlay adds by name.

use std::fmt;

/// A set of flags; the methods say what each means.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u32);

pub(crate) const WRITE: u32 = 1 << 0;
pub(crate) const READONLY: u32 = 1 << 1;
pub(crate) const DENYOOM: u32 = 1 << 2;
pub(crate) const ADMIN: u32 = 1 << 3;
pub(crate) const PUBSUB: u32 = 1 << 4;
pub(crate) const NOSCRIPT: u32 = 1 << 5;
pub(crate) const BLOCKING: u32 = 1 << 6;
pub(crate) const LOADING: u32 = 1 << 7;
pub(crate) const STALE: u32 = 1 << 8;
pub(crate) const SKIP_MONITOR: u32 = 1 << 9;
pub(crate) const SKIP_SLOWLOG: u32 = 1 << 10;
pub(crate) const ASKING: u32 = 1 << 11;
pub(crate) const FAST: u32 = 1 << 12;
pub(crate) const NO_AUTH: u32 = 1 << 13;
pub(crate) const MOVABLEKEYS: u32 = 1 << 14;
pub(crate) const NO_MANDATORY_KEYS: u32 = 1 << 15;
pub(crate) const NO_MULTI: u32 = 1 << 16;
pub(crate) const NO_ASYNC_LOADING: u32 = 1 << 17;
pub(crate) const ALLOW_BUSY: u32 = 1 << 18;
pub(crate) const MODULE: u32 = 1 << 19;
pub(crate) const DANGEROUS: u32 = 1 << 20;
pub(crate) const MAY_REPLICATE: u32 = 1 << 21;
pub(crate) const SCRIPT: u32 = 1 << 22;
pub(crate) const IDEMPOTENT: u32 = 1 << 23;

/// Every flag with the word `COMMAND` has for it. The last three are ours; `dangerous` is the ACL
/// category `@dangerous`.
const WORDS: [(u32, &str); 24] = [
    (WRITE, "write"),
    (READONLY, "readonly"),
    (DENYOOM, "denyoom"),
    (ADMIN, "admin"),
    (PUBSUB, "pubsub"),
    (NOSCRIPT, "noscript"),
    (BLOCKING, "blocking"),
    (LOADING, "loading"),
    (STALE, "stale"),
    (SKIP_MONITOR, "skip_monitor"),
    (SKIP_SLOWLOG, "skip_slowlog"),
    (ASKING, "asking"),
    (FAST, "fast"),
    (NO_AUTH, "no_auth"),
    (MOVABLEKEYS, "movablekeys"),
    (NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (NO_MULTI, "no_multi"),
    (NO_ASYNC_LOADING, "no_async_loading"),
    (ALLOW_BUSY, "allow_busy"),
    (MODULE, "module"),
    (DANGEROUS, "dangerous"),
    (MAY_REPLICATE, "may_replicate"),
    (SCRIPT, "script"),
    (IDEMPOTENT, "idempotent"),
];

impl Flags {
    /// The words of the flags that are set.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        WORDS.iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, word)| *word)
    }

    pub(crate) const fn new(bits: u32) -> Flags {
        Flags(bits)
    }

    pub(crate) const fn with(self, bits: u32) -> Flags {
        Flags(self.0 | bits)
    }

    pub(crate) const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    /// May change data; a replica refuses it.
    pub const fn write(self) -> bool {
        self.has(WRITE)
    }

    /// Reads keys and changes none.
    pub const fn readonly(self) -> bool {
        self.has(READONLY)
    }

    /// Refused while the server is out of memory.
    pub const fn denyoom(self) -> bool {
        self.has(DENYOOM)
    }

    /// An administrator's command.
    pub const fn admin(self) -> bool {
        self.has(ADMIN)
    }

    /// Belongs to publish/subscribe.
    pub const fn pubsub(self) -> bool {
        self.has(PUBSUB)
    }

    /// Not allowed in scripts.
    pub const fn noscript(self) -> bool {
        self.has(NOSCRIPT)
    }

    /// May make its client wait; see [`blocks`](crate::blocks).
    pub const fn blocking(self) -> bool {
        self.has(BLOCKING)
    }

    /// Answered while the server loads its data.
    pub const fn loading(self) -> bool {
        self.has(LOADING)
    }

    /// Answered by a replica whose link is down and that does not serve stale data.
    pub const fn stale(self) -> bool {
        self.has(STALE)
    }

    /// Allowed before authentication.
    pub const fn no_auth(self) -> bool {
        self.has(NO_AUTH)
    }

    /// First, last and step do not tell where the keys are.
    pub const fn movablekeys(self) -> bool {
        self.has(MOVABLEKEYS)
    }

    /// Takes keys but also works without any (`EVAL` with 0 keys).
    pub const fn no_mandatory_keys(self) -> bool {
        self.has(NO_MANDATORY_KEYS)
    }

    /// Not allowed inside MULTI.
    pub const fn no_multi(self) -> bool {
        self.has(NO_MULTI)
    }

    /// Answered while a script is running for too long.
    pub const fn allow_busy(self) -> bool {
        self.has(ALLOW_BUSY)
    }

    /// Comes from a module.
    pub const fn module(self) -> bool {
        self.has(MODULE)
    }

    /// In the ACL category `@dangerous`.
    pub const fn dangerous(self) -> bool {
        self.has(DANGEROUS)
    }

    /// Not flagged write, yet what it does may be replicated (`EVAL`, `PUBLISH`, `PFCOUNT`).
    /// `COMMAND` does not tell; from the overlay.
    pub const fn may_replicate(self) -> bool {
        self.has(MAY_REPLICATE)
    }

    /// Runs a script or a function: its error can be any text, after it has written. From the
    /// overlay.
    pub const fn script(self) -> bool {
        self.has(SCRIPT)
    }

    /// With the right arguments it has the same effect when run twice; see
    /// [`idempotent`](crate::idempotent()). From the overlay.
    pub const fn idempotent(self) -> bool {
        self.has(IDEMPOTENT)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.words()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_a_bit_and_a_word_of_its_own() {
        let bits = WORDS.iter().fold(0, |bits, (bit, _)| bits | bit);
        assert_eq!(bits.count_ones() as usize, WORDS.len());
        assert_eq!(Flags::new(bits).words().count(), WORDS.len());
    }

    #[test]
    fn debug_lists_the_words() {
        let flags = Flags::new(WRITE | FAST).with(IDEMPOTENT);
        assert_eq!(format!("{flags:?}"), r#"{"write", "fast", "idempotent"}"#);
    }
}
