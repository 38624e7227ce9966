//! The primary of one shard is changed.

use std::process::Command;

use testkit::{RedisServer, Redkeel, eventually, simple};

use crate::ready;
use crate::scene::{SOON, replicated};

#[test]
fn a_shard_is_switched_over_by_its_name() {
    let first = replicated(1);
    let second = RedisServer::start();
    // Not the names of the other tests: without one, a shard is called by its address.
    let text = format!(
        "[pool.main]\nlisten = \"127.0.0.1:0\"\n[pool.main.shards]\nservers = [\n\
         {{ name = \"{}\", servers = [\"{0}\", \"{}\"] }},\n\"{}:1\",\n]\n",
        first[0].address(),
        first[1].address(),
        second.address()
    );
    let redkeel = ready(Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&text));
    first[0].wait_for_replicas(1);
    let shard = format!("main/{}", first[0].address());
    let admin = redkeel.admin_address().to_string();
    let outcome = Command::new(env!("CARGO_BIN_EXE_redkeel"))
        .args(["switchover", &shard, "--admin", &admin])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert!(outcome.status.success(), "{outcome:?}");
    let expected = format!("pool {shard}: {} is the primary now", first[1].address());
    assert!(said.starts_with(&expected), "{said}");
    eventually(SOON, "the roles", || first[1].info("replication")["role"] == "master");
    let mut client = redkeel.client();
    let replies = client
        .pipeline((0..100).map(|number| ["SET".to_owned(), format!("k{number}"), String::new()]));
    assert!(replies.iter().all(|reply| *reply == simple("OK")), "{replies:?}");
}
