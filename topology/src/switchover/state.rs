//! How a node stands in replication, from `INFO replication`.

use resp::Value;

use crate::info::Info;
use crate::replication::Replication;
use crate::role_reply::Link;
use crate::{Address, Refusal};

use super::cast::Party;

/// What a node said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeState {
    pub(super) replication: Replication,
    pub(super) failover: Failover,
    /// Of a replica: whom it follows, in its own words.
    pub(super) master: Option<(String, u16)>,
    /// Of a primary: its replicas that are in step.
    pub(super) replicas: Vec<(String, u16)>,
}

/// `master_failover_state`; since 6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failover {
    None,
    /// The primary waits for the replica; nothing is lost if it gives up.
    Waiting,
    /// The primary has become a replica, and asks the other to take over.
    Handing,
}

impl NodeState {
    pub(super) fn parse(reply: &Value) -> Result<Self, Refusal> {
        let replication = Replication::parse(reply)?;
        let info = Info::new(Refusal::text_of(reply, "INFO replication")?);
        let failover = match info.get("master_failover_state") {
            Some("waiting-for-sync") => Failover::Waiting,
            Some("failover-in-progress") => Failover::Handing,
            _ => Failover::None,
        };
        let master = info.get("master_host").and_then(|host| {
            let port = info.number("master_port")?;
            Some((host.to_owned(), u16::try_from(port).ok()?))
        });
        let replicas = (0..)
            .map_while(|number| info.get(&format!("slave{number}")))
            .filter_map(|line| {
                let field = |name: &str| {
                    line.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                };
                let online = field("state") == Some("online");
                let place = (field("ip")?.to_owned(), field("port")?.parse().ok()?);
                online.then_some(place)
            })
            .collect();
        Ok(Self { replication, failover, master, replicas })
    }

    pub(super) fn is_primary(&self) -> bool {
        self.replication.link.is_none()
    }

    pub(super) fn is_linked(&self) -> bool {
        self.replication.link == Some(Link::Up)
    }

    /// Where this primary says that `party` is. What that announces may differ from where Redkeel reaches it; if it
    /// `follows` this primary for sure, it is the only one there is.
    pub(super) fn place_of(&self, party: &Party, follows: bool) -> Option<&(String, u16)> {
        let is_it = |(host, port): &&(String, u16)| is_at(party, host, *port);
        let only = match self.replicas.as_slice() {
            [only] if follows => Some(only),
            _ => None,
        };
        self.replicas.iter().find(is_it).or(only)
    }
}

/// Is this the address, or the configured name, of the node?
pub(super) fn is_at(party: &Party, host: &str, port: u16) -> bool {
    let bare = format!("{host}:{port}");
    let by_address = match &party.address {
        Address::Tcp(address) => {
            address.port() == port
                && host.parse().is_ok_and(|ip: std::net::IpAddr| ip == address.ip())
        }
        Address::Unix(_) => false,
    };
    by_address || *party.name == *bare
}
