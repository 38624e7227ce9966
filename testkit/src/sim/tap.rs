//! Listens to what leaves for a node: no command may go where, by the Snapshot in force when its first byte was sent, its
//! role does not fit.

use topology::{Health, NodeId, Role, Snapshot};

use super::wire;

/// What a Snapshot says of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) version: u64,
    up: bool,
    primary: bool,
    readable: bool,
    /// The worker has said that it sends the primary nothing more that may write.
    drained: bool,
}

impl Standing {
    pub(crate) fn of(snapshot: &Snapshot, node: NodeId, drained: bool) -> Self {
        let shard = snapshot.pools.first().and_then(|pool| pool.shards.first());
        let view = shard.and_then(|shard| shard.node(node));
        Self {
            version: snapshot.version,
            up: view.is_some_and(|view| view.health == Health::Up),
            primary: shard.is_some_and(|shard| shard.primary == Some(node)),
            readable: view.is_some_and(|view| {
                view.readable && (view.role == Role::Replica || view.role == Role::Primary)
            }),
            drained,
        }
    }
}

/// One connection's requests as they leave.
#[derive(Debug)]
pub(crate) struct Tap {
    bytes: Vec<u8>,
    scanner: resp::RequestScanner,
    /// When the first of `bytes` left.
    began: Option<Standing>,
    /// Between MULTI and EXEC.
    in_multi: bool,
    /// Writes there.
    queued_writes: bool,
    /// When the first part of what is one request left: MULTI to EXEC on a lane.
    unit: Option<Standing>,
    /// When the PING left that Redkeel puts before a WAIT.
    pinged: Option<Standing>,
    /// What is no request has left.
    broken: bool,
}

impl Tap {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            scanner: resp::RequestScanner::new(),
            began: None,
            in_multi: false,
            queued_writes: false,
            unit: None,
            pinged: None,
            broken: false,
        }
    }

    /// `bytes` leave while the node stands so; panics where they must not.
    pub(crate) fn leave(
        &mut self,
        bytes: &[u8],
        standing: Standing,
        is_lane: bool,
        limits: &resp::Limits,
    ) {
        if bytes.is_empty() || self.broken {
            return;
        }
        self.began.get_or_insert(standing);
        self.bytes.extend_from_slice(bytes);
        loop {
            let scan = self.scanner.scan(&self.bytes, limits);
            let Ok(resp::Scan::Complete { len, .. }) = scan else {
                let broken = scan.err();
                assert!(
                    broken.is_none() || !is_lane,
                    "what left for a node is no request: {broken:?}"
                );
                // A large request passes through as its client sends it, and on the client's own connection.
                self.broken |= broken.is_some();
                return;
            };
            let began = self.began.take().unwrap_or(standing);
            let began = self.unit.unwrap_or(began);
            let args = self.scanner.args();
            if let Some(name) = args.first() {
                let mut name =
                    self.bytes[name.start as usize..name.end as usize].to_ascii_uppercase();
                // The node refuses it: it begins, ends and changes nothing.
                if commands::lookup(&name).is_some_and(|command| !command.accepts(args.len())) {
                    name.clear();
                }
                let pinged = self.pinged.take().filter(|_| name.starts_with(b"WAIT"));
                let began = pinged.unwrap_or(began);
                check(&name, self.queued_writes, began, &self.bytes[..len]);
                check_hold(&name, self.in_multi, self.queued_writes, began, &self.bytes[..len]);
                match name.as_slice() {
                    b"MULTI" => self.in_multi = true,
                    b"EXEC" | b"DISCARD" => self.in_multi = false,
                    _ => {}
                }
                match name.as_slice() {
                    b"MULTI" => (self.queued_writes, self.unit) = (false, is_lane.then_some(began)),
                    b"EXEC" | b"DISCARD" => (self.queued_writes, self.unit) = (false, None),
                    b"PING" if args.len() == 1 => self.pinged = Some(began),
                    name if is_write(name) => self.queued_writes = true,
                    _ => {}
                }
            }
            self.bytes.drain(..len);
            if self.bytes.is_empty() {
                return;
            }
            self.began = Some(standing);
        }
    }
}

fn is_write(name: &[u8]) -> bool {
    matches!(name, b"SET" | b"INCRBY" | b"RPUSH" | b"LPUSH" | b"APPEND" | b"DEL" | b"BLPOP")
}

/// Once the worker has said that none of its writes is unanswered, it sends the primary none until they are let go.
fn check_hold(
    name: &[u8],
    in_multi: bool,
    queued_writes: bool,
    standing: Standing,
    request: &[u8],
) {
    let alone = (is_write(name) || name == b"PUBLISH") && !in_multi;
    let writes = alone || (name == b"EXEC" && queued_writes);
    let held = standing.drained && standing.primary;
    assert!(!(held && writes), "{} left while writes are held", wire::shown(request));
}

fn check(name: &[u8], queued_writes: bool, standing: Standing, request: &[u8]) {
    // They bring a connection to where its client stands; no client's command.
    if matches!(name, b"HELLO" | b"SELECT" | b"AUTH") {
        return;
    }
    let needs_primary = is_write(name) || (name == b"EXEC" && queued_writes);
    let fits = standing.up && (standing.primary || (standing.readable && !needs_primary));
    assert!(fits, "{} left for a node that was not fit for it: {standing:?}", wire::shown(request));
}
