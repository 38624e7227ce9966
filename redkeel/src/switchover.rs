//! `redkeel switchover`: orders a planned change of primary, and tells how it went.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use admin::SwitchoverAnswer;
use anyhow::{Context, anyhow};

use crate::cli::SwitchoverArgs;
use crate::failure::Failure;
use crate::http::{self, Answer};
use crate::output::print;
use crate::status::endpoint;

/// Longer than the proxy takes to say that it is not clear how it ended.
const PATIENCE: Duration = Duration::from_secs(30);
/// The status code of a request that does not show the token.
const UNAUTHORIZED: u16 = 401;

/// Orders it, waits for its end and prints that.
pub(crate) fn switchover(args: &SwitchoverArgs) -> Result<(), Failure> {
    // Of a shard too, `POOL/SHARD`, whose name may be an address.
    if args.pool.is_empty() || !args.pool.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::usage(anyhow!("{:?} is no name of a pool", args.pool)));
    }
    let endpoint = endpoint(args.admin.clone(), std::env::var("REDKEEL_ADMIN").ok())?;
    let token = token(args.token_file.as_deref())?;
    let path = format!("/api/v1/pools/{}/switchover", in_path(&args.pool));
    let wish = serde_json::json!({ "to": args.to });
    let answer = http::post(&endpoint, &path, &wish.to_string(), token.as_deref(), PATIENCE);
    let Answer { code, body } = answer.with_context(|| {
        format!(
            "no answer from {endpoint}; is redkeel running, and is this its [admin] listen address? \
             --admin or REDKEEL_ADMIN names another"
        )
    })?;
    if code == UNAUTHORIZED {
        return Err(anyhow!(
            "{endpoint} wants the token of its [admin]: --token-file FILE, or REDKEEL_ADMIN_TOKEN"
        )
        .into());
    }
    let Ok(answer) = serde_json::from_str::<SwitchoverAnswer>(&body) else {
        return Err(anyhow!("{endpoint} answered: {}", body.trim_end()).into());
    };
    if args.json {
        print(&(body + "\n"))?;
    } else {
        print(&text(&answer))?;
    }
    match &answer.error {
        None => Ok(()),
        Some(why) => {
            Err(anyhow!("switchover of pool {} {}: {why}", answer.pool, answer.result).into())
        }
    }
}

/// As one segment of a path (RFC 3986, 2.3: what is unreserved stands for itself).
fn in_path(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'-' | b'_' | b'.' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// From the file, else from the environment; none where there is neither.
fn token(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let (token, from) = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file);
            let text = text.with_context(|| format!("cannot read {}", file.display()))?;
            (text.trim_end_matches(['\r', '\n']).to_owned(), file.display().to_string())
        }
        None => match std::env::var("REDKEEL_ADMIN_TOKEN") {
            Ok(token) => (token, "REDKEEL_ADMIN_TOKEN".to_owned()),
            Err(_) => return Ok(None),
        },
    };
    if token.is_empty() || token.contains(char::is_control) {
        return Err(Failure::usage(anyhow!("{from} has no token, or more than one line")));
    }
    Ok(Some(token))
}

fn text(answer: &SwitchoverAnswer) -> String {
    let mut text = String::new();
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "nobody".to_owned());
    let mut line = |line: String| {
        // A String takes everything.
        let written = writeln!(text, "{line}");
        debug_assert!(written.is_ok());
    };
    if answer.error.is_none() {
        line(format!(
            "pool {}: {} is the primary now, after {} ({})",
            answer.pool,
            name(&answer.to),
            name(&answer.from),
            answer.way
        ));
    }
    for step in &answer.steps {
        line(format!("  {:<10} {:>9.1} ms", step.name, step.seconds * 1e3));
    }
    if let Some(held) = answer.held_seconds {
        line(format!("  writes were held for {:.1} ms", held * 1e3));
    }
    for note in &answer.notes {
        line(format!("  note: {note}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shards_name_is_one_segment() {
        assert_eq!(in_path("main_1-a.b"), "main_1-a.b");
        assert_eq!(in_path("main/[::1]:6379"), "main%2F%5B%3A%3A1%5D%3A6379");
    }
}
