//! Files of predixy: Sentinels say who the primary is.

use testkit::{Sentinels, bulk, simple};

use crate::scene::{SOON, expecting, replicated};
use crate::{imported, with_addresses};

const POOL: &str = include_str!("../../../import/tests/fixtures/predixy/parts/sentinel.inc");

#[test]
fn a_failover_of_sentinels_is_followed() {
    let nodes = replicated(2);
    let sentinels = Sentinels::builder("shard001").start(&nodes[0], 2);
    let written = ["10.2.2.2:7500", "10.2.2.3:7500", "10.2.2.4:7500"];
    let pool = with_addresses(POOL, written.into_iter().zip(sentinels.addresses()));
    let text = format!("Bind 127.0.0.1:0\nWorkerThreads 2\n{pool}");
    let warnings = [" is down: ", "writes are held", "is fenced off", "may be lost"];
    let redkeel = expecting(imported("predixy", "predixy.conf", &text), &warnings).start();
    redkeel.wait_until(SOON, "the nodes that Sentinels list", |status| {
        let nodes = status["pools"][0]["nodes"].as_array().unwrap();
        nodes.len() == 3 && nodes.iter().all(|node| node["readable"] == true)
    });
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "one"]), simple("OK"));
    nodes[0].wait_caught_up(&nodes[1]);
    nodes[0].wait_caught_up(&nodes[2]);
    let before = sentinels.primary();
    sentinels.failover();
    redkeel.wait_until(SOON, "another primary", |status| {
        let primary = &status["pools"][0]["primary"];
        !primary.is_null() && primary.as_str() != before.as_deref()
    });
    assert_eq!(client.command(["SET", "key", "two"]), simple("OK"));
    assert_eq!(client.command(["GET", "key"]), bulk("two"));
}
