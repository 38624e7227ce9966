//! The known word nearest to a mistyped one.

/// Longer words are not compared: nothing known is as long.
const MAX_LEN: usize = 64;

/// The nearest of `known`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= tolerance(word, candidate) || begins_alike(word, candidate)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `warning` for `warn`, `10.0.0.1` for `10.0.0.1:6379`.
fn begins_alike(word: &str, candidate: &str) -> bool {
    word.len().min(candidate.len()) >= 4
        && (word.starts_with(candidate) || candidate.starts_with(word))
}

/// A third of the longer word may differ.
fn tolerance(word: &str, candidate: &str) -> usize {
    (word.chars().count().max(candidate.chars().count()) / 3).max(1)
}

/// Edits (insert, delete, replace, swap neighbours) from one word to the other; case, `-` and `_` do not count.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let a = folded(a);
    let b = folded(b);
    if a.len() > MAX_LEN || b.len() > MAX_LEN {
        return a.len().max(b.len());
    }
    // Three rows of the optimal string alignment matrix: a swap looks two rows back.
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

fn folded(word: &str) -> Vec<char> {
    word.chars().map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("listen", "listen", 0),
            ("listen", "lisen", 1),
            ("listen", "lsiten", 1),
            ("Prefer_Replica", "prefer-replica", 0),
            ("rise", "fall", 4),
            ("", "abc", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn near_words_only() {
        let known = ["interval", "fast_interval", "rise", "fall"];
        assert_eq!(nearest("intervall", known), Some("interval"));
        assert_eq!(nearest("fast-interval", known), Some("fast_interval"));
        assert_eq!(nearest("fall_time", known), Some("fall"));
        assert_eq!(nearest("port", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
