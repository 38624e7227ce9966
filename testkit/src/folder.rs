//! Temporary folders that go away with their test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, test_kill_process};

/// Before the number of the process that a folder belongs to.
const PREFIX: &str = "rk-";

/// A folder below the system's temporary folder, removed with all that is in it on drop.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes a new, empty folder. Its path is kept short: a unix socket's may have 104 bytes.
    ///
    /// # Panics
    ///
    /// When it cannot be created.
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let own = std::process::id();
        let path = std::env::temp_dir().join(format!("{PREFIX}{own}-{number}-{name}"));
        // Left over from a killed process that had the same number.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
        Self { path }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file in the folder and returns its path.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, text)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes what processes have left that were killed before they could.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if owner(&entry.file_name().to_string_lossy()).is_some_and(is_gone) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that a folder of this name belongs to.
fn owner(name: &str) -> Option<Pid> {
    let number = name.strip_prefix(PREFIX)?.split('-').next()?;
    Pid::from_raw(number.parse().ok()?)
}

fn is_gone(process: Pid) -> bool {
    test_kill_process(process) == Err(rustix::io::Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_dead_processes_are_swept() {
        let own = Folder::new("own");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let left_over = std::env::temp_dir().join(format!("{PREFIX}{dead}-0-left"));
        let other = std::env::temp_dir().join(format!("{PREFIX}own-0-{dead}"));
        fs::create_dir_all(&left_over).unwrap();
        fs::create_dir_all(&other).unwrap();
        sweep();
        assert!(own.path().is_dir() && other.is_dir());
        assert!(!left_over.exists());
        fs::remove_dir_all(other).unwrap();
    }
}
