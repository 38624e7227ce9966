//! Child processes that never outlive the test.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender, SyncSender};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::wait::within_time;

/// A running program whose output goes to a file. Killed on drop, also when it is stopped or the
/// test panics; on Linux the kernel kills it when the test process dies without a drop.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; both outputs are appended to the file `log`.
    ///
    /// # Panics
    ///
    /// When the program cannot be started.
    pub fn start(name: &str, command: Command, log: PathBuf) -> Self {
        Self::start_on(name, command, log, None)
    }

    /// As [`Process::start`], and bound to one CPU (on Linux).
    ///
    /// # Panics
    ///
    /// When the program cannot be started.
    pub fn start_on(name: &str, mut command: Command, log: PathBuf, cpu: Option<usize>) -> Self {
        let output = File::options().create(true).append(true).open(&log);
        let outputs = output.and_then(|output| Ok((output.try_clone()?, output)));
        let (stdout, stderr) =
            outputs.unwrap_or_else(|error| panic!("cannot open {}: {error}", log.display()));
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = spawn(command, cpu)
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}; is it installed?"));
        Self { name: name.into(), child, log }
    }

    /// What error messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// All that it has written so far.
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines of its output, for a panic message.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Is it still there? (A stopped process is.)
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal; a process that has ended gets none.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            rustix::process::kill_process(Pid::from_child(&self.child), signal)
                .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
        }
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not end `within` this time.
    #[track_caller]
    pub fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        match within_time(within, || self.child.try_wait().ok().flatten()) {
            Ok(status) => status,
            Err(_) => panic!("{} did not exit within {within:?}:\n{}", self.name, self.log_tail()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

type Job = (Command, Option<usize>, SyncSender<io::Result<Child>>);

/// Starts `command` from the one thread that lives as long as the process: the kernel's parent
/// death signal comes when the *thread* that forked has ended (prctl(2), PR_SET_PDEATHSIG).
fn spawn(command: Command, cpu: Option<usize>) -> io::Result<Child> {
    static SPAWNER: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (command, cpu, reply) in queue {
                let _ = reply.send(spawn_here(command, cpu));
            }
        });
        Mutex::new(jobs)
    });
    let (reply, result) = mpsc::sync_channel(1);
    let gone = |_| io::Error::other("the spawning thread has ended");
    let jobs = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner).clone();
    jobs.send((command, cpu, reply)).map_err(|_| io::Error::other("no spawning thread"))?;
    result.recv().map_err(gone)?
}

#[cfg(target_os = "linux")]
fn spawn_here(mut command: Command, cpu: Option<usize>) -> io::Result<Child> {
    use std::os::unix::process::CommandExt;

    use rustix::thread::{sched_getaffinity, sched_setaffinity};

    #[expect(unsafe_code, reason = "the kernel takes this setting from the child itself only")]
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; this is one prctl.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        });
    }
    let Some(cpu) = cpu else { return command.spawn() };
    // A child inherits the CPUs of the thread that forks it.
    let before = sched_getaffinity(None)?;
    bind_to_cpu(cpu)?;
    let child = command.spawn();
    sched_setaffinity(None, &before)?;
    child
}

/// Binds the calling thread, and what it will start, to one CPU (on Linux; elsewhere nothing is done).
pub fn bind_to_cpu(cpu: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let mut only = rustix::thread::CpuSet::new();
        only.set(cpu);
        rustix::thread::sched_setaffinity(None, &only)?;
    }
    let _ = cpu;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn spawn_here(mut command: Command, _cpu: Option<usize>) -> io::Result<Child> {
    command.spawn()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;

    fn sleeper(folder: &Folder) -> Process {
        let mut command = Command::new("sleep");
        command.arg("600");
        Process::start("sleep", command, folder.path().join("log"))
    }

    fn exists(pid: u32) -> bool {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::test_kill_process(pid).is_ok()
    }

    #[test]
    fn a_stopped_child_is_gone_after_drop() {
        let folder = Folder::new("process");
        let mut process = sleeper(&folder);
        let pid = process.pid();
        process.signal(Signal::STOP);
        assert!(exists(pid));
        drop(process);
        assert!(!exists(pid));
    }

    #[test]
    fn a_child_survives_the_thread_that_asked_for_it() {
        let folder = Folder::new("process");
        let mut process = thread::scope(|scope| scope.spawn(|| sleeper(&folder)).join().unwrap());
        assert!(process.is_running());
        process.signal(Signal::TERM);
        assert!(!process.wait_exit(Duration::from_secs(5)).success());
    }

    #[test]
    fn output_is_kept() {
        let folder = Folder::new("process");
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2"]);
        let mut process = Process::start("sh", command, folder.path().join("log"));
        assert!(process.wait_exit(Duration::from_secs(5)).success());
        assert_eq!(process.log(), "out\nerr\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_bound_child_runs_on_its_cpu_only() {
        let folder = Folder::new("process");
        let mut command = Command::new("grep");
        command.args(["Cpus_allowed_list", "/proc/self/status"]);
        let mut process = Process::start_on("grep", command, folder.path().join("log"), Some(0));
        assert!(process.wait_exit(Duration::from_secs(5)).success());
        assert_eq!(process.log().trim(), "Cpus_allowed_list:\t0");
    }
}
