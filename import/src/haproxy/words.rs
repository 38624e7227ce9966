//! The words of a line (HAProxy's manual, "Configuration file format").

/// One directive.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    /// From 1.
    pub(super) line: usize,
    /// At least one.
    pub(super) words: Vec<String>,
    /// As written, without its comment.
    pub(super) text: String,
}

impl Directive {
    pub(super) fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    /// The words from one on.
    pub(super) fn rest(&self, from: usize) -> &[String] {
        self.words.get(from..).unwrap_or_default()
    }
}

/// The directives of a text. What cannot be read as words comes with the reason.
pub(super) fn directives(text: &str) -> (Vec<Directive>, Vec<(usize, String, &'static str)>) {
    let (mut read, mut wrong) = (Vec::new(), Vec::new());
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let mut whole = line.to_owned();
        // A backslash at the end goes on with the next line.
        while whole.ends_with('\\') && !whole.ends_with("\\\\") {
            whole.pop();
            whole.push(' ');
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(next);
        }
        match split(&whole) {
            Ok((words, text)) if !words.is_empty() => {
                read.push(Directive { line: index + 1, words, text });
            }
            Ok(_) => {}
            Err(why) => wrong.push((index + 1, whole.trim().to_owned(), why)),
        }
    }
    (read, wrong)
}

/// The words, and the text without a comment.
fn split(line: &str) -> Result<(Vec<String>, String), &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.char_indices().peekable();
    let mut end = line.len();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') => {
                end = at;
                break;
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None | Some('"'), '\\') => {
                let escaped = chars.next().map(|(_, c)| c).ok_or("a backslash at its end")?;
                let c = match escaped {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'x' => {
                        let mut digit = || chars.next().and_then(|(_, c)| c.to_digit(16));
                        let (high, low) = (digit(), digit());
                        let code = high.zip(low).ok_or("`\\x` without two hexadecimal digits")?;
                        char::from_u32(code.0 * 16 + code.1).unwrap_or('?')
                    }
                    other => other,
                };
                word.get_or_insert_default().push(c);
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quotation mark that is not closed");
    }
    words.extend(word);
    Ok((words, line[..end].trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (line, expected) in [
            ("  bind *:6379 # clients", &["bind", "*:6379"][..]),
            (
                "tcp-check send info\\ replication\\r\\n",
                &["tcp-check", "send", "info replication\r\n"],
            ),
            ("tcp-check send \"AUTH a#b\"", &["tcp-check", "send", "AUTH a#b"]),
            ("a 'b \\n' \\#c", &["a", "b \\n", "#c"]),
            ("a \\x41", &["a", "A"]),
            ("a \"\"", &["a", ""]),
            ("   ", &[]),
            ("# x", &[]),
        ] {
            assert_eq!(split(line).unwrap().0, expected, "{line}");
        }
        for line in ["a \"b", "a 'b", "a \\", "a \\x4"] {
            assert!(split(line).is_err(), "{line}");
        }
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let (read, wrong) = directives("a\n\nb \\\n c\n\"\nd\n");
        let lines: Vec<(usize, usize)> = read.iter().map(|d| (d.line, d.words.len())).collect();
        assert_eq!(lines, [(1, 1), (3, 2), (6, 1)]);
        assert_eq!(wrong[0].0, 5);
    }
}
