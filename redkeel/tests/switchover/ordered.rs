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
    assert_eq!(run(&redkeel, &["a/b"]).status.code(), Some(64));

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
