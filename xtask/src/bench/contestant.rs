//! Who is compared.

use std::path::PathBuf;

use testkit::{Address, Authority, Certificate, Peer, Redkeel};

/// Where the proxy runs, and where redis-server and the load run.
pub(super) const PROXY_CPU: usize = 1;
pub(super) const LOAD_CPU: usize = 0;

/// Something that a load can go through.
pub(super) enum Contestant {
    Direct,
    Redkeel(PathBuf),
    HaProxy,
    Twemproxy,
    Envoy,
}

/// All that there are on this machine, in the order of their turns.
pub(super) fn all(redkeel: PathBuf) -> Vec<Contestant> {
    let mut all = vec![
        Contestant::Direct,
        Contestant::Redkeel(redkeel),
        Contestant::HaProxy,
        Contestant::Twemproxy,
    ];
    if Peer::envoy_binary().is_some() {
        all.push(Contestant::Envoy);
    }
    all
}

/// The certificate that the proxies show, and who has signed it.
pub(super) struct Tls {
    pub(super) authority: Authority,
    certificate: Certificate,
}

impl Tls {
    pub(super) fn new() -> Self {
        let authority = Authority::new();
        let certificate = authority.certificate(&["localhost", "127.0.0.1"]);
        Self { authority, certificate }
    }
}

impl Contestant {
    /// Can it speak TLS with its clients?
    pub(super) fn speaks_tls(&self) -> bool {
        matches!(self, Self::Redkeel(_) | Self::HaProxy)
    }

    /// As [`Self::start`], speaking TLS with the clients.
    pub(super) fn start_tls(
        &self,
        server: &Address,
        max_clients: usize,
        tls: &Tls,
    ) -> Option<Proxy> {
        Some(match self {
            Self::Redkeel(binary) => {
                let Certificate { cert, key } = &tls.certificate;
                let text = format!(
                    "workers = 1\n[admin]\nlisten = \"none\"\n\
                     [pool.main]\nlisten = \"127.0.0.1:0\"\nservers = [\"{server}\"]\n\
                     [pool.main.tls]\ncert = {cert:?}\nkey = {key:?}\n"
                );
                let builder = Redkeel::builder(binary).config(&text).cpu(PROXY_CPU);
                Proxy::Redkeel(builder.expect_log("max_clients").start())
            }
            Self::HaProxy => {
                let (server, cpu) = (server.to_string(), Some(PROXY_CPU));
                Proxy::Peer(Peer::haproxy_tls(&server, max_clients, cpu, &tls.certificate))
            }
            Self::Direct | Self::Twemproxy | Self::Envoy => return None,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Redkeel(_) => "redkeel",
            Self::HaProxy => "haproxy",
            Self::Twemproxy => "twemproxy",
            Self::Envoy => "envoy",
        }
    }

    /// Sockets that it has open for each client.
    pub(super) fn descriptors_per_client(&self) -> u64 {
        match self {
            Self::HaProxy => 2,
            _ => 1,
        }
    }

    /// Can it shard?
    pub(super) fn shards(&self) -> bool {
        !matches!(self, Self::HaProxy)
    }

    /// Starts it before the Redis servers at `servers`, several of which are shards, for so many clients. `None`: there
    /// is no proxy.
    pub(super) fn start(&self, servers: &[String], max_clients: usize) -> Option<Proxy> {
        let (text, cpu) = (servers.join(","), Some(PROXY_CPU));
        Some(match self {
            Self::Direct => return None,
            Self::Redkeel(binary) if servers.len() > 1 => {
                let text = format!(
                    "workers = 1\n[admin]\nlisten = \"none\"\n\
                     [pool.main]\nlisten = \"127.0.0.1:0\"\nshards = {{ servers = {servers:?} }}\n"
                );
                let builder = Redkeel::builder(binary).config(&text).cpu(PROXY_CPU);
                Proxy::Redkeel(builder.expect_log("max_clients").start())
            }
            Self::Redkeel(binary) => {
                let arguments = [
                    ["--mode", "split"],
                    ["--workers", "1"],
                    ["--listen", "127.0.0.1:0"],
                    ["--admin", "none"],
                    ["--servers", &text],
                ];
                Proxy::Redkeel(
                    Redkeel::builder(binary)
                        .args(arguments.concat())
                        .cpu(PROXY_CPU)
                        // A hard limit of descriptors that is too low is warned of.
                        .expect_log("max_clients")
                        .start(),
                )
            }
            Self::HaProxy => Proxy::Peer(Peer::haproxy(&text, max_clients, cpu)),
            Self::Twemproxy => Proxy::Peer(Peer::twemproxy(servers, cpu)),
            Self::Envoy => Proxy::Peer(Peer::envoy(servers, cpu)?),
        })
    }
}

/// A running contestant.
pub(super) enum Proxy {
    Redkeel(Redkeel),
    Peer(Peer),
}

impl Proxy {
    pub(super) fn address(&self) -> Address {
        match self {
            Self::Redkeel(redkeel) => redkeel.address(),
            Self::Peer(peer) => peer.address().clone(),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        match self {
            Self::Redkeel(redkeel) => redkeel.pid(),
            Self::Peer(peer) => peer.pid(),
        }
    }
}
