//! What writers remember, and what became of it.

use std::ops::RangeInclusive;

use super::tagged;

/// One write, to a key that nobody else writes.
#[derive(Clone, Debug)]
pub struct Written {
    /// The key.
    pub key: String,
    /// How the writer was answered.
    pub outcome: Outcome,
    pub(super) value_bytes: RangeInclusive<usize>,
}

impl Written {
    /// The value.
    pub fn value(&self) -> Vec<u8> {
        tagged(&self.key, &self.value_bytes)
    }
}

/// How the writer was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With OK.
    Acknowledged,
    /// With OK, and WAIT said that a replica has it.
    Confirmed,
    /// Not, or with an error that leaves it open.
    Unknown,
    /// With an error that says it did not run, or it was never sent.
    Refused,
}

/// What became of the writes of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Answered with OK, confirmed or not.
    pub acknowledged: usize,
    /// Of these, confirmed by WAIT.
    pub confirmed: usize,
    /// Confirmed by WAIT, and missing.
    pub confirmed_lost: usize,
    /// Answered with OK, not confirmed, and missing.
    pub unconfirmed_lost: usize,
    /// With an unknown outcome.
    pub unknown: usize,
    /// Of these, there.
    pub unknown_present: usize,
    /// Refused.
    pub refused: usize,
    /// Refused, and there all the same.
    pub refused_but_present: usize,
}

impl Audit {
    pub(super) fn new(journal: &[Written], is_present: impl Fn(&str) -> bool) -> Self {
        let mut audit = Self::default();
        for write in journal {
            let present = usize::from(is_present(&write.key));
            match write.outcome {
                Outcome::Acknowledged => {
                    audit.acknowledged += 1;
                    audit.unconfirmed_lost += 1 - present;
                }
                Outcome::Confirmed => {
                    audit.acknowledged += 1;
                    audit.confirmed += 1;
                    audit.confirmed_lost += 1 - present;
                }
                Outcome::Unknown => {
                    audit.unknown += 1;
                    audit.unknown_present += present;
                }
                Outcome::Refused => {
                    audit.refused += 1;
                    audit.refused_but_present += present;
                }
            }
        }
        audit
    }

    /// Acknowledged and missing, confirmed or not.
    pub fn lost(&self) -> usize {
        self.confirmed_lost + self.unconfirmed_lost
    }
}
