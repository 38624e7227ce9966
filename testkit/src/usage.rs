//! What a process costs, by the kernel's accounting (Linux).

use std::fs;
use std::time::Duration;

/// Resident memory of a process, in bytes (`/proc/PID/status`, VmRSS).
pub fn resident_bytes(pid: u32) -> Option<u64> {
    of_status(pid, "VmRSS:")
}

/// The most that it ever was (VmHWM).
pub fn peak_bytes(pid: u32) -> Option<u64> {
    of_status(pid, "VmHWM:")
}

fn of_status(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// CPU time that the living threads of a process have used: the first number of
/// `/proc/PID/task/*/schedstat`, which counts nanoseconds where `/proc/PID/stat` counts ticks of 10 ms.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let schedstat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        let running: u64 = schedstat.split_whitespace().next()?.parse().ok()?;
        nanos += running;
    }
    Some(Duration::from_nanos(nanos))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_by_what_is_touched() {
        let pid = std::process::id();
        let before = resident_bytes(pid).unwrap();
        let block = vec![1_u8; 32 << 20];
        let after = resident_bytes(pid).unwrap();
        assert!(after >= before + (30 << 20), "{before} -> {after}");
        assert_eq!(block.len(), 32 << 20);
    }

    #[test]
    fn cpu_time_grows_with_work() {
        let pid = std::process::id();
        let before = cpu_time(pid).unwrap();
        let mut sum = 0_u64;
        while cpu_time(pid).unwrap() < before + Duration::from_millis(20) {
            sum = std::hint::black_box((0..100_000_u64).fold(sum, u64::wrapping_add));
        }
    }
}
