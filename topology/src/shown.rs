//! What the view and the log last said of a node, and what is new.

use std::sync::Arc;

use crate::event::{Event, EventKind};
use crate::fitness::Fitness;
use crate::node::{Claim, Node};
use crate::{Health, NodeId, Role, Time};

/// A node as it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) node: NodeId,
    pub(crate) name: Arc<str>,
    pub(crate) health: Health,
    pub(crate) role: Role,
    pub(crate) readable: bool,
    pub(crate) why: Arc<str>,
    /// When `health`, `role` or `readable` last changed.
    pub(crate) since: Time,
    silent: bool,
    fenced: bool,
}

impl Shown {
    /// Before anything is known.
    pub(crate) fn new(node: &Node, now: Time) -> Self {
        Self {
            node: node.id,
            name: Arc::clone(&node.name),
            health: Health::Unproven,
            role: Role::Unknown,
            readable: false,
            why: "no probe has been answered yet".into(),
            since: now,
            silent: false,
            fenced: false,
        }
    }

    /// Brings it up to date and reports what is new. `fenced`: why the node is not believed to be a primary.
    pub(crate) fn update(
        &mut self,
        node: &Node,
        fitness: Fitness,
        fenced: Option<&str>,
        now: Time,
        events: &mut Vec<Event>,
    ) {
        let (health, role) = (node.pulse.health(), node.role());
        if *self.why != *fitness.why {
            self.why = fitness.why.into();
        }
        self.name = Arc::clone(&node.name);
        self.report(health, role, fitness.readable, events);
        self.report_claim(node, fenced, events);
        if (health, role, fitness.readable) != (self.health, self.role, self.readable) {
            self.since = now;
        }
        (self.health, self.role, self.readable) = (health, role, fitness.readable);
    }

    fn report(&self, health: Health, role: Role, readable: bool, events: &mut Vec<Event>) {
        let why = || Arc::clone(&self.why);
        let mut tell = |kind| events.push(Event { node: Some(Arc::clone(&self.name)), kind });
        if health != self.health {
            match health {
                Health::Up => tell(EventKind::Up { role, readable }),
                Health::Down => tell(EventKind::Down { why: why() }),
                Health::Unproven => {}
            }
            return;
        }
        let told = role != Role::Unknown && self.role != Role::Unknown;
        if health == Health::Up && told && role != self.role {
            tell(EventKind::RoleChanged { from: self.role, to: role });
        }
        match (self.readable, readable) {
            (false, true) => tell(EventKind::Readable),
            (true, false) => tell(EventKind::Unreadable { why: why() }),
            _ => {}
        }
    }

    fn report_claim(&mut self, node: &Node, fenced: Option<&str>, events: &mut Vec<Event>) {
        let silent = node.pulse.is_up() && matches!(node.claim, Claim::Refused(_));
        let mut tell = |kind| events.push(Event { node: Some(Arc::clone(&self.name)), kind });
        if silent && !self.silent {
            tell(EventKind::Silent { why: Arc::clone(&self.why) });
        }
        if let Some(why) = fenced.filter(|_| !self.fenced) {
            tell(EventKind::Fenced { why: why.into() });
        }
        (self.silent, self.fenced) = (silent, fenced.is_some());
    }
}
