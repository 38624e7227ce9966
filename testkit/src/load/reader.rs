//! A client that reads what was set before the start.

use super::session::{Answer, Session, command};
use super::{LoadBuilder, read_key, tagged};

pub(super) fn turn(setup: &LoadBuilder, session: &mut Session<'_>, random: &mut fastrand::Rng) {
    let depth = random.usize(setup.pipeline.clone());
    let keys: Vec<String> = (0..depth).map(|_| read_key(random.usize(..setup.keys))).collect();
    let commands: Vec<_> = keys.iter().map(|key| command([b"GET", key.as_bytes()])).collect();
    if setup.close_one_in > 0 && random.usize(..setup.close_one_in) == 0 {
        return session.send_and_close(&commands);
    }
    session.exchange(&commands, |index, answer| {
        let Answer::Reply(reply) = answer else { return Ok(()) };
        if reply.as_bytes() == Some(&tagged(&keys[index], &setup.value_bytes)) {
            return Ok(());
        }
        Err(format!("GET {}: {}", keys[index], excerpt(reply)))
    });
}

/// The start of a reply, for a report.
pub(super) fn excerpt(reply: &resp::Value) -> String {
    match reply.as_bytes() {
        Some(text) => {
            let start = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
            format!("{start} ({} bytes)", text.len())
        }
        None => format!("{reply:.60?}"),
    }
}
