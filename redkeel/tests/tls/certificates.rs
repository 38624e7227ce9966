//! Which certificates are believed, on both sides, and what the log says of the others.

use testkit::{Authority, Certificate, Client, RedisServer, Secure, simple};

use crate::common::{
    LOCAL, SOON, address_over, expecting, handshakes, proxy, ready, replicated, shown, trusting,
    wait_logged, why,
};

const DOWN: &str = " is down: ";
/// Redkeel warns that writes are held.
const HELD: &str = "writes are held";

/// Towards clients: one who must show a certificate, and shows these.
#[test]
fn clients_need_a_certificate_where_the_configuration_says_so() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let nodes = replicated(0);
    let client_ca = format!("client_ca = {:?}\n", authority.ca());
    let settings = shown(&authority.certificate(&LOCAL)) + &client_ca;
    let redkeel = ready(proxy(&nodes, &settings));
    let own = |certificate: Option<Certificate>| {
        let settings = config::ClientTls { certificate, ..authority.trust() };
        redkeel.address().over(&Secure::new(&settings))
    };
    let right = own(Some(authority.certificate(&["someone"])));
    let mut client = Client::connect(&right);
    assert_eq!(client.command(["PING"]), simple("PONG"));

    let cases = [
        (None, "the client shows no certificate"),
        (Some(authority.expired(&["someone"])), "the client shows a certificate that has expired"),
        (Some(foreign.certificate(&["someone"])), "that no authority of `client_ca` has signed"),
    ];
    for (number, (certificate, why)) in (1..).zip(cases) {
        // With TLS 1.3 a client learns of it with its first read.
        let refused = Client::try_connect(&own(certificate))
            .and_then(|mut client| client.try_command(["PING"]));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("alert"), "{refused}");
        let line = wait_logged(&redkeel, &["TLS handshake failed: ", why]);
        assert!(line.contains("\"pool\":\"main\"") && line.contains("127.0.0.1:"), "{line}");
        testkit::eventually(SOON, "the count", || {
            handshakes(&redkeel, "client", "failed") == number
        });
    }
    assert_eq!(client.command(["PING"]), simple("PONG"));
    assert_eq!(redkeel.status()["pools"][0]["clients"]["connected"], 1);
}

/// What clients make of the proxy's certificate is in its log as well.
#[test]
fn clients_that_refuse_the_certificate_are_logged() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let nodes = replicated(0);
    let redkeel = ready(proxy(&nodes, &shown(&authority.certificate(&LOCAL))));
    Client::try_connect(&address_over(&redkeel, &foreign)).unwrap_err();
    wait_logged(&redkeel, &["TLS handshake failed: the client refuses our certificate: UnknownCA"]);
    // Who does not speak TLS at all is told nothing that it could read.
    let mut plain = redkeel.client();
    plain.send(["PING"]);
    plain.expect_closed();
    wait_logged(&redkeel, &["TLS handshake failed: the client does not speak TLS"]);
}

/// Who asks for a name is shown the certificate for it (SNI); everyone else the first.
#[test]
fn the_certificate_is_chosen_by_name() {
    let authority = Authority::new();
    let nodes = replicated(0);
    let files = [
        authority.certificate(&LOCAL),
        authority.certificate(&["one.internal"]),
        authority.certificate(&["*.two.internal"]),
    ];
    let certs = files.each_ref().map(|files| &files.cert);
    let keys = files.each_ref().map(|files| &files.key);
    let settings = format!("[pool.main.tls]\ncert = {certs:?}\nkey = {keys:?}\n");
    let redkeel = ready(proxy(&nodes, &settings));
    let connect = |name: &str| {
        let settings =
            config::ClientTls { server_name: Some(name.to_owned()), ..authority.trust() };
        Client::try_connect(&redkeel.address().over(&Secure::new(&settings)))
    };
    for name in ["localhost", "127.0.0.1", "one.internal", "a.two.internal"] {
        let mut client = connect(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(client.command(["PING"]), simple("PONG"));
    }
    let error = connect("three.internal").unwrap_err().to_string();
    assert!(error.contains("NotValidForName") || error.contains("not valid for name"), "{error}");
}

/// One node, and a pool that is to refuse it with this reason.
#[track_caller]
fn refused(node: &RedisServer, settings: &str, reason: &str) {
    let nodes = [node];
    let redkeel = expecting(proxy(nodes, settings), &[reason, HELD]).start();
    let line = wait_logged(&redkeel, &["WARN", DOWN, reason]);
    assert!(line.contains(&node.address().to_string()), "{line}");
    assert!(why(&redkeel.status(), 0).contains(reason), "{}", redkeel.status());
    assert!(redkeel.status()["pools"][0]["primary"].is_null());
}

#[test]
fn nodes_with_a_wrong_certificate_are_not_used() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let node = |certificate: &Certificate| {
        RedisServer::builder().tls_with(&authority, certificate, "no").start()
    };
    let expired = node(&authority.expired(&LOCAL));
    refused(&expired, &trusting(&authority), "shows a certificate that has expired");
    let other = node(&authority.certificate(&["other.internal"]));
    refused(&other, &trusting(&authority), "shows a certificate for another name");
    refused(
        &other,
        &trusting(&foreign),
        "shows a certificate that no authority of `ca` has signed",
    );
    // Nor one of the system's authorities, which know nothing of ours.
    let system = "[pool.main.upstream]\ntls = {}\n";
    refused(&other, system, "shows a certificate that no authority of `ca` has signed");
    let plain = RedisServer::start();
    refused(&plain, &trusting(&authority), "does not answer, or does not speak TLS at this port");
    // And the other way round.
    let redkeel = expecting(proxy([&other], ""), &[DOWN, HELD]).start();
    wait_logged(&redkeel, &["WARN", DOWN]);
}

/// `server_name` says whom to expect; `verify = false` expects nothing, and says so at the start.
#[test]
fn server_name_and_verify() {
    let authority = Authority::new();
    let certificate = authority.certificate(&["other.internal"]);
    let node = RedisServer::builder().tls_with(&authority, &certificate, "no").start();
    let named = trusting(&authority) + "server_name = \"other.internal\"\n";
    let redkeel = ready(proxy([&node], &named));
    assert_eq!(redkeel.client().command(["SET", "key", "value"]), simple("OK"));
    let foreign = Authority::new();
    let wrong = trusting(&foreign) + "verify = false\n";
    let redkeel = proxy([&node], &wrong).expect_log("certificates are not verified");
    let redkeel = ready(redkeel);
    assert_eq!(redkeel.client().command(["PING"]), simple("PONG"));
    wait_logged(&redkeel, &["WARN", "certificates are not verified"]);
}

/// `tls-auth-clients yes`: the node asks for a certificate, and believes only its own authority's.
#[test]
fn nodes_that_ask_for_a_certificate_are_shown_ours() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let certificate = authority.certificate(&LOCAL);
    let node = RedisServer::builder().tls_with(&authority, &certificate, "yes").start();
    let own = |Certificate { cert, key }| {
        trusting(&authority) + &format!("cert = {cert:?}\nkey = {key:?}\n")
    };
    let redkeel = ready(proxy([&node], &own(authority.certificate(&["redkeel"]))));
    assert_eq!(redkeel.client().command(["SET", "key", "value"]), simple("OK"));
    refused(&node, &trusting(&authority), "asks for a certificate: set `cert` and `key`");
    refused(&node, &own(foreign.certificate(&["redkeel"])), "refuses our certificate: UnknownCA");
    refused(
        &node,
        &own(authority.expired(&["redkeel"])),
        "refuses our certificate: CertificateExpired",
    );
}

/// A file that is missing, or no certificate, is found before anything listens.
#[test]
fn unusable_files_are_found_by_check() {
    let (authority, folder) = (Authority::new(), testkit::Folder::new("check"));
    let (one, other) = (authority.certificate(&LOCAL), authority.certificate(&LOCAL));
    let check = |cert: &std::path::Path, key: &std::path::Path| {
        let text = format!(
            "[pool.main]\nlisten = \"127.0.0.1:0\"\nservers = [\"127.0.0.1:1\"]\n\
             [pool.main.tls]\ncert = {cert:?}\nkey = {key:?}\n"
        );
        let file = folder.write("redkeel.toml", &text);
        let check = std::process::Command::new(env!("CARGO_BIN_EXE_redkeel"))
            .arg("check")
            .arg(file)
            .output();
        let output = check.unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned()
                + &String::from_utf8_lossy(&output.stdout),
        )
    };
    assert_eq!(check(&one.cert, &one.key).0, Some(0));
    let not_pem = folder.write("not.pem", "nothing");
    let gone = folder.path().join("gone.pem");
    for (cert, key, said) in [
        (&one.cert, &other.key, "does not belong to the certificate"),
        (&gone, &one.key, "No such file"),
        (&not_pem, &one.key, "there is no certificate in"),
        (&one.cert, &not_pem, "there is no private key in"),
        (&one.cert, &one.cert, "there is no private key in"),
    ] {
        let (code, text) = check(cert, key);
        assert_eq!(code, Some(64), "{text}");
        assert!(text.contains(said), "{said}: {text}");
    }
}
