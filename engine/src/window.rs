//! How many of a client's commands may be unanswered at a time.

/// At most, however small their replies are.
const COMMANDS_MAX: u32 = 1024;
/// Until a client's replies have proved to be small.
const COMMANDS_FIRST: u32 = 64;
/// A round with fewer bytes of replies lets the next one have more commands.
const SMALL: u64 = 4 * 1024 * 1024;
/// A round with more bytes of replies lets the next one have fewer.
const LARGE: u64 = 16 * 1024 * 1024;

/// A longer pipeline goes in rounds: what is unanswered is answered before more is sent. That bounds what a client that
/// asks for much, and may read nothing, makes a node produce, and how long it keeps the node from others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    commands: u32,
    /// More commands were waiting than this round could have.
    filled: bool,
    /// Bytes of replies that the client has taken in this round.
    taken: u64,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { commands: COMMANDS_FIRST, filled: false, taken: 0 }
    }

    pub(crate) fn commands(&self) -> u32 {
        self.commands
    }

    /// The round has all the commands that it may have.
    pub(crate) fn fill(&mut self) {
        self.filled = true;
    }

    /// The client has taken `bytes` of replies.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.taken += bytes as u64;
    }

    /// Nothing is unanswered: a new round begins, with `unsent` bytes of replies that the client has not taken yet.
    pub(crate) fn next_round(&mut self, unsent: usize) {
        let replied = self.taken + unsent as u64;
        if replied > LARGE {
            self.commands = (self.commands / 2).max(1);
        } else if replied < SMALL && self.filled {
            self.commands = (self.commands * 2).min(COMMANDS_MAX);
        }
        self.filled = false;
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_replies_open_it_and_large_ones_close_it() {
        let mut window = Window::new();
        for _ in 0..10 {
            window.fill();
            window.take(1000);
            window.next_round(0);
        }
        assert_eq!(window.commands(), COMMANDS_MAX);
        window.take(5_000_000);
        window.next_round(5_000_000);
        assert_eq!(window.commands(), COMMANDS_MAX, "neither small nor large");
        for _ in 0..20 {
            window.fill();
            window.take(20_000_000);
            window.next_round(0);
        }
        assert_eq!(window.commands(), 1);
    }

    #[test]
    fn it_does_not_grow_unused() {
        let mut window = Window::new();
        window.take(10);
        window.next_round(0);
        assert_eq!(window.commands(), COMMANDS_FIRST);
    }
}
