//! What another pool gets as well, without anybody waiting for it.

use std::ops::ControlFlow;

use commands::Command;
use session::Call;
use session::shards::{Plan, plan, split};

use crate::Engine;
use crate::client::{Client, INPUT_FULL};
use crate::slots::Key;

impl Engine {
    /// Gives a copy of a command to the pool that its keys are mirrored to, if they are. `done`: what became of the command
    /// itself; what was refused is nobody's.
    pub(crate) fn mirror(
        &mut self,
        key: Key,
        call: Call<'_>,
        bytes: &[u8],
        command: Option<&'static Command>,
        done: Plan,
    ) {
        if !matches!(done, Plan::One(_) | Plan::Split { .. }) {
            return;
        }
        let Some(territory) = self.territory(key).filter(|territory| territory.mirrors()) else {
            return;
        };
        let Some(command) = command else {
            return;
        };
        let mut found = None;
        let visited = commands::visit_keys(
            command,
            call.len(),
            |index| call.arg(index),
            |index| {
                found = territory.mirror(call.arg(index));
                if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        let (Ok(_), Some((mirror, view))) = (visited, found) else {
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
                let own = parts.into_iter().filter(|part| territory.is_mirror(part.shard));
                own.map(|part| (part.shard, part.request)).collect()
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
            self.clients.get(leg).is_none_or(|leg| leg.input.len() + bytes.len() >= INPUT_FULL);
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

    /// What a mirror's leg has before it is for the standing that its client had: the leg is left, and the next copy is given
    /// to another.
    pub(crate) fn leave_busy_mirrors(&mut self, key: Key) {
        for place in
            0..self.clients.get(key).and_then(Client::front).map_or(0, |own| own.legs.len())
        {
            let is_mirror = self.territory(key).is_some_and(|territory| territory.is_mirror(place));
            let leg = self.present_leg(key, place).filter(|_| is_mirror);
            let busy = leg.and_then(|leg| self.clients.get(leg)).is_some_and(|leg| !leg.is_idle());
            let front = self.clients.get_mut(key).and_then(Client::front_mut);
            let leg = front.filter(|_| busy).and_then(|front| front.legs.get_mut(place)?.take());
            if let Some(leg) = leg {
                self.forget_client(leg.key);
            }
        }
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
