//! What the tests of TLS share.

use serde_json::Value as Json;
use testkit::{
    Address, Authority, Certificate, RedisServer, Redkeel, RedkeelBuilder, Secure, eventually,
};

pub(crate) use crate::scene::{SOON, expecting, proxy, proxy_of, replicated, wait_in_step};

/// What listeners on the loopback interface are called.
pub(crate) const LOCAL: [&str; 2] = ["localhost", "127.0.0.1"];

/// Starts it and waits until all nodes are in use. A machine that is busy with other tests may keep any node from
/// answering in time, with its handshake.
#[track_caller]
pub(crate) fn ready(builder: RedkeelBuilder) -> Redkeel {
    crate::scene::ready(expecting(builder, &[" is down: ", "writes are held"]))
}

/// Lines of a pool's configuration: clients are shown this certificate.
pub(crate) fn shown(certificate: &Certificate) -> String {
    let Certificate { cert, key } = certificate;
    format!("[pool.main.tls]\ncert = {cert:?}\nkey = {key:?}\n")
}

/// Lines of a pool's configuration: the nodes' certificates are of this authority.
pub(crate) fn trusting(authority: &Authority) -> String {
    format!("[pool.main.upstream.tls]\nca = {:?}\n", authority.ca())
}

/// A primary and its replicas, all in step, that speak TLS.
pub(crate) fn replicated_over(authority: &Authority, replicas: usize) -> Vec<RedisServer> {
    let mut nodes = vec![RedisServer::builder().tls(authority).start()];
    for _ in 0..replicas {
        let replica = RedisServer::builder().tls(authority).replica_of(&nodes[0]);
        nodes.push(replica.start());
    }
    wait_in_step(&nodes);
    nodes
}

/// The proxy's first listener, for clients that trust this authority.
pub(crate) fn address_over(redkeel: &Redkeel, authority: &Authority) -> Address {
    redkeel.address().over(&Secure::new(&authority.trust()))
}

/// Waits until the log has a line with all of these texts, and returns it.
#[track_caller]
pub(crate) fn wait_logged(redkeel: &Redkeel, texts: &[&str]) -> String {
    eventually(SOON, &format!("a log line with {texts:?}"), || {
        let log = redkeel.log();
        let line = log.lines().find(|line| texts.iter().all(|text| line.contains(text)));
        line.map(str::to_owned).ok_or(log)
    })
}

/// A counter out of `/metrics`, by its name with its labels.
pub(crate) fn metric(redkeel: &Redkeel, name: &str) -> u64 {
    let page = redkeel.admin_get("/metrics").body;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    assert!(line.is_some(), "no {name} in\n{page}");
    line.unwrap().parse().unwrap()
}

/// TLS handshakes of the pool, by side and result.
pub(crate) fn handshakes(redkeel: &Redkeel, side: &str, result: &str) -> u64 {
    let labels = format!("pool=\"main\",side=\"{side}\",result=\"{result}\"");
    metric(redkeel, &format!("redkeel_pool_tls_handshakes_total{{{labels}}}"))
}

/// Why a node is as it is.
pub(crate) fn why(status: &Json, node: usize) -> &str {
    status["pools"][0]["nodes"][node]["why"].as_str().unwrap_or_default()
}
