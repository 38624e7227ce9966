//! From the configuration to what the reducers are told.

use std::net::{IpAddr, SocketAddr};

use config::{Endpoint, Pool, Reads, Sentinel, ServerName};
use topology::{Address, SentinelSettings, Server, Settings};

pub(crate) fn settings(pool: &Pool) -> Settings {
    Settings {
        interval: pool.health.interval,
        fast_interval: pool.health.fast_interval,
        down_interval: pool.health.down_interval,
        rise: pool.health.rise,
        fall: pool.health.fall,
        max_lag: pool.max_lag,
        anti_flap: pool.anti_flap,
        primary_takes_reads: pool.reads != Reads::Replica,
    }
}

pub(crate) fn servers(pool: &Pool, servers: &[ServerName]) -> Vec<Server> {
    servers
        .iter()
        .map(|endpoint| server(pool, endpoint.to_string(), fixed_address(endpoint)))
        .collect()
}

/// The Sentinels, and what is configured for nodes that they may list.
pub(crate) fn sentinels(pool: &Pool, sentinel: &Sentinel) -> SentinelSettings {
    let nodes = pool.nodes.keys().map(|name| {
        let listed = Server::of(name.as_str().into());
        server(pool, name.clone(), listed.address)
    });
    SentinelSettings {
        master: sentinel.master.as_str().into(),
        sentinels: sentinel.sentinels.iter().map(|name| name.to_string().into()).collect(),
        hold: pool.timeouts.hold,
        nodes: nodes.collect(),
    }
}

/// With what is particular to it.
fn server(pool: &Pool, name: String, address: Option<Address>) -> Server {
    let options = pool.nodes.get(&name).cloned().unwrap_or_default();
    Server {
        name: name.into(),
        address,
        weight: options.weight,
        backup: options.backup,
        zone: options.zone.map(Into::into),
    }
}

fn fixed_address(server: &ServerName) -> Option<Address> {
    let ServerName::At(endpoint) = server else { return None };
    match endpoint {
        Endpoint::Tcp { host, port } => {
            let ip: IpAddr = host.parse().ok()?;
            Some(Address::Tcp(SocketAddr::new(ip, *port)))
        }
        Endpoint::Unix(path) => Some(Address::Unix(path.clone())),
    }
}
