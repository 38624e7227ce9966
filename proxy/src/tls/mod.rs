//! TLS of connections: handshakes are done by threads of their own ([`Handshakers`]), so that no worker's turn waits for
//! one; a worker gets an established [`Session`], whose encryption costs no more than copying.

mod failures;
mod handshake;
mod handshaker;
mod session;

use std::sync::Arc;

use config::Config;

use crate::post::Post;

pub(crate) use handshake::{Job, Slot};
pub(crate) use session::{Flushed, Session};

use handshaker::Handshaker;

/// The threads that do handshakes, where the configuration has TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshakers {
    /// With clients.
    clients: Vec<Arc<Post<Job>>>,
    /// With nodes: a crowd of clients must not keep the nodes from being reached.
    nodes: Option<Arc<Post<Job>>>,
}

/// A thread that is to be started.
pub(crate) type Thread = (String, Box<dyn FnOnce() + Send>);

impl Handshakers {
    /// With the threads that do handshakes with clients, and those that do them with nodes.
    pub(crate) fn new(
        config: &Arc<Config>,
        pools: &Arc<::tls::Pools>,
        origin: std::time::Instant,
    ) -> std::io::Result<(Self, Vec<Thread>, Vec<Thread>)> {
        let start = |name: String| -> std::io::Result<(Arc<Post<Job>>, Thread)> {
            let (handshaker, post) = Handshaker::new(config, pools, origin)?;
            Ok((post, (name, Box::new(move || handshaker.run()))))
        };
        let mut all = Self::default();
        let (mut with_clients, mut with_nodes) = (Vec::new(), Vec::new());
        if config.pools.iter().any(|pool| pool.tls.is_some()) {
            // While many clients come at once, half of the time is for those that are served.
            for index in 0..config.workers.max(1).div_ceil(2) {
                let (post, thread) = start(format!("tls-clients-{index}"))?;
                all.clients.push(post);
                with_clients.push(thread);
            }
        }
        if config.pools.iter().any(|pool| pool.upstream.tls.is_some()) {
            let (post, thread) = start("tls-nodes".to_owned())?;
            all.nodes = Some(post);
            with_nodes.push(thread);
        }
        Ok((all, with_clients, with_nodes))
    }

    /// `turn`: a number that grows by one with each client.
    pub(crate) fn with_client(&self, job: Job, turn: usize) {
        if let Some(post) = self.clients.get(turn % self.clients.len().max(1)) {
            post.send(job);
        }
    }

    pub(crate) fn with_node(&self, job: Job) {
        if let Some(post) = &self.nodes {
            post.send(job);
        }
    }

    /// No more handshakes with clients; those that are under way are broken off.
    pub(crate) fn stop_clients(&self) {
        self.clients.iter().for_each(stop);
    }

    /// No more handshakes at all.
    pub(crate) fn stop(&self) {
        self.stop_clients();
        self.nodes.iter().for_each(stop);
    }
}

fn stop(post: &Arc<Post<Job>>) {
    post.close();
    post.wake();
}
