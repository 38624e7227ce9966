//! Two Redkeels behind a layer-4 balancer that asks `/readyz`.

use std::time::Duration;

use testkit::{Address, Load, Peer, Redkeel, eventually};

use crate::common::{SOON, proxy, ready, replicated, wait_for_answers};

const READERS: usize = 20;
const WRITERS: usize = 10;

fn tcp(address: &Address) -> String {
    address.to_string()
}

#[test]
fn when_one_of_two_dies_only_its_own_clients_reconnect() {
    let nodes = replicated(1);
    let mut redkeels: Vec<Redkeel> = (0..2).map(|_| ready(proxy(&nodes, ""))).collect();
    let behind: Vec<(String, String)> = redkeels
        .iter()
        .map(|redkeel| (tcp(&redkeel.address()), tcp(&redkeel.admin_address())))
        .collect();
    let balancer = Peer::haproxy_asking(&behind, "/readyz");
    let load = Load::builder(balancer.address().clone())
        .readers(READERS)
        .writers(WRITERS)
        .keys(100)
        .pause(Duration::from_millis(2))
        .fill(&mut nodes[0].client(), 1)
        .start();
    wait_for_answers(&load, 1000, 500);
    let clients =
        |redkeel: &Redkeel| redkeel.status()["pools"][0]["clients"]["connected"].as_u64().unwrap();
    let lost = clients(&redkeels[0]);
    assert!(lost > 0 && lost < (READERS + WRITERS) as u64, "both have clients: {lost}");
    redkeels[0].kill9();
    wait_for_answers(&load, 1000, 500);
    eventually(SOON, "all clients at the other one", || {
        clients(&redkeels[1]) == (READERS + WRITERS) as u64
    });
    let report = load.stop();
    let errors = report.reads.errors_total() + report.writes.errors_total();
    println!("{lost} clients were connected to it; {errors} commands failed");
    for kind in report.reads.errors.keys().chain(report.writes.errors.keys()) {
        assert!(["closed", "refused"].contains(&&**kind), "{kind}");
    }
    // Each client loses the command that was in flight, and perhaps a connect before the balancer has noticed.
    assert!(errors >= 1, "somebody was connected to it");
    assert!(report.reads.wrong.is_empty() && report.writes.wrong.is_empty());
}
