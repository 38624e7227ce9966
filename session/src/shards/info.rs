//! INFO of several shards: what counts is added, everything else is the first shard's.

use std::collections::HashMap;

use resp::Protocol;

use super::parts::string;

/// Fields that are amounts, so that those of all shards together are their sum.
const AMOUNTS: [&str; 32] = [
    "tracking_clients",
    "clients_in_timeout_table",
    "used_memory",
    "used_memory_rss",
    "used_memory_peak",
    "used_memory_overhead",
    "used_memory_startup",
    "used_memory_dataset",
    "used_memory_scripts",
    "maxmemory",
    "mem_clients_normal",
    "rdb_changes_since_last_save",
    "total_connections_received",
    "total_commands_processed",
    "instantaneous_ops_per_sec",
    "total_net_input_bytes",
    "total_net_output_bytes",
    "instantaneous_input_kbps",
    "instantaneous_output_kbps",
    "rejected_connections",
    "sync_full",
    "sync_partial_ok",
    "sync_partial_err",
    "expired_keys",
    "evicted_keys",
    "keyspace_hits",
    "keyspace_misses",
    "pubsub_channels",
    "total_error_replies",
    "total_reads_processed",
    "total_writes_processed",
    "connected_slaves",
];

/// Of a database (`db0:keys=1,expires=0,avg_ttl=0`), what is no amount, and what it is weighed by.
const EXPIRES: &str = "expires";
const AVERAGE: &str = "avg_ttl";

pub(super) fn merge(replies: &[&[u8]], protocol: Protocol, out: &mut Vec<u8>) -> Option<()> {
    let texts: Vec<&str> = replies
        .iter()
        .map(|reply| std::str::from_utf8(string(reply)?).ok())
        .collect::<Option<_>>()?;
    let first = *texts.first()?;
    let mut sums: HashMap<&str, f64> = HashMap::new();
    let mut databases: Vec<(&str, Database<'_>)> = Vec::new();
    for (name, value) in texts.iter().flat_map(|text| fields(text)) {
        if let Some(database) = Database::parse(name, value) {
            match databases.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => sum.add(&database),
                None => databases.push((name, database)),
            }
        } else if AMOUNTS.contains(&name)
            && let Ok(number) = value.parse::<f64>()
        {
            *sums.entry(name).or_default() += number;
        }
    }
    databases.sort_by_key(|(name, _)| name[2..].parse::<u32>().unwrap_or(u32::MAX));
    let mut text = String::with_capacity(first.len());
    for line in first.split_inclusive("\r\n") {
        let field = line.trim_end().split_once(':');
        match field {
            Some((name, value)) if Database::parse(name, value).is_some() => {}
            Some((name, value)) if sums.contains_key(name) => {
                let digits = value.split_once('.').map_or(0, |(_, digits)| digits.len());
                let sum = sums.get(name).copied().unwrap_or_default();
                text.push_str(&format!("{name}:{sum:.digits$}\r\n"));
            }
            _ => text.push_str(line),
        }
        if line.trim_end() == "# Keyspace" {
            for (name, database) in &databases {
                text.push_str(&format!("{name}:{database}\r\n"));
            }
        }
    }
    resp::write_verbatim(out, text.as_bytes(), protocol);
    Some(())
}

fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once(':'))
}

/// What INFO says of one database, by name; what a newer server adds stays in its place.
struct Database<'a> {
    fields: Vec<(&'a str, u64)>,
}

impl<'a> Database<'a> {
    fn parse(name: &str, value: &'a str) -> Option<Self> {
        let number = name.strip_prefix("db")?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let field = |field: &'a str| {
            let (name, number) = field.split_once('=')?;
            Some((name, number.parse().ok()?))
        };
        let fields = value.split(',').map(field).collect::<Option<_>>()?;
        Some(Self { fields })
    }

    fn get(&self, name: &str) -> u64 {
        self.fields.iter().find(|(own, _)| *own == name).map_or(0, |(_, number)| *number)
    }

    fn add(&mut self, other: &Self) {
        // The average is of the keys that expire.
        let expires = self.get(EXPIRES).saturating_add(other.get(EXPIRES));
        let weighed =
            |database: &Self| u128::from(database.get(AVERAGE)) * u128::from(database.get(EXPIRES));
        let average = (weighed(self) + weighed(other)).checked_div(u128::from(expires));
        for (name, number) in &mut self.fields {
            *number = match *name {
                AVERAGE => average.and_then(|own| u64::try_from(own).ok()).unwrap_or_default(),
                _ => number.saturating_add(other.get(name)),
            };
        }
    }
}

impl std::fmt::Display for Database<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, number)) in self.fields.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{name}={number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_added_and_the_rest_is_the_first_shards() {
        let reply = |text: &str| {
            let mut out = Vec::new();
            resp::write_verbatim(&mut out, text.as_bytes(), Protocol::Resp3);
            out
        };
        let one = "# Server\r\nredis_version:7.0.15\r\nrun_id:a\r\n\r\n# Stats\r\nexpired_keys:1\r\n\
                   instantaneous_input_kbps:0.50\r\n\r\n# Keyspace\r\ndb0:keys=1,expires=1,avg_ttl=10\r\n\
                   db3:keys=5,expires=0,avg_ttl=0\r\n";
        let other = "# Server\r\nredis_version:7.0.15\r\nrun_id:b\r\n\r\n# Stats\r\nexpired_keys:41\r\n\
                     instantaneous_input_kbps:0.25\r\n\r\n# Keyspace\r\ndb0:keys=3,expires=3,avg_ttl=50\r\n\
                     db2:keys=7,expires=0,avg_ttl=0\r\n";
        let mut out = Vec::new();
        merge(&[&reply(one), &reply(other)], Protocol::Resp2, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = "# Server\r\nredis_version:7.0.15\r\nrun_id:a\r\n\r\n# Stats\r\nexpired_keys:42\r\n\
                        instantaneous_input_kbps:0.75\r\n\r\n# Keyspace\r\ndb0:keys=4,expires=4,avg_ttl=40\r\n\
                        db2:keys=7,expires=0,avg_ttl=0\r\ndb3:keys=5,expires=0,avg_ttl=0\r\n";
        assert_eq!(text, format!("${}\r\n{expected}\r\n", expected.len()));
    }
}
