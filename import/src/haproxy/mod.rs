//! HAProxy's `haproxy.cfg`: proxies in TCP mode whose servers are Redis.

mod bind;
mod check;
mod global;
mod pool;
mod sections;
mod server;
mod service;
mod settings;
mod sink;
mod time;
mod watch;
mod words;

use crate::document::Document;
use crate::report::Report;
use global::Global;
use sections::{Kind, Section, effective, inherited};
use service::Service;
use sink::Sink;
use watch::Watch;
use words::Directive;

pub(crate) fn read(text: &str, document: &mut Document, report: &mut Report) -> Result<(), String> {
    let (directives, wrong) = words::directives(text);
    for (line, text, why) in wrong {
        report.left(line, &text, why);
    }
    let sections = sections::sections(directives, report);
    if sections.is_empty() {
        return Err(format!("{} has no section: it is no file of HAProxy's", report.file()));
    }
    let mut sink = Sink { document, report };
    let global = global::global(&sections, &mut sink);
    let watches = watch::watches(&sections);
    let mut services = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        match section.kind {
            Kind::Listen | Kind::Backend => {
                services.extend(service(&sections, index, &global, &watches, &mut sink));
            }
            Kind::Frontend => frontend(&sections, index, &mut sink),
            _ => {}
        }
    }
    let resolves =
        services.iter().any(|service| service.servers.iter().any(|server| server.resolves));
    global::resolvers(&sections, resolves, &mut sink);
    pool::write(services, &mut sink);
    Ok(())
}

/// The value of a directive that may be in the defaults: the last counts.
fn value<'a>(sections: &'a [Section], index: usize, word: &str) -> Option<&'a str> {
    let directives = effective(sections, index);
    directives.iter().rev().find(|directive| directive.word(0) == word).map(|found| found.word(1))
}

fn is_http(sections: &[Section], index: usize) -> bool {
    value(sections, index, "mode").is_some_and(|mode| mode != "tcp")
}

const HTTP: &str = "not in TCP mode; `[admin]` has /healthz, /readyz and /metrics, and `redkeel status` shows how things are";

/// The backend that a frontend leads to in every case.
fn backend(sections: &[Section], index: usize) -> Option<&str> {
    let directives = effective(sections, index);
    let always = directives
        .iter()
        .find(|directive| directive.word(0) == "use_backend" && directive.rest(2).is_empty());
    always.map(|directive| directive.word(1)).or(value(sections, index, "default_backend"))
}

/// What is wrong with a frontend; what is right is told with its backend.
fn frontend(sections: &[Section], index: usize, sink: &mut Sink<'_>) {
    let head = &sections[index].head;
    if is_http(sections, index) {
        return sink.left(head, HTTP);
    }
    let backend = backend(sections, index);
    let is_there = |section: &Section| {
        matches!(section.kind, Kind::Backend | Kind::Listen) && Some(&*section.name) == backend
    };
    match backend {
        None => sink.left(head, "it has no `default_backend`"),
        Some(_) if sections.iter().any(is_there) => {}
        Some(name) => sink.left(head, format!("there is no backend {name}")),
    }
}

/// A `listen` section, or a backend with its frontends. `None`: it is left over.
fn service(
    sections: &[Section],
    index: usize,
    global: &Global,
    watches: &[Watch],
    sink: &mut Sink<'_>,
) -> Option<Service> {
    let section = &sections[index];
    let leads_here = |other: &usize| {
        sections[*other].kind == Kind::Frontend
            && !is_http(sections, *other)
            && backend(sections, *other) == Some(&*section.name)
    };
    let frontends: Vec<usize> = (0..sections.len()).filter(leads_here).collect();
    if let Some(why) = unfit(sections, index, &frontends) {
        if watches.iter().any(|watch| watch.backend == section.name && watch.is_heeded(sections)) {
            sink.needless(&section.head, "the pool that goes by it asks these Sentinels itself");
            return None;
        }
        sink.left(&section.head, why);
        for frontend in frontends {
            sink.left(&sections[frontend].head, "it leads to what is left over");
        }
        return None;
    }
    let mut service = Service::default();
    service.name.clone_from(&section.name);
    if let Some(max_clients) = &global.max_clients {
        service.settings.put(max_clients.clone());
    }
    let parts: Vec<usize> = frontends.into_iter().chain([index]).collect();
    // What a part says itself wins over the defaults of any.
    let inherited = parts.iter().flat_map(|part| inherited(sections, *part));
    let own = parts.iter().flat_map(|part| &sections[*part].directives);
    let bound: Vec<Directive> = parts.iter().filter_map(|part| sections[*part].bound()).collect();
    let directives: Vec<_> = inherited.chain(&bound).chain(own).collect();
    service.absorb(&directives, &global.base, sink);
    for part in parts {
        let head = &sections[part].head;
        service.heads.push((head.line, head.text.clone()));
    }
    service.finish(sink);
    service.watch = watch::of(watches, &service.decided_by, sink);
    let missing = match () {
        () if service.checks.asks_sentinel && service.role().is_none() => {
            "its servers are Sentinels: clients ask Redkeel, which asks them (`sentinel`)"
        }
        () if service.servers.is_empty() => "it has no server that can be carried over",
        () if service.binds.is_empty() => "it has no address to listen at that can be carried over",
        () => return Some(service),
    };
    sink.left(&section.head, missing);
    None
}

/// Why a section cannot be a pool whatever its servers are.
fn unfit(sections: &[Section], index: usize, frontends: &[usize]) -> Option<&'static str> {
    let section = &sections[index];
    if section.directives.iter().any(|directive| directive.word(0) == "disabled") {
        Some("it is out of use (`disabled`)")
    } else if is_http(sections, index) {
        Some(HTTP)
    } else if frontends.is_empty() && section.kind == Kind::Backend {
        Some("no frontend leads to it")
    } else if !is_redis(sections, index, frontends) {
        Some("nothing says that its servers are Redis: `option redis-check` would")
    } else {
        None
    }
}

/// Redis' ports, as people count them up from the first.
const PORTS: std::ops::RangeInclusive<u16> = 6379..=6399;

/// Does anything in a section or its frontends say Redis?
fn is_redis(sections: &[Section], index: usize, frontends: &[usize]) -> bool {
    let parts: Vec<usize> = frontends.iter().copied().chain([index]).collect();
    let named = parts.iter().any(|part| says_redis(&sections[*part].name));
    named
        || parts.iter().flat_map(|part| effective(sections, *part)).any(|directive| match directive
            .word(0)
        {
            "option" => directive.word(1) == "redis-check",
            "tcp-check" => {
                let text = directive.rest(1).join(" ").to_ascii_lowercase();
                ["role:", "ping", "+pong", "info replication"]
                    .iter()
                    .any(|word| text.contains(word))
            }
            "server" | "server-template" | "bind" => {
                says_redis(&directive.text)
                    || directive.words.iter().any(|word| {
                        let port = word.rsplit_once(':').map(|(_, port)| port.parse());
                        matches!(port, Some(Ok(port)) if PORTS.contains(&port))
                    })
            }
            _ => false,
        })
}

fn says_redis(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["redis", "valkey", "keydb", "dragonfly"].iter().any(|name| text.contains(name))
}
