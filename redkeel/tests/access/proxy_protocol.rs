//! The PROXY protocol, on both sides, with HAProxy and by hand.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use proxy_protocol::{Addresses, Version};
use testkit::{Address, Peer, RedisServer, Redkeel, eventually};

use crate::scene::{SOON, proxy, proxy_of, ready};

const LISTEN: &str = "listen = { address = '127.0.0.1:0', proxy_protocol = true }";

pub(crate) fn metric(redkeel: &Redkeel, name: &str) -> u64 {
    let page = redkeel.admin_get("/metrics").body;
    let line = page.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// A connection whose end of the line is known.
struct Raw(TcpStream);

impl Raw {
    fn open(address: &Address) -> Self {
        let Address::Tcp(address) = address else { panic!("{address}") };
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    fn local(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// CLIENT INFO's `addr`.
    fn address(&mut self) -> String {
        self.send(b"CLIENT INFO\r\n");
        let mut text = String::new();
        let mut buffer = [0; 512];
        while !text.contains("lib-ver") {
            let count = self.0.read(&mut buffer).unwrap();
            assert!(count > 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        let word = text.split(' ').find_map(|word| word.strip_prefix("addr=")).unwrap();
        word.to_owned()
    }

    fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0; 16]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

fn addresses(source: &str) -> Option<Addresses> {
    let destination = "10.0.0.99:6379".parse().unwrap();
    Some(Addresses { source: source.parse().unwrap(), destination })
}

#[test]
fn clients_behind_haproxy_have_their_own_addresses() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], LISTEN));
    for words in ["send-proxy", "send-proxy-v2", "send-proxy-v2 check"] {
        let haproxy = Peer::haproxy_speaking(&redkeel.address().to_string(), words);
        for _ in 0..3 {
            let mut client = Raw::open(haproxy.address());
            assert_eq!(client.address(), client.local().to_string(), "{words}");
        }
    }
}

#[test]
fn a_header_may_come_in_pieces_and_what_follows_is_the_clients() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], LISTEN));
    for version in [Version::V1, Version::V2] {
        let header = version.header(addresses("10.1.2.3:4567"));
        let mut client = Raw::open(&redkeel.address());
        for byte in &header {
            client.send(&[*byte]);
        }
        assert_eq!(client.address(), "10.1.2.3:4567");
        // All at once.
        let mut client = Raw::open(&redkeel.address());
        client.send(&[header.as_slice(), b"PING\r\n"].concat());
        let mut pong = [0; 7];
        client.0.read_exact(&mut pong).unwrap();
        assert_eq!(&pong, b"+PONG\r\n");
        assert_eq!(client.address(), "10.1.2.3:4567");
        // The balancer's own connection.
        let mut client = Raw::open(&redkeel.address());
        client.send(&version.header(None));
        assert_eq!(client.address(), client.local().to_string());
    }
}

#[test]
fn what_has_no_header_is_closed_counted_and_told_of() {
    let server = RedisServer::start();
    let redkeel = ready(proxy([&server], LISTEN).expect_log("there is no PROXY protocol header"));
    for garbage in [
        &b"PING\r\n"[..],
        b"*1\r\n$4\r\nPING\r\n",
        b"PROXY TCP9 ",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
        b"PROXY UDP4 1 2 3 4\r\n",
    ] {
        let mut client = Raw::open(&redkeel.address());
        client.send(garbage);
        // The one that is not whole when its time is up.
        assert!(client.is_closed(), "{garbage:?}");
    }
    // Someone who only looks whether the port is open is nobody's fault.
    drop(Raw::open(&redkeel.address()));
    eventually(SOON, "the counter", || {
        metric(&redkeel, "redkeel_pool_clients_headerless_total") == 5
    });
    assert_eq!(metric(&redkeel, "redkeel_pool_clients_accepted_total"), 0);
}

#[test]
fn lists_and_limits_are_about_the_clients_address() {
    let server = RedisServer::start();
    let settings = "auth = 'users'\nallow = ['10.0.0.0/8']\n\
        listen = { address = '127.0.0.1:0', proxy_protocol = true }\n\
        [pool.main.limits]\nlogin_failures = 1\n[pool.main.users.default]\npassword = 'right'";
    let redkeel = ready(proxy([&server], settings));
    let from = |source: &str| {
        let mut client = Raw::open(&redkeel.address());
        client.send(&Version::V2.header(addresses(source)));
        client
    };
    let login = |client: &mut Raw, password: &str| {
        client.send(format!("AUTH {password}\r\n").as_bytes());
        let mut reply = [0; 4];
        client.0.read_exact(&mut reply).unwrap();
        String::from_utf8(reply.to_vec()).unwrap()
    };
    assert!(from("11.0.0.1:1").is_closed());
    assert_eq!(login(&mut from("10.0.0.1:1"), "wrong"), "-WRO");
    assert_eq!(login(&mut from("10.0.0.1:2"), "right"), "-ERR");
    assert_eq!(login(&mut from("10.0.0.2:1"), "right"), "+OK\r");
}

#[test]
fn nodes_behind_something_that_demands_a_header_are_reached() {
    let server = RedisServer::start();
    let haproxy = Peer::haproxy_speaking(&server.address().to_string(), "");
    for version in ["v1", "v2"] {
        let settings = format!("[pool.main.upstream]\nproxy_protocol = '{version}'");
        let redkeel = ready(proxy_of([haproxy.accepting().unwrap()], &settings));
        let mut client = redkeel.client();
        assert_eq!(client.command(["SET", "a", version]), testkit::simple("OK"));
        assert_eq!(client.command(["GET", "a"]), testkit::bulk(version));
        assert_eq!(client.command(["MULTI"]), testkit::simple("OK"));
    }
}

/// Through a `tcp` listener, to a Redkeel that takes the header.
#[test]
fn a_tcp_listener_hands_the_clients_address_on() {
    let server = RedisServer::start();
    let behind = ready(proxy([&server], LISTEN));
    for version in ["v1", "v2"] {
        let settings = format!(
            "listen = {{ address = '127.0.0.1:0', mode = 'tcp', role = 'primary' }}\n\
             [pool.main.upstream]\nproxy_protocol = '{version}'"
        );
        let redkeel = ready(proxy_of([behind.address()], &settings));
        let mut client = Raw::open(&redkeel.address());
        assert_eq!(client.address(), client.local().to_string(), "{version}");
    }
}
