//! What the names of servers stand for, by DNS: addresses, SRV records, and for how long.
//!
//! A resolver is made anew for each lookup. That costs next to nothing at once a second, and what the system says of its
//! name servers and hosts is always what it says now; nothing is cached but by `topology`, which honours the TTL.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::timeout;
use topology::{Address, Resolved, Target, printable};

/// After which a lookup is given up.
const LOOKUP: Duration = Duration::from_secs(5);
/// After which a name server is asked again, or another.
const TRY: Duration = Duration::from_secs(1);
/// How often.
const TRIES: usize = 3;
/// Targets of an SRV name that are looked up.
const MAX_TARGETS: usize = 128;

/// Asks the name servers.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    /// Empty: the system's.
    servers: Vec<SocketAddr>,
}

/// The addresses of a host.
struct Found {
    addresses: Vec<IpAddr>,
    ttl: Duration,
    /// Neither IPv4 nor IPv6 failed.
    complete: bool,
}

impl Resolver {
    pub(crate) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers }
    }

    /// `server`: `host:port`, or `srv:` and a name.
    pub(crate) async fn resolve(&self, server: &str) -> Result<Resolved, Box<str>> {
        let answer = async {
            let resolver = self.resolver().map_err(|error| reason(&error))?;
            let answer = match server.strip_prefix("srv:") {
                Some(name) => service(&resolver, name).await,
                None => {
                    let (host, port) = server.rsplit_once(':').ok_or("no port")?;
                    let port = port.parse().map_err(|_| "not a port")?;
                    host_at(&resolver, host, port).await
                }
            };
            answer.map_err(|error| reason(&error))
        };
        timeout(LOOKUP, answer).await.unwrap_or_else(|_| Err("no answer in time".into()))
    }

    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut builder = if self.servers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let servers = self.servers.iter().map(name_server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = TRY;
        options.attempts = TRIES;
        // A name that leads to another lasts no longer than that does.
        options.preserve_intermediates = true;
        builder.build()
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

async fn host_at(resolver: &TokioResolver, host: &str, port: u16) -> Result<Resolved, NetError> {
    let found = addresses(resolver, host).await?;
    let target = |ip| Target { backup: false, address: tcp(ip, port) };
    Ok(Resolved {
        targets: found.addresses.into_iter().map(target).collect(),
        ttl: found.ttl,
        complete: found.complete,
    })
}

/// Only the lowest priority is for use, the others are backups (RFC 2782); weights are not looked at.
async fn service(resolver: &TokioResolver, name: &str) -> Result<Resolved, NetError> {
    let lookup = resolver.lookup(name, RecordType::SRV).await?;
    let ttl = least_ttl(lookup.answers());
    let records = lookup.answers().iter().filter_map(|record| match &record.data {
        // The root means: there is no such service.
        RData::SRV(srv) if !srv.target.is_root() => Some(srv),
        _ => None,
    });
    let records: Vec<&SRV> = records.take(MAX_TARGETS).collect();
    let lowest = records.iter().map(|record| record.priority).min();
    let mut resolved = Resolved { targets: Vec::new(), ttl, complete: true };
    for record in records {
        let found = match addresses(resolver, &record.target.to_utf8()).await {
            Ok(found) => found,
            // Named, but gone: a record that is about to go too.
            Err(error) if error.is_no_records_found() => continue,
            Err(error) => return Err(error),
        };
        resolved.ttl = resolved.ttl.min(found.ttl);
        resolved.complete &= found.complete;
        let backup = Some(record.priority) != lowest;
        let target = |ip| Target { backup, address: tcp(ip, record.port) };
        resolved.targets.extend(found.addresses.into_iter().map(target));
    }
    Ok(resolved)
}

/// From the system's hosts file where it has the name, else from the name servers.
async fn addresses(resolver: &TokioResolver, host: &str) -> Result<Found, NetError> {
    if let Some(found) = from_hosts(host) {
        return Ok(found);
    }
    let (v4, v6) =
        tokio::join!(resolver.lookup(host, RecordType::A), resolver.lookup(host, RecordType::AAAA));
    let answered = |error: &NetError| error.is_no_records_found();
    let complete = v4.as_ref().err().is_none_or(answered) && v6.as_ref().err().is_none_or(answered);
    let records: Vec<Record> = match (v4, v6) {
        (Err(v4), Err(v6)) => return Err(if answered(&v4) { v6 } else { v4 }),
        (v4, v6) => {
            v4.iter().chain(v6.iter()).flat_map(|lookup| lookup.answers().iter().cloned()).collect()
        }
    };
    let addresses = records.iter().filter_map(|record| record.data.ip_addr()).collect();
    Ok(Found { addresses, ttl: least_ttl(&records), complete })
}

fn from_hosts(host: &str) -> Option<Found> {
    let hosts = Hosts::from_system().ok()?;
    let name = Name::from_utf8(host).ok()?;
    let of_type = |record_type| {
        let lookup = hosts.lookup_static_host(&Query::query(name.clone(), record_type));
        let records = lookup.iter().flat_map(|lookup| lookup.answers());
        records.filter_map(|record| record.data.ip_addr()).collect::<Vec<IpAddr>>()
    };
    let mut addresses = of_type(RecordType::A);
    addresses.extend(of_type(RecordType::AAAA));
    // The file says nothing of how long it holds: it is read again soon.
    let found = Found { addresses, ttl: Duration::from_secs(30), complete: true };
    (!found.addresses.is_empty()).then_some(found)
}

fn least_ttl(records: &[Record]) -> Duration {
    let least = records.iter().map(|record| record.ttl).min();
    Duration::from_secs(u64::from(least.unwrap_or(0)))
}

fn tcp(ip: IpAddr, port: u16) -> Address {
    Address::Tcp(SocketAddr::new(ip, port))
}

fn reason(error: &NetError) -> Box<str> {
    if error.is_nx_domain() {
        "no such name".into()
    } else if error.is_no_records_found() {
        "the name has no such records".into()
    } else {
        printable(error.to_string().as_bytes())
    }
}
