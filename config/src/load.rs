//! From a file's text to a checked configuration.

use crate::diagnostics::{Diagnostics, Report};
use crate::hidden;
use crate::listeners::Taken;
use crate::model::{Admin, Config, Dns, Log};
use crate::options::root;
use crate::pool;
use crate::routes::Neighbours;
use crate::secret::{self, Secrets};
use crate::section::Section;
use crate::tree::{self, Field};

/// What a configuration depends on besides its text.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Finds passwords that the text only points to.
    pub secrets: &'a dyn Secrets,
    /// Used where the text does not say: one per CPU, at most 8.
    pub default_workers: usize,
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it means.
    pub config: Config,
    /// What was probably not meant.
    pub warnings: Diagnostics,
}

/// Parses and checks a file's text. `origin` is its name in diagnostics.
///
/// # Errors
///
/// All that is wrong, and the warnings, in file order. Where the text is not TOML, that alone.
pub fn load(origin: &str, text: &str, context: &Context<'_>) -> Result<Loaded, Diagnostics> {
    let mut report = Report::default();
    let fields = tree::parse(text, &mut report);
    if report.has_errors() {
        return Err(Diagnostics::new(origin, text, hidden::secrets_of_lines(text), report));
    }
    let config = root(&fields, context, &mut report);
    let failed = report.has_errors();
    let secrets = hidden::secrets_of_tree(text, &fields);
    let diagnostics = Diagnostics::new(origin, text, secrets, report);
    if failed { Err(diagnostics) } else { Ok(Loaded { config, warnings: diagnostics }) }
}

/// Reads the whole tree. The result is only fit for use if nothing was reported as an error.
pub(crate) fn root(fields: &[Field], context: &Context<'_>, report: &mut Report) -> Config {
    let mut section = Section::new(root::TABLE.place, &root::TABLE, fields, 0..0);
    section.check_keys(report);
    let workers = section.optional(&root::WORKERS, report);
    let drain_timeout = section.setting(&root::DRAIN_TIMEOUT, report);
    let log = log(&mut section, report);
    let mut taken = Taken::default();
    let admin = admin(&mut section, &mut taken, context, report);
    let dns = dns(&mut section, report);
    let pools = section.field("pool").map_or(&[][..], |field| pool::fields(field, report));
    if pools.is_empty() && !report.has_errors() {
        report.error_of_file("there is no pool").with_help(
            "the smallest file is\n[pool.main]\nlisten  = \"127.0.0.1:6379\"\nservers = [\"10.0.0.1:6379\"]",
        );
    }
    let neighbours = Neighbours::new(pools);
    let read = |pool| pool::pool(pool, &neighbours, context, &mut taken, report);
    let pools = pools.iter().filter_map(read).collect();
    let workers = workers.unwrap_or(context.default_workers);
    Config { workers, drain_timeout, log, dns, admin, pools }
}

fn log(root: &mut Section<'_>, report: &mut Report) -> Log {
    let mut section = root.table("log", "log", &root::LOG, report);
    Log {
        level: section.setting(&root::LEVEL, report),
        format: section.setting(&root::FORMAT, report),
    }
}

fn dns(root: &mut Section<'_>, report: &mut Report) -> Dns {
    let mut section = root.table("dns", "dns", &root::DNS, report);
    Dns { servers: section.setting(&root::DNS_SERVERS, report) }
}

fn admin(
    root: &mut Section<'_>,
    taken: &mut Taken,
    context: &Context<'_>,
    report: &mut Report,
) -> Admin {
    let mut section = root.table("admin", "admin", &root::ADMIN, report);
    let listen = section.setting(&root::ADMIN_LISTEN, report);
    if let Some(endpoint) = &listen
        && !section.is_broken()
    {
        let span = section.span_of(root::ADMIN_LISTEN.key);
        taken.take(endpoint, span, "the administration endpoint", report);
    }
    let token = section
        .placed(&root::ADMIN_TOKEN, report)
        .and_then(|token| secret::resolve(root::ADMIN_TOKEN.key, token, context.secrets, report));
    Admin { listen, token }
}
