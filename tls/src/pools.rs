//! TLS of all pools.

use std::path::PathBuf;
use std::sync::Arc;

use config::{Config, Source};

use crate::client::Client;
use crate::files::Error;
use crate::from_files::Look;
use crate::server::Server;

/// TLS of every pool of a configuration.
#[derive(Debug, Default)]
pub struct Pools(Vec<(String, PoolTls)>);

/// TLS of one pool, where it has it.
#[derive(Clone, Debug, Default)]
pub struct PoolTls {
    /// Towards clients.
    pub clients: Option<Arc<Server>>,
    /// Towards nodes.
    pub nodes: Option<Arc<Client>>,
    /// Towards Sentinels.
    pub sentinels: Option<Arc<Client>>,
}

impl Pools {
    /// Reads all files.
    pub fn load(config: &Config) -> Result<Self, Error> {
        let mut pools = Vec::new();
        for pool in &config.pools {
            let sentinels = match &pool.source {
                Source::Sentinel(sentinel) => sentinel.tls.as_ref(),
                Source::Servers(_) | Source::Shards(_) | Source::Routes => None,
            };
            let client = |settings| Client::new(settings).map(Arc::new);
            let tls = PoolTls {
                clients: pool.tls.as_ref().map(Server::new).transpose()?.map(Arc::new),
                nodes: pool.upstream.tls.as_ref().map(client).transpose()?,
                sentinels: sentinels.map(client).transpose()?,
            };
            pools.push((pool.name.clone(), tls));
        }
        Ok(Self(pools))
    }

    /// By the pool's index.
    pub fn get(&self, pool: usize) -> PoolTls {
        self.0.get(pool).map(|(_, tls)| tls.clone()).unwrap_or_default()
    }

    /// Is there any file that could change?
    pub fn has_files(&self) -> bool {
        self.sides().any(|(_, _, files, _)| !files.is_empty())
    }

    /// Takes over files that have changed, and says so in the log.
    pub fn look(&self) {
        for (pool, side, files, look) in self.sides() {
            match look() {
                Look::Same => {}
                Look::Renewed => {
                    tracing::info!(
                        pool,
                        side,
                        ?files,
                        "TLS files have changed; new connections use them"
                    );
                }
                Look::Broken(error) => tracing::warn!(
                    pool,
                    side,
                    "TLS files have changed and cannot be used, the ones from before stay in use: {error}"
                ),
            }
        }
    }

    fn sides(&self) -> impl Iterator<Item = Side<'_>> {
        self.0.iter().flat_map(|(pool, tls)| {
            let clients = tls.clients.iter().map(|server| {
                let look: Box<dyn Fn() -> Look> = Box::new(|| server.look());
                (&**pool, "clients", server.files(), look)
            });
            let servers = [("nodes", &tls.nodes), ("sentinels", &tls.sentinels)];
            let servers = servers.into_iter().filter_map(|(side, client)| {
                let client = client.as_ref()?;
                let look: Box<dyn Fn() -> Look> = Box::new(|| client.look());
                Some((&**pool, side, client.files(), look))
            });
            clients.chain(servers)
        })
    }
}

/// Pool, side, files, and a way to look at them.
type Side<'a> = (&'a str, &'static str, &'a [PathBuf], Box<dyn Fn() -> Look + 'a>);
