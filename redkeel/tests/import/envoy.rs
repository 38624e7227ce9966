//! Files of Envoy: with Maglev every key is found where it was.

use testkit::{Client, Peer, Port, RedisServer, bulk, simple};

use crate::imported;
use crate::scene::SOON;

const KEYS: usize = 1000;

fn key(by: &str, number: usize) -> String {
    if number.is_multiple_of(2) {
        format!("{by}:{number}")
    } else {
        format!("{{{by}:{}}}:{number}", number / 20)
    }
}

/// A listener before servers on a table of Envoy's.
fn config(nodes: &[RedisServer], listen: &str) -> String {
    let socket = |address: &str| {
        let (host, port) = address.rsplit_once(':').unwrap();
        format!("{{ socket_address: {{ address: \"{host}\", port_value: {port} }} }}")
    };
    let hosts: String = nodes
        .iter()
        .map(|node| {
            format!("        - endpoint: {{ address: {} }}\n", socket(&node.address().to_string()))
        })
        .collect();
    format!(
        r#"static_resources:
  listeners:
  - name: cache
    address: {listen}
    filter_chains:
    - filters:
      - name: envoy.filters.network.redis_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy
          stat_prefix: cache
          settings: {{ op_timeout: 5s, enable_hashtagging: true }}
          prefix_routes: {{ catch_all_route: {{ cluster: cache }} }}
  clusters:
  - name: cache
    type: STATIC
    connect_timeout: 1s
    lb_policy: MAGLEV
    load_assignment:
      cluster_name: cache
      endpoints:
      - lb_endpoints:
{hosts}"#,
        listen = socket(listen),
    )
}

#[test]
fn keys_are_found_in_both_directions() {
    let nodes = [(); 3].map(|()| RedisServer::start());
    let port = Port::free();
    let text = config(&nodes, &port.address());
    // Where Envoy is not installed there is nothing to compare with.
    let Some(envoy) = Peer::envoy_with(&text, vec![port]) else { return };
    let redkeel = imported("envoy", "envoy.yaml", &config(&nodes, "127.0.0.1:0")).start();
    redkeel.wait_until(SOON, "all shards to have a primary", |status| {
        let nodes = status["pools"][0]["nodes"].as_array().unwrap();
        nodes.iter().all(|node| node["readable"] == true)
    });
    let mut clients = [Client::connect(envoy.address()), redkeel.client()];
    for (by, client) in ["envoy", "redkeel"].into_iter().zip(&mut clients) {
        for number in 0..KEYS {
            let key = key(by, number);
            assert_eq!(client.command(["SET", &key, &key]), simple("OK"));
        }
    }
    for (by, client) in ["redkeel", "envoy"].into_iter().zip(&mut clients) {
        for number in 0..KEYS {
            let key = key(by, number);
            assert_eq!(client.command(["GET", &key]), bulk(&key));
        }
    }
}
