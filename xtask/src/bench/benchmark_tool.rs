//! redis-benchmark, the load of the comparison.

use std::path::Path;
use std::process;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::{Address, Folder, Process};

use super::contestant::LOAD_CPU;

/// Far longer than a run. It never ends by itself where a connection was closed while it wrote:
/// its writeHandler (redis-benchmark.c, 7.0) tries such a write again and again.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which command.
#[derive(Clone, Copy)]
pub(super) enum Command {
    Get,
    Set,
    /// With so many keys.
    Mget {
        keys: usize,
    },
}

impl Command {
    /// How many keys it has.
    pub(super) fn keys(self) -> usize {
        match self {
            Self::Get | Self::Set => 1,
            Self::Mget { keys } => keys,
        }
    }
}

/// What redis-benchmark is to do.
#[derive(Clone, Copy)]
pub(super) struct Task {
    pub(super) command: Command,
    pub(super) clients: usize,
    pub(super) pipeline: usize,
    pub(super) value_bytes: usize,
    pub(super) keys: usize,
}

/// What it has measured.
pub(super) struct Figures {
    pub(super) ops_per_second: f64,
    /// In steps of 8 µs: redis-benchmark's histogram has no finer ones.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Task {
    /// Sends `requests` commands to `address`; with `ca` over TLS, by this authority.
    pub(super) fn run(
        &self,
        address: &Address,
        ca: Option<&Path>,
        requests: u64,
    ) -> Result<Figures> {
        let Address::Tcp(address) = address else { anyhow::bail!("{address} is no TCP address") };
        let (host, port) = address.rsplit_once(':').context("an address has a port")?;
        let mut command = process::Command::new("redis-benchmark");
        command.args(["-h", host, "-p", port, "--csv"]);
        let numbers = [
            ("-n", requests),
            ("-c", self.clients as u64),
            ("-P", self.pipeline as u64),
            ("-d", self.value_bytes as u64),
            ("-r", self.keys as u64),
        ];
        for (flag, number) in numbers {
            command.args([flag, &number.to_string()]);
        }
        if let Some(ca) = ca {
            command.arg("--tls").arg("--cacert").arg(ca);
        }
        match self.command {
            Command::Get => _ = command.args(["-t", "get"]),
            Command::Set => _ = command.args(["-t", "set"]),
            Command::Mget { keys } => {
                command.arg("MGET").args((0..keys).map(|_| "key:__rand_int__"));
            }
        }
        let folder = Folder::new("load");
        let log = folder.path().join("log");
        let mut process = Process::start_on("redis-benchmark", command, log, Some(LOAD_CPU));
        let status = process.wait_exit(PATIENCE);
        let output = process.log();
        ensure!(status.success(), "redis-benchmark ended with {status}:\n{output}");
        parse(&output).with_context(|| format!("redis-benchmark printed\n{output}"))
    }
}

/// The last line has the numbers: test, rps, avg, min, p50, p95, p99 and max in milliseconds.
fn parse(output: &str) -> Option<Figures> {
    let line = output.lines().rfind(|line| line.starts_with('"'))?;
    let fields: Vec<&str> = line.split(',').map(|field| field.trim_matches('"')).collect();
    let number = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(Figures { ops_per_second: number(1)?, p50_ms: number(4)?, p99_ms: number(6)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_found_below_a_warning() {
        let output = "WARNING: Could not fetch server CONFIG\n\
            \"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
            \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n\
            \"GET\",\"105263.16\",\"0.308\",\"0.032\",\"0.247\",\"0.663\",\"1.015\",\"4.535\"\n";
        let figures = parse(output).unwrap();
        assert_eq!(figures.ops_per_second, 105_263.16);
        assert_eq!((figures.p50_ms, figures.p99_ms), (0.247, 1.015));
        assert!(parse("Could not connect to Redis at 127.0.0.1:1: Connection refused").is_none());
    }
}
