//! One worker's core, driven by a script in bytes: what a fuzzer makes up. Clients send commands out of a grammar, whole
//! and broken; nodes answer, refuse, talk nonsense, fall silent and go; Snapshots say this and that; time passes.
//!
//! Where the simulator ([`crate::sim`]) plays a world that could be, a script may bring about any order of events. So
//! less can be promised of it, and that is asserted:
//!
//! - after every event the engine agrees with itself and keeps its limits (`Engine::check`);
//! - a client gets RESP of its protocol, one reply for each request and none besides, in order, and never what was meant for
//!   another: its ECHOs carry numbers (`client`);
//! - nothing leaves for a node that the Snapshot in force forbids (`sim::tap`);
//! - once nodes answer again everybody is answered, and when everybody has gone nothing is left (`ending`).

mod client;
mod ending;
mod grammar;
mod node;
mod pool;
mod scene;
mod world;

use scene::Scene;

/// What happens in one script, at most.
const EVENTS: usize = 600;

/// Plays a script to its end.
///
/// # Panics
///
/// Where a promise is broken.
pub fn play(script: &[u8]) {
    let mut script = Script { bytes: script };
    let mut scene = Scene::new(&mut script);
    for _ in 0..EVENTS {
        let Some(event) = script.next() else { break };
        scene.happen(event, &mut script);
    }
    scene.end(script.byte());
}

/// The rest of a script.
struct Script<'a> {
    bytes: &'a [u8],
}

impl Script<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    /// The next byte; 0 behind the end.
    fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }
}
