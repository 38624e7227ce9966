//! The servers: what a restart, a promotion and a sync do to their histories, as Redis does them.

use std::sync::Arc;

use topology::{
    Answer, Failure, Lineage, Link, Parent, Process, ReplId, Replication, RoleReply, Serving,
};

pub(crate) const NODES: usize = 3;

#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) process: Option<Running>,
    /// What a restart finds: history and offset.
    pub(crate) saved: Option<(u64, u64)>,
    pub(crate) frozen: bool,
    /// Cannot be reached by the probes, but by the other servers.
    pub(crate) cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) run: u64,
    /// `None`: master.
    pub(crate) follows: Option<usize>,
    pub(crate) linked: bool,
    pub(crate) id: u64,
    pub(crate) parent: Option<(u64, u64)>,
    pub(crate) offset: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Write(u64),
    Sync(usize),
    Save(usize),
    Kill(usize),
    Start { node: usize, follows: Option<usize>, empty: bool },
    Promote(usize),
    Demote { node: usize, to: usize },
    Freeze(usize),
    Thaw(usize),
    Cut(usize),
    Heal(usize),
    Pass(u64),
}

pub(crate) struct World {
    pub(crate) machines: Vec<Machine>,
    pub(crate) next_name: u64,
}

impl World {
    /// A primary and its replicas.
    pub(crate) fn new() -> Self {
        let mut world = Self { machines: vec![Machine::default(); NODES], next_name: 1 };
        for node in 0..NODES {
            world.start(node, (node > 0).then_some(0), true);
            world.sync(node);
        }
        world
    }

    pub(crate) fn name(&mut self) -> u64 {
        self.next_name += 1;
        self.next_name
    }

    pub(crate) fn act(&mut self, action: &Action, primary: Option<usize>) {
        match *action {
            Action::Write(bytes) => self.write(primary, bytes),
            Action::Sync(node) => self.sync(node),
            Action::Save(node) => {
                let process = self.machines[node].process;
                self.machines[node].saved = process.map(|process| (process.id, process.offset));
            }
            Action::Kill(node) => {
                self.machines[node].process = None;
                self.machines[node].frozen = false;
            }
            Action::Start { node, follows, empty } => {
                if self.machines[node].process.is_none() {
                    self.start(node, follows.filter(|to| *to != node), empty);
                }
            }
            Action::Promote(node) => self.promote(node),
            Action::Demote { node, to } => self.demote(node, to),
            Action::Freeze(node) => self.machines[node].frozen = true,
            Action::Thaw(node) => self.machines[node].frozen = false,
            Action::Cut(node) => self.machines[node].cut = true,
            Action::Heal(node) => self.machines[node].cut = false,
            Action::Pass(_) => {}
        }
        self.break_links();
    }

    /// Clients write where the view says; only a master takes it.
    pub(crate) fn write(&mut self, primary: Option<usize>, bytes: u64) {
        let process = primary.and_then(|node| self.machines[node].process.as_mut());
        if let Some(process) = process.filter(|process| process.follows.is_none()) {
            process.offset += bytes;
        }
    }

    pub(crate) fn start(&mut self, node: usize, follows: Option<usize>, empty: bool) {
        let (run, id) = (self.name(), self.name());
        let saved = self.machines[node].saved.filter(|_| !empty);
        let fresh = Running { run, follows, linked: false, id, parent: None, offset: 0 };
        let process = match (saved, follows) {
            (None, _) => fresh,
            // loadDataFromDisk: a replica goes on with the identifier, a master keeps it as its second.
            (Some((id, offset)), Some(_)) => Running { id, offset, ..fresh },
            (Some((id, offset)), None) => Running { parent: Some((id, offset)), offset, ..fresh },
        };
        self.machines[node].process = Some(process);
    }

    pub(crate) fn promote(&mut self, node: usize) {
        let id = self.name();
        let process = self.machines[node].process.as_mut();
        if let Some(process) = process.filter(|process| process.follows.is_some()) {
            process.parent = Some((process.id, process.offset));
            (process.follows, process.id, process.linked) = (None, id, false);
        }
    }

    pub(crate) fn demote(&mut self, node: usize, to: usize) {
        if let Some(process) = self.machines[node].process.as_mut().filter(|_| node != to) {
            (process.follows, process.linked) = (Some(to), false);
        }
    }

    /// The replica catches up with its master, by a partial resync if the master's history allows.
    pub(crate) fn sync(&mut self, node: usize) {
        let Some(own) = self.machines[node].process.filter(|_| !self.machines[node].frozen) else {
            return;
        };
        let Some(to) = own.follows.filter(|to| !self.machines[*to].frozen) else { return };
        let Some(master) = self.machines[to].process else { return };
        let partial =
            master.parent.is_some_and(|(id, shared)| id == own.id && own.offset <= shared);
        let parent = if own.id == master.id {
            own.parent
        } else if partial {
            Some((own.id, own.offset))
        } else {
            None
        };
        let synced = Running { id: master.id, offset: master.offset, parent, linked: true, ..own };
        self.machines[node].process = Some(synced);
    }

    pub(crate) fn break_links(&mut self) {
        let alive: Vec<bool> =
            self.machines.iter().map(|machine| machine.process.is_some()).collect();
        for process in self.machines.iter_mut().filter_map(|machine| machine.process.as_mut()) {
            process.linked &= process.follows.is_some_and(|to| alive[to]);
        }
    }

    pub(crate) fn answer(&self, node: usize, all: bool) -> Result<Answer, Failure> {
        let machine = &self.machines[node];
        if machine.cut {
            return Err(Failure::TimedOut);
        }
        let process = machine.process.ok_or(Failure::Refused)?;
        if machine.frozen {
            return Err(Failure::TimedOut);
        }
        Ok(process.answer(all))
    }
}

impl Running {
    pub(crate) fn answer(&self, all: bool) -> Answer {
        let link = self.follows.map(|_| if self.linked { Link::Up } else { Link::Down });
        let role = match link {
            None => RoleReply::Primary { offset: self.offset },
            Some(link) => RoleReply::Replica { link, offset: self.linked.then_some(self.offset) },
        };
        let lineage = Lineage {
            id: repl_id(self.id),
            parent: self.parent.map(|(id, shared)| Parent { id: repl_id(id), shared }),
        };
        let replication = Replication { link, offset: self.offset, lineage };
        let process = Process { run_id: self.run.to_string().into(), version: "7.0.15".into() };
        Answer {
            process: Ok(Arc::new(process)),
            serving: Serving::Yes,
            role: Ok(role),
            replication: all.then_some(Ok(replication)),
        }
    }
}

fn repl_id(name: u64) -> ReplId {
    ReplId::parse(&format!("{name:040}")).unwrap()
}
