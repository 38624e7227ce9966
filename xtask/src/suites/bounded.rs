//! Programs that may hang: ended with all that they started when their time is up.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

/// Between two looks whether it has ended.
const GLANCE: Duration = Duration::from_millis(50);

/// Runs `command` with its output in the file `log`; false where it had to be ended after `limit`.
pub(super) fn run(mut command: Command, log: &Path, limit: Duration) -> Result<bool> {
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    // A group of its own: the suites start further processes.
    command.process_group(0);
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let group = Pid::from_child(&child);
    let mut in_time = true;
    while child.try_wait()?.is_none() {
        if start.elapsed() >= limit {
            in_time = false;
            break;
        }
        thread::sleep(GLANCE);
    }
    // Also what it left behind. The group is gone where there is nothing.
    let _ = kill_process_group(group, Signal::KILL);
    child.wait()?;
    Ok(in_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_ended_with_its_children() {
        let folder = testkit::Folder::new("bounded");
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; sleep 1000 & sleep 1000"]);
        let in_time = run(command, &log, Duration::from_millis(500)).unwrap();
        assert!(!in_time);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "begun\n");

        let mut command = Command::new("sh");
        command.args(["-c", "exit 3"]);
        assert!(run(command, &log, Duration::from_secs(20)).unwrap());
    }
}
