//! Scripts that a pool's clients have run or loaded. A node knows only those that it was given since its process began,
//! and a primary passes none on: whoever sends EVALSHA would be told NOSCRIPT after each failover.

use std::collections::HashMap;
use std::sync::Arc;

/// What EVALSHA names a script by.
pub(crate) type Sha = [u8; 20];

/// Scripts that are kept of a pool, by each worker.
pub(crate) const SCRIPTS_MAX: usize = 1024;
/// And their bytes.
const SCRIPTS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A longer one is not kept.
const SCRIPT_BYTES_MAX: usize = 256 * 1024;

/// The scripts of a pool; where there is no room, the one that was not used for longest goes.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    by_sha: HashMap<Sha, Script>,
    by_text: HashMap<Arc<[u8]>, Sha>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Script {
    text: Arc<[u8]>,
    last_use: u64,
}

/// A script that a node has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) sha: Sha,
    /// Its text, where it was not known.
    pub(crate) news: Option<Arc<[u8]>>,
}

impl Scripts {
    /// Keeps a script; `None`: it is too long for that.
    pub(crate) fn accept(&mut self, text: &[u8]) -> Option<Accepted> {
        if text.len() > SCRIPT_BYTES_MAX {
            return None;
        }
        self.uses += 1;
        let last_use = self.uses;
        if let Some(sha) = self.by_text.get(text) {
            let sha = *sha;
            if let Some(script) = self.by_sha.get_mut(&sha) {
                script.last_use = last_use;
            }
            return Some(Accepted { sha, news: None });
        }
        let sha: Sha = sha1_smol::Sha1::from(text).digest().bytes();
        let text: Arc<[u8]> = text.into();
        self.bytes += text.len();
        self.by_text.insert(Arc::clone(&text), sha);
        self.by_sha.insert(sha, Script { text: Arc::clone(&text), last_use });
        while self.by_sha.len() > SCRIPTS_MAX || self.bytes > SCRIPTS_BYTES_MAX {
            self.drop_oldest();
        }
        Some(Accepted { sha, news: Some(text) })
    }

    fn drop_oldest(&mut self) {
        let oldest = self.by_sha.iter().min_by_key(|(_, script)| script.last_use);
        let Some(sha) = oldest.map(|(sha, _)| *sha) else {
            return;
        };
        if let Some(script) = self.by_sha.remove(&sha) {
            self.bytes -= script.text.len();
            self.by_text.remove(&script.text);
        }
    }

    /// The text of the script, where it is known.
    pub(crate) fn get(&mut self, sha: &Sha) -> Option<Arc<[u8]>> {
        let script = self.by_sha.get_mut(sha)?;
        self.uses += 1;
        script.last_use = self.uses;
        Some(Arc::clone(&script.text))
    }

    /// The same, and it does not count as a use.
    pub(crate) fn peek(&self, sha: &Sha) -> Option<&[u8]> {
        self.by_sha.get(sha).map(|script| &*script.text)
    }

    pub(crate) fn contains(&self, sha: &Sha) -> bool {
        self.by_sha.contains_key(sha)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The name of a script as EVALSHA gives it, in digits of either case.
pub(crate) fn parse_sha(hex: &[u8]) -> Option<Sha> {
    let mut sha = [0; 20];
    if hex.len() != 2 * sha.len() {
        return None;
    }
    for (byte, digits) in sha.iter_mut().zip(hex.chunks_exact(2)) {
        let high = char::from(digits[0]).to_digit(16)?;
        let low = char::from(digits[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(sha)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_found_by_its_sha1() {
        let mut scripts = Scripts::default();
        let accepted = scripts.accept(b"return 1").unwrap();
        // redis-cli SCRIPT LOAD 'return 1'
        let sha = parse_sha(b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db").unwrap();
        assert_eq!(parse_sha(b"E0E1F9FABFC9D4800C877A703B823AC0578FF8DB"), Some(sha));
        assert_eq!(accepted, Accepted { sha, news: Some(b"return 1".as_slice().into()) });
        assert_eq!(scripts.accept(b"return 1").unwrap(), Accepted { sha, news: None });
        assert_eq!(scripts.get(&sha).as_deref(), Some(b"return 1".as_slice()));
        scripts.clear();
        assert!(!scripts.contains(&sha));
    }

    #[test]
    fn what_is_no_sha1_is_none() {
        for text in ["", "e0e1", "g0e1f9fabfc9d4800c877a703b823ac0578ff8db"] {
            assert_eq!(parse_sha(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn the_limits_are_kept_and_the_longest_unused_goes_first() {
        let mut scripts = Scripts::default();
        let often = scripts.accept(b"return 'often'").unwrap().sha;
        let once = scripts.accept(b"return 'once'").unwrap().sha;
        for number in 0..2 * SCRIPTS_MAX {
            scripts.accept(format!("return {number}").as_bytes());
            assert!(scripts.get(&often).is_some());
        }
        assert!(!scripts.contains(&once));
        assert_eq!((scripts.by_sha.len(), scripts.by_text.len()), (SCRIPTS_MAX, SCRIPTS_MAX));
        assert_eq!(scripts.accept(&vec![b' '; SCRIPT_BYTES_MAX + 1]), None);
        for number in 0..100 {
            let mut long = vec![b' '; SCRIPT_BYTES_MAX];
            long[0] = number;
            scripts.accept(&long);
            assert!(scripts.bytes <= SCRIPTS_BYTES_MAX);
        }
        assert_eq!(scripts.bytes, scripts.by_text.keys().map(|text| text.len()).sum::<usize>());
    }
}
