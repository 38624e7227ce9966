//! YAML, and with it JSON, as a tree whose every part knows its line.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

use crate::report::Report;

/// A value and its line.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) content: Content,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Of whatever type: it is read as text.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value`.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) value: Node,
}

const MAX_DEPTH: usize = 64;

/// With what aliases stand for: a few lines of them could stand for gigabytes.
const MAX_NODES: usize = 200_000;
const TOO_MANY: &str = "too many values";

/// The first document of a text.
///
/// # Errors
///
/// What is wrong with it, and where.
pub(crate) fn parse(origin: &str, text: &str) -> Result<Node, String> {
    // Between the values of JSON tabs are spaces; YAML does not take them everywhere.
    let json = text.trim_start().starts_with(['{', '[']).then(|| text.replace('\t', " "));
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(json.as_deref().unwrap_or(text));
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            format!("{origin}:{}: not valid YAML: {}", error.marker().line(), error.info())
        })?;
        let line = span.start.line();
        let is_end = matches!(event, Event::DocumentEnd | Event::StreamEnd);
        builder.event(event, line).map_err(|wrong| format!("{origin}:{line}: {wrong}"))?;
        if is_end {
            break;
        }
    }
    builder.root.ok_or_else(|| format!("{origin} is empty"))
}

/// Builds the tree without recursion.
#[derive(Default)]
struct Builder {
    open: Vec<(Open, usize)>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

struct Open {
    line: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    /// With the key whose value comes next.
    Map(Vec<Entry>, Option<(String, usize)>),
}

impl Builder {
    fn event(&mut self, event: Event<'_>, line: usize) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, _, anchor, _) => {
                let node = Node { line, content: Content::Scalar(text.into_owned()) };
                self.finished(node, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(line, Kind::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.open(line, Kind::Map(Vec::new(), None), anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((open, anchor)) = self.open.pop() else { return Ok(()) };
                let content = match open.kind {
                    Kind::List(items) => Content::List(items),
                    Kind::Map(entries, _) => Content::Map(entries),
                };
                self.finished(Node { line: open.line, content }, anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err("an alias within what it stands for");
                };
                self.nodes += count(node);
                if self.nodes > MAX_NODES {
                    return Err(TOO_MANY);
                }
                let node = node.clone();
                self.finished(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, line: usize, kind: Kind, anchor: usize) -> Result<(), &'static str> {
        if self.open.len() == MAX_DEPTH {
            return Err("nested too deeply");
        }
        self.open.push((Open { line, kind }, anchor));
        Ok(())
    }

    fn finished(&mut self, node: Node, anchor: usize) -> Result<(), &'static str> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(TOO_MANY);
        }
        if anchor > 0 {
            self.nodes += count(&node);
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some((Open { kind: Kind::List(items), .. }, _)) => items.push(node),
            Some((Open { kind: Kind::Map(entries, key), .. }, _)) => match key.take() {
                Some((key, line)) => entries.push(Entry { key, line, value: node }),
                None => match node.content {
                    Content::Scalar(text) => *key = Some((text, node.line)),
                    _ => return Err("a key that is no text"),
                },
            },
        }
        Ok(())
    }
}

fn count(node: &Node) -> usize {
    match &node.content {
        Content::Scalar(_) => 1,
        Content::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Content::Map(entries) => 1 + entries.iter().map(|entry| count(&entry.value)).sum::<usize>(),
    }
}

impl Node {
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value of `key`, where this has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }
}

impl Entry {
    /// As a directive.
    pub(crate) fn text(&self) -> String {
        match &self.value.content {
            Content::Scalar(text) => format!("{}: {text}", self.key),
            _ => self.key.clone(),
        }
    }
}

/// The fields of a mapping, of which those that nobody takes are left over.
pub(crate) struct Fields<'a> {
    entries: &'a [Entry],
    taken: Vec<bool>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(node: &'a Node) -> Self {
        let entries = node.entries();
        Self { entries, taken: vec![false; entries.len()] }
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<&'a Entry> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        self.taken[at] = true;
        Some(&self.entries[at])
    }

    /// Takes the first of several keys that is there.
    pub(crate) fn take_any(&mut self, keys: &[&str]) -> Option<&'a Entry> {
        keys.iter().find_map(|key| self.take(key))
    }

    /// What nobody took: `why` says what to do about a key.
    pub(crate) fn finish(self, report: &mut Report, why: impl Fn(&str) -> String) {
        for (index, entry) in self.entries.iter().enumerate() {
            if self.taken[index] {
                continue;
            }
            let is_again = self.entries[..index].iter().any(|other| other.key == entry.key);
            let why = if is_again { "it stands twice".to_owned() } else { why(&entry.key) };
            // Without its value: a key that nobody knows may be a mistyped one of a password.
            report.left(entry.line, &entry.key, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_texts() {
        let root = parse("a.yml", "a:\n  b: 1\n  c:\n   - x: \"y\"\n     z: ~\n").unwrap();
        let a = &root.entries()[0];
        assert_eq!((&*a.key, a.line), ("a", 1));
        assert_eq!(a.value.get("b").unwrap().scalar(), Some("1"));
        let item = &a.value.get("c").unwrap().items()[0];
        assert_eq!((item.line, item.get("x").unwrap().scalar()), (4, Some("y")));
        assert_eq!(item.entries()[1].line, 5);
    }

    #[test]
    fn json_is_yaml() {
        let root = parse("a.json", "{\n\t\"a\": {\n\t\t\"b\": [1, \"x\"]\n\t}\n}").unwrap();
        let b = root.get("a").unwrap().get("b").unwrap();
        assert_eq!((b.line, b.items()[1].scalar()), (3, Some("x")));
    }

    #[test]
    fn aliases_stand_for_what_they_name() {
        let root = parse("a.yml", "a: &x {b: 1}\nc: *x\n").unwrap();
        assert_eq!(root.get("c").unwrap().get("b").unwrap().scalar(), Some("1"));
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (text, part) in [
            ("a: [1\nb: 2\n", "a.yml:"),
            ("", "empty"),
            ("a: &x [*x]\n", "alias"),
            ("? [a]\n: b\n", "key"),
        ] {
            let wrong = parse("a.yml", text).unwrap_err();
            assert!(wrong.contains(part), "{text}: {wrong}");
        }
        let deep = "[".repeat(1000);
        assert!(parse("a.yml", &deep).is_err());
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let all = format!("*a{},", level - 1).repeat(9);
            bomb += &format!("a{level}: &a{level} [{all}]\n");
        }
        assert!(parse("a.yml", &bomb).unwrap_err().contains("too many"));
    }
}
