//! The lines of `predixy.conf` (ConfParser.cpp): `Key value`, and `Key value {` … `}`.

use std::rc::Rc;

use crate::Files;
use crate::report::Report;

/// One key with its value, and what is within its braces.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) file: Rc<str>,
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) inner: Vec<Node>,
    /// Has it braces?
    pub(super) scope: bool,
    /// Is its file not the one that was asked for?
    included: bool,
}

impl Node {
    pub(super) fn is(&self, key: &str) -> bool {
        self.key.eq_ignore_ascii_case(key)
    }

    /// For comments.
    pub(super) fn place(&self) -> String {
        if self.included {
            format!("{}, line {}", self.file, self.line)
        } else {
            format!("Line {}", self.line)
        }
    }

    pub(super) fn text(&self) -> String {
        if self.value.is_empty() {
            self.key.clone()
        } else {
            format!("{} {}", self.key, self.value)
        }
    }
}

/// Braces within braces.
const MAX_DEPTH: usize = 10;
/// Files within files.
const MAX_FILES: usize = 20;
const MAX_NODES: usize = 100_000;

/// All keys of a file and of those that it includes, in order.
///
/// # Errors
///
/// What is wrong, and where.
pub(super) fn parse(
    text: &str,
    files: &dyn Files,
    report: &mut Report,
) -> Result<Vec<Node>, String> {
    let mut reader = Reader { files, report, open: Vec::new(), read: Vec::new(), nodes: 0 };
    let main: Rc<str> = reader.report.file().into();
    reader.file(&main, text, &mut vec![main.to_string()])?;
    match reader.open.pop() {
        Some(open) => Err(format!("{}:{}: `{}` is not closed", open.file, open.line, open.key)),
        None => Ok(reader.read),
    }
}

struct Reader<'a> {
    files: &'a dyn Files,
    report: &'a mut Report,
    open: Vec<Node>,
    read: Vec<Node>,
    nodes: usize,
}

impl Reader<'_> {
    fn file(&mut self, name: &Rc<str>, text: &str, within: &mut Vec<String>) -> Result<(), String> {
        for (index, line) in text.lines().enumerate() {
            let at = index + 1;
            let parsed = split(line).map_err(|why| format!("{name}:{at}: {why}"))?;
            match parsed {
                Line::Nothing => {}
                Line::End => match self.open.pop() {
                    Some(node) => self.push(node),
                    None => return Err(format!("{name}:{at}: `}}` closes nothing")),
                },
                Line::Key(key, value) if key.eq_ignore_ascii_case("include") => {
                    self.include(name, at, &value, within)?;
                }
                Line::Key(key, value) => {
                    let node = self.node(name, at, key, value, false);
                    self.push(node);
                }
                Line::Begin(key, value) => {
                    if self.open.len() == MAX_DEPTH {
                        return Err(format!("{name}:{at}: nested too deeply"));
                    }
                    let node = self.node(name, at, key, value, true);
                    self.open.push(node);
                }
            }
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                return Err(format!("{name}:{at}: too many lines"));
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        name: &Rc<str>,
        line: usize,
        path: &str,
        within: &mut Vec<String>,
    ) -> Result<(), String> {
        let path = match (path.starts_with('/'), name.rsplit_once('/')) {
            (false, Some((folder, _))) => format!("{folder}/{path}"),
            _ => path.to_owned(),
        };
        if within.contains(&path) || within.len() == MAX_FILES {
            return Err(format!("{name}:{line}: {path} includes itself"));
        }
        match self.files.read(&path) {
            Ok(text) => {
                within.push(path.clone());
                self.file(&path.as_str().into(), &text, within)?;
                within.pop();
            }
            Err(why) => {
                let text = format!("Include {path}");
                self.report.left_of(name, line, &text, format!("it cannot be read: {why}"));
            }
        }
        Ok(())
    }

    fn node(&self, file: &Rc<str>, line: usize, key: String, value: String, scope: bool) -> Node {
        let included = &**file != self.report.file();
        Node { file: Rc::clone(file), line, key, value, inner: Vec::new(), scope, included }
    }

    fn push(&mut self, node: Node) {
        match self.open.last_mut() {
            Some(open) => open.inner.push(node),
            None => self.read.push(node),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Line {
    Nothing,
    Key(String, String),
    Begin(String, String),
    End,
}

fn split(line: &str) -> Result<Line, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Line::Nothing);
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '#').unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    if key == "}" {
        return Ok(Line::End);
    }
    let (value, rest) = match rest.strip_prefix('"') {
        Some(rest) => quoted(rest).ok_or("a quotation mark that is not closed")?,
        None => {
            let value = rest.split('#').next().unwrap_or_default().trim_end();
            let (value, scope) = match value.strip_suffix('{') {
                Some(value) => (value.trim_end(), "{"),
                None => (value, ""),
            };
            (value.to_owned(), scope)
        }
    };
    match rest.split('#').next().unwrap_or_default().trim() {
        "" => Ok(Line::Key(key.to_owned(), value)),
        "{" => Ok(Line::Begin(key.to_owned(), value)),
        _ => Err("something behind the value"),
    }
}

/// The text up to its quotation mark, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let key = |key: &str, value: &str| Line::Key(key.to_owned(), value.to_owned());
        let begin = |key: &str, value: &str| Line::Begin(key.to_owned(), value.to_owned());
        for (line, expected) in [
            ("", Line::Nothing),
            ("## Bind x", Line::Nothing),
            ("Bind 127.0.0.1:7617 # here", key("Bind", "127.0.0.1:7617")),
            ("HashTag \"{}\"", key("HashTag", "{}")),
            ("Auth \"#a \\\"b#\" {", begin("Auth", "#a \"b#")),
            ("Auth {", begin("Auth", "")),
            ("Group shard 1 {", begin("Group", "shard 1")),
            ("Group a{", begin("Group", "a")),
            ("    }", Line::End),
            ("+ 10.0.0.1:6379", key("+", "10.0.0.1:6379")),
            ("Name", key("Name", "")),
        ] {
            assert_eq!(split(line), Ok(expected), "{line}");
        }
        assert!(split("A \"b").is_err());
        assert!(split("A \"b\" c").is_err());
    }
}
