//! The last things that happened, kept only when a failed run is repeated: a seed always runs alike.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use topology::Time;

/// Entries kept.
const LAST: usize = 100;

/// A shared list of lines; `None`: nothing is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal(Option<Rc<RefCell<VecDeque<String>>>>);

impl Journal {
    /// One that keeps.
    pub(crate) fn keeping() -> Self {
        Self(Some(Rc::default()))
    }

    pub(crate) fn note(&self, now: Time, line: impl FnOnce() -> String) {
        let Some(lines) = &self.0 else { return };
        let mut lines = lines.borrow_mut();
        if lines.len() == last() {
            lines.pop_front();
        }
        let millis = now.as_nanos() as f64 / 1e6;
        lines.push_back(format!("{millis:>12.4} ms  {}", line()));
    }

    pub(crate) fn lines(&self) -> String {
        let Some(lines) = &self.0 else { return String::new() };
        lines.borrow().iter().map(|line| format!("{line}\n")).collect()
    }
}

/// `REDKEEL_SIM_LINES` asks for more.
fn last() -> usize {
    let asked = std::env::var("REDKEEL_SIM_LINES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(LAST)
}
