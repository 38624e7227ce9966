//! The HTTP server: accepts, bounds, and routes to the pages.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use topology::{PoolId, Published, SwitchoverDesk, Time, Workers};

use crate::bind::{Listener, Socket};
use crate::pages::{self, Shared};
use crate::switchover::Peer;

/// Connections served at a time; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// How long a connection may take to send a request's head, also when kept alive between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// After an accept failed for lack of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the pages are made from.
pub struct Sources {
    /// The picture of the nodes.
    pub published: Arc<Published>,
    /// Asked for their counters.
    pub workers: Workers,
    /// Pools' modes and rules for reads.
    pub config: Arc<config::Config>,
    /// What the proxy listens at.
    pub listeners: Vec<BoundListener>,
    /// When the process started.
    pub started: SystemTime,
    /// Set on SIGTERM.
    pub draining: Arc<AtomicBool>,
    /// The clock that the Snapshot's times are of.
    pub clock: Box<dyn Fn() -> Time + Send + Sync>,
    /// How many sightings of workers did not reach the control plane.
    pub evidence_dropped: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Takes orders of switchovers.
    pub switchovers: SwitchoverDesk,
    /// Of Redkeel.
    pub version: &'static str,
}

/// One address that the proxy listens at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundListener {
    /// For this pool.
    pub pool: PoolId,
    /// With the real port.
    pub address: String,
    /// What clients get there.
    pub mode: config::Mode,
}

impl Sources {
    pub(crate) fn now(&self) -> Time {
        (self.clock)()
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

/// Serves until it is dropped.
pub async fn serve(listener: Listener, sources: Sources) {
    let shared = Arc::new(Shared::new(sources));
    let router = pages::router(shared.clone());
    tokio::join!(shared.sample(), accept(listener, router));
}

async fn accept(listener: Listener, router: Router) {
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Fails only if the semaphore is closed, which nobody does.
    while let Ok(permit) = free.clone().acquire_owned().await {
        let accepted = match &listener.0 {
            Socket::Tcp(tcp) => tcp.accept().await.map(|(stream, from)| {
                let local = from.ip().to_canonical().is_loopback();
                let peer = if local { Peer::Local } else { Peer::Remote };
                spawn(stream, peer, router.clone(), permit);
            }),
            Socket::Unix(unix, _) => {
                let accepted = unix.accept().await;
                accepted.map(|(stream, _)| spawn(stream, Peer::Local, router.clone(), permit))
            }
        };
        if let Err(error) = accepted {
            pause_after(&error).await;
        }
    }
}

/// A connection that was gone before it was accepted is nothing; all else lasts for a while.
async fn pause_after(error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted {
        tracing::warn!(%error, "the administration endpoint could not accept a connection; trying again");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

fn spawn(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    permit: OwnedSemaphorePermit,
) {
    tokio::spawn(async move {
        connection(stream, peer, router).await;
        drop(permit);
    });
}

/// Serves one connection to its end.
pub(crate) async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
) {
    let router = router.layer(axum::Extension(peer));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // An error is a client that broke off or sent no HTTP: its affair.
    if let Err(error) = connection.await {
        tracing::debug!(%error, "administration connection");
    }
}

#[cfg(test)]
mod tests {
    use config::Endpoint;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpStream, UnixStream};
    use tokio::task::JoinSet;

    use super::*;
    use crate::bind;
    use crate::fixture::{self, FakeWorker, counts};
    use crate::status::Status;

    /// One request over one connection: the status code and the body.
    async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: redkeel\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let code = head.split(' ').nth(1).expect("a code").parse().expect("a number");
        assert!(head.contains("cache-control: no-store"), "{head}");
        (code, body.to_owned())
    }

    /// A server on a free port; it ends with the returned set.
    async fn start(sources: Sources) -> (String, JoinSet<()>) {
        let endpoint = Endpoint::Tcp { host: "127.0.0.1".to_owned(), port: 0 };
        let listener = bind(&endpoint).await.expect("a free port");
        let address = listener.address();
        let mut server = JoinSet::new();
        server.spawn(serve(listener, sources));
        (address, server)
    }

    async fn ask(address: &str, path: &str) -> (u16, String) {
        get(TcpStream::connect(address).await.expect("it listens"), path).await
    }

    #[tokio::test]
    async fn the_pages_are_served() {
        let sources = fixture::sources(vec![Arc::new(FakeWorker::with(counts(1)))]);
        let (address, _server) = start(sources).await;

        let (code, body) = ask(&address, "/metrics").await;
        assert_eq!(code, 200);
        assert!(body.contains("redkeel_pool_clients{pool=\"main\"} 7\n"), "{body}");
        assert!(body.ends_with("# EOF\n"));

        let (code, body) = ask(&address, "/api/v1/status").await;
        assert_eq!(code, 200);
        let status: Status = serde_json::from_str(&body).expect("a status");
        assert_eq!(status.pools[0].primary.as_deref(), Some("10.0.0.1:6379"));
        assert_eq!(status.pools[0].listeners[1].mode, "read");
        assert!(status.workers[0].up);

        assert_eq!(ask(&address, "/healthz").await, (200, "ok\n".to_owned()));
        assert_eq!(ask(&address, "/readyz").await, (200, "ready\n".to_owned()));
        assert!(ask(&address, "/").await.1.contains("href=\"/metrics\""));
        assert_eq!(ask(&address, "/nothing").await.0, 404);
    }

    #[tokio::test]
    async fn readiness_follows_the_snapshot_and_the_drain() {
        let sources = fixture::sources(vec![Arc::new(FakeWorker::with(counts(1)))]);
        let (published, draining) = (sources.published.clone(), sources.draining.clone());
        let (address, _server) = start(sources).await;

        published.publish(Arc::default());
        assert_eq!(ask(&address, "/readyz").await.0, 503);
        published.publish(Arc::new(fixture::snapshot()));
        assert_eq!(ask(&address, "/readyz").await.0, 200);
        draining.store(true, Ordering::Relaxed);
        let (code, body) = ask(&address, "/readyz").await;
        assert_eq!((code, body.as_str()), (503, "draining: no new clients\n"));
    }

    #[tokio::test]
    async fn a_worker_that_hangs_is_shown_and_delays_a_page_by_a_second_at_most() {
        let worker = Arc::new(FakeWorker::with(counts(1)));
        worker.hang();
        let (address, _server) = start(fixture::sources(vec![worker])).await;
        let (code, body) = ask(&address, "/healthz").await;
        assert_eq!((code, body.as_str()), (503, "worker 0 does not answer\n"));
        let (_, body) = ask(&address, "/metrics").await;
        assert!(body.contains("redkeel_worker_up{worker=\"0\"} 0\n"), "{body}");
    }

    /// Time stands still until nobody has anything to do, then jumps to the next timer.
    #[tokio::test(start_paused = true)]
    async fn silent_connections_are_closed_after_a_while_and_make_room() {
        let sources = fixture::sources(vec![Arc::new(FakeWorker::with(counts(1)))]);
        let (address, _server) = start(sources).await;
        let begin = tokio::time::Instant::now();
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(TcpStream::connect(&address).await.expect("it listens"));
        }
        assert_eq!(ask(&address, "/readyz").await.0, 200);
        assert!(begin.elapsed() >= HEAD_TIMEOUT, "all places were taken until then");
    }

    #[tokio::test]
    async fn a_unix_socket_that_was_left_behind_is_replaced_and_a_live_one_is_not() {
        let path = std::env::temp_dir().join(format!("redkeel-admin-{}.sock", std::process::id()));
        let endpoint = Endpoint::Unix(path.clone());
        drop(bind(&endpoint).await.expect("bound"));
        assert!(path.exists(), "a dropped socket leaves its file");

        let listener = bind(&endpoint).await.expect("the stale file is replaced");
        assert_eq!(listener.address(), format!("unix:{}", path.display()));
        let taken = bind(&endpoint).await.expect_err("somebody listens");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);

        let mut server = JoinSet::new();
        server.spawn(serve(listener, fixture::sources(Vec::new())));
        let stream = UnixStream::connect(&path).await.expect("it listens");
        assert_eq!(get(stream, "/healthz").await.0, 200);
        std::fs::remove_file(&path).expect("removed");
    }
}
