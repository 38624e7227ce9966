//! The tasks of one Sentinel: one asks it when it is told to, the other hears what it publishes.

use std::sync::Arc;
use std::time::Duration;

use config::Credentials;
use resp::Value;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use topology::{Failure, PoolId, SentinelAnswer, SentinelEvent, SentinelId, SentinelObservation};

use crate::clock::Clock;
use crate::connection::Connection;
use crate::prober::{Report, Reports};
use crate::request::{Request, blame, refusal};
use crate::resolver::Resolver;

/// For a whole poll, with the lookup and the connect if there must be one.
const TIMEOUT: Duration = Duration::from_secs(1);
/// A silent subscription is asked for a sign of life this often; it is lost if none comes in the same time.
const PING_EVERY: Duration = Duration::from_secs(1);
/// The first wait after a second failed subscription; doubled with each further one, up to [`MAX_BACKOFF`].
const BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// A subscription that lived so long had not failed.
const LASTING: Duration = Duration::from_secs(1);

/// What both tasks know.
#[derive(Clone)]
pub(crate) struct Sentinel {
    pub(crate) pool: PoolId,
    pub(crate) id: SentinelId,
    /// `host:port`; a name is resolved with every connect.
    pub(crate) name: Arc<str>,
    pub(crate) master: Arc<str>,
    pub(crate) credentials: Option<Arc<Credentials>>,
    pub(crate) resolver: Resolver,
    pub(crate) tls: Option<Arc<tls::Client>>,
    pub(crate) clock: Clock,
    pub(crate) reports: Reports,
}

/// A connection for polls.
struct Link {
    connection: Connection,
    authenticated: bool,
    /// It does not know `SENTINEL REPLICAS` (before 5.0).
    says_slaves: bool,
}

impl Sentinel {
    /// Asks as often as it is ordered to; ends with the orders.
    pub(crate) async fn ask(self, mut orders: mpsc::Receiver<()>) {
        let mut link: Option<Link> = None;
        loop {
            let order = tokio::select! {
                biased;
                order = orders.recv() => order,
                () = ended(&mut link) => {
                    link = None;
                    self.report(SentinelObservation::Stirred).await;
                    continue;
                }
            };
            if order.is_none() {
                return;
            }
            let sent = self.clock.now();
            let outcome = match timeout(TIMEOUT, self.poll(&mut link)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Failure::TimedOut.to_string().into()),
            };
            if outcome.is_err() {
                link = None;
            }
            self.report(SentinelObservation::Answered { sent, outcome }).await;
        }
    }

    async fn report(&self, observation: SentinelObservation) {
        // Nobody reads any more when the control plane ends, and then this task ends with it.
        let _ = self
            .reports
            .send((self.pool, Report::Sentinel { sentinel: self.id, observation }))
            .await;
    }

    /// One poll; a connection that proves lost is dialled again once.
    async fn poll(&self, link: &mut Option<Link>) -> Result<SentinelAnswer, Box<str>> {
        let was_open = link.is_some();
        let mut replies = self.exchange(link).await;
        if was_open && replies == Err(Failure::Lost) {
            *link = None;
            replies = self.exchange(link).await;
        }
        let replies = replies.map_err(|failure| Box::from(failure.to_string()))?;
        let (auth, replies) = replies.split_at(replies.len() - SentinelAnswer::REPLIES);
        let auth = auth.first().and_then(refusal);
        SentinelAnswer::parse(replies).map_err(|why| blame(why, &auth).of_sentinel(&self.master))
    }

    async fn exchange(&self, link: &mut Option<Link>) -> Result<Vec<Value>, Failure> {
        let link = match link {
            Some(link) => link,
            None => {
                let connection = self.dial().await?;
                link.insert(Link { connection, authenticated: false, says_slaves: false })
            }
        };
        let replies = self.ask_for(link).await?;
        // Who does not know REPLICAS says so, and knows it by its old name.
        let of_replicas = replies.get(replies.len() - SentinelAnswer::REPLIES + 2);
        let unknown = |text: &[u8]| text.to_ascii_lowercase().starts_with(b"err unknown sentinel");
        if !link.says_slaves && matches!(of_replicas, Some(Value::Error(text)) if unknown(text)) {
            link.says_slaves = true;
            return self.ask_for(link).await;
        }
        Ok(replies)
    }

    async fn ask_for(&self, link: &mut Link) -> Result<Vec<Value>, Failure> {
        let master = self.master.as_bytes();
        let mut request = Request::default();
        if let Some(credentials) = self.credentials.as_ref().filter(|_| !link.authenticated) {
            request.authenticate(credentials);
        }
        let replicas: &[u8] = if link.says_slaves { b"SLAVES" } else { b"REPLICAS" };
        request.add(&[b"SENTINEL", b"MASTER", master]);
        request.add(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", master]);
        request.add(&[b"SENTINEL", replicas, master]);
        request.add(&[b"SENTINEL", b"SENTINELS", master]);
        request.add(&[b"SENTINEL", b"MYID"]);
        request.add(&[b"INFO", b"sentinel"]);
        let replies = link.connection.ask(&request.bytes, request.commands).await?;
        // A Sentinel without a password refuses AUTH, and needs none.
        link.authenticated = true;
        Ok(replies)
    }

    /// Hears what it publishes, for ever.
    pub(crate) async fn listen(self) {
        let mut failures = 0;
        loop {
            let began = self.clock.now();
            self.hear().await;
            if self.clock.now().since(began) >= LASTING {
                failures = 0;
            }
            // The first time at once.
            if failures > 0 {
                let factor = 1 << (failures - 1).min(8);
                sleep((BACKOFF * factor).min(MAX_BACKOFF)).await;
            }
            failures += 1;
        }
    }

    /// One subscription, until it is lost.
    async fn hear(&self) {
        let Ok(Some(mut connection)) = timeout(TIMEOUT, self.subscribe()).await else { return };
        self.report(SentinelObservation::Stirred).await;
        let mut ping = Request::default();
        ping.add(&[b"PING"]);
        let mut pinged = false;
        loop {
            match timeout(PING_EVERY, connection.read()).await {
                Ok(Ok(Some(message))) => {
                    pinged = false;
                    if let Some(event) = self.event(&message) {
                        self.report(SentinelObservation::Published(event)).await;
                    }
                }
                Err(_) if !pinged => {
                    if connection.send(&ping.bytes).await.is_err() {
                        return;
                    }
                    pinged = true;
                }
                _ => return,
            }
        }
    }

    async fn dial(&self) -> Result<Connection, Failure> {
        Connection::dial_name(&self.name, &self.resolver, self.tls.as_deref()).await
    }

    /// `None`: it is not to be had; why is for [`Self::ask`] to find out.
    async fn subscribe(&self) -> Option<Connection> {
        let mut connection = self.dial().await.ok()?;
        let mut request = Request::default();
        if let Some(credentials) = &self.credentials {
            request.authenticate(credentials);
        }
        request.add(&[b"PSUBSCRIBE", b"*"]);
        let replies = connection.ask(&request.bytes, request.commands).await.ok()?;
        replies.last()?.as_array().map(|_| connection)
    }

    /// `pmessage`, pattern, channel, message.
    fn event(&self, message: &Value) -> Option<SentinelEvent> {
        let [kind, _pattern, channel, message] = message.as_array()? else { return None };
        if kind.as_bytes() != Some(b"pmessage") {
            return None;
        }
        SentinelEvent::parse(channel.as_bytes()?, message.as_bytes()?, &self.master)
    }
}

async fn ended(link: &mut Option<Link>) {
    match link {
        Some(link) => link.connection.ended().await,
        None => std::future::pending().await,
    }
}
