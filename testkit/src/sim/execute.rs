//! Command execution in a simulated server, in the order of checks of Redis (server.c, processCommand).

use std::collections::VecDeque;
use std::rc::Rc;

use super::ask::identity;
use super::server::{Blocked, Conn, Ran, Server};
use super::store::{Change, Place, Value};
use super::wire;

const LOADING: &str = "LOADING Redis is loading the dataset in memory";
const MASTERDOWN: &str =
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
const READONLY: &str = "READONLY You can't write against a read only replica.";

type Args = Vec<Vec<u8>>;

/// Of a command, what the checks need.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    Read,
    Write,
    /// About the connection: runs while data is loaded or stale.
    Connection,
}

fn nature(name: &[u8]) -> Option<Nature> {
    Some(match name {
        b"PING" | b"ECHO" | b"GET" | b"MGET" | b"WAIT" => Nature::Read,
        b"SET" | b"INCRBY" | b"RPUSH" | b"LPUSH" | b"APPEND" | b"DEL" | b"BLPOP" => Nature::Write,
        // Only of a subscriber, who may not.
        b"CLIENT" => Nature::Connection,
        b"AUTH" | b"SELECT" | b"HELLO" | b"MULTI" | b"EXEC" | b"DISCARD" | b"WATCH"
        | b"UNWATCH" | b"PUBLISH" | b"INFO" => Nature::Connection,
        name if channel_prefix(name).is_some() => Nature::Connection,
        _ => return None,
    })
}

/// What the channels of a command of the SUBSCRIBE family begin with here, to tell patterns and shard channels from others.
fn channel_prefix(name: &[u8]) -> Option<&'static [u8]> {
    Some(match name {
        b"SUBSCRIBE" | b"UNSUBSCRIBE" => b"",
        b"PSUBSCRIBE" | b"PUNSUBSCRIBE" => b"\0p",
        b"SSUBSCRIBE" | b"SUNSUBSCRIBE" => b"\0s",
        _ => return None,
    })
}

impl Server {
    /// Executes one command of a connection.
    pub(crate) fn execute(&mut self, conn_id: u64, args: &[Vec<u8>]) {
        let Some(mut conn) = self.conns.remove(&conn_id) else { return };
        let name = args.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        if let Some(error) = self.rejection(&conn, &name, args) {
            self.refused.extend(identity(args));
            if name == b"EXEC" {
                let queued = conn.multi.iter().flatten();
                self.refused.extend(queued.filter_map(|args| identity(args)));
            }
            reject(&mut conn, &name, &error);
        } else if conn.multi.is_some()
            && !matches!(name.as_slice(), b"EXEC" | b"DISCARD" | b"MULTI" | b"WATCH")
        {
            conn.multi.get_or_insert_default().push(args.to_vec());
            resp::write_simple(&mut conn.output, "QUEUED");
        } else {
            self.call(&mut conn, &name, args);
        }
        self.conns.insert(conn_id, conn);
        self.serve_blocked();
    }

    /// Why a command is not even tried.
    fn rejection(&self, conn: &Conn, name: &[u8], args: &[Vec<u8>]) -> Option<String> {
        let Some(nature) = nature(name) else {
            let name = String::from_utf8_lossy(&args[0]);
            let first = args.get(1).map(|arg| String::from_utf8_lossy(arg)).unwrap_or_default();
            // As much of it as Redis shows.
            let first: String = first.chars().take(128).collect();
            return Some(format!(
                "ERR unknown command '{name}', with args beginning with: '{first}' "
            ));
        };
        if commands::lookup(name).is_some_and(|command| !command.accepts(args.len())) {
            let name = String::from_utf8_lossy(name).to_lowercase();
            return Some(format!("ERR wrong number of arguments for '{name}' command"));
        }
        if !conn.channels.is_empty()
            && !conn.resp3
            && name != b"PING"
            && channel_prefix(name).is_none()
        {
            let name = String::from_utf8_lossy(name).to_lowercase();
            return Some(format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
                 allowed in this context"
            ));
        }
        let queued = |wanted: &[Nature]| {
            name == b"EXEC"
                && conn.multi.iter().flatten().any(|args| {
                    let name = args[0].to_ascii_uppercase();
                    self::nature(&name).is_some_and(|nature| wanted.contains(&nature))
                })
        };
        let data = [Nature::Read, Nature::Write];
        let needs_data = data.contains(&nature) || queued(&data);
        let writes = nature == Nature::Write || queued(&[Nature::Write]);
        if self.loading && needs_data {
            Some(LOADING.to_owned())
        } else if !self.is_primary() && writes {
            Some(READONLY.to_owned())
        } else if self.refuses_stale_reads() && needs_data {
            Some(MASTERDOWN.to_owned())
        } else {
            None
        }
    }

    fn call(&mut self, conn: &mut Conn, name: &[u8], args: &[Vec<u8>]) {
        match name {
            b"MULTI" if conn.multi.is_some() => {
                resp::write_error(&mut conn.output, "ERR MULTI calls can not be nested");
            }
            b"MULTI" => {
                conn.multi = Some(Vec::new());
                resp::write_simple(&mut conn.output, "OK");
            }
            b"EXEC" => self.exec(conn),
            b"DISCARD" => {
                conn.leave_multi();
                resp::write_simple(&mut conn.output, "OK");
            }
            b"WATCH" => {
                conn.watched.push((conn.database, args[1].clone()));
                resp::write_simple(&mut conn.output, "OK");
            }
            b"BLPOP" => self.pop_or_block(conn, args),
            _ => self.simple(conn, name, args),
        }
    }

    /// Commands that may also stand in a transaction.
    fn simple(&mut self, conn: &mut Conn, name: &[u8], args: &[Vec<u8>]) {
        let protocol = conn.protocol();
        let arg = |index: usize| args.get(index).map_or(&b""[..], |arg| arg);
        match name {
            b"PING" if !conn.channels.is_empty() && !conn.resp3 => {
                resp::write_array_header(&mut conn.output, 2);
                resp::write_bulk(&mut conn.output, b"pong");
                resp::write_bulk(&mut conn.output, arg(1));
            }
            b"PING" if args.len() == 1 => resp::write_simple(&mut conn.output, "PONG"),
            b"PING" | b"ECHO" => resp::write_bulk(&mut conn.output, arg(1)),
            b"GET" => self.text(conn.database, arg(1), protocol, &mut conn.output),
            b"MGET" => {
                resp::write_array_header(&mut conn.output, args.len() - 1);
                for key in &args[1..] {
                    self.text(conn.database, key, protocol, &mut conn.output);
                }
            }
            b"WAIT" => resp::write_integer(&mut conn.output, 0),
            b"INFO" => {
                let role = if self.is_primary() { "master" } else { "slave" };
                let text = format!("# Replication\r\nrole:{role}\r\n");
                resp::write_verbatim(&mut conn.output, text.as_bytes(), protocol);
            }
            b"SELECT" => {
                conn.database = super::ask::number(arg(1)).unwrap_or(0) as u32;
                resp::write_simple(&mut conn.output, "OK");
            }
            b"HELLO" => {
                conn.resp3 = arg(1) == b"3";
                let protocol = conn.protocol();
                resp::write_map_header(&mut conn.output, 1, protocol);
                resp::write_bulk(&mut conn.output, b"proto");
                resp::write_integer(&mut conn.output, if conn.resp3 { 3 } else { 2 });
            }
            b"UNWATCH" => {
                conn.watched.clear();
                conn.watch_dirty = false;
                resp::write_simple(&mut conn.output, "OK");
            }
            b"AUTH" => resp::write_simple(&mut conn.output, "OK"),
            _ => match channel_prefix(name) {
                Some(prefix) => conn.subscribe(name, prefix, &args[1..]),
                None => self.write(conn, name, args),
            },
        }
    }

    fn text(&self, database: u32, key: &[u8], protocol: resp::Protocol, out: &mut Vec<u8>) {
        match self.store.get(&(database, key.to_vec())) {
            Some(Value::Text(text)) => resp::write_bulk(out, text),
            Some(Value::Number(number)) => resp::write_bulk(out, number.to_string().as_bytes()),
            Some(Value::List(_)) => resp::write_error(
                out,
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            None => resp::write_null(out, protocol),
        }
    }

    /// Commands that change data. Each is told to the ledger with its reply.
    fn write(&mut self, conn: &mut Conn, name: &[u8], args: &[Vec<u8>]) {
        let place = (conn.database, args.get(1).cloned().unwrap_or_default());
        let value = args.get(2).cloned().unwrap_or_default();
        let mut reply = Vec::new();
        match name {
            b"SET" => {
                self.put(place, Some(Value::Text(Rc::new(value))));
                resp::write_simple(&mut reply, "OK");
            }
            b"INCRBY" => {
                let by = super::ask::number(&value).unwrap_or(0) as i64;
                let sum = match self.store.get(&place) {
                    Some(Value::Number(number)) => number + by,
                    _ => by,
                };
                self.put(place, Some(Value::Number(sum)));
                resp::write_integer(&mut reply, sum);
            }
            b"APPEND" => {
                let mut text = match self.store.get(&place) {
                    Some(Value::Text(text)) => text.to_vec(),
                    _ => Vec::new(),
                };
                text.extend_from_slice(&value);
                resp::write_integer(&mut reply, text.len() as i64);
                self.put(place, Some(Value::Text(Rc::new(text))));
            }
            b"RPUSH" | b"LPUSH" => {
                let mut list = self.list(&place);
                if name == b"RPUSH" {
                    list.push_back(Rc::new(value));
                } else {
                    list.push_front(Rc::new(value));
                }
                resp::write_integer(&mut reply, list.len() as i64);
                self.put(place, Some(Value::List(list)));
            }
            b"DEL" => {
                let existed = i64::from(self.store.get(&place).is_some());
                self.put(place, None);
                resp::write_integer(&mut reply, existed);
            }
            b"PUBLISH" => {
                let (channel, payload) = (place.1, value);
                // Its own connection is out of the map while it executes.
                let own = conn.channels.contains(&channel);
                let receivers = self.listeners(&channel) + i64::from(own);
                if own {
                    let protocol = conn.protocol();
                    resp::write_push_header(&mut conn.output, 3, protocol);
                    resp::write_bulk(&mut conn.output, b"message");
                    resp::write_bulk(&mut conn.output, &channel);
                    resp::write_bulk(&mut conn.output, &payload);
                }
                resp::write_integer(&mut reply, receivers);
                self.publish(channel, payload);
            }
            // Inside a transaction it does not wait.
            b"BLPOP" => match self.pop(&place) {
                Some(element) => popped(&mut reply, &place.1, &element),
                None => return conn.output.extend_from_slice(wire::null_array(conn.resp3)),
            },
            _ => resp::write_error(&mut reply, "ERR not simulated"),
        }
        if let Some(id) = identity(args) {
            self.ran.push(Ran { id, database: conn.database, reply: reply.clone() });
        }
        conn.output.extend_from_slice(&reply);
    }

    fn put(&mut self, place: Place, value: Option<Value>) {
        self.apply(Change::Put { place, value });
    }

    fn list(&self, place: &Place) -> VecDeque<Rc<Vec<u8>>> {
        match self.store.get(place) {
            Some(Value::List(list)) => list.clone(),
            _ => VecDeque::new(),
        }
    }

    fn pop(&mut self, place: &Place) -> Option<Rc<Vec<u8>>> {
        let mut list = self.list(place);
        let element = list.pop_front()?;
        let rest = (!list.is_empty()).then_some(Value::List(list));
        self.put(place.clone(), rest);
        Some(element)
    }

    fn exec(&mut self, conn: &mut Conn) {
        let Some(queued) = conn.multi.take() else {
            return resp::write_error(&mut conn.output, "ERR EXEC without MULTI");
        };
        let (failed, dirty) = (conn.multi_failed, conn.watch_dirty);
        conn.leave_multi();
        if failed {
            self.refused.extend(queued.iter().filter_map(|args| identity(args)));
            let text = "EXECABORT Transaction discarded because of previous errors.";
            return resp::write_error(&mut conn.output, text);
        }
        if dirty {
            return conn.output.extend_from_slice(wire::null_array(conn.resp3));
        }
        resp::write_array_header(&mut conn.output, queued.len());
        for args in queued {
            let name = args[0].to_ascii_uppercase();
            self.simple(conn, &name, &args);
        }
    }

    fn pop_or_block(&mut self, conn: &mut Conn, args: &[Vec<u8>]) {
        let place = (conn.database, args[1].clone());
        if self.list(&place).is_empty() {
            self.token += 1;
            conn.blocked = Some(Blocked { place, token: self.token, id: identity(args) });
        } else {
            self.write(conn, b"BLPOP", args);
        }
    }

    /// Gives elements to those who wait for them.
    fn serve_blocked(&mut self) {
        if !self.is_primary() {
            return;
        }
        let waiting: Vec<(u64, Blocked)> =
            self.conns.iter().filter_map(|(id, conn)| Some((*id, conn.blocked.clone()?))).collect();
        for (conn_id, blocked) in waiting {
            let Some(element) = self.pop(&blocked.place) else { continue };
            let mut reply = Vec::new();
            popped(&mut reply, &blocked.place.1, &element);
            if let Some(id) = blocked.id {
                let database = blocked.place.0;
                self.ran.push(Ran { id, database, reply: reply.clone() });
            }
            if let Some(conn) = self.conns.get_mut(&conn_id) {
                conn.blocked = None;
                conn.output.extend_from_slice(&reply);
            }
        }
    }

    /// A blocked command's time is over.
    pub(crate) fn unblock(&mut self, conn: u64, token: u64) {
        if let Some(conn) = self.conns.get_mut(&conn)
            && conn.blocked.as_ref().is_some_and(|blocked| blocked.token == token)
        {
            conn.blocked = None;
            let null = wire::null_array(conn.resp3);
            conn.output.extend_from_slice(null);
        }
    }
}

impl Conn {
    fn leave_multi(&mut self) {
        self.multi = None;
        self.multi_failed = false;
        self.watched.clear();
        self.watch_dirty = false;
    }

    /// SUBSCRIBE and UNSUBSCRIBE, of channels whose names begin here with `prefix`.
    fn subscribe(&mut self, name: &[u8], prefix: &[u8], channels: &[Vec<u8>]) {
        let what = name.to_ascii_lowercase();
        let ends = what.windows(5).any(|part| part == b"unsub");
        let named: Vec<Vec<u8>> = if channels.is_empty() {
            let of_kind = |own: &Vec<u8>| {
                let kind = own.strip_prefix(prefix)?;
                (!prefix.is_empty() || !kind.starts_with(b"\0")).then(|| kind.to_vec())
            };
            self.channels.iter().filter_map(of_kind).collect()
        } else {
            channels.to_vec()
        };
        if named.is_empty() {
            self.confirm(&what, None);
        }
        for channel in &named {
            let own = [prefix, channel].concat();
            if ends {
                self.channels.remove(&own);
            } else {
                self.channels.insert(own);
            }
            self.confirm(&what, Some(channel));
        }
    }

    fn confirm(&mut self, what: &[u8], channel: Option<&Vec<u8>>) {
        let protocol = self.protocol();
        resp::write_push_header(&mut self.output, 3, protocol);
        resp::write_bulk(&mut self.output, what);
        match channel {
            Some(channel) => resp::write_bulk(&mut self.output, channel),
            None => resp::write_null(&mut self.output, protocol),
        }
        resp::write_integer(&mut self.output, self.channels.len() as i64);
    }

    /// Takes the next whole command off the input.
    pub(crate) fn next_command(&mut self, limits: &resp::Limits) -> Option<Result<Args, String>> {
        loop {
            match self.scanner.scan(&self.input, limits) {
                Ok(resp::Scan::Incomplete { .. }) => return None,
                Err(error) => return Some(Err(error.to_string())),
                Ok(resp::Scan::Complete { len, .. }) => {
                    let args: Args = self
                        .scanner
                        .args()
                        .iter()
                        .map(|range| self.input[range.start as usize..range.end as usize].to_vec())
                        .collect();
                    self.input.drain(..len);
                    if !args.is_empty() {
                        return Some(Ok(args));
                    }
                }
            }
        }
    }
}

/// Redis, rejectCommand: EXEC aborts, and a transaction that is being queued is marked.
fn reject(conn: &mut Conn, name: &[u8], error: &str) {
    if name == b"EXEC" {
        conn.leave_multi();
        let text = format!("EXECABORT Transaction discarded because of: {error}");
        return resp::write_error(&mut conn.output, &text);
    }
    conn.multi_failed |= conn.multi.is_some();
    resp::write_error(&mut conn.output, error);
}

fn popped(out: &mut Vec<u8>, key: &[u8], element: &[u8]) {
    resp::write_array_header(out, 2);
    resp::write_bulk(out, key);
    resp::write_bulk(out, element);
}
