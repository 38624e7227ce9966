//! TCP ports that no other test takes, in this process or another.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

/// Below the range that systems take client ports from (Linux: 32768 and up, others: 49152 and
/// up), so that no outgoing connection can sit on a port between its choice and its use.
const RANGE: std::ops::Range<u16> = 15_000..31_000;

/// A port of 127.0.0.1 and ::1 that is ours for as long as this value (or a clone) lives.
///
/// The system drops the lock when the process ends, however it ends.
#[derive(Clone, Debug)]
pub struct Port {
    number: u16,
    _lock: Arc<File>,
}

impl Port {
    /// Takes a free port. Nothing listens on it yet.
    ///
    /// # Panics
    ///
    /// When no port is free, or the lock files cannot be written.
    pub fn free() -> Self {
        let locks = lock_folder();
        for _ in 0..10_000 {
            let number = fastrand::u16(RANGE);
            let path = locks.join(number.to_string());
            let file = File::create(&path)
                .unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
            if file.try_lock().is_ok() && is_unused(number) {
                return Self { number, _lock: Arc::new(file) };
            }
        }
        panic!("no free port in {RANGE:?}");
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

fn is_unused(number: u16) -> bool {
    TcpListener::bind(("0.0.0.0", number)).is_ok()
}

/// One folder per user: another user's lock files could not be opened.
fn lock_folder() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("redkeel-ports-{user}"));
    fs::create_dir_all(&folder)
        .unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
    folder
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ports_held_at_the_same_time_differ() {
        let ports: Vec<Port> = (0..200).map(|_| Port::free()).collect();
        let numbers: HashSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
    }

    #[test]
    fn a_port_in_use_is_not_given_out() {
        let port = Port::free();
        let _listener = TcpListener::bind(("127.0.0.1", port.number())).unwrap();
        assert!(!is_unused(port.number()));
    }

    #[test]
    fn a_held_port_is_locked_for_other_processes_too() {
        let port = Port::free();
        let again = File::create(lock_folder().join(port.number().to_string())).unwrap();
        assert!(again.try_lock().is_err());
    }
}
