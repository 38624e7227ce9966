//! The ways in which a client can send a command.

use testkit::{Client, Value, error_text, simple};

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The node has had it.
    Ran,
    /// Refused, in these words.
    Refused(String),
}

pub(crate) fn outcome(reply: &Value) -> Outcome {
    match error_text(reply) {
        Some(error)
            if ["NOPERM", "NOAUTH"].iter().any(|code| error.starts_with(code))
                || error.contains("insufficient ACL")
                || error.contains("is refused by") =>
        {
            Outcome::Refused(error)
        }
        _ => Outcome::Ran,
    }
}

pub(crate) type Way = (&'static str, fn(&mut Client, &[&str]) -> Outcome);

/// Every one of them, with its name.
pub(crate) const WAYS: [Way; 7] = [
    ("alone", |client, line| outcome(&client.command(line))),
    ("in lower case", |client, line| {
        let name = line[0].to_ascii_lowercase();
        let line: Vec<&str> = [&*name].into_iter().chain(line[1..].iter().copied()).collect();
        outcome(&client.command(line))
    }),
    ("inline", |client, line| {
        client.send_raw(format!("{}\r\n", line.join(" ")).as_bytes());
        outcome(&client.receive())
    }),
    ("in a pipeline", |client, line| {
        let replies = client.pipeline([&["ECHO", "a"][..], line, &["ECHO", "b"]]);
        assert!(error_text(&replies[0]).is_none() && error_text(&replies[2]).is_none());
        outcome(&replies[1])
    }),
    ("behind HELLO", |client, line| {
        let replies = client.pipeline([&["HELLO", "2"][..], line]);
        outcome(&replies[1])
    }),
    ("in a whole transaction", |client, line| {
        let replies = client.pipeline([&["MULTI"][..], &["ECHO", "a"], line, &["EXEC"]]);
        ended(&replies[2], &replies[3])
    }),
    ("in an open transaction", |client, line| {
        assert_eq!(client.command(["MULTI"]), simple("OK"));
        assert_eq!(client.command(["ECHO", "a"]), simple("QUEUED"));
        let queued = client.command(line);
        let exec = client.command(["EXEC"]);
        ended(&queued, &exec)
    }),
];

/// A transaction of which something was refused runs nothing.
fn ended(queued: &Value, exec: &Value) -> Outcome {
    let outcome = outcome(queued);
    let aborted = error_text(exec).is_some_and(|error| error.starts_with("EXECABORT"));
    if outcome != Outcome::Ran {
        assert!(aborted, "{exec:?}");
    }
    outcome
}
