//! The file that is written.

use std::collections::BTreeSet;
use std::fmt;

use crate::draft::{Pool, accepts};
use crate::report::shown;
use crate::value::{Value, key, one_line};

/// Columns of a comment.
const WIDTH: usize = 100;

/// A whole file.
pub(crate) struct Document {
    head: Vec<String>,
    /// Directives that need no counterpart, with their lines.
    needless: BTreeSet<(usize, String)>,
    root: Table,
    tables: Vec<Table>,
    pools: Vec<Pool>,
}

/// One table of the file.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// What stands in its brackets; empty: none, it is the top.
    pub(crate) header: String,
    pub(crate) notes: Vec<String>,
    pub(crate) entries: Vec<Entry>,
}

/// One `key = value`.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) notes: Vec<String>,
    pub(crate) key: String,
    pub(crate) value: Value,
}

impl Document {
    pub(crate) fn new(program: &str, origin: &str) -> Self {
        let name = one_line(origin.rsplit('/').next().unwrap_or(origin));
        let head = format!(
            "From {program}'s {name}, by `redkeel import`. `redkeel check` says whether it is right; docs/importing.md \
             tells what was decided and why."
        );
        Self {
            head: vec![head],
            needless: BTreeSet::new(),
            root: Table::new(""),
            tables: Vec::new(),
            pools: Vec::new(),
        }
    }

    /// A directive outside of any single pool that Redkeel needs no counterpart for.
    pub(crate) fn needless(&mut self, line: usize, what: &str, why: &str) {
        self.needless_at(line, &format!("Line {line}"), what, why);
    }

    /// As [`Self::needless`], of an included file.
    pub(crate) fn needless_at(&mut self, line: usize, place: &str, what: &str, why: &str) {
        let what = shown(what);
        self.needless.insert((line, format!("{place}, `{what}`: not needed, {why}.")));
    }

    /// Something about the whole file.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.head.push(note.into());
    }

    /// An option outside of the pools: `table` is empty for the top.
    ///
    /// # Errors
    ///
    /// Why Redkeel refuses it.
    pub(crate) fn set(
        &mut self,
        table: &str,
        key: &str,
        value: Value,
        note: &str,
    ) -> Result<(), String> {
        let notes = if note.is_empty() { Vec::new() } else { vec![note.to_owned()] };
        let entry = Entry { notes, key: key.to_owned(), value };
        let mut alone = Table::new(table);
        alone.entries.push(entry.clone());
        accepts(&format!("{alone}\n{PROBE}"))?;
        let known = match table {
            "" => &mut self.root,
            _ => {
                let at = self.tables.iter().position(|known| known.header == table);
                let at = at.unwrap_or_else(|| {
                    self.tables.push(Table::new(table));
                    self.tables.len() - 1
                });
                &mut self.tables[at]
            }
        };
        // What comes later wins.
        known.entries.retain(|other| other.key != key);
        known.entries.push(entry);
        Ok(())
    }

    /// Adds a pool.
    ///
    /// # Errors
    ///
    /// Why it does not go with the others.
    pub(crate) fn push(&mut self, pool: Pool) -> Result<(), String> {
        self.push_all(vec![pool])
    }

    /// Adds pools that belong together.
    ///
    /// # Errors
    ///
    /// Why they do not go with the others.
    pub(crate) fn push_all(&mut self, pools: Vec<Pool>) -> Result<(), String> {
        let together: String = pools.iter().map(|pool| format!("{pool}\n")).collect();
        accepts(&together)?;
        // Pools have names of their own. Else they can only be in each other's way where they listen, and there only if
        // some part of the address is the same.
        let ports: Vec<Option<u16>> = pools.iter().flat_map(Pool::ports).collect();
        let is_near = |pool: &&Pool| pool.ports().iter().any(|port| ports.contains(port));
        let near: String = self.pools.iter().filter(is_near).filter_map(Pool::listening).collect();
        if !near.is_empty() {
            accepts(&format!(
                "{near}{}",
                pools.iter().filter_map(Pool::listening).collect::<String>()
            ))?;
        }
        self.pools.extend(pools);
        Ok(())
    }

    pub(crate) fn pools(&self) -> usize {
        self.pools.len()
    }

    /// A name for a pool that no other has, like `wanted`.
    pub(crate) fn name(&self, wanted: &str) -> String {
        self.name_beside(wanted, &[])
    }

    /// As [`Self::name`], and none of `others` either.
    pub(crate) fn name_beside(&self, wanted: &str, others: &[String]) -> String {
        let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let name: String = wanted.chars().map(allowed).take(50).collect();
        let name = name.trim_start_matches(['-', '_']);
        let name = if name.is_empty() { "pool" } else { name };
        let is_free = |name: &str| {
            self.pools.iter().all(|pool| pool.name() != name)
                && !others.iter().any(|other| other == name)
        };
        if is_free(name) {
            return name.to_owned();
        }
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        numbered.into_iter().find(|name| is_free(name)).unwrap_or_default()
    }
}

/// A pool with which a table of the whole file can be tried.
const PROBE: &str = "[pool.probe]\nlisten = \"127.0.0.1:1\"\nservers = [\"127.0.0.1:2\"]\n";

impl Table {
    pub(crate) fn new(header: &str) -> Self {
        Self { header: header.to_owned(), notes: Vec::new(), entries: Vec::new() }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.head {
            comment(note, f)?;
        }
        if !self.needless.is_empty() {
            f.write_str("#\n")?;
        }
        for (_, note) in &self.needless {
            comment(note, f)?;
        }
        if !self.root.entries.is_empty() {
            write!(f, "\n{}", self.root)?;
        }
        for table in &self.tables {
            write!(f, "\n{table}")?;
        }
        for pool in &self.pools {
            write!(f, "\n{pool}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            comment(note, f)?;
        }
        if !self.header.is_empty() {
            writeln!(f, "[{}]", self.header)?;
        }
        let width = self.entries.iter().map(|entry| entry.key.len()).max().unwrap_or(0);
        for entry in &self.entries {
            for note in &entry.notes {
                comment(note, f)?;
            }
            writeln!(f, "{:width$} = {}", key(&entry.key), entry.value)?;
        }
        Ok(())
    }
}

/// Wrapped.
fn comment(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = one_line(text);
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(f, "{line}")?;
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(f, "{line}")
}
