//! Files of twemproxy: every key is found where it was.

use testkit::{Client, Peer, Port, RedisServer, Value, bulk, simple};

use crate::scene::SOON;
use crate::{imported, with_addresses};

const KETAMA: &str = include_str!("../../../import/tests/fixtures/nutcracker/ketama-eject.yml");

const KEYS: usize = 2000;

/// Some with a tag, some that are not ASCII.
fn key(by: &str, number: usize) -> String {
    match number % 3 {
        0 => format!("{by}:{number}"),
        1 => format!("{{{by}:{}}}:{number}", number / 30),
        _ => format!("{by}:schlüssel:{number}"),
    }
}

fn write(client: &mut Client, by: &str) {
    for number in 0..KEYS {
        let key = key(by, number);
        assert_eq!(client.command(["SET", &key, &key]), simple("OK"));
    }
}

fn find(client: &mut Client, by: &str) {
    for number in 0..KEYS {
        let key = key(by, number);
        assert_eq!(client.command(["GET", &key]), bulk(&key));
    }
}

#[test]
fn keys_are_found_in_both_directions() {
    let nodes = [(); 3].map(|()| RedisServer::start());
    let servers = || {
        let written = ["10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"];
        written.into_iter().zip(nodes.iter().map(|node| node.address().to_string()))
    };
    let port = Port::free();
    let listen = |address: String| std::iter::once(("0.0.0.0:22121", address));
    let text = with_addresses(KETAMA, servers().chain(listen(port.address())));
    let twemproxy = Peer::twemproxy_with(&text, vec![port]);
    let text = with_addresses(KETAMA, servers().chain(listen("127.0.0.1:0".to_owned())));
    let redkeel = imported("nutcracker", "nutcracker.yml", &text).start();
    redkeel.wait_until(SOON, "all shards to have a primary", |status| {
        let pools = status["pools"].as_array().unwrap();
        pools.iter().all(|pool| {
            pool["nodes"].as_array().unwrap().iter().all(|node| node["readable"] == true)
        })
    });
    let mut through = Client::connect(twemproxy.address());
    let mut client = redkeel.client();
    write(&mut through, "twemproxy");
    write(&mut client, "redkeel");
    find(&mut client, "twemproxy");
    find(&mut through, "redkeel");
    // Nothing stands twice, and every server has its share.
    let sizes: Vec<i64> = nodes
        .iter()
        .map(|node| match node.client().command(["DBSIZE"]) {
            Value::Integer(size) => size,
            _ => 0,
        })
        .collect();
    assert_eq!(sizes.iter().sum::<i64>(), 2 * KEYS as i64, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size > 500), "{sizes:?}");
}
