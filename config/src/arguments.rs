//! A configuration without a file: `redkeel run --listen A --servers B,C`, and what the command line overrides.

use crate::diagnostics::{Diagnostics, Report};
use crate::kinds::Kind;
use crate::listeners::overlap;
use crate::load::{Context, root};
use crate::model::Config;
use crate::options::root;
use crate::tree::{Field, Node, Span, Value};

/// The name of the one pool of a command line.
const POOL: &str = "main";

/// Stands for the file in diagnostics.
const ORIGIN: &str = "command line";

/// What the command line says beside a file; it wins over the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides<'a> {
    /// `--workers`
    pub workers: Option<usize>,
    /// `--admin`
    pub admin: Option<&'a str>,
    /// `--drain-timeout`
    pub drain_timeout: Option<&'a str>,
}

/// One pool, `main`, with the given listeners and servers and the defaults for everything else.
///
/// # Errors
///
/// All that is wrong, shown in the command line.
pub fn from_command_line(
    listen: &[String],
    servers: &[String],
    mode: Option<&str>,
    context: &Context<'_>,
) -> Result<Config, Diagnostics> {
    let mut line = Line::new();
    let listen = line.list("listen", "--listen", listen);
    let servers = line.list("servers", "--servers", servers);
    let mode = mode.map(|mode| line.text("mode", "--mode", mode));
    let mut report = Report::default();
    for (flag, example, values) in
        [("--listen", "127.0.0.1:6379", &listen), ("--servers", "10.0.0.1:6379", &servers)]
    {
        if values.is_none() {
            report
                .error_of_file(format!("`{flag}` is missing"))
                .with_help(format!("for example `{flag} {example}`"));
        }
    }
    if let Some(mode) = mode.as_ref().filter(|mode| is_tcp(mode)) {
        report
            .error(mode.node.span.clone(), "`--mode tcp` needs a role beside it")
            .with_help("write a configuration file; docs/configuration.md tells how");
    }
    if report.has_errors() {
        return Err(line.diagnostics(report));
    }
    let options = listen.into_iter().chain(servers).chain(mode).collect();
    let whole = 0..line.text.len();
    let pool = field(POOL, whole.clone(), Value::Table(options));
    let tree = [field("pool", whole, Value::Table(vec![pool]))];
    let config = root(&tree, context, &mut report);
    if report.has_errors() { Err(line.diagnostics(report)) } else { Ok(config) }
}

impl Overrides<'_> {
    /// Puts them into `config`.
    ///
    /// # Errors
    ///
    /// All that is wrong, shown in the command line; `config` is then unfit for use.
    pub fn apply(&self, config: &mut Config) -> Result<(), Diagnostics> {
        let mut line = Line::new();
        let mut report = Report::default();
        if let Some(workers) = self.workers {
            let span = line.push("--workers", &workers.to_string());
            let node = Node { value: Value::Integer(i64::try_from(workers).ok()), span };
            let read = root::WORKERS.kind.read("--workers", &node, &mut report);
            config.workers = read.unwrap_or(workers);
        }
        if let Some(admin) = self.admin {
            let node = line.node("--admin", admin);
            let read = root::ADMIN_LISTEN.kind.read("--admin", &node, &mut report);
            let mut listeners = config.pools.iter().flat_map(|pool| &pool.listeners);
            if let Some(Some(endpoint)) = &read
                && listeners.any(|listener| overlap(&listener.address, endpoint))
            {
                report
                    .error(node.span, format!("a pool listens at `{endpoint}` already"))
                    .with_help("choose another port");
            }
            config.admin.listen = read.unwrap_or_default();
        }
        if let Some(timeout) = self.drain_timeout {
            let node = line.node("--drain-timeout", timeout);
            let read = root::DRAIN_TIMEOUT.kind.read("--drain-timeout", &node, &mut report);
            config.drain_timeout = read.unwrap_or(config.drain_timeout);
        }
        if report.has_errors() { Err(line.diagnostics(report)) } else { Ok(()) }
    }
}

fn is_tcp(mode: &Field) -> bool {
    matches!(&mode.node.value, Value::Text(name) if name == "tcp")
}

/// The command line as text, so that diagnostics can point into it.
struct Line {
    text: String,
}

impl Line {
    fn new() -> Self {
        Self { text: "redkeel run".to_owned() }
    }

    /// Where the value stands.
    fn push(&mut self, flag: &str, value: &str) -> Span {
        self.text.push_str(&format!(" {flag} "));
        self.push_value(value)
    }

    fn push_value(&mut self, value: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(value);
        start..self.text.len()
    }

    fn node(&mut self, flag: &str, value: &str) -> Node {
        let span = self.push(flag, value);
        Node { value: Value::Text(value.to_owned()), span }
    }

    fn text(&mut self, key: &str, flag: &str, value: &str) -> Field {
        let node = self.node(flag, value);
        Field { key: key.to_owned(), key_span: node.span.clone(), node }
    }

    /// `None`: there are no values.
    fn list(&mut self, key: &str, flag: &str, values: &[String]) -> Option<Field> {
        let (first, rest) = values.split_first()?;
        let mut items = vec![self.node(flag, first)];
        for value in rest {
            self.text.push(',');
            let span = self.push_value(value);
            items.push(Node { value: Value::Text(value.clone()), span });
        }
        let start = items[0].span.start;
        Some(field(key, start..self.text.len(), Value::List(items)))
    }

    fn diagnostics(&self, report: Report) -> Diagnostics {
        Diagnostics::new(ORIGIN, &self.text, Vec::new(), report)
    }
}

fn field(key: &str, span: Span, value: Value) -> Field {
    Field { key: key.to_owned(), key_span: span.clone(), node: Node { value, span } }
}
