//! A subscriber connection: one connection to a node, on which all channels are subscribed that any of many clients wants.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use session::{Space, Standing, Target};

use crate::slots::Key;

/// Channels that are subscribed again by one command.
pub(crate) const CHUNK: usize = 128;

/// The subscribers of one pool, one user and one kind of node that share a connection.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Whose channels they are. Messages differ by protocol in one byte: the connection itself is a RESP2 one.
    pub(crate) standing: Rc<Standing>,
    pub(crate) target: Target,
    pub(crate) upstream: Option<Key>,
    /// How many clients are subscribed to anything here.
    pub(crate) members: u64,
    pub(crate) topics: BTreeMap<(Space, Box<[u8]>), Topic>,
    /// What the node was sent and has not confirmed, in order.
    pub(crate) asked: VecDeque<Asked>,
    /// The part of a message that has come.
    pub(crate) partial: Vec<u8>,
    /// Its connection was lost: the gap ends when all is subscribed again.
    pub(crate) gap: bool,
}

/// One channel, pattern or shard channel.
#[derive(Debug, Default)]
pub(crate) struct Topic {
    pub(crate) members: Vec<Key>,
    /// Clients whose SUBSCRIBE waits for the node's confirmation.
    pub(crate) waiting: Vec<Key>,
    /// The connection's node was sent it, and has not refused it.
    pub(crate) is_asked: bool,
    pub(crate) is_confirmed: bool,
}

/// A SUBSCRIBE or UNSUBSCRIBE on its way.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) space: Space,
    pub(crate) subscribes: bool,
    pub(crate) names: VecDeque<Box<[u8]>>,
}

impl Hub {
    pub(crate) fn new(standing: Rc<Standing>, target: Target) -> Self {
        Self {
            standing,
            target,
            upstream: None,
            members: 0,
            topics: BTreeMap::new(),
            asked: VecDeque::new(),
            partial: Vec::new(),
            gap: false,
        }
    }

    pub(crate) fn is_wanted(&self) -> bool {
        !self.topics.is_empty()
    }

    pub(crate) fn awaits_subscription(&self) -> bool {
        self.asked.iter().any(|asked| asked.subscribes)
    }

    /// A client leaves a channel; true: nobody else wants it, and it is gone from here.
    pub(crate) fn leave(&mut self, space: Space, name: &[u8], key: Key) -> bool {
        let place = (space, Box::from(name));
        let Some(topic) = self.topics.get_mut(&place) else {
            return false;
        };
        if let Some(index) = topic.members.iter().position(|member| *member == key) {
            topic.members.swap_remove(index);
        }
        let is_left = topic.members.is_empty() && topic.waiting.is_empty();
        if is_left {
            self.topics.remove(&place);
        }
        is_left
    }

    /// The node has confirmed one name, or ended a subscription by itself. Returns who waited for that.
    pub(crate) fn confirmed(&mut self, space: Space, subscribes: bool, name: &[u8]) -> Vec<Key> {
        if let Some(front) = self.asked.front_mut()
            && front.space == space
            && front.subscribes == subscribes
        {
            front.names.pop_front();
            if front.names.is_empty() {
                self.asked.pop_front();
            }
        }
        match self.topics.get_mut(&(space, Box::from(name))) {
            Some(topic) if subscribes => {
                topic.is_confirmed = true;
                std::mem::take(&mut topic.waiting)
            }
            _ => Vec::new(),
        }
    }

    /// The node has refused the oldest command. Returns who waited for one of its channels.
    pub(crate) fn refused(&mut self) -> Vec<Key> {
        let Some(asked) = self.asked.pop_front().filter(|asked| asked.subscribes) else {
            return Vec::new();
        };
        let mut waiting = Vec::new();
        for name in asked.names {
            let place = (asked.space, name);
            if let Some(topic) = self.topics.get_mut(&place) {
                waiting.append(&mut topic.waiting);
                // Those who had it before it was lost still want it.
                (topic.is_asked, topic.is_confirmed) = (false, false);
                if topic.members.is_empty() {
                    self.topics.remove(&place);
                }
            }
        }
        waiting
    }

    /// Its connection is gone. Returns who waited for a confirmation.
    pub(crate) fn lost(&mut self) -> Vec<Key> {
        self.upstream = None;
        self.asked.clear();
        self.partial = Vec::new();
        self.gap |= self.members > 0;
        let mut waiting = Vec::new();
        for topic in self.topics.values_mut() {
            (topic.is_asked, topic.is_confirmed) = (false, false);
            waiting.append(&mut topic.waiting);
        }
        self.drop_unwanted();
        waiting
    }

    /// Forgets the channels that nobody wants any more; returns them.
    pub(crate) fn drop_unwanted(&mut self) -> Vec<(Space, Box<[u8]>)> {
        let unwanted: Vec<_> = self
            .topics
            .iter()
            .filter(|(_, topic)| topic.members.is_empty() && topic.waiting.is_empty())
            .map(|(place, _)| place.clone())
            .collect();
        for place in &unwanted {
            self.topics.remove(place);
        }
        unwanted
    }

    /// Has the node refused a channel that it is still to be asked for?
    pub(crate) fn misses(&self) -> bool {
        self.topics.values().any(|topic| !topic.is_asked)
    }

    /// The names of one kind that the node was not asked for, in commands' portions: now it is.
    pub(crate) fn portions(&mut self, space: Space) -> Vec<VecDeque<Box<[u8]>>> {
        let topics = self.topics.iter_mut();
        let missed = topics.filter(|((own, _), topic)| *own == space && !topic.is_asked);
        let names: Vec<Box<[u8]>> = missed
            .map(|((_, name), topic)| {
                topic.is_asked = true;
                name.clone()
            })
            .collect();
        names.chunks(CHUNK).map(|chunk| chunk.iter().cloned().collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u32) -> Key {
        Key { index, generation: 0 }
    }

    #[test]
    fn a_channel_is_kept_while_anybody_wants_it() {
        let mut hub = Hub::new(Rc::default(), Target::Primary);
        let topic = hub.topics.entry((Space::Channels, Box::from(b"a".as_slice()))).or_default();
        topic.waiting = vec![key(1), key(2)];
        hub.asked.push_back(Asked {
            space: Space::Channels,
            subscribes: true,
            names: [Box::from(b"a".as_slice())].into(),
        });
        assert!(hub.awaits_subscription());
        assert_eq!(hub.confirmed(Space::Channels, true, b"a"), [key(1), key(2)]);
        assert!(!hub.awaits_subscription());
        let topic = hub.topics.values_mut().next().unwrap();
        topic.members = vec![key(1), key(2)];
        hub.members = 2;
        assert!(!hub.leave(Space::Channels, b"a", key(1)));
        assert!(hub.lost().is_empty() && hub.gap);
        assert_eq!(hub.portions(Space::Channels).len(), 1);
        assert!(hub.leave(Space::Channels, b"a", key(2)));
        assert!(!hub.is_wanted());
    }

    #[test]
    fn a_refusal_stands_for_all_names_of_its_command() {
        let mut hub = Hub::new(Rc::default(), Target::Primary);
        let names = [b"a", b"b"].map(|name| Box::<[u8]>::from(name.as_slice()));
        for (name, waits) in names.iter().zip(1..) {
            let topic = hub.topics.entry((Space::Patterns, name.clone())).or_default();
            topic.waiting.push(key(waits));
        }
        hub.asked.push_back(Asked {
            space: Space::Patterns,
            subscribes: true,
            names: names.into(),
        });
        assert_eq!(hub.refused(), [key(1), key(2)]);
        assert!(!hub.is_wanted() && hub.asked.is_empty());
    }

    #[test]
    fn what_others_had_before_is_asked_for_again() {
        let mut hub = Hub::new(Rc::default(), Target::Primary);
        let name: Box<[u8]> = Box::from(b"a".as_slice());
        let topic = hub.topics.entry((Space::Channels, name.clone())).or_default();
        topic.members.push(key(1));
        topic.waiting.push(key(2));
        let names = hub.portions(Space::Channels).remove(0);
        assert!(!hub.misses() && hub.portions(Space::Channels).is_empty(), "it is asked once");
        hub.asked.push_back(Asked { space: Space::Channels, subscribes: true, names });
        assert_eq!(hub.refused(), [key(2)]);
        assert!(hub.misses());
        assert_eq!(hub.portions(Space::Channels), [VecDeque::from([name])]);
    }
}
