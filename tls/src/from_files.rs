//! What is made from files, and made again when they change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::files::Error;

/// A value made from files.
pub(crate) struct FromFiles<T> {
    current: ArcSwap<T>,
    make: Make<T>,
    files: Vec<PathBuf>,
    seen: Mutex<Seen>,
}

/// Makes the value, given the one before.
type Make<T> = Box<dyn Fn(Option<&T>) -> Result<T, Error> + Send + Sync>;

/// What a look at the files found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing new.
    Same,
    /// They have changed, and the new value is in force.
    Renewed,
    /// They have changed and cannot be used: the value from before stays. Said once.
    Broken(Error),
}

struct Seen {
    stamps: Vec<Option<Stamp>>,
    /// They could not be used when they were last seen to change: they may have been in the middle of it.
    doubtful: bool,
}

/// What tells a file from the one that was at its place before: device, inode, length, times of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(u64, u64, u64, (i64, i64), (i64, i64));

impl<T> FromFiles<T> {
    pub(crate) fn new(files: Vec<PathBuf>, make: Make<T>) -> Result<Self, Error> {
        // Before they are read: what changes meanwhile is seen to differ.
        let seen = Mutex::new(Seen { stamps: stamps(&files), doubtful: false });
        let current = ArcSwap::from_pointee(make(None)?);
        Ok(Self { current, make, files, seen })
    }

    pub(crate) fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Makes the value again if a file is another. A certificate and its key are not changed in one step, so what cannot
    /// be used is only said to be broken when it is still the same at the next look.
    pub(crate) fn look(&self) -> Look {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        let changed = stamps != seen.stamps;
        if !changed && !seen.doubtful {
            return Look::Same;
        }
        seen.stamps = stamps;
        match (self.make)(Some(&self.current.load())) {
            Ok(made) => {
                seen.doubtful = false;
                self.current.store(Arc::new(made));
                Look::Renewed
            }
            Err(_) if changed => {
                seen.doubtful = true;
                Look::Same
            }
            Err(error) => {
                seen.doubtful = false;
                Look::Broken(error)
            }
        }
    }

    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// Follows symbolic links: Kubernetes changes a secret by pointing one elsewhere.
fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |file: &PathBuf| {
        let about = fs::metadata(file).ok()?;
        let modified = (about.mtime(), about.mtime_nsec());
        Some(Stamp(
            about.dev(),
            about.ino(),
            about.len(),
            modified,
            (about.ctime(), about.ctime_nsec()),
        ))
    };
    files.iter().map(stamp).collect()
}
