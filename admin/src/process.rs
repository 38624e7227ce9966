//! What the kernel says of this process.

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// What Prometheus' `process_*` metrics show. `None` where the system does not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessUsage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) open_fds: Option<u64>,
    pub(crate) max_fds: Option<u64>,
}

impl ProcessUsage {
    /// As of now.
    pub(crate) fn read() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            resident_bytes: resident_bytes(),
            open_fds: open_fds(),
            max_fds: getrlimit(Resource::Nofile).current,
        }
    }
}

/// Second field of `/proc/self/statm`, in pages: proc(5). Linux only.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The entries of `/proc/self/fd` without the one that lists them. Linux only.
fn open_fds() -> Option<u64> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    Some(entries.saturating_sub(1))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_all_of_it() {
        let before = ProcessUsage::read();
        let held: Vec<_> = (0..8).map(|_| std::fs::File::open("/dev/null")).collect();
        let usage = ProcessUsage::read();
        assert!(usage.cpu_seconds >= before.cpu_seconds && usage.cpu_seconds > 0.0);
        assert!(usage.resident_bytes.is_some_and(|bytes| bytes > 100_000));
        assert!(usage.open_fds.is_some_and(|fds| fds >= held.len() as u64));
        assert!(usage.max_fds >= usage.open_fds);
    }
}
