//! Listeners that pass bytes through to one node per client.

use testkit::{Client, RedisServer, Redkeel, Value, bulk, eventually, simple};

use crate::common::{
    DOWN, FENCED, HELD, LOSS, SOON, calls, change_primary, expecting, promote, proxy, ready,
    replicated, wait_down, wait_for_primary, wait_readable,
};

fn start(nodes: &[RedisServer], role: &str) -> Redkeel {
    let settings = format!(
        "listen = {{ address = \"127.0.0.1:0\", mode = \"tcp\", role = \"{role}\" }}\n\
         timeouts.hold = \"15s\""
    );
    ready(expecting(proxy(nodes, &settings), &[DOWN, HELD, FENCED, LOSS]))
}

/// What the node behind the connection says it is.
fn role(client: &mut Client) -> Value {
    client.command(["ROLE"]).as_array().unwrap()[0].clone()
}

#[test]
fn a_plain_pipe_carries_everything() {
    let nodes = replicated(1);
    let redkeel = start(&nodes, "primary");
    let mut client = redkeel.client();
    assert_eq!(role(&mut client), bulk("master"));
    let large = vec![b'x'; 5 << 20];
    assert_eq!(client.command([b"SET".as_slice(), b"large", &large]), simple("OK"));
    assert_eq!(client.command(["GET", "large"]), bulk(&large));
    client.send_raw(b"PING\r\n");
    assert_eq!(client.receive(), simple("PONG"));
    // The node's own connection: what the commands about it say is true.
    assert_eq!(client.command(["CLIENT", "SETNAME", "pipe"]), simple("OK"));
    let list = nodes[0].cli(["CLIENT", "LIST"]);
    assert!(String::from_utf8_lossy(list.as_bytes().unwrap()).contains("name=pipe"));

    let mut monitor = redkeel.client();
    assert_eq!(monitor.command(["MONITOR"]), simple("OK"));
    let mut subscriber = redkeel.client();
    assert!(subscriber.command(["SUBSCRIBE", "news"]).as_array().is_some());
    assert_eq!(client.command(["PUBLISH", "news", "text"]), Value::Integer(1));
    let message = vec![bulk("message"), bulk("news"), bulk("text")];
    assert_eq!(subscriber.receive(), Value::Array(message));
    eventually(SOON, "the command in MONITOR's output", || {
        let line = monitor.receive();
        String::from_utf8_lossy(line.as_bytes().unwrap()).contains("\"PUBLISH\" \"news\"")
    });
    assert_eq!(client.command(["QUIT"]), simple("OK"));
    client.expect_closed();
}

#[test]
fn clients_of_a_demoted_primary_are_closed_and_find_the_new_one() {
    let nodes = replicated(1);
    let redkeel = start(&nodes, "primary");
    let mut clients: Vec<Client> = (0..5).map(|_| redkeel.client()).collect();
    for client in &mut clients {
        assert_eq!(role(client), bulk("master"));
    }
    change_primary(&nodes[0], &nodes[1]);
    for client in &mut clients {
        client.expect_closed();
    }
    wait_for_primary(&redkeel, &nodes[1]);
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
    assert_eq!(calls(&nodes[1], "set"), 1);
}

#[test]
fn clients_of_a_dead_primary_are_closed_and_new_ones_wait_for_the_next() {
    let mut nodes = replicated(1);
    let redkeel = start(&nodes, "primary");
    let mut client = redkeel.client();
    assert_eq!(role(&mut client), bulk("master"));
    nodes[0].kill9();
    client.expect_closed();
    wait_down(&redkeel, &nodes[0]);
    let mut client = redkeel.client();
    client.send(["SET", "key", "value"]);
    crate::common::wait_held(&redkeel, 1);
    promote(&nodes[1]);
    assert_eq!(client.receive(), simple("OK"));
    assert_eq!(nodes[1].cli(["GET", "key"]), bulk("value"));
}

#[test]
fn a_frozen_primary_closes_its_clients() {
    let mut nodes = replicated(1);
    let redkeel = start(&nodes, "primary");
    let mut client = redkeel.client();
    assert_eq!(role(&mut client), bulk("master"));
    nodes[0].stop_signal();
    promote(&nodes[1]);
    client.expect_closed();
    wait_for_primary(&redkeel, &nodes[1]);
    let mut client = redkeel.client();
    assert_eq!(client.command(["SET", "key", "value"]), simple("OK"));
}

#[test]
fn clients_of_a_replica_are_closed_when_it_dies() {
    let mut nodes = replicated(2);
    let redkeel = start(&nodes, "replica");
    let mut client = redkeel.client();
    assert_eq!(role(&mut client), bulk("slave"));
    let mine = nodes[1..].iter().position(|node| calls(node, "client|getname") > 0);
    assert_eq!(mine, None);
    assert!(client.command(["CLIENT", "GETNAME"]) == Value::Null);
    let mine = 1 + nodes[1..].iter().position(|node| calls(node, "client|getname") > 0).unwrap();
    nodes[mine].kill9();
    client.expect_closed();
    wait_down(&redkeel, &nodes[mine]);
    let mut client = redkeel.client();
    assert_eq!(role(&mut client), bulk("slave"));
    nodes[mine].restart();
    wait_readable(&redkeel, &nodes[mine]);
}
