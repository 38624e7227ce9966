//! A word that names nothing.

use std::fmt;

/// A word of the configuration that is none of those that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    word: String,
    known: Vec<&'static str>,
}

impl UnknownName {
    /// The one of `all` that `word` names.
    pub(crate) fn find<T: Copy>(
        word: &str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Result<T, Self> {
        all.iter().copied().find(|&one| name(one) == word).ok_or_else(|| Self {
            word: word.to_owned(),
            known: all.iter().map(|&one| name(one)).collect(),
        })
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is none of {}", self.word, self.known.join(", "))
    }
}

impl std::error::Error for UnknownName {}
