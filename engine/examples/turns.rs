//! Turns of a worker without sockets, to count the instructions that a command costs: `turns SCENARIO TURNS`.
//!
//! `cargo xtask bench instructions` runs it under callgrind.

#[path = "../tests/turns/mod.rs"]
mod turns;

use std::process::ExitCode;

use turns::{Bench, CLIENTS};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let scenario = arguments.next().unwrap_or_default();
    let turns = arguments.next().and_then(|turns| turns.parse().ok()).unwrap_or(1);
    let get: &[u8] = b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000042\r\n";
    let value = [b"$64\r\n".as_slice(), &[b'x'; 64], b"\r\n"].concat();
    let set =
        [b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n".as_slice(), value.as_slice()].concat();
    let (request, reply, pipeline): (&[u8], &[u8], usize) = match scenario.as_str() {
        "get" => (get, &value, 1),
        "get-pipeline-16" => (get, &value, 16),
        "set" => (&set, b"+OK\r\n", 1),
        _ => {
            eprintln!("usage: turns get|get-pipeline-16|set TURNS");
            return ExitCode::from(64);
        }
    };
    let mut bench = Bench::new();
    for _ in 0..turns {
        bench.turn(&request.repeat(pipeline), &reply.repeat(pipeline * CLIENTS));
    }
    let whole = turns * (reply.len() * pipeline * CLIENTS) as u64;
    if bench.delivered == whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
