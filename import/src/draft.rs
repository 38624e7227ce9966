//! A pool that is being written: whatever is put into it has been tried.

use std::fmt;
use std::path::Path;

use config::{Context, Secrets, Severity};

use crate::document::{Entry, Table};
use crate::report::Report;
use crate::value::{Value, key};

/// One pool of the file.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    name: String,
    /// That of the pool itself first.
    tables: Vec<Table>,
    routes: Vec<Table>,
    /// Pools that its routes lead to.
    targets: Vec<String>,
    /// It has no `listen`: routes lead to it.
    is_target: bool,
}

/// Where a directive stands, and what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) line: usize,
    pub(crate) what: &'a str,
}

impl Pool {
    /// `source`: `servers`, `shards` or `sentinel`. Without `listen` only routes of others lead to it.
    ///
    /// # Errors
    ///
    /// Why Redkeel refuses it.
    pub(crate) fn new(
        name: &str,
        listen: Option<Value>,
        source: Option<(&str, Value)>,
    ) -> Result<Self, String> {
        let is_target = listen.is_none();
        let mut table = Table::new(&format!("pool.{}", key(name)));
        let entry = |key: &str, value| Entry { notes: Vec::new(), key: key.to_owned(), value };
        table.entries.extend(listen.map(|listen| entry("listen", listen)));
        table.entries.extend(source.map(|(key, value)| entry(key, value)));
        let (routes, targets) = (Vec::new(), Vec::new());
        let pool = Self { name: name.to_owned(), tables: vec![table], routes, targets, is_target };
        pool.check().map(|()| pool)
    }

    /// A pool whose nodes are in a table of their own, `shards` or `sentinel`.
    pub(crate) fn with_table(
        name: &str,
        listen: Option<Value>,
        table: &str,
        entries: Vec<(&str, Value)>,
    ) -> Result<Self, String> {
        let is_target = listen.is_none();
        let mut own = Table::new(&format!("pool.{}", key(name)));
        let entry =
            |(key, value): (&str, Value)| Entry { notes: Vec::new(), key: key.to_owned(), value };
        own.entries.extend(listen.map(|listen| entry(("listen", listen))));
        let mut source = Table::new(&format!("{}.{table}", own.header));
        source.entries = entries.into_iter().map(entry).collect();
        let (routes, targets) = (Vec::new(), Vec::new());
        let tables = vec![own, source];
        let pool = Self { name: name.to_owned(), tables, routes, targets, is_target };
        pool.check().map(|()| pool)
    }

    /// A pool that has nothing but routes.
    pub(crate) fn of_routes(name: &str, listen: Value, routes: Vec<Route>) -> Result<Self, String> {
        let mut own = Table::new(&format!("pool.{}", key(name)));
        own.entries.push(Entry { notes: Vec::new(), key: "listen".to_owned(), value: listen });
        let header = format!("[{}.routes]", own.header);
        let targets = routes.iter().flat_map(|route| route.targets.clone()).collect();
        let routes = routes.into_iter().map(|route| {
            let mut table = Table::new(&header);
            table.notes = route.notes;
            let entry = |(key, value): (&str, Value)| Entry {
                notes: Vec::new(),
                key: key.to_owned(),
                value,
            };
            table.entries = route.entries.into_iter().map(entry).collect();
            table
        });
        let routes = routes.collect();
        let pool =
            Self { name: name.to_owned(), tables: vec![own], routes, targets, is_target: false };
        pool.check().map(|()| pool)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The ports at which it listens; `None` stands for unix sockets.
    pub(crate) fn ports(&self) -> Vec<Option<u16>> {
        let mut addresses = Vec::new();
        if let Some(listen) = self.get("", "listen") {
            texts(listen, &mut addresses);
        }
        let port = |address: &&str| match address.starts_with("unix:") {
            true => None,
            false => address.rsplit(':').next().and_then(|port| port.parse().ok()),
        };
        addresses.iter().map(port).filter(|port| *port != Some(0)).collect()
    }

    /// A pool that listens as this one does, and nothing else.
    pub(crate) fn listening(&self) -> Option<String> {
        let mut addresses = Vec::new();
        texts(self.get("", "listen")?, &mut addresses);
        Some(format!(
            "[pool.{}]\nlisten = {}\nservers = [\"127.0.0.1:2\"]\n\n",
            key(&self.name),
            Value::texts(addresses)
        ))
    }

    /// Something about the pool as a whole.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.tables[0].notes.push(note.into());
    }

    /// A directive that Redkeel needs no counterpart for.
    pub(crate) fn needless(&mut self, origin: Origin<'_>, why: &str) {
        let what = crate::report::shown(origin.what);
        self.note(format!("Line {}, `{what}`: not needed, {why}.", origin.line));
    }

    /// Sets an option; `table` is empty for the pool's own. What Redkeel refuses is left over.
    pub(crate) fn set(
        &mut self,
        table: &str,
        key: &str,
        value: Value,
        origin: Origin<'_>,
        report: &mut Report,
    ) {
        if let Err(why) = self.try_set(table, key, value, "") {
            report.left(origin.line, origin.what, why);
        }
    }

    /// Sets options that only go together, with a comment before the first.
    ///
    /// # Errors
    ///
    /// Why Redkeel refuses them.
    pub(crate) fn try_all(
        &mut self,
        table: &str,
        options: Vec<(&str, Value)>,
        note: &str,
    ) -> Result<(), String> {
        let before = self.tables.clone();
        let table = self.table(table);
        for (index, (key, value)) in options.into_iter().enumerate() {
            let notes =
                if index == 0 && !note.is_empty() { vec![note.to_owned()] } else { Vec::new() };
            match table.entries.iter_mut().find(|entry| entry.key == key) {
                Some(entry) => entry.value = value,
                None => table.entries.push(Entry { notes, key: key.to_owned(), value }),
            }
        }
        let refused = self.check();
        if refused.is_err() {
            self.tables = before;
        }
        refused
    }

    /// Sets an option of the pool that needs a table, and this table.
    ///
    /// # Errors
    ///
    /// Why Redkeel refuses them.
    pub(crate) fn try_pair(
        &mut self,
        own: (&str, Value),
        table: &str,
        options: Vec<(&str, Value)>,
        note: &str,
    ) -> Result<(), String> {
        let before = self.tables.clone();
        let entry = Entry { notes: Vec::new(), key: own.0.to_owned(), value: own.1 };
        self.tables[0].entries.push(entry);
        let refused = self.try_all(table, options, note);
        if refused.is_err() {
            self.tables = before;
        }
        refused
    }

    /// Sets an option, with a comment.
    ///
    /// # Errors
    ///
    /// Why Redkeel refuses it.
    pub(crate) fn try_set(
        &mut self,
        table: &str,
        key: &str,
        value: Value,
        note: &str,
    ) -> Result<(), String> {
        self.try_all(table, vec![(key, value)], note)
    }

    /// The value that an option has by now.
    pub(crate) fn get(&self, table: &str, option: &str) -> Option<&Value> {
        let header = self.header(table);
        let table = self.tables.iter().find(|known| known.header == header)?;
        table.entries.iter().find(|entry| entry.key == option).map(|entry| &entry.value)
    }

    fn header(&self, table: &str) -> String {
        let own = &self.tables[0].header;
        if table.is_empty() { own.clone() } else { format!("{own}.{table}") }
    }

    fn table(&mut self, table: &str) -> &mut Table {
        let header = self.header(table);
        let at = self.tables.iter().position(|known| known.header == header);
        let at = at.unwrap_or_else(|| {
            self.tables.push(Table::new(&header));
            self.tables.len() - 1
        });
        &mut self.tables[at]
    }

    /// Is it right alone, with stubs for what it leads to and what leads to it?
    fn check(&self) -> Result<(), String> {
        let mut text = self.to_string();
        for (index, target) in self.targets.iter().enumerate() {
            if !self.targets[..index].contains(target) {
                text += &format!("\n[pool.{}]\nservers = [\"127.0.0.1:2\"]\n", key(target));
            }
        }
        if self.is_target {
            text += &format!(
                "\n[pool.import-probe]\nlisten = \"127.0.0.1:1\"\nroutes = [{{ prefix = \"\", pool = {} }}]\n",
                Value::text(&*self.name)
            );
        }
        accepts(&text)
    }
}

/// The addresses within a `listen`.
fn texts<'a>(listen: &'a Value, found: &mut Vec<&'a str>) {
    match listen {
        Value::Text(text) => found.push(text),
        Value::List(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Lines(items) => items.iter().for_each(|(item, _)| texts(item, found)),
        Value::Table(fields) => {
            let address = fields.iter().filter(|(key, _)| *key == "address");
            address.for_each(|(_, address)| texts(address, found));
        }
        Value::Integer(_) | Value::Flag(_) => {}
    }
}

/// One route of a pool.
pub(crate) struct Route {
    pub(crate) notes: Vec<String>,
    pub(crate) entries: Vec<(&'static str, Value)>,
    pub(crate) targets: Vec<String>,
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, table) in self.tables.iter().chain(&self.routes).enumerate() {
            write!(f, "{}{table}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// Finds every secret: whether they are there is asked where the file is used.
struct Anything;

impl Secrets for Anything {
    fn env(&self, _: &str) -> Option<String> {
        Some("x".to_owned())
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Ok("x".to_owned())
    }
}

/// Is this an address to listen at? If not, why.
pub(crate) fn accepts_listener(address: &str) -> Result<(), String> {
    Pool::new("probe", Some(Value::text(address)), Some(("servers", Value::texts(["127.0.0.1:2"]))))
        .map(drop)
}

/// Is this the address of a node? If not, why.
pub(crate) fn accepts_server(address: &str) -> Result<(), String> {
    Pool::new("probe", Some(Value::text("127.0.0.1:1")), Some(("servers", Value::texts([address]))))
        .map(drop)
}

/// Does Redkeel take this text? If not, why, in one line.
pub(crate) fn accepts(text: &str) -> Result<(), String> {
    let context = Context { secrets: &Anything, default_workers: 1 };
    let Err(wrong) = config::load("import", text, &context) else { return Ok(()) };
    let errors = wrong.iter().filter(|item| item.severity() == Severity::Error);
    let first = errors.map(|error| match error.help() {
        Some(help) => format!("{} ({})", error.message(), help.replace('\n', " ")),
        None => error.message().to_owned(),
    });
    Err(first.into_iter().next().unwrap_or_else(|| "Redkeel refuses it".to_owned()))
}
