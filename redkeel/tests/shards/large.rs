//! Large values and many keys.

use testkit::{Value, bulk, error_text, simple};

use crate::{builder, key_of_each, ready, servers, sharded};

#[test]
fn large_values_pass_through_to_their_shard() {
    let servers = servers(2);
    let builder = builder(&servers, "health = { timeout = \"10s\" }", "");
    let redkeel = ready(builder.expect_log("ends before a silent node is found out"));
    let mut client = redkeel.client();
    let keys = key_of_each(&mut client, &servers);
    let value = vec![b'v'; 48 * 1024 * 1024];
    client.command(["PING"]);
    let before = redkeel.rss();
    for key in &keys {
        assert_eq!(client.command([b"SET".as_slice(), key.as_bytes(), &value]), simple("OK"));
        assert_eq!(client.command(["STRLEN", key]), Value::Integer(value.len() as i64));
    }
    for key in &keys {
        assert_eq!(client.command(["GET", key]), bulk(&value));
    }
    let grown = redkeel.rss().saturating_sub(before);
    println!(
        "two values of 48 MiB through SET and GET: resident memory grew by {} KiB",
        grown / 1024
    );
    assert!(grown < 24 * 1024 * 1024, "{grown}");
    // Behind a large one in a pipeline, and with a reply that has to be merged.
    let large = vec![b'w'; 2 * 1024 * 1024];
    let replies = client.pipeline([
        [b"SET".as_slice(), keys[0].as_bytes(), &large],
        [b"SET".as_slice(), keys[1].as_bytes(), b"small"],
        [b"SET".as_slice(), keys[0].as_bytes(), &large],
    ]);
    assert!(replies.iter().all(|reply| *reply == simple("OK")), "{replies:?}");
    let merged = client.command(["MGET", &keys[1], &keys[0]]);
    assert_eq!(merged, Value::Array(vec![bulk("small"), bulk(&large)]));
    let mut mset = vec![b"MSET".to_vec()];
    for key in &keys {
        mset.extend([key.as_bytes().to_vec(), large.clone()]);
    }
    assert_eq!(client.command(&mset), simple("OK"));
    assert_eq!(client.command(["GET", &keys[1]]), bulk(&large));
}

#[test]
fn long_pipelines_over_all_shards() {
    let servers = servers(3);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let commands: Vec<Vec<String>> = (0..100_000)
        .map(|number| {
            let key = format!("k{}", number % 1000);
            if number < 1000 {
                vec!["SET".to_owned(), key.clone(), key]
            } else {
                vec!["GET".to_owned(), key]
            }
        })
        .collect();
    for (number, reply) in client.pipeline(&commands).into_iter().enumerate() {
        let expected =
            if number < 1000 { simple("OK") } else { bulk(format!("k{}", number % 1000)) };
        assert_eq!(reply, expected, "{number}");
    }
}

#[test]
fn ten_thousand_keys_at_once() {
    let servers = servers(3);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    let mut mset = vec!["MSET".to_owned()];
    let mut mget = vec!["MGET".to_owned()];
    for number in 0..10_000 {
        mset.extend([format!("k{number}"), format!("v{number}")]);
        mget.push(format!("k{number}"));
    }
    assert_eq!(client.command(&mset), simple("OK"));
    let values = client.command(&mget);
    for (number, value) in values.as_array().unwrap().iter().enumerate() {
        assert_eq!(*value, bulk(format!("v{number}")));
    }
}

#[test]
fn a_broken_frame_is_told_after_what_came_before_it() {
    let servers = servers(2);
    let redkeel = sharded(&servers);
    let mut client = redkeel.client();
    client.send_raw(b"*2\r\n$4\r\nECHO\r\n$1\r\na\r\n*1\r\n$x\r\n");
    assert_eq!(client.receive(), bulk("a"));
    assert!(error_text(&client.receive()).unwrap().starts_with("ERR Protocol error"));
    client.expect_closed();
}
