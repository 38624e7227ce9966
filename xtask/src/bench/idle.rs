//! What a silent client costs: resident memory of the proxy with many of them.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use testkit::{Address, RedisServer, Stream, usage};

use super::contestant::{Contestant, LOAD_CPU, Proxy};

pub(super) const NAME: &str = "idle";

const CLIENTS: u64 = 10_000;
/// Descriptors that a proxy needs besides.
const OTHER_DESCRIPTORS: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(30);

/// One proxy with silent clients.
#[derive(Serialize)]
pub(super) struct IdleMemory {
    pub(super) contestant: &'static str,
    pub(super) clients: u64,
    pub(super) before_bytes: u64,
    pub(super) after_bytes: u64,
}

impl IdleMemory {
    pub(super) fn bytes_per_client(&self) -> f64 {
        self.after_bytes.saturating_sub(self.before_bytes) as f64 / self.clients as f64
    }
}

/// Each proxy in turn, with as many clients as the system's limit of descriptors allows.
pub(super) fn measure(contestants: &[Contestant]) -> Result<Vec<IdleMemory>> {
    let descriptors = raise_descriptor_limit()? - OTHER_DESCRIPTORS;
    let redis = RedisServer::builder().cpu(LOAD_CPU).option("maxclients", "11000").start();
    let servers = [redis.address().to_string()];
    let mut results = Vec::new();
    for contestant in contestants {
        let name = contestant.name();
        let clients = CLIENTS.min(descriptors / contestant.descriptors_per_client());
        let Some(proxy) = contestant.start(&servers, clients as usize) else { continue };
        if clients < CLIENTS {
            println!(
                "{name}: {clients} silent clients, not {CLIENTS}: raise `ulimit -Hn` for more"
            );
        }
        results.push(measure_one(name, &proxy, clients).with_context(|| format!("idle: {name}"))?);
    }
    Ok(results)
}

fn measure_one(contestant: &'static str, proxy: &Proxy, clients: u64) -> Result<IdleMemory> {
    let address = proxy.address();
    let resident = || usage::resident_bytes(proxy.pid()).context("it has ended");
    // The first client makes the proxy allocate what it has only once.
    drop(silent_client(&address)?);
    let before_bytes = resident()?;
    let streams: Result<Vec<Stream>> = (0..clients).map(|_| silent_client(&address)).collect();
    let streams = streams?;
    let after_bytes = resident()?;
    drop(streams);
    Ok(IdleMemory { contestant, clients, before_bytes, after_bytes })
}

/// Connects, has one PING answered, and says nothing more.
fn silent_client(address: &Address) -> Result<Stream> {
    let mut stream = address.connect(PATIENCE)?;
    stream.set_timeout(Some(PATIENCE))?;
    stream.write_all(b"*1\r\n$4\r\nPING\r\n")?;
    let mut reply = [0; 7];
    stream.read_exact(&mut reply)?;
    ensure!(&reply == b"+PONG\r\n", "PING was answered with {:?}", reply.escape_ascii());
    Ok(stream)
}

/// For this process and those that it starts. Only root may raise the hard limit.
fn raise_descriptor_limit() -> Result<u64> {
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let wanted = 2 * CLIENTS + OTHER_DESCRIPTORS;
    let set = |maximum: u64, current: u64| {
        setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: Some(maximum) })
    };
    if set(hard.max(wanted), wanted).is_ok() {
        return Ok(wanted);
    }
    let most = hard.min(wanted);
    set(hard, most).context("cannot raise the limit of descriptors")?;
    ensure!(most > OTHER_DESCRIPTORS, "`ulimit -Hn` is {hard}");
    Ok(most)
}
