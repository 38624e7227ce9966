//! From services to pools: those of the same nodes become one pool with several listeners.

use super::bind::{Bind, Tls};
use super::check::Role;
use super::server::Server;
use super::service::Service;
use super::settings::{Setting, Settings};
use super::sink::Sink;
use super::watch::Watch;
use crate::draft::{Origin, Pool};
use crate::report::Report;
use crate::value::{Value, key};

/// What clients of a service can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Its checks let through the primary.
    Primary,
    /// One node gets everything, others stand by.
    Standby,
    /// Its checks let through replicas.
    Replicas,
    /// All nodes alike.
    Any,
    /// There is but one.
    Single,
}

impl Purpose {
    fn of(service: &Service) -> Self {
        let is_first = service.balance.as_ref().is_some_and(|(name, ..)| name == "first");
        let mut active = service.servers.iter().filter(|server| !server.backup);
        let is_standby =
            active.next().is_some_and(|first| !stands_for_many(first)) && active.next().is_none();
        let is_one = service.servers.len() == 1 && !stands_for_many(&service.servers[0]);
        match service.role() {
            Some(Role::Primary) => Self::Primary,
            Some(Role::Replica) => Self::Replicas,
            None if is_one => Self::Single,
            None if is_first || is_standby => Self::Standby,
            None => Self::Any,
        }
    }

    fn mode(self) -> &'static str {
        match self {
            Self::Primary | Self::Standby => "write",
            Self::Replicas | Self::Any => "read",
            Self::Single => "split",
        }
    }

    fn reads(self) -> Option<&'static str> {
        match self {
            Self::Replicas => Some("replica"),
            Self::Any => Some("any"),
            Self::Primary | Self::Standby | Self::Single => None,
        }
    }

    fn note(self) -> &'static str {
        match self {
            Self::Primary => {
                "Its checks let through the node that says role:master: mode \"write\", everything goes to the one primary."
            }
            Self::Standby => {
                "HAProxy sent everything to the first server that answers. Here everything goes to the primary, whichever it \
                 is (mode \"write\"): no node is written to because it happens to be up."
            }
            Self::Replicas => {
                "Its checks let through nodes that say role:slave: mode \"read\" from replicas only, and a write gets -READONLY."
            }
            Self::Any => {
                "No check asks for a role and clients are spread over all servers, so this can only be for reads: mode \"read\", \
                 a write gets -READONLY. With mode \"split\" writes would go to the primary as well."
            }
            Self::Single => "One server gets everything.",
        }
    }
}

fn stands_for_many(server: &Server) -> bool {
    let host = server.address.rsplit_once(':').map_or("", |(host, _)| host);
    server.resolves && host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_err()
        || server.address.starts_with("srv:")
}

/// Writes the pools of services that have listeners and servers.
pub(super) fn write(services: Vec<Service>, sink: &mut Sink<'_>) {
    let mut groups: Vec<Vec<Service>> = Vec::new();
    for service in services {
        let nodes = nodes(&service);
        match groups.iter_mut().find(|group| self::nodes(&group[0]) == nodes) {
            Some(group) => group.push(service),
            None => groups.push(vec![service]),
        }
    }
    for group in groups {
        let heads: Vec<(usize, String)> =
            group.iter().flat_map(|service| service.heads.clone()).collect();
        if let Err(why) = pool(&group, sink) {
            for (line, text) in heads {
                sink.report.left(line, &text, why.clone());
            }
        }
    }
}

/// Services of the same nodes are one pool.
fn nodes(service: &Service) -> Vec<&str> {
    let mut nodes: Vec<&str> =
        service.servers.iter().map(|server| server.address.as_str()).collect();
    nodes.sort_unstable();
    nodes
}

fn pool(group: &[Service], sink: &mut Sink<'_>) -> Result<(), String> {
    let first = &group[0];
    let name = sink.document.name(&first.name);
    let certificates =
        group.iter().flat_map(|service| &service.binds).find_map(|bind| bind.tls.as_ref());
    let listen = listen(group, certificates.is_some());
    let servers = first.servers.iter().map(|server| {
        let standby = if server.backup { ", backup" } else { "" };
        (Value::text(&*server.address), format!("{}{standby}", server.name))
    });
    let servers = Value::Lines(servers.collect());
    // What listens with TLS cannot be tried without the certificate.
    let plain = group.iter().flat_map(|service| &service.binds).flat_map(|bind| &bind.addresses);
    let plain = Some(Value::texts(plain.cloned()));
    let watch = group.iter().find_map(|service| service.watch.as_ref());
    let mut pool = match watch {
        Some(watch) => of_sentinels(&name, plain, watch)?,
        None => Pool::new(&name, plain, Some(("servers", servers)))?,
    };
    for service in group {
        let heads: Vec<String> =
            service.heads.iter().map(|(line, text)| format!("`{text}` (line {line})")).collect();
        pool.note(format!("{}. {}", heads.join(" and "), Purpose::of(service).note()));
    }
    if let Some(certificates) = certificates {
        tls(group, certificates, &mut pool, sink.report)?;
    }
    pool.try_set("", "listen", listen, "")?;
    modes(group, &mut pool)?;
    balance(group, &mut pool, sink.report);
    if watch.is_none() {
        members(group, &mut pool, sink.report);
    }
    settings(group, &mut pool, sink.report);
    sink.document.push(pool)
}

fn of_sentinels(name: &str, listen: Option<Value>, watch: &Watch) -> Result<Pool, String> {
    let mut entries = vec![
        ("master", Value::text(&*watch.master)),
        ("sentinels", Value::texts(watch.sentinels.iter().cloned())),
    ];
    entries.extend(watch.password.clone().map(|password| ("password", password)));
    let mut pool = Pool::with_table(name, listen, "sentinel", entries)?;
    pool.note("The Sentinels that HAProxy's checks ask list the nodes, and a majority of them says who the primary is.");
    Ok(pool)
}

/// Listeners: plain where their address says all.
fn listen(group: &[Service], has_tls: bool) -> Value {
    let mut listeners = Vec::new();
    let modes: Vec<&str> = group.iter().map(|service| Purpose::of(service).mode()).collect();
    let differ = modes.iter().any(|mode| *mode != modes[0]);
    for (service, mode) in group.iter().zip(modes) {
        for bind in &service.binds {
            for address in &bind.addresses {
                let mut table = vec![("address", Value::text(&**address))];
                if differ {
                    table.push(("mode", Value::text(mode)));
                }
                table.extend(extras(bind, service, has_tls, address));
                listeners.push(match table.as_slice() {
                    [(_, address)] => address.clone(),
                    _ => Value::Table(table),
                });
            }
        }
    }
    match listeners.len() {
        1 => listeners.remove(0),
        _ if listeners.iter().all(|listener| matches!(listener, Value::Text(_))) => {
            Value::List(listeners)
        }
        _ => {
            Value::Lines(listeners.into_iter().map(|listener| (listener, String::new())).collect())
        }
    }
}

fn extras(
    bind: &Bind,
    service: &Service,
    has_tls: bool,
    address: &str,
) -> Vec<(&'static str, Value)> {
    let mut extras = Vec::new();
    if bind.proxy_protocol {
        extras.push(("proxy_protocol", Value::Flag(true)));
    }
    for (key, networks) in [("allow", &service.allow), ("deny", &service.deny)] {
        if !networks.is_empty() {
            extras.push((key, Value::texts(networks.iter().cloned())));
        }
    }
    let by_default = has_tls && !address.starts_with("unix:");
    if by_default != bind.tls.is_some() {
        extras.push(("tls", Value::Flag(bind.tls.is_some())));
    }
    extras
}

fn tls(group: &[Service], first: &Tls, pool: &mut Pool, report: &mut Report) -> Result<(), String> {
    for bind in group.iter().flat_map(|service| &service.binds) {
        if bind.tls.as_ref().is_some_and(|tls| tls != first) {
            let why =
                "all listeners of a pool have the same certificates: make another pool for it";
            report.left(bind.line, &bind.text, why);
        }
    }
    let files = || match first.certificates.as_slice() {
        [one] => Value::text(&**one),
        more => Value::texts(more.iter().cloned()),
    };
    let mut options = vec![("cert", files()), ("key", files())];
    options.extend(first.client_ca.as_ref().map(|ca| ("client_ca", Value::text(&**ca))));
    pool.try_all("tls", options, "HAProxy's files hold the key as well.")
}

fn modes(group: &[Service], pool: &mut Pool) -> Result<(), String> {
    let purposes: Vec<Purpose> = group.iter().map(Purpose::of).collect();
    if purposes.iter().all(|purpose| purpose.mode() == purposes[0].mode())
        && purposes[0].mode() != "split"
    {
        pool.try_set("", "mode", Value::text(purposes[0].mode()), "")?;
    }
    match purposes.iter().find_map(|purpose| purpose.reads()) {
        Some(reads) => pool.try_set("", "reads", Value::text(reads), ""),
        None => Ok(()),
    }
}

/// That of the service that reads; what goes to the primary is not balanced.
fn balance(group: &[Service], pool: &mut Pool, report: &mut Report) {
    for service in group {
        let Some((name, line, text)) = &service.balance else { continue };
        let origin = Origin { line: *line, what: text };
        if Purpose::of(service).reads().is_none() {
            pool.needless(origin, "there is one node that gets everything");
            continue;
        }
        let same = match name.split('(').next().unwrap_or_default() {
            "roundrobin" | "static-rr" => "roundrobin",
            "leastconn" => "leastconn",
            "random" => "random2",
            "first" => "first",
            _ => {
                let why = "not a way to choose among replicas: the one with the fewest unanswered commands is taken";
                report.left(origin.line, origin.what, why);
                continue;
            }
        };
        pool.set("", "balance", Value::text(same), origin, report);
    }
}

/// What is particular to a node: it counts where reads are spread.
fn members(group: &[Service], pool: &mut Pool, report: &mut Report) {
    let Some(service) = group.iter().find(|service| Purpose::of(service).reads().is_some()) else {
        return;
    };
    let first = service.servers.first().and_then(|server| server.weight);
    let differ = service.servers.iter().any(|server| server.weight != first);
    for server in &service.servers {
        let table = format!("nodes.{}", key(&server.address));
        if let (true, Some(weight)) = (differ || first == Some(0), server.weight) {
            let origin = Origin { line: server.line, what: "weight" };
            pool.set(&table, "weight", Value::Integer(weight), origin, report);
        }
        if server.backup {
            let origin = Origin { line: server.line, what: "backup" };
            pool.set(&table, "backup", Value::Flag(true), origin, report);
        }
    }
}

/// HAProxy's checks wait for `inter`, Redkeel's probes for 200 ms: one that is late is no proof.
fn late_probes(all: &mut Settings, pool: &mut Pool, report: &mut Report) {
    let is_one = |setting: &Setting| setting.key == "fall" && setting.value == Value::Integer(1);
    if !all.iter().any(is_one)
        || all.iter().any(|setting| (setting.table, setting.key) == ("health", "timeout"))
    {
        return;
    }
    if let Some(fall) = all.remove("health", "fall") {
        let note =
            "Of `fall 1`: one probe that is late is no proof. A refused connection counts at once.";
        if let Err(why) = pool.try_set("health", "fall", Value::Integer(2), note) {
            report.left(fall.line, &fall.what, why);
        }
    }
}

fn settings(group: &[Service], pool: &mut Pool, report: &mut Report) {
    let mut all = group[0].settings.clone();
    for service in &group[1..] {
        for setting in service.settings.iter() {
            all.agree(setting.clone(), report);
        }
    }
    let password = all.remove("upstream", "password");
    let username = all.remove("upstream", "username");
    if let Some(password) = password {
        let better = match password.value {
            Value::Text(_) => " Better { env = \"REDIS_PASSWORD\" } or { file = \"…\" }.",
            _ => "",
        };
        let note = format!(
            "Of `tcp-check send AUTH`, for the probes. Clients authenticate as before: their AUTH goes to the nodes.{better}"
        );
        let mut options = vec![("password", password.value)];
        options.extend(username.map(|username| ("username", username.value)));
        if let Err(why) = pool.try_all("upstream", options, &note) {
            report.left(password.line, &password.what, why);
        }
    }
    late_probes(&mut all, pool, report);
    all.apply(pool, report);
    let mut servers = group.iter().flat_map(|service| &service.servers);
    let Some((tls, line)) = servers.find_map(|server| Some((server.tls.as_ref()?, server.line)))
    else {
        return;
    };
    let mut options = Vec::new();
    let text = |text: &String| Value::text(&**text);
    options.extend(tls.ca.as_ref().map(|ca| ("ca", text(ca))));
    options.extend(
        tls.certificate.iter().flat_map(|file| [("cert", text(file)), ("key", text(file))]),
    );
    options.extend(tls.server_name.as_ref().map(|name| ("server_name", text(name))));
    if tls.unverified || options.is_empty() {
        options.push(("verify", Value::Flag(!tls.unverified)));
    }
    if let Err(why) = pool.try_all("upstream.tls", options, "") {
        report.left(line, "server … ssl", why);
    }
}
