//! One client that asks and waits, with its own clock: redis-benchmark measures in steps of 8 µs,
//! which is a fifth of what such a round trip takes.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::{Address, bind_to_cpu};

use super::contestant::LOAD_CPU;

/// The median round trip of GETs, in microseconds.
pub(super) fn median_us(address: &Address, keys: usize, time: Duration) -> Result<f64> {
    // In a thread of its own, because it is bound to the load's CPU.
    let measured = thread::scope(|scope| scope.spawn(|| measure(address, keys, time)).join());
    measured.ok().context("the measuring thread has panicked")?
}

fn measure(address: &Address, keys: usize, time: Duration) -> Result<f64> {
    bind_to_cpu(LOAD_CPU)?;
    let mut stream = address.connect(time)?;
    stream.set_timeout(Some(Duration::from_secs(10)))?;
    let mut reply = vec![0; 64 * 1024];
    let mut nanos = Vec::new();
    let end = Instant::now() + time;
    for number in (0..keys).cycle() {
        let request = format!("*2\r\n$3\r\nGET\r\n$16\r\nkey:{number:012}\r\n");
        let start = Instant::now();
        if start >= end {
            break;
        }
        stream.write_all(request.as_bytes())?;
        // A small reply to a lone request comes in one piece.
        let count = stream.read(&mut reply)?;
        nanos.push(start.elapsed().as_nanos() as u64);
        ensure!(reply.starts_with(b"$") && reply[..count].ends_with(b"\r\n"), "a broken reply");
    }
    ensure!(!nanos.is_empty(), "no reply within {time:?}");
    let middle = nanos.len() / 2;
    let (_, median, _) = nanos.select_nth_unstable(middle);
    Ok(*median as f64 / 1000.0)
}
