//! Afterwards: the other replicas follow the new primary, and all write it down.

use crate::NodeId;

use super::ask::Ask;
use super::machine::{Do, Outcome, State, Switchover, Taken, taken, told};
use super::state::is_at;
use crate::Time;

/// Where that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tidy {
    /// Who is still to be looked at.
    todo: Vec<NodeId>,
    at: At,
    /// Whose role or primary is another.
    changed: Vec<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Begins,
    Asks(NodeId),
    Tells(NodeId),
    Saves(NodeId),
}

impl Switchover {
    pub(super) fn begin_tidying(&mut self) -> Do {
        if self.cast.elector.is_some() {
            // The Sentinel re-points the others and makes them save; the old primary it finds a replica already.
            let changed = vec![self.cast.from.node];
            return self.go_on_tidying(Tidy { todo: Vec::new(), at: At::Begins, changed });
        }
        // The last is taken first.
        let mut todo: Vec<NodeId> = self.cast.others.iter().map(|party| party.node).collect();
        todo.reverse();
        todo.push(self.cast.from.node);
        let changed = vec![self.cast.to.node, self.cast.from.node];
        self.go_on_tidying(Tidy { todo, at: At::Begins, changed })
    }

    fn go_on_tidying(&mut self, mut tidy: Tidy) -> Do {
        if let Some(node) = tidy.todo.pop() {
            tidy.at = At::Asks(node);
            return self.ask(State::Tidies(tidy), node, Ask::State);
        }
        match tidy.changed.pop() {
            Some(node) => {
                tidy.at = At::Saves(node);
                self.ask(State::Tidies(tidy), node, Ask::Save)
            }
            None => self.end(),
        }
    }

    pub(super) fn tidy(&mut self, mut tidy: Tidy, outcome: Outcome, now: Time) -> Do {
        match tidy.at {
            At::Begins => {}
            At::Asks(node) => match told(outcome) {
                Ok(state) if self.is_to_follow(state.master.as_ref()) => {
                    let (host, port) = self.place.clone();
                    tidy.at = At::Tells(node);
                    return self.ask(State::Tidies(tidy), node, Ask::Follow { host, port });
                }
                Ok(_) => {}
                Err(why) => {
                    let name = self.name_of(node);
                    self.note(format!(
                        "{name} {why}: make it a replica of the new primary (REPLICAOF)"
                    ));
                }
            },
            At::Tells(node) => match taken(outcome) {
                Taken::Yes => {
                    if !tidy.changed.contains(&node) {
                        tidy.changed.push(node);
                    }
                }
                Taken::Denied(why) | Taken::Refused(why) | Taken::Unknown(why) => {
                    let name = self.name_of(node);
                    self.note(format!("{name} does not follow the new primary: {why}"));
                }
            },
            At::Saves(node) => {
                if taken(outcome) != Taken::Yes {
                    let name = self.name_of(node);
                    self.note(format!(
                        "{name} has not written its new role into its configuration file (CONFIG REWRITE): \
                         after a restart it would have its old one"
                    ));
                }
            }
        }
        match tidy.at {
            At::Saves(_) if tidy.changed.is_empty() => self.step("save", now),
            At::Asks(_) | At::Tells(_) if tidy.todo.is_empty() => self.step("re-point", now),
            _ => {}
        }
        self.go_on_tidying(tidy)
    }

    /// Does it follow the old primary, or nobody? One that follows a third node is meant to.
    fn is_to_follow(&self, master: Option<&(String, u16)>) -> bool {
        match master {
            None => true,
            Some((host, port)) => {
                let is_old = is_at(&self.cast.from, host, *port);
                is_old || (host, port) == (&self.old_place.0, &self.old_place.1)
            }
        }
    }
}
