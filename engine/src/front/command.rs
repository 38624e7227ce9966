//! One command of a client of several shards.

use std::borrow::Cow;

use commands::{Command, Kind};
use config::Mode;
use session::shards::{Cursor, Merge, Plan, split, with_cursor};
use session::{Call, ClientCommand, Local, PinReason, Way, parse_client};
use topology::ErrorKind;

use crate::Engine;
use crate::client::{Client, Parked};
use crate::front::{Come, Lane, Merging, Owing, Territory};
use crate::input::Step;
use crate::pause::{Touch, touch};
use crate::slots::Key;

/// A key longer than this is not named whole in an error.
const SHOWN_KEY: usize = 64;

impl Engine {
    /// Handles a whole command of `len` bytes at the start of `input`; `bytes` is it as a multibulk request. How much of the
    /// input is used up; `None`: it waits.
    pub(crate) fn front_command(
        &mut self,
        key: Key,
        call: Call<'_>,
        bytes: &[u8],
        input: &[u8],
        len: usize,
    ) -> Option<usize> {
        let open = self.block_is_open(key);
        let (way, command, plan) = self.front_plan(key, call, open)?;
        let client = self.clients.get_mut(key)?;
        client.last_command = command;
        if self.only_listens(key) {
            if !self.is_alone(key) {
                return None;
            }
            if self.refuse_beside_listening(key, call, command).is_some() {
                return Some(len);
            }
        }
        let step = match way {
            Way::Reject(rejection) => {
                if open {
                    self.spoil_block(key);
                }
                self.reject(key, call, rejection)
            }
            Way::Pinned { reason: PinReason::Multi, .. } => {
                return self.front_multi(key, bytes, input, len);
            }
            Way::Local(local @ (Local::Exec | Local::Discard)) => {
                self.front_end_block(key, bytes, local)
            }
            Way::Local(local) => self.front_local(key, call, bytes, local),
            Way::Pinned { reason: PinReason::Watch, .. } => {
                self.front_watch(key, bytes, call, plan)
            }
            Way::Pinned { reason: PinReason::Subscribe(_), .. } if open => {
                self.not_in_block(key, &name_of(call))
            }
            Way::Pinned { reason: PinReason::Subscribe(kind), .. } => {
                self.front_subscribe(key, call, kind)
            }
            Way::Lane { .. } | Way::Everywhere | Way::Pinned { .. } if open => {
                let scripts = &self.pools[self.clients.get(key)?.pool].scripts;
                if touch(way, command, call, scripts) != Touch::Reads {
                    self.block_writes(key);
                }
                self.front_queued(key, call, bytes, plan)
            }
            Way::Lane { .. } | Way::Everywhere | Way::Pinned { .. } => {
                self.count_command(key, command);
                self.front_send(key, call, bytes, command, way, plan);
                self.mirror(key, call, bytes, command, plan);
                if matches!(way, Way::Pinned { reason: PinReason::Blocking { .. }, .. }) {
                    // What stands behind it is for later, on a server, whatever it is about.
                    self.look_at_nothing_more(key);
                }
                Step::Done
            }
        };
        match step {
            Step::Done => Some(len),
            Step::Wait => None,
        }
    }

    fn count_command(&mut self, key: Key, command: Option<&'static Command>) {
        if let Some(client) = self.clients.get(key) {
            let counts = &mut self.pools[client.pool].counts;
            let writes =
                command.is_none_or(|own| own.flags.write() || own.kind == Kind::MayReplicate);
            *if writes { &mut counts.writes_total } else { &mut counts.reads_total } += 1;
        }
    }

    /// Gives a command to the legs that it is for.
    pub(crate) fn front_send(
        &mut self,
        key: Key,
        call: Call<'_>,
        bytes: &[u8],
        command: Option<&'static Command>,
        way: Way,
        plan: Plan,
    ) {
        let lane = Lane::of(way);
        let name = command.map_or("", |command| command.name);
        match plan {
            Plan::One(place) => match lane {
                Some(lane) => {
                    self.feed_request(key, place, Cow::Borrowed(bytes), lane);
                    self.owe(key, Owing::Reply(place));
                }
                None => self.front_one(key, place, bytes),
            },
            Plan::Any => {
                let place = self.any_place(key);
                self.front_one(key, place, bytes);
            }
            Plan::Split { step, merge } => {
                let Some(territory) = self.territory(key) else {
                    return;
                };
                let reads = command.is_some_and(|command| command.flags.readonly());
                let split = split(call, step, &territory.view(reads));
                let parts = split.parts.iter().map(|part| (part.shard, Come::NotYet)).collect();
                for part in split.parts {
                    match lane {
                        Some(lane) => {
                            self.feed_request(key, part.shard, Cow::Owned(part.request), lane);
                        }
                        None => self.feed(key, part.shard, &part.request),
                    }
                }
                let merging = Merging { how: merge, name, parts, order: split.order };
                self.owe(key, Owing::Merged(Box::new(merging)));
            }
            Plan::All(how) => {
                let places = self.territory(key).map(Territory::present).unwrap_or_default();
                self.front_many(key, bytes, name, how, places);
            }
            Plan::Written => {
                let written = |place: &usize| {
                    let leg = self.present_leg(key, *place).and_then(|leg| self.clients.get(leg));
                    leg.is_some_and(|leg| {
                        leg.last_write.is_some() || leg.unanswered > 0 || !leg.input.is_empty()
                    })
                };
                let places: Vec<usize> = self.all_places(key).into_iter().filter(written).collect();
                let places = if places.is_empty() { vec![self.any_place(key)] } else { places };
                let how = if name == "WAITAOF" { Merge::LeastEach } else { Merge::Least };
                self.front_many(key, bytes, name, how, places);
            }
            Plan::Scan => match Cursor::parse(call.arg(1), self.shards_of(key)) {
                Some(cursor) if self.is_out(key, cursor.shard) => {
                    let next = cursor.next(0, self.shards_of(key)).unwrap_or_default();
                    self.reply(key, |out, _| {
                        resp::write_array_header(out, 2);
                        resp::write_bulk(out, next.to_string().as_bytes());
                        resp::write_array_header(out, 0);
                    });
                }
                Some(cursor) => {
                    let request = with_cursor(call, cursor.own);
                    let place = self.all_places(key).get(cursor.shard).copied();
                    let place = place.unwrap_or_default();
                    self.feed(key, place, &request);
                    self.owe(key, Owing::Cursor(place, cursor));
                }
                // A node says in its own words what is wrong with it.
                None => {
                    let place = self.any_place(key);
                    self.front_one(key, place, bytes);
                }
            },
            Plan::Crosses { one, other } => {
                let text = self.crosses(key, call, one, other);
                self.reply_error(key, ErrorKind::CrossShard, &text);
            }
            Plan::OneServer => {
                let text = self.one_server(key, call);
                self.reply_error(key, ErrorKind::CrossShard, &text);
            }
        }
        if self.is_undescribed(key, call, command) {
            let group = self.territory(key).and_then(|territory| territory.groups.first().copied());
            self.ask_about(group.unwrap_or_default(), call.name());
        }
    }

    fn is_undescribed(&self, key: Key, call: Call<'_>, command: Option<&'static Command>) -> bool {
        let group = self.territory(key).and_then(|territory| territory.groups.first());
        command.is_none()
            && group.is_some_and(|group| {
                let name = call.name().to_ascii_uppercase();
                !self.pools[*group].learned.contains_key(name.as_slice())
            })
    }

    pub(crate) fn front_one(&mut self, key: Key, place: usize, bytes: &[u8]) {
        self.feed(key, place, bytes);
        self.owe(key, Owing::Reply(place));
    }

    pub(crate) fn front_many(
        &mut self,
        key: Key,
        bytes: &[u8],
        name: &'static str,
        how: Merge,
        places: Vec<usize>,
    ) {
        for place in &places {
            self.feed(key, *place, bytes);
        }
        let parts = places.into_iter().map(|place| (place, Come::NotYet)).collect();
        let merging = Merging { how, name, parts, order: Vec::new() };
        self.owe(key, Owing::Merged(Box::new(merging)));
    }

    pub(crate) fn territory(&self, key: Key) -> Option<&Territory> {
        let client = self.clients.get(key)?;
        self.pools[client.pool].territory.as_ref()
    }

    /// Is this one of all shards left out at present?
    fn is_out(&self, key: Key, shard: usize) -> bool {
        self.territory(key).is_some_and(|territory| {
            territory.all.get(shard).is_some_and(|place| territory.is_out(*place))
        })
    }

    pub(crate) fn shards_of(&self, key: Key) -> usize {
        self.territory(key).map_or(0, |territory| territory.all.len())
    }

    /// The places that a command to all shards reaches.
    pub(crate) fn all_places(&self, key: Key) -> Vec<usize> {
        self.territory(key).map_or_else(Vec::new, |territory| territory.all.clone())
    }

    /// A shard that can answer now, one that the client uses already if there is one.
    pub(crate) fn any_place(&self, key: Key) -> usize {
        let Some(client) = self.clients.get(key) else {
            return 0;
        };
        let (Some(territory), Some(front)) =
            (self.pools[client.pool].territory.as_ref(), client.front())
        else {
            return 0;
        };
        let answers = |place: &usize| self.can_answer(client, *place);
        let uses = |place: &usize| front.legs.get(*place).is_some_and(Option::is_some);
        let all = || territory.all.iter().copied();
        let fit = all().filter(uses).find(answers).or_else(|| all().find(answers));
        fit.or_else(|| all().next()).unwrap_or_default()
    }

    /// Has this shard a node now for what cannot go to any?
    pub(super) fn can_answer(&self, client: &Client, place: usize) -> bool {
        let territory = self.pools[client.pool].territory.as_ref();
        let group = territory.and_then(|territory| territory.groups.get(place));
        let Some(pool) = group.and_then(|group| self.pools.get(*group)) else {
            return false;
        };
        match client.mode {
            Mode::Read => pool.nodes.iter().any(|node| node.readable && node.is_usable()),
            _ => pool.primary.is_some_and(|primary| pool.nodes[primary].is_usable()),
        }
    }

    /// What is about the client itself.
    fn front_local(&mut self, key: Key, call: Call<'_>, bytes: &[u8], local: Local) -> Step {
        let open = self.block_is_open(key);
        match local {
            Local::Quit | Local::HangUp => {
                if !self.is_alone(key) {
                    return Step::Wait;
                }
                self.local(key, call, bytes, local)
            }
            Local::Reset => {
                if !self.is_alone(key) {
                    return Step::Wait;
                }
                self.front_reset(key)
            }
            Local::Info | Local::Unwatch if open => self.front_queued(key, call, bytes, Plan::Any),
            Local::Info => {
                let places = self.territory(key).map(Territory::present).unwrap_or_default();
                self.front_many(key, bytes, "INFO", Merge::Info, places);
                Step::Done
            }
            _ if open => self.not_in_block(key, &name_of(call)),
            Local::Unwatch => self.front_unwatch(key, bytes),
            Local::Select | Local::Auth | Local::Hello => {
                self.front_standing(key, call, bytes, local)
            }
            Local::Client => self.front_client(key, call, bytes),
            Local::WhoAmI => self.local(key, call, bytes, local),
            Local::Exec | Local::Discard => self.front_end_block(key, bytes, local),
        }
    }

    fn front_client(&mut self, key: Key, call: Call<'_>, bytes: &[u8]) -> Step {
        match parse_client(call) {
            Ok(ClientCommand::Tracking(wanted)) => {
                if wanted.is_some_and(|wanted| wanted.redirect.is_some()) {
                    let text = session::error(
                        ErrorKind::Refused,
                        format_args!(
                            "CLIENT TRACKING with REDIRECT is not possible over several shards; RESP3 (HELLO 3) needs none"
                        ),
                    );
                    self.reply_error(key, ErrorKind::Refused, &text);
                    return Step::Done;
                }
                self.forget_tracking_left_out(key);
                let places = self.places_to_track(key);
                self.front_many(key, bytes, "CLIENT TRACKING", Merge::Same, places);
                Step::Done
            }
            Ok(ClientCommand::Caching) => {
                let places = self.places_to_track(key);
                self.front_many(key, bytes, "CLIENT CACHING", Merge::Same, places);
                Step::Done
            }
            Ok(
                ClientCommand::TrackingInfo | ClientCommand::GetRedirect | ClientCommand::Server,
            ) => {
                let place = self.any_place(key);
                self.front_one(key, place, bytes);
                Step::Done
            }
            // They look at the client as it is when all before it is answered.
            Ok(ClientCommand::Clients(_) | ClientCommand::Reply(_)) if !self.is_alone(key) => {
                Step::Wait
            }
            _ => {
                let step = self.local(key, call, bytes, Local::Client);
                self.describe_legs(key);
                step
            }
        }
    }

    fn front_reset(&mut self, key: Key) -> Step {
        self.drop_legs(key);
        let places = self.territory(key).map_or(0, |territory| territory.groups.len());
        let Some(client) = self.clients.get_mut(key) else {
            return Step::Done;
        };
        client.special = None;
        client.talk = self.pools[client.pool].newcomer();
        client.side = crate::front::Side::Front(crate::front::Front::of(places));
        self.reply_simple(key, "RESET")
    }

    /// `-CROSSSHARD`, with two of the keys.
    pub(crate) fn crosses(&self, key: Key, call: Call<'_>, one: usize, other: usize) -> String {
        use session::shards::Layout as _;
        let Some(territory) = self.territory(key) else {
            return String::new();
        };
        let shard = |index: usize| {
            let reads = commands::lookup(call.name()).is_some_and(|own| own.flags.readonly());
            let reads = reads && !self.block_is_open(key);
            let place = territory.view(reads).shard(call.arg(index));
            territory.names.get(place).map_or("", |name| &**name)
        };
        session::error(
            ErrorKind::CrossShard,
            format_args!(
                "'{}' needs all its keys on one shard of pool {}; '{}' is on {}, '{}' on {} (a hash tag keeps keys together)",
                name_of(call),
                self.pool_name(key),
                shown_key(call.arg(one)),
                shard(one),
                shown_key(call.arg(other)),
                shard(other),
            ),
        )
    }

    pub(crate) fn one_server(&self, key: Key, call: Call<'_>) -> String {
        session::error(
            ErrorKind::CrossShard,
            format_args!(
                "'{}' is about one server, and pool {} has {} shards; send it to a node",
                name_of(call),
                self.pool_name(key),
                self.shards_of(key)
            ),
        )
    }

    pub(crate) fn pool_name(&self, key: Key) -> &str {
        self.clients.get(key).map_or("", |client| self.pools[client.pool].name())
    }

    /// Waits until everything before it is answered, and lets nothing be looked at until it is answered itself.
    pub(crate) fn alone_from_now(&mut self, key: Key) -> Step {
        if !self.is_alone(key) {
            return Step::Wait;
        }
        self.look_at_nothing_more(key);
        Step::Done
    }

    /// Before all that is owed was given.
    pub(super) fn look_at_nothing_more(&mut self, key: Key) {
        if let Some(front) = self.clients.get_mut(key).and_then(Client::front_mut) {
            front.alone = true;
        }
    }

    pub(crate) fn wait_for_answers(&mut self, key: Key) -> Step {
        if let Some(client) = self.clients.get_mut(key) {
            client.parked = Parked::Answers;
        }
        Step::Wait
    }
}

/// A command's name as an error shows it.
pub(crate) fn name_of(call: Call<'_>) -> String {
    let name = String::from_utf8_lossy(call.name()).to_ascii_lowercase();
    let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
    let container = commands::lookup(call.name()).filter(|command| command.has_subcommands());
    match container.and_then(|container| container.subcommand(call.arg(1))) {
        Some(own) if own.kind != Kind::Client => own.name.to_ascii_lowercase(),
        _ => name,
    }
}

fn shown_key(key: &[u8]) -> String {
    let shown = key.get(..SHOWN_KEY).unwrap_or(key).escape_ascii().to_string();
    if key.len() > SHOWN_KEY { format!("{shown}…") } else { shown }
}
