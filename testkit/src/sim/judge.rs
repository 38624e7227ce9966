//! Is a reply the one that its request had to get?

use std::time::Duration;

use config::Mode;
use topology::Time;

use super::ask::{Ask, channel_name, key_name, tag_of, tagged};
use super::client::{View, Waiting};
use super::ledger::Ending;
use super::wire::{self, Raw};
use super::world::World;

impl World {
    /// A client has got a whole value.
    pub(crate) fn judge(&mut self, index: usize, raw: Raw<'_>) {
        if self.is_message(index, raw) {
            return;
        }
        self.note(|| format!("client {index} ← {}", wire::shown(raw)));
        let channels = self.clients[index].view.channels.len() as u32;
        let Some(front) = self.clients[index].waiting.front_mut() else {
            panic!("client {index} got a reply that it has not asked for: {}", wire::shown(raw));
        };
        let left = front.left.unwrap_or(channels.max(1)) - 1;
        front.left = Some(left);
        let waiting = *front;
        if left == 0 || wire::is_error(raw) {
            self.clients[index].waiting.pop_front();
        }
        let entry = self.ledger.get(waiting.id).unwrap_or_else(|| panic!("unknown request"));
        let ask = entry.ask.clone();
        let came = waiting.came;
        // What is refused because of its name is refused before all of it has come.
        let early = ask.is_huge() && wire::is_error(raw);
        assert!(
            came.is_some() || early || ask == Ask::Garbage,
            "client {index} got a reply to a request that it has not sent: {}",
            wire::shown(raw)
        );
        self.check_time(index, waiting, &ask);
        self.clients[index].last_answer = self.now;
        if let Err(why) = self.judge_reply(index, waiting, &ask, raw) {
            panic!(
                "client {index}, request {} {ask:?}: {why}\ngot {}\n{}\n{:?}",
                waiting.id,
                wire::shown(raw),
                self.clients[index].describe(&self.ledger),
                self.ledger.get(waiting.id)
            );
        }
    }

    /// No request takes longer than `hold` and `request`.
    fn check_time(&self, index: usize, waiting: Waiting, ask: &Ask) {
        let client = &self.clients[index];
        let habit = &client.habit;
        if habit.reads_slowly || habit.mutes || matches!(client.mode, Mode::Tcp(_)) {
            return;
        }
        let begin = waiting.came.unwrap_or(self.now).max(client.last_answer);
        let own = match ask {
            Ask::Pop { timeout_ms } => Duration::from_millis(*timeout_ms),
            _ => Duration::ZERO,
        };
        let took = self.now.since(begin);
        assert!(
            took <= self.plan.patience() + own,
            "client {index}: request {} {ask:?} took {took:?}",
            waiting.id
        );
    }

    fn judge_reply(
        &mut self,
        index: usize,
        waiting: Waiting,
        ask: &Ask,
        raw: Raw<'_>,
    ) -> Result<(), String> {
        let id = waiting.id;
        if wire::is_error(raw) {
            return self.judge_error(index, waiting, ask, raw);
        }
        let queues = self.clients[index].view.multi.is_some()
            && !matches!(ask, Ask::Exec | Ask::Discard | Ask::Reset | Ask::Quit | Ask::ClientId);
        if queues {
            expect(raw, b"+QUEUED\r\n")?;
            let multi = self.clients[index].view.multi.get_or_insert_default();
            multi.push(id);
            let transaction = multi.first().copied();
            if let Some(entry) = self.ledger.get_mut(id) {
                entry.transaction = transaction;
            }
            return Ok(());
        }
        match ask {
            Ask::Exec => self.judge_exec(index, raw),
            Ask::Discard => {
                expect(raw, b"+OK\r\n")?;
                self.end_transaction(index, &Ending::Idle);
                Ok(())
            }
            Ask::Multi => {
                self.clients[index].view.multi_came = waiting.came;
                self.judge_plain(index, id, ask, raw)
            }
            _ => self.judge_plain(index, id, ask, raw),
        }
    }

    /// The reply of a command that ran, alone or in a transaction.
    fn judge_plain(
        &mut self,
        index: usize,
        id: u64,
        ask: &Ask,
        raw: Raw<'_>,
    ) -> Result<(), String> {
        let client = &self.clients[index];
        let (resp3, database) = (client.view.resp3, client.view.database);
        if ask.is_write() {
            return self.judge_write(index, id, ask, raw);
        }
        match ask {
            Ask::Echo { len } => expect_bulk(raw, &tagged(id, *len)),
            Ask::Ping => {
                let own = tagged(id, 0);
                match wire::elements(raw).filter(|_| !resp3) {
                    // Of a subscriber.
                    Some(parts) if parts.len() == 2 => expect_bulk(parts[1], &own),
                    _ => expect_bulk(raw, &own),
                }
            }
            Ask::Get { key } => self.judge_value(index, id, *key, raw),
            Ask::MGet { keys } => {
                let parts = wire::elements(raw).ok_or("no array")?;
                if parts.len() != keys.len() {
                    return Err("an array of another length".to_owned());
                }
                for (key, part) in keys.iter().zip(parts) {
                    self.judge_value(index, id, *key, part)?;
                }
                Ok(())
            }
            Ask::GetEmpty { .. } if raw == wire::null(resp3) => Ok(()),
            Ask::GetEmpty { .. } => expect_bulk(raw, b""),
            Ask::Info => {
                let text = String::from_utf8_lossy(raw);
                let right = match client.mode {
                    Mode::Read => text.contains("role:"),
                    _ if self.plan.has_faults() => text.contains("role:"),
                    _ => text.contains("role:master"),
                };
                if right { Ok(()) } else { Err("not the INFO of a fit node".to_owned()) }
            }
            Ask::Wait | Ask::ClientId => {
                wire::integer(raw).map(|_| ()).ok_or_else(|| "no integer".to_owned())
            }
            Ask::SetName | Ask::ReplyOn | Ask::Unwatch | Ask::Quit => expect(raw, b"+OK\r\n"),
            _ => self.judge_change(index, ask, raw, database),
        }
    }

    /// Commands that change the client's connection.
    fn judge_change(
        &mut self,
        index: usize,
        ask: &Ask,
        raw: Raw<'_>,
        _before: u32,
    ) -> Result<(), String> {
        let view = &mut self.clients[index].view;
        match ask {
            Ask::Select { database } => {
                expect(raw, b"+OK\r\n")?;
                view.database = *database;
            }
            Ask::Hello { resp3 } => {
                let marker: &[u8] = if *resp3 { b"%7\r\n" } else { b"*14\r\n" };
                let proto: &[u8] = if *resp3 { b"proto\r\n:3\r\n" } else { b"proto\r\n:2\r\n" };
                let right = raw.starts_with(marker)
                    && raw.windows(proto.len()).any(|window| window == proto);
                if !right {
                    return Err("not the greeting of this protocol".to_owned());
                }
                view.resp3 = *resp3;
            }
            Ask::Multi => {
                expect(raw, b"+OK\r\n")?;
                view.multi = Some(Vec::new());
            }
            Ask::Watch { .. } => {
                expect(raw, b"+OK\r\n")?;
                view.watching = true;
            }
            Ask::Reset => {
                expect(raw, b"+RESET\r\n")?;
                let heard = std::mem::take(&mut view.heard);
                self.end_transaction(index, &Ending::Idle);
                self.clients[index].view = View { heard, ..View::default() };
            }
            Ask::Subscribe { .. } | Ask::Unsubscribe { .. } => {
                return confirm(view, ask, raw);
            }
            _ => return Err("a reply to what has none".to_owned()),
        }
        Ok(())
    }

    fn judge_write(
        &mut self,
        index: usize,
        id: u64,
        ask: &Ask,
        raw: Raw<'_>,
    ) -> Result<(), String> {
        let view = &self.clients[index].view;
        let (resp3, database) = (view.resp3, view.database);
        let entry = self.ledger.get(id).ok_or("unknown")?;
        if matches!(ask, Ask::Pop { .. }) && raw == wire::null_array(resp3) {
            if !entry.executions.is_empty() {
                return Err("an element was taken, and the client told that none was".to_owned());
            }
            self.ledger.end(id, Ending::Idle);
            return Ok(());
        }
        let Some(execution) = entry.executions.first() else {
            return Err("acknowledged, and never ran".to_owned());
        };
        if execution.reply != raw {
            return Err(format!("it ran and was answered {}", wire::shown(&execution.reply)));
        }
        if execution.database != database {
            return Err(format!("it ran in database {}, not {database}", execution.database));
        }
        if let Ask::Pop { .. } = ask {
            let parts = wire::elements(raw).ok_or("no array")?;
            let element = parts.get(1).and_then(|part| wire::bulk(part)).and_then(tag_of);
            let feed = element.and_then(|feed| self.ledger.get(feed)).map(|feed| &feed.ask);
            if feed != Some(&Ask::Feed { list: id }) {
                return Err(format!("an element that was not for it: {feed:?}"));
            }
        }
        self.ledger.end(id, Ending::Ran(raw.to_vec()));
        Ok(())
    }

    /// A value of one of the client's own keys.
    fn judge_value(&mut self, index: usize, id: u64, key: u8, raw: Raw<'_>) -> Result<(), String> {
        let client = &self.clients[index];
        let found = match wire::bulk(raw) {
            Some(text) => {
                let set = tag_of(text).ok_or("a value that nobody has set")?;
                let entry = self.ledger.get(set).ok_or("a value that nobody has set")?;
                let Ask::Set { key: own, len } = entry.ask else {
                    return Err(format!("a value of {:?}", entry.ask));
                };
                if (entry.client, own) != (index, key) {
                    let key = key_name(entry.client, 'k', own);
                    return Err(format!("the value of {}", String::from_utf8_lossy(&key)));
                }
                if tagged(set, len) != text {
                    return Err(format!("a damaged value of request {set}"));
                }
                let elsewhere =
                    entry.executions.first().is_none_or(|run| run.database != client.view.database);
                if elsewhere {
                    return Err(format!("a value of another database, set by request {set}"));
                }
                if set > id {
                    self.ledger.peeked(id, set);
                }
                Some(set)
            }
            None if raw == wire::null(client.view.resp3) => None,
            None => return Err("neither a value nor this protocol's null".to_owned()),
        };
        // What was sent together is seen together.
        let written = self.clients[index].written.get(&key);
        let last = written.and_then(|ids| ids.iter().rev().find(|set| **set < id).copied());
        let own_batch = self.ledger.get(id).and_then(|entry| entry.batch);
        if let Some(last) = last
            && !self.plan.has_faults()
            && let Some(entry) = self.ledger.get(last)
            && entry.batch == own_batch
            && entry.mode != Mode::Read
        {
            let expected = matches!(entry.ask, Ask::Set { .. }).then_some(last);
            if found != expected {
                return Err(format!("request {last} was sent before it, in the same batch"));
            }
        }
        Ok(())
    }

    fn judge_exec(&mut self, index: usize, raw: Raw<'_>) -> Result<(), String> {
        let view = &mut self.clients[index].view;
        let Some(queued) = view.multi.take() else {
            return Err("EXEC succeeded without MULTI".to_owned());
        };
        let failed = std::mem::take(&mut view.multi_failed);
        let watching = std::mem::take(&mut view.watching);
        if raw == wire::null_array(view.resp3) {
            for id in &queued {
                self.ledger.end(*id, Ending::Idle);
            }
            let excused = watching && self.plan.has_faults();
            return if excused { Ok(()) } else { Err("no watched key was changed".to_owned()) };
        }
        if failed {
            return Err("a command of it was refused".to_owned());
        }
        let parts = wire::elements(raw).ok_or("no array")?;
        if parts.len() != queued.len() {
            return Err(format!("{} were queued", queued.len()));
        }
        for (id, part) in queued.into_iter().zip(parts) {
            let ask = self.ledger.get(id).map(|entry| entry.ask.clone()).ok_or("unknown")?;
            self.judge_plain(index, id, &ask, part)
                .map_err(|why| format!("its request {id} {ask:?}: {why}; {}", wire::shown(part)))?;
        }
        Ok(())
    }

    fn end_transaction(&mut self, index: usize, ending: &Ending) {
        let view = &mut self.clients[index].view;
        view.multi_failed = false;
        view.watching = false;
        for id in view.multi.take().unwrap_or_default() {
            self.ledger.end(id, ending.clone());
        }
    }

    fn judge_error(
        &mut self,
        index: usize,
        waiting: Waiting,
        ask: &Ask,
        raw: Raw<'_>,
    ) -> Result<(), String> {
        let (id, code) = (waiting.id, wire::code(raw).to_owned());
        let text = String::from_utf8_lossy(wire::line(raw)).into_owned();
        let client = &mut self.clients[index];
        let mode = client.mode;
        let in_multi = client.view.multi.is_some();
        let mut came = waiting.came.unwrap_or(self.now);
        if matches!(ask, Ask::Exec | Ask::Discard) {
            // A transaction is lost at any time since its MULTI, and EXEC is the first to say so.
            came = client.view.multi_came.map_or(came, |multi| multi.min(came));
        }
        // A WATCH whose outcome is unknown counts as one whose key has changed.
        client.view.watching |= matches!(ask, Ask::Watch { .. });
        client.view.multi_failed |= in_multi && !matches!(ask, Ask::Exec | Ask::Discard);
        match ask {
            Ask::Garbage if text.starts_with("ERR Protocol error") => return Ok(()),
            Ask::Unknown
                if text
                    == format!(
                        "ERR unknown command 'FROBNICATE', with args beginning with: '{id}' "
                    ) =>
            {
                return Ok(());
            }
            Ask::Exec | Ask::Discard if !in_multi => {
                return match text.ends_with("without MULTI") {
                    true => Ok(()),
                    false => Err("there is no MULTI".to_owned()),
                };
            }
            // What ends a subscription may have failed before.
            _ if text.starts_with("ERR Can't execute")
                && !client.view.channels.is_empty()
                && !client.view.resp3 =>
            {
                self.ledger.end(id, Ending::Refused(code));
                return Ok(());
            }
            _ if ask.is_refused(mode) && code == "READONLY" => {
                self.ledger.end(id, Ending::Refused(code));
                return Ok(());
            }
            _ => {}
        }
        let failed = client.view.multi_failed;
        if matches!(ask, Ask::Exec | Ask::Discard) {
            let ending = match code.as_str() {
                "OUTCOMEUNKNOWN" => Ending::Unknown,
                _ => Ending::Refused(code.clone()),
            };
            self.end_transaction(index, &ending);
            if failed && code == "EXECABORT" {
                return Ok(());
            }
        }
        self.errors += 1;
        let ending = match code.as_str() {
            "OUTCOMEUNKNOWN" => Ending::Unknown,
            _ => Ending::Refused(code.clone()),
        };
        self.ledger.end(id, ending);
        // In RESP2 a subscriber may do little, and its node says so: whatever it asks goes there.
        let view = &self.clients[index].view;
        let subscribed = !view.channels.is_empty() && !view.resp3;
        let ask = if subscribed && !ask.is_write() { &Ask::Ping } else { ask };
        self.check_excuse(mode, ask, &code, came)
    }

    /// Is there something that explains this error?
    fn check_excuse(&self, mode: Mode, ask: &Ask, code: &str, came: Time) -> Result<(), String> {
        if let Mode::Tcp(_) = mode {
            let known = matches!(code, "READONLY" | "LOADING" | "MASTERDOWN");
            let excused = known && self.plan.has_faults();
            return if excused { Ok(()) } else { Err("an error that nothing explains".to_owned()) };
        }
        if !ask.may_fail_with(code) {
            return Err("an error that it must never get".to_owned());
        }
        let tight = code == "LIMIT" && self.plan.tight;
        let too_large = code == "LIMIT" && ask.is_huge();
        if code == "LIMIT" && !tight && !too_large {
            return Err("no limit was reached".to_owned());
        }
        if tight || self.excuses(came) {
            return Ok(());
        }
        Err("an error that nothing explains".to_owned())
    }

    /// Messages come unasked.
    fn is_message(&mut self, index: usize, raw: Raw<'_>) -> bool {
        let Some(parts) = wire::elements(raw).filter(|parts| parts.len() == 3) else {
            return false;
        };
        let words: Vec<_> = parts.iter().map(|part| wire::bulk(part)).collect();
        let [Some(b"message"), Some(channel), Some(payload)] = words[..] else { return false };
        let client = &self.clients[index];
        let expected = if client.view.resp3 { b'>' } else { b'*' };
        assert_eq!(raw[0], expected, "client {index}: a message in the other protocol");
        let known =
            client.view.heard.iter().find(|known| channel_name(**known) == channel).copied();
        let id = tag_of(payload);
        let entry = id.and_then(|id| self.ledger.get(id));
        let ask = entry.map(|entry| entry.ask.clone());
        let Some(channel) = known.filter(|channel| ask == Some(Ask::Publish { channel: *channel }))
        else {
            panic!("client {index} got a message that is not for it: {}", wire::shown(raw));
        };
        // Replicas tell at different times.
        let once = !self.plan.has_faults() && self.clients[index].mode != Mode::Read;
        let first = self.clients[index].messages.insert(id.unwrap_or_default());
        assert!(first || !once, "client {index} got a message of channel {channel} twice");
        true
    }
}

fn expect(raw: Raw<'_>, expected: &[u8]) -> Result<(), String> {
    if raw == expected { Ok(()) } else { Err(format!("expected {}", wire::shown(expected))) }
}

fn expect_bulk(raw: Raw<'_>, expected: &[u8]) -> Result<(), String> {
    if wire::bulk(raw) == Some(expected) {
        Ok(())
    } else {
        Err(format!("expected the text {}", wire::shown(expected)))
    }
}

/// One confirmation of one channel.
fn confirm(view: &mut View, ask: &Ask, raw: Raw<'_>) -> Result<(), String> {
    let parts = wire::elements(raw).filter(|parts| parts.len() == 3).ok_or("no confirmation")?;
    let marker = if view.resp3 { b'>' } else { b'*' };
    if raw[0] != marker {
        return Err("a confirmation in the other protocol".to_owned());
    }
    let (name, added) = match ask {
        Ask::Subscribe { .. } => (&b"subscribe"[..], true),
        _ => (&b"unsubscribe"[..], false),
    };
    expect_bulk(parts[0], name)?;
    let channel = wire::bulk(parts[1]).map(<[u8]>::to_vec);
    let known = (0..8).find(|known| channel.as_deref() == Some(&channel_name(*known)[..]));
    match (known, added) {
        (Some(known), true) => {
            view.channels.insert(known);
            view.heard.insert(known);
        }
        (Some(known), false) => _ = view.channels.remove(&known),
        (None, false) if channel.is_none() => {}
        (None, _) => return Err("a confirmation of an unknown channel".to_owned()),
    }
    match wire::integer(parts[2]) {
        Some(count) if count == view.channels.len() as i64 => Ok(()),
        count => Err(format!("{count:?} subscriptions, not {}", view.channels.len())),
    }
}
