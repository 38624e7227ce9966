//! What happens among the servers: replication, failover by an authority, and repair.

use std::time::Duration;

use topology::{Link, Time};

use super::agenda::Event;
use super::server::Role;
use super::world::World;

/// Between two attempts of a replica to reach its primary, and two looks of the authority.
const RETRY: Duration = Duration::from_millis(60);

/// What Sentinel is in the real world: it says who is primary.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) primary: usize,
    silent_since: Option<Time>,
    histories: u64,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self { primary: 0, silent_since: None, histories: 1 }
    }

    fn next_history(&mut self) -> u64 {
        self.histories += 1;
        self.histories
    }
}

impl World {
    /// After a server has executed commands: its replicas will hear of them.
    pub(crate) fn spread(&mut self, primary: usize) {
        for replica in 0..self.servers.len() {
            let follows =
                self.servers[replica].role == Role::Replica { of: primary, link: Link::Up };
            if follows {
                self.plan_replication(replica);
            }
        }
    }

    fn plan_replication(&mut self, replica: usize) {
        let primary = match self.servers[replica].role {
            Role::Replica { of, link: Link::Up } => of,
            _ => return,
        };
        let behind = self.servers[replica].offset < self.servers[primary].offset;
        if behind && !self.servers[replica].replicating {
            self.servers[replica].replicating = true;
            let longest = self.plan.replication_delay.as_micros() as u64;
            let delay = Duration::from_micros(self.rng.u64(100..=longest));
            self.agenda.put(self.now + delay, Event::Replicate(replica));
        }
    }

    /// A replica takes over what its primary did.
    pub(crate) fn replicate(&mut self, replica: usize) {
        self.servers[replica].replicating = false;
        let Role::Replica { of, link: Link::Up } = self.servers[replica].role else { return };
        if !self.servers[of].is_responsive() || !self.servers[replica].is_responsive() {
            // Goes on when both run again.
            let at = self.now + RETRY;
            if self.servers[replica].alive && self.servers[of].alive {
                self.servers[replica].replicating = true;
                self.agenda.put(at, Event::Replicate(replica));
            }
            return;
        }
        let offset = self.servers[replica].offset;
        let log = &self.servers[of].log;
        let from = log.partition_point(|record| record.end <= offset);
        let most = self.rng.usize(1..200);
        let changes: Vec<_> =
            log[from..].iter().take(most).map(|record| record.change.clone()).collect();
        for change in changes {
            self.servers[replica].apply(change);
        }
        self.flush_server(replica);
        self.plan_replication(replica);
    }

    /// A replica without a link asks its primary to go on.
    pub(crate) fn attach(&mut self, replica: usize) {
        let Role::Replica { of, link: Link::Down } = self.servers[replica].role else { return };
        if !self.servers[replica].alive {
            return;
        }
        let primary = &self.servers[of];
        let ready = primary.is_responsive() && !primary.loading && primary.is_primary();
        if !ready || self.servers[replica].frozen || self.servers[replica].loading {
            return self.agenda.put(self.now + RETRY, Event::Attach(replica));
        }
        let (own, offset) = (self.servers[replica].history, self.servers[replica].offset);
        let theirs = self.servers[of].history;
        let continues = (own.id == theirs.id && offset <= self.servers[of].offset)
            || theirs.parent.is_some_and(|(id, shared)| id == own.id && offset <= shared);
        if continues {
            self.note(|| format!("server {replica} goes on behind {of}"));
            self.servers[replica].history = theirs;
            self.servers[replica].role = Role::Replica { of, link: Link::Up };
            if own != theirs {
                self.unlink_replicas(replica);
            }
            return self.plan_replication(replica);
        }
        self.note(|| format!("server {replica} gets a full copy of {of}"));
        self.servers[replica].role = Role::Replica { of, link: Link::Syncing };
        self.servers[replica].token += 1;
        let token = self.servers[replica].token;
        let at = self.now + Duration::from_millis(self.rng.u64(20..300));
        self.agenda.put(at, Event::Copied { replica, token });
    }

    /// A full copy has arrived; it is loaded now.
    pub(crate) fn copied(&mut self, replica: usize, token: u64) {
        if self.servers[replica].token != token || !self.servers[replica].alive {
            return;
        }
        let Role::Replica { of, .. } = self.servers[replica].role else { return };
        if !self.servers[of].is_responsive() || !self.servers[of].is_primary() {
            self.servers[replica].role = Role::Replica { of, link: Link::Down };
            return self.agenda.put(self.now + RETRY, Event::Attach(replica));
        }
        let copy = self.servers[of].copy();
        let server = &mut self.servers[replica];
        server.copy_from(&copy);
        server.role = Role::Replica { of, link: Link::Up };
        server.loading = true;
        server.loads += 1;
        let load = server.loads;
        self.unlink_replicas(replica);
        let at = self.now + Duration::from_millis(self.rng.u64(1..60));
        self.agenda.put(at, Event::Loaded { server: replica, load });
    }

    pub(crate) fn loaded(&mut self, server: usize, load: u64) {
        if self.servers[server].loads == load && self.servers[server].alive {
            self.servers[server].loading = false;
            self.plan_replication(server);
            self.agenda.put(self.now, Event::Attach(server));
        }
    }

    /// The authority looks at its servers.
    pub(crate) fn watch(&mut self) {
        let jitter = self.rng.u64(0..40);
        self.agenda.put(self.now + RETRY + Duration::from_millis(jitter), Event::Watch);
        let primary = self.authority.primary;
        if !self.servers[primary].is_responsive() {
            let since = *self.authority.silent_since.get_or_insert(self.now);
            if self.now.since(since) >= self.plan.down_after {
                self.fail_over();
            }
            return;
        }
        self.authority.silent_since = None;
        for server in 0..self.servers.len() {
            self.correct(server);
        }
    }

    /// A server that does not follow the primary is told to, some time later.
    fn correct(&mut self, server: usize) {
        let primary = self.authority.primary;
        let right = match self.servers[server].role {
            Role::Primary => server == primary,
            Role::Replica { of, .. } => of == primary,
        };
        if !right && self.servers[server].is_responsive() {
            let token = self.servers[server].token;
            let at = self.now + Duration::from_millis(self.rng.u64(1..600));
            self.agenda.put(at, Event::Demote { server, token });
        }
    }

    /// The best replica becomes the primary.
    pub(crate) fn fail_over(&mut self) {
        let old = self.authority.primary;
        let candidates = (0..self.servers.len()).filter(|server| {
            let state = &self.servers[*server];
            let whole = matches!(state.role, Role::Replica { link, .. } if link != Link::Syncing);
            *server != old && state.is_responsive() && !state.loading && whole
        });
        let Some(new) = candidates.max_by_key(|server| self.servers[*server].offset) else {
            return;
        };
        self.note(|| format!("failover: server {new} after {old}"));
        self.trouble();
        self.authority.primary = new;
        self.authority.silent_since = None;
        let history = self.authority.next_history();
        self.servers[new].promote(history);
        self.unlink_replicas(new);
        if self.rng.bool() {
            self.reset_connections(new);
        }
        for server in 0..self.servers.len() {
            self.correct(server);
        }
    }

    /// A server is told to follow the primary.
    pub(crate) fn demote(&mut self, server: usize, token: u64) {
        let primary = self.authority.primary;
        let state = &self.servers[server];
        if state.token != token || server == primary || !state.is_responsive() {
            return;
        }
        self.note(|| format!("server {server} is told to follow {primary}"));
        self.trouble();
        self.servers[server].follow(primary);
        self.serve_soon(server);
        self.flush_server(server);
        if self.rng.u8(0..3) > 0 {
            self.reset_connections(server);
        }
        let at = self.now + Duration::from_millis(self.rng.u64(1..30));
        self.agenda.put(at, Event::Attach(server));
    }

    /// A process ends: its connections are reset, its replicas lose their links.
    pub(crate) fn kill(&mut self, server: usize) {
        self.note(|| format!("server {server} dies"));
        self.reset_connections(server);
        let state = &mut self.servers[server];
        state.alive = false;
        state.frozen = false;
        state.loading = false;
        state.token += 1;
        if let Role::Replica { of, .. } = state.role {
            state.role = Role::Replica { of, link: Link::Down };
        }
        self.unlink_replicas(server);
    }

    /// Its replicas lose their links: it died, or goes on with another history, of which they must hear
    /// (replication.c, disconnectSlaves).
    fn unlink_replicas(&mut self, primary: usize) {
        for replica in 0..self.servers.len() {
            if let Role::Replica { of, .. } = self.servers[replica].role
                && of == primary
            {
                self.servers[replica].role = Role::Replica { of, link: Link::Down };
                self.agenda.put(self.now + RETRY, Event::Attach(replica));
            }
        }
    }

    /// A process starts again, with the role of before, and with its data or without.
    pub(crate) fn restart(&mut self, server: usize, keeps_data: bool) {
        if self.servers[server].alive {
            return;
        }
        self.note(|| format!("server {server} starts again; keeps its data: {keeps_data}"));
        self.trouble();
        let history = self.authority.next_history();
        let state = &mut self.servers[server];
        state.alive = true;
        state.accepting = true;
        state.starts += 1;
        state.token += 1;
        state.loading = true;
        let parent = keeps_data.then_some((state.history.id, state.offset));
        if !keeps_data {
            state.store = super::store::Store::default();
            state.log.clear();
            state.offset = 0;
        }
        if state.is_primary() || !keeps_data {
            state.history = super::server::History { id: history, parent };
        }
        state.loads += 1;
        let load = state.loads;
        let at = self.now + Duration::from_millis(self.rng.u64(5..150));
        self.agenda.put(at, Event::Loaded { server, load });
    }

    pub(crate) fn thaw(&mut self, server: usize) {
        if std::mem::take(&mut self.servers[server].frozen) {
            self.note(|| format!("server {server} goes on"));
            self.trouble();
            self.serve_soon(server);
        }
    }
}
