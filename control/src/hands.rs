//! The task of one switchover: it owns connections to those who take part, and asks what it is told to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use config::Credentials;
use resp::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;
use topology::{Ask, Failure, NodeId, PoolId, Replies};

use crate::connection::{Connection, Way};
use crate::prober::{Report, Reports};
use crate::request::Request;
use crate::resolver::Resolver;

/// One question.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) whom: Whom,
    pub(crate) ask: Ask,
    /// For all of it, with the connect if there must be one.
    pub(crate) within: Duration,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whom {
    Node(NodeId),
    /// A node, over a connection that is used for nothing else.
    Claimed(NodeId),
    /// The one that chooses.
    Sentinel,
}

pub(crate) struct Hands {
    pub(crate) pool: PoolId,
    pub(crate) ways: HashMap<NodeId, Way>,
    pub(crate) credentials: Option<Arc<Credentials>>,
    /// Where the Sentinel is that chooses, if one does: `host:port`.
    pub(crate) sentinel: Option<Arc<str>>,
    pub(crate) sentinel_credentials: Option<Arc<Credentials>>,
    pub(crate) sentinel_tls: Option<Arc<tls::Client>>,
    pub(crate) resolver: Resolver,
    pub(crate) reports: Reports,
}

impl Hands {
    /// Works until the errands end.
    pub(crate) async fn run(self, mut errands: mpsc::Receiver<Errand>) {
        let mut connections: HashMap<Whom, Connection> = HashMap::new();
        while let Some(Errand { whom, ask, within }) = errands.recv().await {
            let kept = connections.remove(&whom);
            let answer = match timeout(within, self.ask(kept, whom, &ask)).await {
                Ok(Ok((connection, values))) => {
                    connections.insert(whom, connection);
                    Ok(values)
                }
                Ok(Err(failure)) => Err(failure),
                Err(_) => Err(Failure::TimedOut),
            };
            // Nobody reads any more when the control plane ends, and then this task ends with it.
            let _ = self.reports.send((self.pool, Report::Asked(answer))).await;
        }
    }

    async fn ask(
        &self,
        kept: Option<Connection>,
        whom: Whom,
        ask: &Ask,
    ) -> Result<(Connection, Vec<Value>), Failure> {
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.dial(whom).await?,
        };
        let mut request = Request::default();
        for command in ask.commands() {
            let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
            request.add(&words);
        }
        let values = match ask.replies() {
            Replies::Count(count) => connection.ask(&request.bytes, count).await?,
            Replies::UntilPong => connection.ask_until_pong(&request.bytes).await?,
        };
        Ok((connection, values))
    }

    async fn dial(&self, whom: Whom) -> Result<Connection, Failure> {
        let (mut connection, credentials) = match whom {
            Whom::Node(node) | Whom::Claimed(node) => {
                let Some(way) = self.ways.get(&node) else {
                    return Err(Failure::Unreachable("it has left the pool".into()));
                };
                (Connection::dial(way).await?, &self.credentials)
            }
            Whom::Sentinel => {
                let Some(name) = &self.sentinel else {
                    return Err(Failure::Unreachable("there is none".into()));
                };
                let tls = self.sentinel_tls.as_deref();
                let connection = Connection::dial_name(name, &self.resolver, tls).await?;
                (connection, &self.sentinel_credentials)
            }
        };
        if let Some(credentials) = credentials {
            let mut request = Request::default();
            request.authenticate(credentials);
            // Who has no password refuses AUTH, and needs none.
            connection.ask(&request.bytes, request.commands).await?;
        }
        Ok(connection)
    }
}
