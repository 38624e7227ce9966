//! A replica that lives, but has lost its primary.

use std::time::Duration;

use testkit::{FaultyLink, Load, RedisServer, eventually};

use crate::common::{SOON, assert_no_read_failed, calls, node, proxy, ready, wait_for_answers};

/// Scenario 10: nothing is read from it while its link is down and its primary lives.
#[test]
fn a_replica_without_its_link_is_not_read_from() {
    let primary = RedisServer::start();
    let link = FaultyLink::to(primary.address());
    let (host, port) = link
        .address()
        .to_string()
        .rsplit_once(':')
        .map(|(h, p)| (h.to_owned(), p.to_owned()))
        .unwrap();
    let cut_off = RedisServer::builder().option("replicaof", &format!("{host} {port}")).start();
    let sound = RedisServer::builder().replica_of(&primary).start();
    primary.wait_for_replicas(2);
    cut_off.wait_link_up();
    sound.wait_link_up();
    let redkeel = ready(proxy([&primary, &cut_off, &sound], ""));
    let load = Load::builder(redkeel.address())
        .readers(20)
        .keys(100)
        .pause(Duration::from_millis(2))
        .fill(&mut primary.client(), 2)
        .start();
    eventually(SOON, "reads on both replicas", || {
        [&cut_off, &sound].iter().all(|replica| calls(replica, "get") > 100)
    });
    link.refuse();
    link.reset();
    redkeel.wait_until(SOON, "the replica to take no reads", |status| {
        node(status, cut_off.address())["readable"] == false
    });
    // What was on its way is answered by now.
    wait_for_answers(&load, 100, 0);
    let before = calls(&cut_off, "get");
    wait_for_answers(&load, 1000, 0);
    assert_eq!(calls(&cut_off, "get"), before);
    link.heal();
    eventually(SOON, "reads on it again", || calls(&cut_off, "get") > before + 100);
    assert_no_read_failed(&load.stop());
}
