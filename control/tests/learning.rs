//! Commands that the nodes describe.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{Running, SOON};
use testkit::{RedisServer, eventually};
use topology::{CommandFlags, Evidence, Learned, PoolId};

#[test]
fn an_unknown_command_is_described_by_a_node() {
    let server = RedisServer::start();
    let running = Running::of(&[&server]);
    running.until_whole(&server);
    for name in ["NOSUCHCOMMAND", "BLMOVE"] {
        let name = name.as_bytes().into();
        running.evidence.send(Evidence::UnknownCommand { pool: PoolId(0), name });
    }
    let learned = eventually(SOON, "the description", || {
        running.published.load().pools[0].learned.get(b"BLMOVE".as_slice()).copied()
    });
    let flags = CommandFlags { write: true, blocking: true, ..CommandFlags::default() };
    assert_eq!(learned, Learned { flags, arity: 6, first_key: 1, last_key: 2, key_step: 1 });
    assert_eq!(running.published.load().pools[0].learned.len(), 1);
    assert_eq!(running.warnings(), Vec::<String>::new());
}
