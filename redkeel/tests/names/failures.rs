//! Lookups fail.

use std::time::Duration;

use testkit::{DnsServer, Load, RedisServer, eventually, simple};

use crate::scene::{SOON, expecting, ready};
use crate::{NAME, proxy};

#[test]
fn lookups_that_fail_or_find_nothing_keep_the_last_answer() {
    let server = RedisServer::start();
    let dns = DnsServer::start();
    let address = ["127.0.0.1".parse().unwrap()];
    dns.set(NAME, &address, 1);
    let builder = proxy(&dns, &[format!("{NAME}:{}", server.port())], "");
    let redkeel = ready(expecting(builder, &["cannot be resolved"]));
    let load = Load::builder(redkeel.address())
        .readers(10)
        .writers(5)
        .keys(100)
        .pause(Duration::from_millis(2))
        .fill(&mut server.client(), 0)
        .start();
    for (nth, fail) in [
        (|dns: &DnsServer| dns.be_silent()) as fn(&DnsServer),
        |dns| dns.fail(),
        |dns| dns.remove(NAME),
        |dns| dns.set(NAME, &[], 1),
    ]
    .into_iter()
    .enumerate()
    {
        fail(&dns);
        let warned = || redkeel.log().matches("cannot be resolved").count();
        eventually(SOON, "a warning", || warned() == nth + 1);
        // It is tried again and again, and said once.
        let (before, reads) = (dns.questions(NAME), load.reads().ok);
        eventually(SOON, "more lookups", || dns.questions(NAME) >= before + 2);
        eventually(SOON, "reads", || load.reads().ok > reads + 100);
        assert_eq!(warned(), nth + 1);
        dns.heal();
        dns.set(NAME, &address, 1);
        eventually(SOON, "the name to be resolved again", || {
            redkeel.log().matches("can be resolved again").count() == nth + 1
        });
    }
    let report = load.stop();
    assert_eq!(report.reads.errors_total() + report.writes.errors_total(), 0);
}

#[test]
fn a_name_that_cannot_be_resolved_at_the_start_is_awaited() {
    let server = RedisServer::start();
    let dns = DnsServer::start();
    let builder = proxy(&dns, &[format!("{NAME}:{}", server.port())], "timeouts.hold = \"30s\"");
    let redkeel = expecting(builder, &["cannot be resolved", "primary"]).start();
    let mut client = redkeel.client();
    client.send(["SET", "key", "value"]);
    eventually(SOON, "lookups", || dns.questions(NAME) >= 2);
    dns.set(NAME, &["127.0.0.1".parse().unwrap()], 60);
    assert_eq!(client.receive(), simple("OK"));
}
