//! What was asked, what ran, and what was answered; and whether that is what was promised.

use config::Mode;

use super::ask::Ask;

/// How a request ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Not at all: the client has gone, wants no reply, or still waits.
    Open,
    /// With the reply of its execution.
    Ran(Vec<u8>),
    /// With an error that says that it did not run.
    Refused(String),
    /// With -OUTCOMEUNKNOWN.
    Unknown,
    /// With an error of its own, or without effect.
    Idle,
}

/// A write that ran at a server.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    /// Its place among all executions.
    pub(crate) order: u64,
    pub(crate) database: u32,
    pub(crate) reply: Vec<u8>,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) client: usize,
    pub(crate) mode: Mode,
    pub(crate) ask: Ask,
    /// Requests with the same number were looked at together.
    pub(crate) batch: Option<u64>,
    /// The number of its transaction's MULTI.
    pub(crate) transaction: Option<u64>,
    pub(crate) executions: Vec<Execution>,
    /// A server answered that it does not run it, because of its role or state.
    pub(crate) was_refused: bool,
    pub(crate) ending: Ending,
}

/// All requests by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    executions: u64,
    /// Reads that saw what the same client wrote later.
    peeks: Vec<(u64, u64)>,
}

impl Ledger {
    pub(crate) fn open(&mut self, entry: Entry) -> u64 {
        self.entries.push(entry);
        self.entries.len() as u64
    }

    /// Numbers begin at 1.
    pub(crate) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn end(&mut self, id: u64, ending: Ending) {
        if let Some(entry) = self.get_mut(id) {
            entry.ending = ending;
        }
    }

    /// A read saw the value of a later write. That may be only where both were lost, and the read was sent again.
    pub(crate) fn peeked(&mut self, read: u64, write: u64) {
        self.peeks.push((read, write));
    }

    /// A write ran.
    pub(crate) fn ran(&mut self, id: u64, mut execution: Execution) {
        self.executions += 1;
        execution.order = self.executions;
        let entry = self.get_mut(id).unwrap_or_else(|| panic!("request {id} was never sent"));
        entry.executions.push(execution);
        let twice = entry.executions.len() > 1;
        assert!(!twice, "request {id} ran twice: {entry:?}");
        let refused = matches!(entry.ending, Ending::Refused(_));
        assert!(
            !refused,
            "request {id} ran although its client was told that it did not: {entry:?}"
        );
    }

    /// Everything that must hold at the end. `calm`: nothing was broken.
    pub(crate) fn audit(&self, calm: bool) {
        for (entry, id) in self.entries.iter().zip(1u64..) {
            if !entry.ask.is_write() {
                continue;
            }
            match &entry.ending {
                Ending::Ran(reply) => {
                    let own = entry.executions.first().map(|execution| &execution.reply);
                    assert_eq!(
                        own,
                        Some(reply),
                        "request {id} was answered so, and ran so: {entry:?}"
                    );
                }
                Ending::Refused(_) | Ending::Idle => {
                    assert!(entry.executions.is_empty(), "request {id} ran after all: {entry:?}");
                }
                Ending::Unknown => {
                    assert!(!calm, "request {id} has an unknown outcome in calm weather")
                }
                Ending::Open => {}
            }
        }
        for (read, write) in &self.peeks {
            let ending = self.get(*write).map(|entry| &entry.ending);
            let excused = !calm && matches!(ending, Some(Ending::Unknown | Ending::Open));
            assert!(excused, "read {read} saw the later write {write}, which ended {ending:?}");
        }
        self.audit_order();
        self.audit_transactions();
    }

    /// A client's acknowledged writes ran in the order in which it sent them.
    fn audit_order(&self) {
        let mut last: Vec<(u64, u64)> = Vec::new();
        for (entry, id) in self.entries.iter().zip(1u64..) {
            let (Ending::Ran(_), Some(execution)) = (&entry.ending, entry.executions.first())
            else {
                continue;
            };
            // A blocked one waits for somebody else; one that was refused is sent again, and what was on its way behind
            // it may have run meanwhile.
            if matches!(entry.ask, Ask::Pop { .. }) || entry.was_refused {
                continue;
            }
            if last.len() <= entry.client {
                last.resize(entry.client + 1, (0, 0));
            }
            let (before, order) = last[entry.client];
            assert!(
                execution.order > order,
                "client {}: request {id} ran before request {before}, which it had sent before",
                entry.client
            );
            last[entry.client] = (id, execution.order);
        }
    }

    /// A transaction runs as a whole or not at all.
    fn audit_transactions(&self) {
        let mut present: Option<(u64, usize)> = None;
        for (entry, id) in self.entries.iter().zip(1u64..) {
            let Some(multi) = entry.transaction.filter(|_| entry.ask.is_write()) else { continue };
            let ran = entry.executions.len();
            match present {
                Some((own, expected)) if own == multi => assert_eq!(
                    ran, expected,
                    "request {id} of the transaction {multi} did not run like its others"
                ),
                _ => present = Some((multi, ran)),
            }
        }
    }
}
