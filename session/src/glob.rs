//! Patterns as Redis matches them: `*`, `?`, `[a-z]`, `[^x]` and `\` (util.c `stringmatchlen`).

/// Does the pattern describe all of `text`?
///
/// In at most `pattern × text` steps: of several `*` only the last one is ever tried again.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // There even `*` does not describe what is empty.
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut at, mut read) = (0, 0);
    // Behind the last `*`, and where what it stands for ends.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(read) {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, read));
        } else if let Some(next) = one(pattern, at, byte) {
            at = next;
            read += 1;
        } else if let Some((behind, end)) = star {
            at = behind;
            read = end + 1;
            star = Some((behind, read));
        } else {
            return false;
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// Where the pattern goes on if what stands at `at` describes this byte.
fn one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => class(pattern, at + 1, byte),
        b'\\' if at + 1 < pattern.len() => (pattern[at + 1] == byte).then_some(at + 2),
        own => (own == byte).then_some(at + 1),
    }
}

/// One of several bytes. What is not closed ends with the pattern.
fn class(pattern: &[u8], mut at: usize, byte: u8) -> Option<usize> {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        match pattern.get(at..).unwrap_or_default() {
            [] => break,
            [b'\\', own, ..] => {
                found |= *own == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [from, b'-', to, ..] => {
                found |= (from.min(to)..=from.max(to)).contains(&&byte);
                at += 3;
            }
            [own, ..] => {
                found |= *own == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign() {
        for (pattern, yes, no) in [
            (
                "report:*",
                &["report:", "report:1", "report:a:b"][..],
                &["report", "xreport:1", ""][..],
            ),
            ("*", &["a", "**"], &[""]),
            ("", &[""], &["a"]),
            ("a?c", &["abc", "a?c"], &["ac", "abbc"]),
            ("[abc]", &["a", "c"], &["d", "ab", ""]),
            ("[a-c]x", &["ax", "bx"], &["dx", "-x"]),
            ("[c-a]", &["a", "b", "c"], &["d"]),
            ("[^a-c]", &["d"], &["a", "c"]),
            ("[^a]*", &["bc"], &["ab"]),
            ("\\*", &["*"], &["a", "\\*"]),
            ("[\\]]", &["]"], &["\\", "a"]),
            ("[]", &[], &["]", "a"]),
            ("[^]", &["a"], &["ab"]),
            ("[ab", &["a", "b"], &["[ab", "ab"]),
            ("a\\", &["a\\"], &["a"]),
            ("a**b*", &["ab", "axb", "abb"], &["a", "xab"]),
            ("*a*b", &["ab", "xaxbxb"], &["aba", "b"]),
        ] {
            for text in yes {
                assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
            }
            for text in no {
                assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let pattern = b"*a".repeat(500);
        assert!(!matches(&pattern, &[b"a".repeat(100_000), b"b".to_vec()].concat()));
    }
}
