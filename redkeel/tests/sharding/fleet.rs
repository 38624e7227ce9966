//! Real servers, and which keys lie on which of them.

use std::collections::BTreeSet;

use testkit::{Address, Client, RedisServer, Value, bulk, simple};

/// How many a fleet has.
pub(crate) const SERVERS: usize = 6;
/// So many commands are sent in one write.
const BATCH: usize = 200;

/// Servers without replicas, each of which may be a shard of many pools, one after the other.
pub(crate) struct Fleet {
    pub(crate) servers: Vec<RedisServer>,
    /// `None` to one that is lost.
    clients: Vec<Option<Client>>,
}

impl Fleet {
    /// [`SERVERS`] servers: the last listens on a unix socket, the one before it on ::1, the others on 127.0.0.1.
    pub(crate) fn start() -> Self {
        let mut servers: Vec<RedisServer> = (2..SERVERS).map(|_| RedisServer::start()).collect();
        servers.push(RedisServer::builder().ipv6().start());
        servers.push(RedisServer::builder().unix_socket().start());
        let clients = servers.iter().map(|server| Some(server.client())).collect();
        Self { servers, clients }
    }

    /// Ends a server; its keys go with it.
    pub(crate) fn lose(&mut self, server: usize) {
        self.clients[server] = None;
        self.servers[server].kill9();
    }

    pub(crate) fn clear(&mut self) {
        for client in self.clients.iter_mut().flatten() {
            assert_eq!(client.command(["FLUSHALL"]), simple("OK"));
        }
    }

    /// Each key is on the server that `server_of` names, and no server has any other. `explain` says how a key got there.
    #[track_caller]
    pub(crate) fn expect(
        &mut self,
        keys: &[Vec<u8>],
        server_of: impl Fn(&[u8]) -> usize,
        explain: impl Fn(&[u8]) -> String,
    ) {
        for (server, client) in self.clients.iter_mut().enumerate() {
            let found = match client.as_mut().map(|client| client.command(["KEYS", "*"])) {
                Some(Value::Array(found)) => found,
                Some(other) => panic!("KEYS: {other:?}"),
                None => Vec::new(),
            };
            let found: BTreeSet<&[u8]> = found.iter().map(|key| key.as_bytes().unwrap()).collect();
            let own = keys.iter().map(Vec::as_slice).filter(|key| server_of(key) == server);
            let own: BTreeSet<&[u8]> = own.collect();
            let wrong: Vec<String> =
                found.symmetric_difference(&own).map(|key| explain(key)).collect();
            assert!(
                wrong.is_empty(),
                "server {server}: {} of {} keys are wrong, the first: {}",
                wrong.len(),
                own.len(),
                wrong[0]
            );
        }
    }
}

/// Writes all keys through the proxy at this address.
pub(crate) fn write_through(proxy: &Address, keys: &[Vec<u8>]) {
    let mut client = Client::connect(proxy);
    for batch in keys.chunks(BATCH) {
        let values: Vec<Vec<u8>> = batch.iter().map(|key| value_of(key)).collect();
        let commands = std::iter::zip(batch, &values)
            .map(|(key, value)| [b"SET", key.as_slice(), value.as_slice()]);
        for (key, reply) in std::iter::zip(batch, client.pipeline(commands)) {
            assert_eq!(reply, simple("OK"), "{}", key.escape_ascii());
        }
    }
}

/// All keys are found through the proxy at this address.
#[track_caller]
pub(crate) fn find_through(proxy: &Address, keys: &[Vec<u8>]) {
    let mut client = Client::connect(proxy);
    for batch in keys.chunks(BATCH) {
        let replies = client.pipeline(batch.iter().map(|key| [b"GET", key.as_slice()]));
        for (key, reply) in std::iter::zip(batch, replies) {
            assert_eq!(reply, bulk(value_of(key)), "{}", key.escape_ascii());
        }
    }
}

fn value_of(key: &[u8]) -> Vec<u8> {
    [b"value of ", key].concat()
}
