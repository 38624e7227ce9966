//! A script that a node lacks is given to it: before EVALSHA where Redkeel does not know that the node has it, else when
//! the node says NOSCRIPT.

use std::rc::Rc;
use std::sync::Arc;

use session::Call;
use topology::{PeerMail, PoolId};

use crate::Engine;
use crate::conn::Action;
use crate::dispatch::Source;
use crate::scripts::{SCRIPTS_MAX, Sha, parse_sha};
use crate::slots::Key;
use crate::upstream::{Pending, PendingKind};

impl Engine {
    /// Before the batch goes to this connection: its node is given the scripts that it may lack.
    pub(crate) fn give_scripts(&mut self, key: Key, upstream_key: Key, input: &[u8]) {
        let Some(pool) = self.clients.get(key).map(|client| client.pool) else {
            return;
        };
        let limits = self.pools[pool].limits.clone();
        let mut batch = std::mem::take(&mut self.batch);
        let inline = std::mem::take(&mut self.inline);
        for request in &mut batch {
            let bytes = request.source.of(input, &inline);
            let wanted = matches!(
                request.kind,
                PendingKind::Evalsha | PendingKind::Queued | PendingKind::Unit
            );
            if !wanted || matches!(request.source, Source::Input { len: 0, .. }) {
                continue;
            }
            for sha in self.scripts_of(bytes, &limits) {
                request.loaded |= self.give_script(key, upstream_key, sha);
            }
        }
        self.batch = batch;
        self.inline = inline;
    }

    /// The scripts that are called in these requests.
    fn scripts_of(&mut self, bytes: &[u8], limits: &resp::Limits) -> Vec<Sha> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            self.ahead.reset();
            let scanned = self.ahead.scan(rest, limits);
            let Ok(resp::Scan::Complete { len, inline: false }) = scanned else {
                return found;
            };
            found.extend(called_script(Call::new(rest, self.ahead.args())));
            at += len;
        }
        found
    }

    /// Gives a script to the node of this connection, unless it has it or nobody knows the script. True: it was given.
    pub(crate) fn give_script(&mut self, key: Key, upstream_key: Key, sha: Sha) -> bool {
        let Some(upstream) = self.upstreams.get(upstream_key) else {
            return false;
        };
        let (pool, node) = (upstream.pool, upstream.node);
        let standing = Rc::clone(&upstream.standing);
        let known = &mut self.pools[pool].nodes[node].scripts;
        if known.contains(&sha) {
            return false;
        }
        let Some(text) = self.pools[pool].scripts.get(&sha) else {
            return false;
        };
        // Between MULTI and EXEC it would be queued itself: it goes beside the transaction.
        let over = if self.transaction_of(key).is_open() {
            self.lane(pool, node, &standing, true).ok()
        } else {
            Some(upstream_key)
        };
        let Some(over) = over else {
            return false;
        };
        let mut load = Vec::with_capacity(text.len() + 48);
        resp::write_command(&mut load, &[b"SCRIPT", b"LOAD", &text]);
        self.send_copy(over, &load);
        self.has_script(pool, node, sha);
        true
    }

    fn has_script(&mut self, pool: usize, node: usize, sha: Sha) {
        let known = &mut self.pools[pool].nodes[node].scripts;
        if known.len() >= SCRIPTS_MAX {
            known.clear();
        }
        known.insert(sha);
    }

    /// The node at the other end has run EVAL, SCRIPT LOAD or SCRIPT FLUSH, the command at the front.
    pub(crate) fn note_script(&mut self, upstream_key: Key, front: Pending) {
        let Some(upstream) = self.upstreams.get(upstream_key) else {
            return;
        };
        let (pool, node) = (upstream.pool, upstream.node);
        let bytes = upstream.requests.slice(0, front.len as usize);
        self.ahead.reset();
        if self.ahead.scan(bytes, &self.pools[pool].limits).is_err() {
            return;
        }
        let call = Call::new(bytes, self.ahead.args());
        let is_container = call.name().eq_ignore_ascii_case(b"SCRIPT");
        let id = self.pools[pool].id;
        if is_container && call.arg(1).eq_ignore_ascii_case(b"FLUSH") {
            self.forget_scripts(pool);
            let mail = PeerMail::NoScripts { pool: id };
            return self.actions.push(Action::Tell { worker: None, mail });
        }
        let text = if is_container { call.arg(2) } else { call.arg(1) };
        let Some(accepted) = self.pools[pool].scripts.accept(text) else {
            return;
        };
        if let Some(text) = accepted.news {
            let mail = PeerMail::Script { pool: id, text };
            self.actions.push(Action::Tell { worker: None, mail });
        }
        self.has_script(pool, node, accepted.sha);
    }

    fn forget_scripts(&mut self, pool: usize) {
        self.pools[pool].scripts.clear();
        for node in &mut self.pools[pool].nodes {
            node.scripts.clear();
        }
    }

    /// Another worker's client has loaded or run a script.
    pub(crate) fn script_from_peer(&mut self, pool: PoolId, text: &Arc<[u8]>) {
        if let Some(pool) = self.pools.get_mut(pool.0 as usize) {
            pool.scripts.accept(text);
        }
    }

    pub(crate) fn no_scripts_from_peer(&mut self, pool: PoolId) {
        if (pool.0 as usize) < self.pools.len() {
            self.forget_scripts(pool.0 as usize);
        }
    }

    /// The node lacks the script that the command at the front calls, which therefore did not run. Where the script is
    /// known, the command is sent again, behind the script; not twice, since a node may refuse to be given any.
    pub(crate) fn repeat_with_script(
        &mut self,
        upstream_key: Key,
        client_key: Key,
        front: Pending,
        len: usize,
    ) -> bool {
        let Some(upstream) = self.upstreams.get(upstream_key) else {
            return false;
        };
        let (pool, node) = (upstream.pool, upstream.node);
        let is_missing = self
            .clients
            .get(client_key)
            .is_some_and(|client| client.output.tail(len).starts_with(b"-NOSCRIPT"));
        if !is_missing || front.flags.loaded {
            return false;
        }
        let bytes = upstream.requests.slice(0, front.len as usize).to_vec();
        let limits = self.pools[pool].limits.clone();
        let called = self.scripts_of(&bytes, &limits);
        let known = called.iter().any(|sha| self.pools[pool].scripts.contains(sha));
        if !known {
            return false;
        }
        // Whatever it was thought to have: somebody has flushed its scripts, or it began anew.
        self.pools[pool].nodes[node].scripts.clear();
        self.pools[pool].counts.retries_total += 1;
        self.pop_front(upstream_key);
        if let Some(client) = self.clients.get_mut(client_key) {
            client.output.rollback();
            client.unanswered = client.unanswered.saturating_sub(1);
            let prefix = client.again_prefix(front.flags.mute);
            let trouble = client.trouble_mut();
            trouble.collecting = true;
            trouble.since.get_or_insert(front.at);
            trouble.again.extend_from_slice(prefix);
            trouble.again.extend_from_slice(&bytes);
        }
        self.client_progressed(client_key);
        true
    }
}

/// The script that EVALSHA or EVALSHA_RO calls.
pub(crate) fn called_script(call: Call<'_>) -> Option<Sha> {
    (script_kind(call) == Some(PendingKind::Evalsha)).then(|| parse_sha(call.arg(1))).flatten()
}

/// Does the command call a script by its text or by its name?
pub(crate) fn script_kind(call: Call<'_>) -> Option<PendingKind> {
    let name = call.name();
    if name.eq_ignore_ascii_case(b"EVALSHA") || name.eq_ignore_ascii_case(b"EVALSHA_RO") {
        return Some(PendingKind::Evalsha);
    }
    let by_text = name.eq_ignore_ascii_case(b"EVAL") || name.eq_ignore_ascii_case(b"EVAL_RO");
    by_text.then_some(PendingKind::Script)
}
