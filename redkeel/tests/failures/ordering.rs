//! A pipeline's reads see the writes before them, though the replicas do not have them.

use testkit::{FaultyLink, RedisServer, Redkeel, Value, bulk, simple};

use crate::common::{DOWN, HELD, expecting, proxy_of, ready};

/// A primary whose replica gets nothing more from it, and does not know.
struct Stage {
    primary: RedisServer,
    /// Between Redkeel and the primary.
    link: FaultyLink,
    redkeel: Redkeel,
    _replication: FaultyLink,
    _replica: RedisServer,
}

fn stage() -> Stage {
    let primary = RedisServer::start();
    let replication = FaultyLink::to(primary.address());
    let replicaof = replication.address().to_string().replace(':', " ");
    let replica = RedisServer::builder().option("replicaof", &replicaof).start();
    replica.wait_link_up();
    let link = FaultyLink::to(primary.address());
    let servers = [link.address(), replica.address().clone()];
    let redkeel = ready(expecting(proxy_of(&servers, ""), &[DOWN, HELD]));
    replication.blackhole();
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "unseen", "value"]), simple("OK"));
    assert_eq!(client.command(["GET", "unseen"]), Value::Null, "the replica has it already");
    Stage { primary, link, redkeel, _replication: replication, _replica: replica }
}

#[test]
fn a_long_pipeline_reads_what_it_wrote() {
    const KEYS: usize = 3000;
    let stage = stage();
    let mut client = stage.redkeel.client();
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key:{number}")).collect();
    let writes = keys.iter().map(|key| vec!["SET", key, key]);
    let reads = keys.iter().map(|key| vec!["GET", key]);
    let replies = client.pipeline(writes.chain(reads));
    for (key, reply) in keys.iter().zip(&replies[KEYS..]) {
        assert_eq!(*reply, bulk(key));
    }
}

#[test]
fn a_pipeline_whose_connection_is_lost_reads_what_it_wrote() {
    let stage = stage();
    let large = vec![b'x'; 500_000];
    assert_eq!(stage.primary.cli([b"SET".as_slice(), b"large", &large]), simple("OK"));
    let mut client = stage.redkeel.client();
    // The large reply takes seconds: the connection is lost behind the first write's.
    stage.link.bandwidth(100_000);
    let mut request = Vec::new();
    for command in
        [&[b"SET".as_slice(), b"key", b"new"][..], &[b"GET", b"large"], &[b"GET", b"key"]]
    {
        resp::write_command(&mut request, command);
    }
    client.send_raw(&request);
    assert_eq!(client.receive(), simple("OK"));
    stage.link.reset();
    stage.link.heal();
    assert_eq!(client.receive(), bulk(&large));
    assert_eq!(client.receive(), bulk("new"));
}
