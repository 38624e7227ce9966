//! What another pool gets as well, without anybody waiting for it.

use commands::Command;
use session::Call;
use session::shards::{Plan, plan, split};

use crate::Engine;
use crate::client::{Client, INPUT_FULL};
use crate::slots::Key;

impl Engine {
    /// Gives a copy of a command to the pool that its key is mirrored to, if it is.
    pub(crate) fn mirror(
        &mut self,
        key: Key,
        call: Call<'_>,
        bytes: &[u8],
        command: Option<&'static Command>,
    ) {
        let Some(territory) = self.territory(key).filter(|territory| territory.mirrors()) else {
            return;
        };
        let Some(command) = command else {
            return;
        };
        let first = commands::first_key(command, call.len(), |index| call.arg(index));
        let Some((mirror, view)) = first.and_then(|first| territory.mirror(call.arg(first))) else {
            return;
        };
        let reads = command.flags.readonly();
        // What waits at a node would be one more that waits there.
        if command.flags.blocking() || !mirror.takes(reads, territory.draw()) {
            return;
        }
        let learned = topology::LearnedCommands::new();
        let copies = match plan(call, Some(command), &learned, &view) {
            Plan::One(place) => vec![(place, bytes.to_vec())],
            Plan::Split { step, .. } => {
                let parts = split(call, step, &view).parts;
                parts.into_iter().map(|part| (part.shard, part.request)).collect()
            }
            _ => return,
        };
        for (place, copy) in copies {
            self.copy_to(key, place, &copy);
        }
    }

    /// A leg that is behind gets nothing more: nobody waits for a mirror.
    fn copy_to(&mut self, key: Key, place: usize, bytes: &[u8]) {
        let Some(leg) = self.leg(key, place) else {
            return;
        };
        let is_behind =
            self.clients.get(leg).is_none_or(|leg| leg.input.len() + bytes.len() > INPUT_FULL);
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let counts = &mut self.pools[client.pool].counts;
        if is_behind {
            counts.mirrors_dropped_total += 1;
            return;
        }
        counts.mirrors_total += 1;
        self.feed(key, place, bytes);
    }

    /// Is this a leg whose answers nobody waits for?
    pub(crate) fn is_copying(&self, key: Key, leg: Key) -> bool {
        let place = |front: &crate::front::Front| {
            front.legs.iter().position(|own| own.as_ref().is_some_and(|own| own.key == leg))
        };
        let Some(territory) = self.territory(key).filter(|territory| territory.mirrors()) else {
            return false;
        };
        let front = self.clients.get(key).and_then(Client::front);
        front.and_then(place).is_some_and(|place| territory.is_mirror(place))
    }
}
