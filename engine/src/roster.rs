//! The clients of a pool that this worker has, as CLIENT LIST shows them and CLIENT KILL and UNBLOCK find them.

use std::fmt::Write as _;
use std::rc::Rc;

use resp::Protocol;
use session::{Login, Standing, Transaction};
use topology::{Address, ClientFilter, ClientKind, ClientsOrder, ClientsReport};

use crate::Engine;
use crate::client::{Client, Parked, State};
use crate::conn::ConnId;
use crate::pause::Pause;
use crate::slots::Key;
use crate::upstream::{PendingKind, Upstream};

impl Engine {
    /// Does what some worker's client wants of, or for, this worker's clients. `asker` is that client, if it is one of them:
    /// it is not killed before it has its answer.
    pub(crate) fn carry_out(
        &mut self,
        pool: usize,
        order: &ClientsOrder,
        asker: Option<Key>,
    ) -> ClientsReport {
        let mut report = ClientsReport::default();
        match order {
            ClientsOrder::List(filter) => {
                for key in self.matching(pool, filter) {
                    if let Some(client) = self.clients.get(key) {
                        report.lines.push((client.id, self.client_line(key, client)));
                    }
                }
            }
            ClientsOrder::Kill(filter) => {
                for key in self.matching(pool, filter) {
                    report.count += 1;
                    if Some(key) != asker {
                        self.close_client(key);
                    }
                }
            }
            ClientsOrder::Unblock { id, with_error } => {
                let filter = ClientFilter { ids: vec![*id], ..ClientFilter::default() };
                for key in self.matching(pool, &filter) {
                    report.count += u64::from(self.unblock(pool, key, *with_error));
                }
            }
            ClientsOrder::Pause { until, writes_only } => {
                self.pause(pool, Pause { until: *until, writes_only: *writes_only });
            }
            ClientsOrder::Unpause => self.unpause(pool),
            ClientsOrder::Find(id) => {
                report.count = u64::from(self.client_called(pool, *id).is_some());
            }
            ClientsOrder::Count => report = self.count_clients(pool),
        }
        report
    }

    /// This worker's clients of the pool that are meant.
    pub(crate) fn matching(&self, pool: usize, filter: &ClientFilter) -> Vec<Key> {
        let meant = |key: &Key| {
            self.clients.get(*key).is_some_and(|client| {
                client.pool == pool && !client.is_leg() && self.is_meant(client, filter)
            })
        };
        self.clients.keys().filter(meant).collect()
    }

    fn is_meant(&self, client: &Client, filter: &ClientFilter) -> bool {
        let is = |wanted: &Option<Box<[u8]>>, own: &dyn Fn() -> String| {
            wanted.as_deref().is_none_or(|wanted| wanted == own().as_bytes())
        };
        let kind = if client.is_subscribed() { ClientKind::Pubsub } else { ClientKind::Normal };
        (filter.ids.is_empty() || filter.ids.contains(&client.id))
            && filter.kind.is_none_or(|wanted| wanted == kind)
            && filter.except != Some(client.id)
            && filter
                .min_age_seconds
                .is_none_or(|least| self.now.since(client.born).as_secs() >= least)
            && is(&filter.address, &|| shown(&client.caller.address))
            && is(&filter.local_address, &|| shown(&client.caller.local))
            && is(&filter.user, &|| self.user_of(client))
    }

    pub(crate) fn is_blocked(&self, client: &Client) -> bool {
        let pinned = client.bound.filter(|bound| bound.pinned);
        if client.is_front() {
            return self.front_is_blocked(client);
        }
        pinned.and_then(|bound| self.upstreams.get(bound.upstream)).is_some_and(Upstream::blocks)
    }

    /// One line in the form of CLIENT LIST and INFO (Redis, `catClientInfoString`), with the library's name and version
    /// of newer ones.
    pub(crate) fn client_line(&self, key: Key, client: &Client) -> String {
        let mut line = String::with_capacity(320);
        let text = |bytes: &Option<Box<[u8]>>| {
            bytes.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned()
        };
        let special = client.special.as_deref();
        let [channels, patterns, shard_channels] =
            special.map_or([0; 3], |special| special.subscriptions.counts());
        let multi = match client.transaction() {
            Transaction::None | Transaction::WatchLost => -1,
            _ => special.map_or(0, |special| i64::from(special.queued)),
        };
        let output = client.output.capacity();
        let input = client.input.capacity();
        let command = client.last_command.map_or("NULL".to_owned(), |command| {
            command.name.to_ascii_lowercase().replace(' ', "|")
        });
        let redirect = self.redirect_of(key);
        let asking = self.asking.filter(|(own, _)| *own == key).map_or(0, |(_, len)| len);
        // Writing to a String cannot fail.
        let _ = writeln!(
            line,
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={channels} psub={patterns} \
             ssub={shard_channels} multi={multi} qbuf={} qbuf-free={} argv-mem=0 multi-mem=0 rbs={output} rbp={output} \
             obl={} oll=0 omem=0 tot-mem={} events={} cmd={command} user={} redir={} resp={} lib-name={} lib-ver={}",
            client.id,
            shown(&client.caller.address),
            shown(&client.caller.local),
            client.caller.descriptor,
            text(&client.talk.name),
            self.now.since(client.born).as_secs(),
            self.now.since(client.last_input.max(client.last_output)).as_secs(),
            self.flags_of(client),
            client.talk.standing.database,
            client.input.len() + asking,
            input - client.input.len(),
            client.output.unsent(),
            std::mem::size_of::<Client>() + input + output,
            if self.output(ConnId::client(key)).is_empty() { "r" } else { "rw" },
            self.user_of(client),
            redirect,
            if client.talk.standing.protocol == Protocol::Resp3 { 3 } else { 2 },
            text(&client.talk.lib_name),
            text(&client.talk.lib_version),
        );
        line
    }

    /// As CLIENT GETREDIR answers: -1 without tracking, 0 without a redirection.
    pub(crate) fn redirect_of(&self, key: Key) -> i64 {
        let special = self.clients.get(key).and_then(|client| client.special.as_ref());
        special.and_then(|special| special.tracking.as_ref()).map_or(-1, |tracking| {
            tracking.redirect.map_or(0, |id| i64::try_from(id).unwrap_or(i64::MAX))
        })
    }

    fn flags_of(&self, client: &Client) -> String {
        let special = client.special.as_deref();
        let tracking = special.and_then(|special| special.tracking.as_ref());
        let flags = [
            ('O', special.is_some_and(|special| special.monitoring)),
            ('P', client.is_subscribed()),
            ('x', client.transaction().is_open() || client.transaction().is_imaginary()),
            ('b', self.is_blocked(client) || client.parked == Parked::Pause),
            ('t', tracking.is_some()),
            ('R', special.is_some_and(|special| special.is_redirect_broken)),
            ('B', tracking.is_some_and(|tracking| tracking.broadcast)),
            ('d', client.transaction() == Transaction::WatchLost),
            ('c', client.state != State::Open),
            ('U', matches!(client.caller.address, Address::Unix(_))),
            ('e', client.talk.no_evict),
            ('T', client.talk.no_touch),
        ];
        let set: String = flags.iter().filter(|(_, set)| *set).map(|(flag, _)| flag).collect();
        if set.is_empty() { "N".to_owned() } else { set }
    }

    /// Lets a blocked client go. The node does: so an element goes either to the client or to nobody, and the connection
    /// can be used again. False: it is not blocked, or the node has not said what it calls the connection.
    fn unblock(&mut self, pool: usize, key: Key, with_error: bool) -> bool {
        let blocked = |leg: &Key| self.clients.get(*leg).is_some_and(|leg| self.is_blocked(leg));
        if let Some(leg) = self.legs_of(key).into_iter().find(blocked) {
            let group = self.clients.get(leg).map_or(pool, |leg| leg.pool);
            return self.unblock(group, leg, with_error);
        }
        let Some(client) = self.clients.get(key).filter(|client| self.is_blocked(client)) else {
            return false;
        };
        let blocked = client.bound.and_then(|bound| self.upstreams.get(bound.upstream));
        let Some((upstream, id)) = blocked.and_then(|own| Some((own, own.node_client?))) else {
            return false;
        };
        let node = upstream.node;
        let own = self.pools[pool].settings.upstream.credentials.as_ref().map(|own| Login {
            username: own.username.as_ref().map(|name| name.as_bytes().into()),
            password: (&own.password).into(),
        });
        let login = own.or_else(|| upstream.standing.login.clone());
        let standing: Rc<Standing> = self.intern(Standing { login, ..Standing::default() });
        let Ok(lane) = self.lane(pool, node, &standing, false) else {
            return false;
        };
        let id = id.to_string();
        let reason: &[u8] = if with_error { b"ERROR" } else { b"TIMEOUT" };
        let mut command = Vec::new();
        resp::write_command(&mut command, &[b"CLIENT", b"UNBLOCK", id.as_bytes(), reason]);
        self.send_copy(lane, &command);
        true
    }

    /// Before the first command on this connection that may block: the node is asked what it calls the connection.
    pub(crate) fn ask_node_client(&mut self, key: Key, upstream_key: Key) {
        let Some(upstream) = self.upstreams.get_mut(upstream_key) else {
            return;
        };
        if !std::mem::replace(&mut upstream.asked_node_client, true) {
            let command = b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n";
            self.own_command(key, upstream_key, command, 1, PendingKind::NodeClient);
        }
    }
}

/// An address as Redis shows it.
fn shown(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("{}:0", path.display()),
    }
}
