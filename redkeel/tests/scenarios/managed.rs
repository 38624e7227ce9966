//! A managed service: the commands by which one would look behind it are renamed away.

use std::time::Duration;

use testkit::{Load, RedisServer, bulk, eventually, simple};

use crate::common::{
    DOWN, SOON, assert_no_read_failed, calls, expecting, proxy, ready, wait_for_answers,
    wait_for_health,
};

#[test]
fn without_the_dangerous_commands_everything_works() {
    let builder = || {
        let hidden = ["CONFIG", "REPLICAOF", "SLAVEOF", "FAILOVER", "DEBUG", "ROLE", "SHUTDOWN"];
        hidden.iter().fold(RedisServer::builder(), |builder, name| {
            builder.option("rename-command", &format!("{name} \"\""))
        })
    };
    let primary = builder().start();
    let mut replica = builder().replica_of(&primary).start();
    primary.wait_for_replicas(1);
    replica.wait_link_up();
    let redkeel = ready(expecting(proxy([&primary, &replica], ""), &[DOWN]));
    let load = Load::builder(redkeel.address())
        .readers(10)
        .writers(5)
        .keys(50)
        .pause(Duration::from_millis(2))
        .fill(&mut primary.client(), 1)
        .start();
    wait_for_answers(&load, 500, 200);
    assert!(calls(&replica, "get") > 0, "the replica is read from");
    replica.kill9();
    wait_for_health(&redkeel, replica.address(), "down");
    wait_for_answers(&load, 500, 200);
    replica.restart();
    eventually(SOON, "reads on the replica", || calls(&replica, "get") > 0);
    let report = load.stop();
    assert_no_read_failed(&report);
    assert_eq!(report.writes.errors_total(), 0, "{:?}", report.writes.errors);
    let mut client = redkeel.client();
    let replies = client.pipeline([
        vec!["MULTI"],
        vec!["SET", "key", "1"],
        vec!["INCR", "key"],
        vec!["EXEC"],
        vec!["EVAL", "return redis.call('GET', KEYS[1])", "1", "key"],
    ]);
    assert_eq!(replies[0], simple("OK"));
    assert_eq!(replies[4], bulk("2"));
}
