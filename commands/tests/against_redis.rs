//! The table against the installed redis-server.

use std::collections::BTreeMap;

use commands::{Categories, Command, all, keys, lookup};
use testkit::{Client, RedisServer, Value, error_text};

/// Commands of which newer servers take more arguments than the one that described them.
const WIDER: [&str; 5] =
    ["ZRANK", "ZREVRANK", "COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS", "CLUSTER REPLICATE"];
/// Flags of ours, which no server reports.
const OURS: [&str; 3] = ["may_replicate", "script", "idempotent"];

fn text(value: &Value) -> String {
    let bytes = value.as_bytes().expect("a string");
    String::from_utf8(bytes.to_vec()).expect("a name")
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

fn find(name: &str) -> Option<&'static Command> {
    match name.split_once(' ') {
        None => lookup(name.as_bytes()),
        Some((container, name)) => lookup(container.as_bytes())?.subcommand(name.as_bytes()),
    }
}

/// The server's commands and subcommands by their names in the table; modules' left out.
fn described(server: &RedisServer) -> BTreeMap<String, Vec<Value>> {
    let reply = server.cli(["COMMAND"]);
    let mut rows: Vec<&Value> = array(&reply).iter().collect();
    let mut found = BTreeMap::new();
    while let Some(row) = rows.pop() {
        let row = array(row);
        rows.extend(array(&row[9]));
        if !words(&row[2]).contains(&"module".to_owned()) {
            found.insert(text(&row[0]).to_uppercase().replace('|', " "), row.to_vec());
        }
    }
    found
}

fn words(value: &Value) -> Vec<String> {
    array(value).iter().map(text).collect()
}

#[test]
fn arity_flags_and_categories_are_the_servers() {
    let server = RedisServer::builder().unix_socket().start();
    let described = described(&server);
    assert!(described.len() > 300, "{}", described.len());
    for (name, row) in &described {
        let command = find(name).unwrap_or_else(|| panic!("{name} is missing"));
        let arity = i16::try_from(row[1].as_int().unwrap()).unwrap();
        if WIDER.contains(&name.as_str()) {
            assert!(
                command.arity < 0 && command.accepts(usize::from(arity.unsigned_abs())),
                "{name}"
            );
        } else {
            assert_eq!(command.arity, arity, "{name}");
        }
        let mut expected = words(&row[2]);
        if words(&row[6]).contains(&"@dangerous".to_owned()) {
            expected.push("dangerous".to_owned());
        }
        expected.sort();
        let mut flags: Vec<_> = command.flags.words().filter(|word| !OURS.contains(word)).collect();
        flags.sort_unstable();
        assert_eq!(flags, expected, "{name}");
        let mut categories = words(&row[6]);
        categories.sort();
        let mut ours: Vec<_> = command.categories.names().map(|name| format!("@{name}")).collect();
        ours.sort();
        assert_eq!(ours, categories, "{name}");
    }
    let known = words(&server.cli(["ACL", "CAT"]));
    assert!(Categories::all_names().all(|name| known.iter().any(|known| known == name)));
    assert_eq!(Categories::all_names().count(), known.len());
}

#[test]
fn containers_are_the_servers() {
    let server = RedisServer::builder().unix_socket().start();
    for (name, row) in described(&server) {
        let has = !array(&row[9]).is_empty();
        assert_eq!(find(&name).unwrap().has_subcommands(), has, "{name}");
    }
}

/// What COMMAND GETKEYS says; `None` where it refuses the line.
fn server_keys(client: &mut Client, line: &[String]) -> Option<Vec<String>> {
    let request = ["COMMAND", "GETKEYS"].into_iter().chain(line.iter().map(String::as_str));
    let reply = client.command(request);
    match error_text(&reply) {
        Some(error) if error.contains("no key arguments") => Some(Vec::new()),
        Some(_) => None,
        None => Some(words(&reply)),
    }
}

fn our_keys(command: &Command, line: &[String]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let outcome = keys(command, line.len(), |index| line[index].as_bytes(), &mut found);
    command.accepts(line.len()).then_some(())?;
    outcome.ok()?;
    Some(found.iter().map(|&index| line[index].clone()).collect())
}

/// Lines of every command, each argument a word of its own, with 0 to 4 arguments more than it
/// needs; of those that count their keys also with each number in each place.
fn generated() -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    for command in all().iter().filter(|command| !command.has_subcommands()) {
        let least = usize::from(command.arity.unsigned_abs());
        let most = if command.arity < 0 { least + 4 } else { least };
        for argc in least..=most {
            let name: Vec<String> = command.name.split(' ').map(str::to_owned).collect();
            let fill = (name.len()..argc).map(|index| format!("a{index}"));
            let line: Vec<String> = name.iter().cloned().chain(fill).collect();
            if command.flags.movablekeys() {
                for place in name.len()..argc.min(4) {
                    for number in ["-1", "0", "1", "2", "3", "x"] {
                        let mut line = line.clone();
                        line[place] = number.to_owned();
                        lines.push(line);
                    }
                }
            }
            lines.push(line);
        }
    }
    lines
}

/// What generated lines do not reach: keywords.
const LINES: &str = "\
EVAL x 0 a b
FCALL f 2 a b c
SORT a BY w_* LIMIT 0 5 GET # GET v_* DESC STORE d
SORT a STORE d STORE e
SORT a BY STORE GET STORE
SORT a STORE
SORT_RO a BY w_* GET v_*
GEORADIUS a 1 2 3 m
GEORADIUS a 1 2 3 m WITHDIST COUNT 5 STORE d
GEORADIUS a 1 2 3 m STOREDIST d DESC
GEORADIUSBYMEMBER a b 3 m STORE d
GEORADIUSBYMEMBER a STORE 3 m STOREDIST d
XREAD STREAMS a 0
XREAD COUNT 2 BLOCK 0 STREAMS a b 0 0
XREAD BLOCK 0 streams a 0
XREAD COUNT 2 a b
XREADGROUP GROUP g c STREAMS a >
XREADGROUP GROUP g c COUNT 1 NOACK STREAMS a b > >
XREADGROUP GROUP STREAMS c STREAMS a >
MIGRATE h 1 a 0 100
MIGRATE h 1 a 0 100 COPY REPLACE AUTH p
MIGRATE h 1 _ 0 100 KEYS a b
MIGRATE h 1 _ 0 100 COPY AUTH2 u p KEYS a b c
MIGRATE h 1 a 0 100 KEYS b c
ZUNION 2 a b WEIGHTS 1 2 AGGREGATE MAX
ZINTERSTORE d 2 a b WEIGHTS 1 2
BLMPOP 0 2 a b LEFT COUNT 3
MSET a 1 b 2 c 3
SET a b GET EX 5
BITFIELD a GET u8 0";

#[test]
fn keys_are_the_servers() {
    let server = RedisServer::builder().unix_socket().start();
    let described = described(&server);
    let mut client = server.client();
    let by_hand = LINES.lines().map(|line| {
        line.split(' ')
            .map(|word| if word == "_" { String::new() } else { word.to_owned() })
            .collect()
    });
    let (mut agreed, mut with_keys) = (0, 0);
    for line in generated().into_iter().chain(by_hand) {
        let command = lookup(line[0].as_bytes()).unwrap();
        let subcommand = line.get(1).and_then(|name| command.subcommand(name.as_bytes()));
        let command = subcommand.unwrap_or(command);
        // The server's GETKEYS wants an argument behind the name.
        let comparable = described.contains_key(command.name) && line.len() > 1;
        if !comparable || WIDER.contains(&command.name) {
            continue;
        }
        let (ours, theirs) = (our_keys(command, &line), server_keys(&mut client, &line));
        // Of a script with a wrong number of keys the server says that it has none.
        let ours = ours.or(command.flags.no_mandatory_keys().then(Vec::new));
        // The server counts streams before it looks whether there are as many identifiers.
        if ours.is_none() && line[0].starts_with("XREAD") {
            continue;
        }
        // PFMERGE needs no source, though its key specifications say so.
        if theirs.is_none() && line[0] == "PFMERGE" {
            continue;
        }
        assert_eq!(ours, theirs, "{line:?}");
        agreed += 1;
        with_keys += usize::from(theirs.is_some_and(|keys| !keys.is_empty()));
    }
    assert!(agreed > 900 && with_keys > 500, "{agreed} lines agreed, {with_keys} with keys");
}
