//! What breaks, and how it is repaired.

use std::time::Duration;

use super::agenda::Event;
use super::net::Port;
use super::plan::Weather;
use super::world::World;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Freeze,
    /// The authority makes a replica the primary although nothing is wrong.
    Switch,
    /// A server closes all its connections.
    ResetAll,
    /// One connection to a server is lost.
    ResetOne,
    /// Bytes between a server and the workers are held up.
    Stop,
    /// A server accepts no connects; those that it has go on.
    Refuse,
}

impl World {
    /// Something breaks, and the next fault is planned.
    pub(crate) fn fault(&mut self) {
        if !self.is_busy() {
            return;
        }
        let next = Duration::from_millis(self.rng.u64(30..900));
        self.agenda.put(self.now + next, Event::Fault);
        let kinds: &[Fault] = match self.plan.weather {
            Weather::Calm | Weather::Slow => return,
            Weather::Links => &[Fault::ResetAll, Fault::ResetOne, Fault::Stop, Fault::Refuse],
            Weather::Nodes => &[Fault::Kill, Fault::Kill, Fault::Freeze, Fault::Switch],
            Weather::Storm => &[
                Fault::Kill,
                Fault::Freeze,
                Fault::Switch,
                Fault::ResetAll,
                Fault::ResetOne,
                Fault::Stop,
                Fault::Refuse,
            ],
        };
        let kind = kinds[self.rng.usize(0..kinds.len())];
        // The primary is hit as often as all others together.
        let server = if self.rng.bool() {
            self.authority.primary
        } else {
            self.rng.usize(0..self.servers.len())
        };
        self.break_it(kind, server);
    }

    fn break_it(&mut self, kind: Fault, server: usize) {
        self.note(|| format!("fault: {kind:?} at server {server}"));
        self.trouble();
        let later =
            |world: &mut Self, from, to| world.now + Duration::from_millis(world.rng.u64(from..to));
        let running = self.servers.iter().filter(|server| server.is_responsive()).count();
        let spare = self.servers[server].is_responsive() && (running > 1 || self.rng.u8(0..4) == 0);
        match kind {
            Fault::Kill if spare => {
                self.kill(server);
                let keeps_data = self.rng.u8(0..4) > 0;
                let at = later(self, 50, 2500);
                self.agenda.put(at, Event::Restart { server, keeps_data });
            }
            Fault::Freeze if spare => {
                self.servers[server].frozen = true;
                let at = later(self, 20, 3000);
                self.agenda.put(at, Event::Thaw(server));
            }
            Fault::Kill | Fault::Freeze => {}
            Fault::Switch => self.fail_over(),
            Fault::ResetAll => self.reset_connections(server),
            Fault::ResetOne => {
                let count = self.servers[server].conns.len();
                if count > 0 {
                    let nth = self.rng.usize(0..count);
                    let conn = self.servers[server].conns.keys().nth(nth).copied();
                    self.close_server_conn(server, conn.unwrap_or_default(), true);
                }
            }
            Fault::Stop => {
                let until = later(self, 5, 700);
                for conn in self.servers[server].conns.values() {
                    self.links[conn.link].stop(until);
                }
                self.trouble_until(until);
            }
            Fault::Refuse => {
                self.servers[server].accepting = false;
                let at = later(self, 20, 800);
                self.agenda.put(at, Event::Accepting(server));
            }
        }
    }

    /// Everything that is broken is repaired.
    pub(crate) fn heal(&mut self) {
        self.note(|| "everything is repaired".to_owned());
        for server in 0..self.servers.len() {
            self.restart(server, true);
            self.thaw(server);
            self.servers[server].accepting = true;
        }
        self.trouble();
    }

    /// A server closes all its connections.
    pub(crate) fn reset_connections(&mut self, server: usize) {
        let conns: Vec<u64> = self.servers[server].conns.keys().copied().collect();
        for conn in conns {
            let abrupt = self.rng.bool();
            self.close_server_conn(server, conn, abrupt);
        }
    }

    pub(crate) fn close_server_conn(&mut self, server: usize, conn: u64, abrupt: bool) {
        if let Some(conn) = self.servers[server].conns.remove(&conn) {
            let port = Port::far(conn.link);
            self.close_port(port, abrupt);
        }
    }
}
