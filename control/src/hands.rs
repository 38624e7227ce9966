//! The task of one switchover: it owns connections to the nodes that take part, and asks what it is told to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use config::Credentials;
use resp::{Value, write_command};
use tokio::sync::mpsc;
use tokio::time::timeout;
use topology::{Address, Ask, Failure, NodeId, PoolId, Replies};

use crate::connection::Connection;
use crate::prober::{Report, Reports};

/// One question.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) node: NodeId,
    pub(crate) ask: Ask,
    /// For all of it, with the connect if there must be one.
    pub(crate) within: Duration,
}

pub(crate) struct Hands {
    pub(crate) pool: PoolId,
    pub(crate) addresses: HashMap<NodeId, Address>,
    pub(crate) credentials: Option<Arc<Credentials>>,
    pub(crate) reports: Reports,
}

impl Hands {
    /// Works until the errands end.
    pub(crate) async fn run(self, mut errands: mpsc::Receiver<Errand>) {
        let mut connections: HashMap<NodeId, Connection> = HashMap::new();
        while let Some(Errand { node, ask, within }) = errands.recv().await {
            let kept = connections.remove(&node);
            let answer = match timeout(within, self.ask(kept, node, &ask)).await {
                Ok(Ok((connection, values))) => {
                    connections.insert(node, connection);
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
        node: NodeId,
        ask: &Ask,
    ) -> Result<(Connection, Vec<Value>), Failure> {
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.dial(node).await?,
        };
        let mut request = Vec::new();
        for command in ask.commands() {
            let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
            write_command(&mut request, &words);
        }
        let values = match ask.replies() {
            Replies::Count(count) => connection.ask(&request, count).await?,
            Replies::UntilPong => connection.ask_until_pong(&request).await?,
        };
        Ok((connection, values))
    }

    async fn dial(&self, node: NodeId) -> Result<Connection, Failure> {
        let Some(address) = self.addresses.get(&node) else {
            return Err(Failure::Unreachable("it has left the pool".into()));
        };
        let mut connection = Connection::dial(address).await?;
        if let Some(credentials) = &self.credentials {
            let password = credentials.password.reveal().as_bytes();
            let mut request = Vec::new();
            match &credentials.username {
                Some(user) => write_command(&mut request, &[b"AUTH", user.as_bytes(), password]),
                None => write_command(&mut request, &[b"AUTH", password]),
            }
            // A node without a password refuses AUTH, and needs none.
            connection.ask(&request, 1).await?;
        }
        Ok(connection)
    }
}
