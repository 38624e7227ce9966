//! From the configuration to what the reducers are told.

use std::net::{IpAddr, SocketAddr};

use config::{Endpoint, Pool, Reads};
use topology::{Address, Server, Settings};

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

pub(crate) fn servers(pool: &Pool) -> Vec<Server> {
    let server = |endpoint: &Endpoint| {
        let name = endpoint.to_string();
        let options = pool.nodes.get(&name).cloned().unwrap_or_default();
        Server {
            name: name.into(),
            address: fixed_address(endpoint),
            weight: options.weight,
            backup: options.backup,
            zone: options.zone.map(Into::into),
        }
    };
    pool.servers().iter().map(server).collect()
}

/// The names to be resolved, by server.
pub(crate) fn hosts(pool: &Pool) -> Vec<Option<(String, u16)>> {
    let host = |endpoint: &Endpoint| match endpoint {
        Endpoint::Tcp { host, port } if fixed_address(endpoint).is_none() => {
            Some((host.clone(), *port))
        }
        _ => None,
    };
    pool.servers().iter().map(host).collect()
}

fn fixed_address(endpoint: &Endpoint) -> Option<Address> {
    match endpoint {
        Endpoint::Tcp { host, port } => {
            let ip: IpAddr = host.parse().ok()?;
            Some(Address::Tcp(SocketAddr::new(ip, *port)))
        }
        Endpoint::Unix(path) => Some(Address::Unix(path.clone())),
    }
}
