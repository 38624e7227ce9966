//! Whatever a node answers, it is read or refused; never a panic.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use proptest::prelude::*;
use resp::Value;
use topology::{Learned, Process, Replication, RoleReply, Serving, printable};

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        "(master|slave|sentinel|connected|sync|NOAUTH x|LOADING|readonly)"
            .prop_map(String::into_bytes),
    ];
    let leaf = prop_oneof![
        text.clone().prop_map(Value::Bulk),
        text.clone().prop_map(Value::Simple),
        text.prop_map(Value::Error),
        any::<i64>().prop_map(Value::Integer),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 30, 8, |inner| {
        proptest::collection::vec(inner, 0..8).prop_map(Value::Array)
    })
}

/// Lines as INFO has them, with wrong values.
fn info() -> impl Strategy<Value = String> {
    let field = "(role|master_replid|master_replid2|second_repl_offset|master_repl_offset|\
                 slave_repl_offset|master_link_status|master_sync_in_progress|run_id|redis_version|x)";
    let value = "(master|slave|up|down|-?[0-9]{1,25}|[a-f0-9]{40}|0{40}|[ -~]{0,12}|é)";
    let line = (field, ":|", value, "\r?\n|\r");
    let line = line.prop_map(|(field, colon, value, end)| format!("{field}{colon}{value}{end}"));
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_reply_is_read_or_refused(value in value(), names in 0usize..4) {
        let _ = RoleReply::parse(&value);
        let _ = Replication::parse(&value);
        let _ = Process::parse(&value);
        let _ = Serving::parse(&value);
        if let Some(learned) = Learned::parse_all(&value, names) {
            prop_assert_eq!(learned.len(), names);
        }
    }

    #[test]
    fn any_info_is_read_or_refused(text in info()) {
        let value = Value::Bulk(text.clone().into_bytes());
        if let Ok(replication) = Replication::parse(&value) {
            let id = format!("{:?}", replication.lineage.id);
            let line = format!("master_replid:{id}");
            prop_assert!(text.contains(&line));
            prop_assert_eq!(replication.link.is_none(), text.contains("role:master"));
        }
        if let Ok(process) = Process::parse(&value) {
            prop_assert!(!process.run_id.is_empty() && process.run_id.len() <= 120);
        }
    }

    #[test]
    fn a_text_for_the_log_is_short_and_printable(text: Vec<u8>) {
        let printed = printable(&text);
        prop_assert!(printed.len() <= 120);
        prop_assert!(printed.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
}
