//! A server's data, and the stream of changes that replicas take over.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// One value; cheap to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Rc<Vec<u8>>),
    Number(i64),
    List(VecDeque<Rc<Vec<u8>>>),
}

/// A key in its database.
pub(crate) type Place = (u32, Vec<u8>);

/// What a write did, for replicas: the value that is there afterwards.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put { place: Place, value: Option<Value> },
    Publish { channel: Vec<u8>, payload: Vec<u8> },
}

/// A change and the offset behind it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) end: u64,
    pub(crate) change: Change,
}

/// All values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store(BTreeMap<Place, Value>);

impl Store {
    pub(crate) fn get(&self, place: &Place) -> Option<&Value> {
        self.0.get(place)
    }

    pub(crate) fn put(&mut self, place: Place, value: Option<Value>) {
        match value {
            Some(value) => self.0.insert(place, value),
            None => self.0.remove(&place),
        };
    }
}
