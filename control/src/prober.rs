//! The task of one node: it owns the probe connection, and probes when it is told to.

use std::sync::Arc;
use std::time::Duration;

use config::Credentials;
use resp::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;
use topology::{
    Answer, Failure, Learned, NodeId, Observation, PoolId, Probed, Process, Refusal, Replication,
    Resolved, RoleReply, SentinelId, SentinelObservation, Serving, Time,
};

use crate::clock::Clock;
use crate::connection::{Connection, Way};
use crate::request::{Request, blame, refusal};

/// What a prober is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Send a probe, with `INFO replication` if `all`.
    Probe { all: bool },
    /// Ask what these commands are.
    Describe(Vec<Box<[u8]>>),
}

/// What a pool's tasks report.
#[derive(Debug)]
pub(crate) enum Report {
    /// Of a node.
    Observed(Observation),
    /// Of a node that was asked for a switchover.
    Asked(Result<Vec<Value>, Failure>),
    /// The end of [`Order::Describe`]; no answer: the node gave none.
    Described { names: Vec<Box<[u8]>>, answer: Option<Vec<Option<Learned>>> },
    /// The end of a lookup of this server's name.
    Resolved { server: Arc<str>, answer: Result<Resolved, Box<str>> },
    /// Of a Sentinel.
    Sentinel { sentinel: SentinelId, observation: SentinelObservation },
}

/// Where the reports of all pools arrive.
pub(crate) type Reports = mpsc::Sender<(PoolId, Report)>;

pub(crate) struct Prober {
    pub(crate) pool: PoolId,
    pub(crate) node: NodeId,
    pub(crate) way: Way,
    pub(crate) credentials: Option<Arc<Credentials>>,
    /// For a whole probe, with the connect if there must be one.
    pub(crate) timeout: Duration,
    pub(crate) clock: Clock,
    pub(crate) reports: Reports,
}

/// A connection, and what is known of it.
struct Link {
    connection: Connection,
    /// AUTH need not be sent (again).
    authenticated: bool,
    process: Option<Arc<Process>>,
}

impl Prober {
    /// Works until the orders end.
    pub(crate) async fn run(self, mut orders: mpsc::Receiver<Order>) {
        let mut link: Option<Link> = None;
        let mut was_heard = false;
        loop {
            let order = tokio::select! {
                biased;
                order = orders.recv() => order,
                () = ended(&mut link) => {
                    link = None;
                    let node = self.node;
                    self.report(Report::Observed(Observation::ProbeConnectionLost { node })).await;
                    continue;
                }
            };
            match order {
                None => return,
                Some(Order::Probe { all }) => {
                    let mut probed = self.probe(&mut link, all).await;
                    was_heard |= probed.outcome.is_ok();
                    if probed.outcome == Err(Failure::TimedOut)
                        && self.way.tls.is_some()
                        && !was_heard
                    {
                        // A server without TLS waits for the end of what it takes for a command.
                        let why = "does not answer, or does not speak TLS at this port";
                        probed.outcome = Err(Failure::Tls(why.into()));
                    }
                    self.report(Report::Observed(Observation::Probed(probed))).await;
                }
                Some(Order::Describe(names)) => {
                    let answer = self.describe(&mut link, &names).await;
                    self.report(Report::Described { names, answer }).await;
                }
            }
        }
    }

    async fn report(&self, report: Report) {
        // Nobody reads any more when the control plane ends, and then this task ends with it.
        let _ = self.reports.send((self.pool, report)).await;
    }

    async fn probe(&self, link: &mut Option<Link>, all: bool) -> Probed {
        let mut sent = self.clock.now();
        let outcome = timeout(self.timeout, self.exchange(link, all, &mut sent)).await;
        let outcome = outcome.unwrap_or(Err(Failure::TimedOut));
        if outcome.is_err() {
            *link = None;
        }
        Probed { node: self.node, sent, answered: self.clock.now(), outcome }
    }

    /// Asks; a connection that proves lost is dialled again once.
    async fn exchange(
        &self,
        link: &mut Option<Link>,
        all: bool,
        sent: &mut Time,
    ) -> Result<Answer, Failure> {
        let first = self.ask(link, all, sent).await;
        if first != Err(Failure::Lost) {
            return first;
        }
        *link = None;
        self.ask(link, all, sent).await
    }

    async fn ask(
        &self,
        link: &mut Option<Link>,
        all: bool,
        sent: &mut Time,
    ) -> Result<Answer, Failure> {
        let link = self.open(link).await?;
        let asks_process = link.process.is_none();
        let all = all || asks_process;
        let mut request = Request::default();
        let auth = self.authenticate(link, &mut request);
        request.add(&[b"PING"]);
        request.add(&[b"ROLE"]);
        if all {
            request.add(&[b"INFO", b"replication"]);
        }
        if asks_process {
            request.add(&[b"INFO", b"server"]);
        }
        *sent = self.clock.now();
        let replies = link.connection.ask(&request.bytes, request.commands).await?;
        let mut replies = replies.iter();
        let refused = auth.then(|| replies.next()).flatten().and_then(refusal);
        let mut next = || replies.next().unwrap_or(&Value::Null);
        let serving = Serving::parse(next());
        let role = RoleReply::parse(next());
        // A node without a password refuses AUTH, and needs none.
        link.authenticated = role != Err(Refusal::NoAuth);
        let role = role.map_err(|why| blame(why, &refused));
        let replication =
            all.then(|| Replication::parse(next()).map_err(|why| blame(why, &refused)));
        let process = match &link.process {
            Some(process) => Ok(Arc::clone(process)),
            None => Process::parse(next()).map(Arc::new).map_err(|why| blame(why, &refused)),
        };
        link.process = process.as_ref().ok().cloned();
        Ok(Answer { process, serving, role, replication })
    }

    async fn describe(
        &self,
        link: &mut Option<Link>,
        names: &[Box<[u8]>],
    ) -> Option<Vec<Option<Learned>>> {
        let answer = timeout(self.timeout, self.ask_about(link, names)).await;
        let reply = answer.unwrap_or(Err(Failure::TimedOut));
        if reply.is_err() {
            *link = None;
        }
        match reply.ok()? {
            // It will not say: as good as not knowing them.
            Value::Error(_) => Some(vec![None; names.len()]),
            reply => Learned::parse_all(&reply, names.len()),
        }
    }

    async fn ask_about(
        &self,
        link: &mut Option<Link>,
        names: &[Box<[u8]>],
    ) -> Result<Value, Failure> {
        let link = self.open(link).await?;
        let mut request = Request::default();
        self.authenticate(link, &mut request);
        let mut command: Vec<&[u8]> = vec![b"COMMAND", b"INFO"];
        command.extend(names.iter().map(|name| &**name));
        request.add(&command);
        let mut replies = link.connection.ask(&request.bytes, request.commands).await?;
        replies.pop().ok_or(Failure::Protocol)
    }

    async fn open<'a>(&self, link: &'a mut Option<Link>) -> Result<&'a mut Link, Failure> {
        let open = match link.take() {
            Some(open) => open,
            None => {
                let connection = Connection::dial(&self.way).await?;
                Link { connection, authenticated: false, process: None }
            }
        };
        Ok(link.insert(open))
    }

    /// Begins the request with AUTH, where credentials are configured and the connection does not have them.
    fn authenticate(&self, link: &Link, request: &mut Request) -> bool {
        let Some(credentials) = self.credentials.as_ref().filter(|_| !link.authenticated) else {
            return false;
        };
        request.authenticate(credentials);
        true
    }
}

async fn ended(link: &mut Option<Link>) {
    match link {
        Some(link) => link.connection.ended().await,
        None => std::future::pending().await,
    }
}
