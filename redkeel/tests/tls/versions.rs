//! Which versions and ciphers clients may use: as a scanner asks, by `openssl s_client`.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use testkit::{Authority, Client, simple};

use crate::common::{
    LOCAL, address_over, handshakes, proxy, ready, replicated, shown, wait_logged,
};

/// Of TLS 1.2, with a key on an elliptic curve: forward secrecy and authenticated encryption.
const CIPHERS: [&str; 3] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
];

/// Does a handshake with these options succeed?
fn accepted(address: &str, options: &[&str]) -> bool {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", address, "-brief"]).args(options);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("Unknown option") && !said.contains("no cipher match"), "{said}");
    output.status.success() && said.contains("CONNECTION ESTABLISHED")
}

#[test]
fn old_versions_and_weak_ciphers_are_refused() {
    let authority = Authority::new();
    let nodes = replicated(0);
    let redkeel = ready(proxy(&nodes, &shown(&authority.certificate(&LOCAL))));
    let address = redkeel.address().to_string();
    let weak = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";
    for (version, expected) in
        [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)]
    {
        assert_eq!(accepted(&address, &[version, "-cipher", weak]), expected, "{version}");
    }
    wait_logged(&redkeel, &["TLS handshake failed: the client speaks neither TLS 1.2 nor 1.3"]);

    let list = Command::new("openssl").args(["ciphers", "-s", "-tls1_2", weak]).output().unwrap();
    let all = String::from_utf8(list.stdout).unwrap();
    assert!(all.split(':').count() > 30, "{all}");
    let mut taken = BTreeSet::new();
    for cipher in all.trim().split(':') {
        let only = format!("{cipher}:@SECLEVEL=0");
        if accepted(&address, &["-tls1_2", "-cipher", &only]) {
            taken.insert(cipher);
        }
    }
    assert_eq!(taken, BTreeSet::from(CIPHERS));
    let suites =
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
    for suite in suites {
        assert!(accepted(&address, &["-tls1_3", "-ciphersuites", suite]), "{suite}");
    }
    // As a scanner does all that, the log stays readable, and nobody else is kept from connecting.
    let lines = redkeel.log().matches("TLS handshake failed").count();
    assert!((1..=30).contains(&lines), "{lines} lines");
    assert!(handshakes(&redkeel, "client", "failed") > 30);
    let mut client = Client::connect(address_over(&redkeel, &authority));
    assert_eq!(client.command(["PING"]), simple("PONG"));
}
