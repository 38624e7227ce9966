//! Nodes and Sentinels that come and go.

use testkit::{DnsServer, RedisServer, Redkeel, Sentinels, eventually};

use crate::common::{
    MASTER, SOON, proxy, ready, sentinels, wait_agreed, wait_for_primary, wait_in_use, watched,
};

/// A replica that a Sentinel has no use for any more is removed as its documentation says.
fn reset(group: &mut Sentinels) {
    for sentinel in group.nodes() {
        let reply = sentinel.client().command(["SENTINEL", "RESET", MASTER]);
        assert_eq!(reply.as_int(), Some(1));
    }
}

#[test]
fn a_replica_that_is_added_or_removed_is_followed() {
    let (mut nodes, mut group) = watched();
    let builder = proxy(&group.addresses(), "").expect_log(" is down: ");
    let redkeel = ready(builder, 3);
    nodes.push(RedisServer::builder().replica_of(&nodes[0]).start());
    wait_in_use(&redkeel, 4);
    let mut gone = nodes.remove(2);
    gone.kill9();
    // The primary must have noticed, or it tells the Sentinels of it again.
    nodes[0].wait_for_replicas(2);
    reset(&mut group);
    wait_in_use(&redkeel, 3);
    let name = gone.address().to_string();
    let status = redkeel.status();
    assert!(
        status["pools"][0]["nodes"].as_array().unwrap().iter().all(|node| node["name"] != name)
    );
    wait_for_primary(&redkeel, &nodes[0]);
}

#[test]
fn one_sentinel_suffices_to_find_the_others_and_names_are_resolved() {
    let (nodes, group) = watched();
    let port = group.addresses()[0].to_string();
    let port = port.rsplit(':').next().unwrap();
    let lines = format!(
        "[pool.main]\nlisten = \"127.0.0.1:0\"\nnodes.\"{}\".weight = 7\n\
         sentinel = {{ master = \"{MASTER}\", sentinels = [\"localhost:{port}\"] }}\n",
        nodes[1].address()
    );
    let builder = testkit::Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&lines);
    let redkeel = ready(builder, 3);
    wait_agreed(&redkeel, 3);
    let status = redkeel.status();
    assert_eq!(sentinels(&status)["known"], 3);
    // What is configured for a node holds however it became known.
    let name = nodes[1].address().to_string();
    let nodes = status["pools"][0]["nodes"].as_array().unwrap();
    assert_eq!(nodes.iter().find(|node| node["name"] == name).unwrap()["weight"], 7);
    let metrics = redkeel.admin_get("/metrics").body;
    eventually(SOON, "the metrics", || metrics.contains("redkeel_pool_sentinels{pool=\"main\"} 3"));
}

#[test]
fn names_of_sentinels_are_resolved_by_the_configured_name_servers() {
    let (nodes, group) = watched();
    let dns = DnsServer::start();
    let addresses = group.addresses();
    let named: Vec<String> = addresses
        .iter()
        .enumerate()
        .map(|(index, address)| {
            let address = address.to_string();
            let (_, port) = address.rsplit_once(':').unwrap();
            let name = format!("sentinel-{index}.test");
            dns.set(&name, &["127.0.0.1".parse().unwrap()], 1);
            format!("{name}:{port}")
        })
        .collect();
    let config = format!(
        "workers = 2\n[dns]\nservers = [\"{}\"]\n[pool.main]\nlisten = \"127.0.0.1:0\"\n\
         [pool.main.sentinel]\nmaster = \"{MASTER}\"\nsentinels = {named:?}\n",
        dns.address()
    );
    let builder = Redkeel::builder(env!("CARGO_BIN_EXE_redkeel")).config(&config);
    let redkeel = ready(builder, 3);
    wait_for_primary(&redkeel, &nodes[0]);
    assert!(dns.questions("sentinel-0.test") > 0);
}
