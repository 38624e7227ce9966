//! What Redkeel decides about a command is what Redis' own ACL decides: `ACL DRYRUN` is asked about every command there
//! is, with keys and channels that are allowed and some that are not.

use commands::{Grants, Rule};
use config::{Mode, Patterns, User};
use session::{Access, Call, Rejection, Rules, Way, classify};
use testkit::{Client, RedisServer, error_text, simple};
use topology::LearnedCommands;

fn user(rules: &[&str], keys: &[&str], channels: &[&str]) -> User {
    let rules: Vec<Rule> = rules.iter().map(|rule| Rule::parse(rule).unwrap()).collect();
    let patterns =
        |texts: &[&str]| Patterns::Some(texts.iter().map(|text| text.as_bytes().into()).collect());
    User {
        name: "u".to_owned(),
        passwords: Vec::new(),
        grants: Grants::of(&rules),
        keys: patterns(keys),
        channels: patterns(channels),
    }
}

/// The same user on a server.
fn set_user(client: &mut Client, rules: &[&str], keys: &[&str], channels: &[&str]) {
    let mut command = vec!["ACL".to_owned(), "SETUSER".to_owned(), "u".to_owned()];
    command.extend(["reset", "on", "resetchannels"].map(str::to_owned));
    command.extend(rules.iter().map(|rule| (*rule).to_owned()));
    command.extend(keys.iter().map(|key| format!("~{key}")));
    command.extend(channels.iter().map(|channel| format!("&{channel}")));
    assert_eq!(client.command(command), simple("OK"));
}

fn decision(user: &User, line: &[String]) -> Way {
    let mut bytes = Vec::new();
    let words: Vec<&[u8]> = line.iter().map(String::as_bytes).collect();
    resp::write_command(&mut bytes, &words);
    let mut scanner = resp::RequestScanner::new();
    scanner.scan(&bytes, &resp::Limits::default()).unwrap();
    let learned = LearnedCommands::new();
    let rules =
        Rules { mode: Mode::Write, refuse: &[], learned: &learned, access: Access::User(user) };
    classify(Call::new(&bytes, scanner.args()), &rules).0
}

fn may(user: &User, line: &[String]) -> bool {
    !matches!(
        decision(user, line),
        Way::Reject(
            Rejection::Command { .. } | Rejection::Key | Rejection::Channel | Rejection::Arity
        )
    )
}

/// `None`: not even the number of its arguments is right.
fn server_may(client: &mut Client, line: &[String]) -> Option<bool> {
    let dry = ["ACL", "DRYRUN", "u"].into_iter().chain(line.iter().map(String::as_str));
    let reply = client.command(dry);
    match error_text(&reply) {
        Some(error) if error.contains("wrong number") || error.contains("not found") => None,
        Some(error) => panic!("{line:?}: {error}"),
        None => Some(reply == simple("OK")),
    }
}

/// Lines of every command, each argument one of `words` by turns, so that every key is now this and now that.
fn lines(words: &[&str]) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    for command in commands::all().iter().filter(|command| !command.has_subcommands()) {
        let name: Vec<String> = command.name.split(' ').map(str::to_owned).collect();
        let least = usize::from(command.arity.unsigned_abs());
        let most = if command.arity < 0 { least + 3 } else { least };
        for argc in least..=most {
            for turn in 0..words.len() {
                let word = |index: usize| words[(turn + index * index) % words.len()].to_owned();
                let line: Vec<String> =
                    name.iter().cloned().chain((name.len()..argc).map(word)).collect();
                if command.flags.movablekeys() {
                    for place in name.len()..argc {
                        for number in ["1", "2", "STREAMS", "STORE"] {
                            let mut line = line.clone();
                            line[place] = number.to_owned();
                            lines.push(line);
                        }
                    }
                }
                lines.push(line);
            }
        }
    }
    lines
}

#[test]
fn every_command_is_decided_as_redis_decides() {
    let server = RedisServer::builder().unix_socket().start();
    let mut client = server.client();
    let mut compared = 0;
    for rules in [
        &["+@all", "+@dangerous", "+@scripting"][..],
        &["+@read", "-@dangerous", "-@scripting"],
        &[
            "+@write",
            "-@dangerous",
            "-@scripting",
            "+config|get",
            "-object|freq",
            "+client",
            "-client|kill",
        ],
        &["+get", "+set", "+mset", "+zunionstore", "+publish", "+psubscribe", "+xread"],
    ] {
        let (keys, channels) = (["ok:*", "[ab]?"], ["ok:*", "news"]);
        set_user(&mut client, rules, &keys, &channels);
        let user = user(rules, &keys, &channels);
        for line in lines(&["ok:1", "ax", "no", "news", "cx"]) {
            // Neither is a question of what Redis' ACL says.
            if line[0] == "SORT" || line[0] == "SORT_RO" {
                continue;
            }
            let Some(theirs) = server_may(&mut client, &line) else { continue };
            let ours = may(&user, &line);
            // Where the keys cannot be found Redis lets the command fail by itself.
            let known = commands::lookup(line[0].as_bytes()).unwrap();
            let known =
                line.get(1).and_then(|sub| known.subcommand(sub.as_bytes())).unwrap_or(known);
            let mut keys = Vec::new();
            if commands::keys(known, line.len(), |index| line[index].as_bytes(), &mut keys).is_err()
            {
                assert!(theirs || !ours, "{rules:?} {line:?}");
                continue;
            }
            // Redis 7.0 finds no key where the second of two places is empty, and lets it run.
            // Nor any before the fifth argument of XREADGROUP, whose options it does not read.
            if line[0] == "PFMERGE" && line.len() == 2 || line[0] == "XREADGROUP" {
                assert!(theirs || !ours, "{rules:?} {line:?}");
                continue;
            }
            assert_eq!(ours, theirs, "{rules:?} {line:?}");
            compared += 1;
        }
    }
    assert!(compared > 5_000, "{compared}");
}

#[test]
fn patterns_match_as_redis_matches() {
    let server = RedisServer::builder().unix_socket().start();
    let mut client = server.client();
    let mut random = fastrand::Rng::with_seed(11);
    let mut matched = 0;
    for _ in 0..400 {
        let mut text = |signs: &[u8], most: usize| -> String {
            (0..random.usize(1..most)).map(|_| char::from(*random.choice(signs).unwrap())).collect()
        };
        let pattern = text(b"abc**?[]^-\\", 8);
        let rules = ["+get"];
        set_user(&mut client, &rules, &[&pattern], &[]);
        let user = user(&rules, &[&pattern], &[]);
        for _ in 0..40 {
            let line = ["GET".to_owned(), text(b"abc*[]^-\\", 6)];
            let theirs = server_may(&mut client, &line).unwrap();
            // A pattern `*` alone is another thing: all keys.
            let ours = may(&user, &line) || pattern == "*";
            assert_eq!(ours, theirs, "{pattern} {line:?}");
            matched += u32::from(ours);
        }
    }
    assert!(matched > 500, "{matched}");
}
