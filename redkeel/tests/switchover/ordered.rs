//! Ordered on the command line.

use std::process::{Command, Output};

use testkit::Redkeel;

use crate::common::{proxy, ready, replicated, role};

fn run(redkeel: &Redkeel, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_redkeel"))
        .arg("switchover")
        .args(arguments)
        .env("REDKEEL_ADMIN", redkeel.admin_address().to_string())
        .output()
        .unwrap()
}

#[test]
fn on_the_command_line() {
    let nodes = replicated(1);
    let redkeel = ready(proxy(&nodes, ""));
    let target = nodes[1].address().to_string();

    let refused = run(&redkeel, &["main", "--to", "127.0.0.1:1"]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("refused: 127.0.0.1:1 is not a node of the pool"), "{text}");

    let unknown = run(&redkeel, &["other"]);
    let text = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text.contains("there is no pool other"), "{text}");
    assert_eq!(run(&redkeel, &["a b"]).status.code(), Some(64));

    let done = run(&redkeel, &["main", "--to", &target]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&done.stderr));
    assert!(text.starts_with(&format!("pool main: {target} is the primary now, after")), "{text}");
    assert!(text.contains("writes were held for"), "{text}");
    assert_eq!(role(&nodes[1]), "master");

    let json = run(&redkeel, &["main", "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(answer["result"], "done", "{answer:#}");
}

#[test]
fn with_the_token_that_the_endpoint_demands() {
    let nodes = replicated(1);
    let settings =
        "listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"open sesame\"\n";
    let redkeel = ready(proxy(&nodes, settings));
    let refused = run(&redkeel, &["main"]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("wants the token of its [admin]: --token-file FILE"), "{text}");
    assert_eq!(redkeel.admin_post("/api/v1/pools/main/switchover", "").status, 401);
    let wrong = redkeel.folder().write("wrong", "open\n");
    assert_eq!(
        run(&redkeel, &["main", "--token-file", wrong.to_str().unwrap()]).status.code(),
        Some(1)
    );
    let empty = redkeel.folder().write("empty", "\n");
    let empty = run(&redkeel, &["main", "--token-file", empty.to_str().unwrap()]);
    assert_eq!(empty.status.code(), Some(64));
    assert_eq!(role(&nodes[0]), "master");
    // Whoever only looks needs none.
    assert_eq!(redkeel.admin_get("/api/v1/status").status, 200);

    let token = redkeel.folder().write("token", "open sesame\n");
    let done = run(&redkeel, &["main", "--token-file", token.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(role(&nodes[1]), "master");
}
