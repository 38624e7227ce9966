//! A blocked command that is issued again waits only for what is left of its time.

use std::time::Duration;

use commands::Unit;

use crate::Call;

/// `call` with its timeout reduced by `elapsed`, appended to `out` as a request. A command that waits forever, or
/// whose timeout cannot be read, is copied as it is. The least that remains is a millisecond, since 0 means forever.
pub fn with_remaining(call: Call<'_>, elapsed: Duration, out: &mut Vec<u8>) {
    let timeout = commands::lookup(call.name())
        .and_then(|command| commands::blocks(command, call.len(), |index| call.arg(index)))
        .and_then(|block| Some((block.timeout_arg, block.unit, block.timeout?)));
    let args: Vec<&[u8]> = (0..call.len()).map(|index| call.arg(index)).collect();
    let Some((index, unit, timeout)) = timeout else {
        return resp::write_command(out, &args);
    };
    let left = timeout.saturating_sub(elapsed).max(Duration::from_millis(1));
    let text = match unit {
        Unit::Seconds => format!("{:.3}", left.as_secs_f64()),
        Unit::Millis => left.as_millis().to_string(),
    };
    let mut args = args;
    if let Some(arg) = args.get_mut(index) {
        *arg = text.as_bytes();
    }
    resp::write_command(out, &args);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::with_call;

    fn remaining(line: &str, elapsed_ms: u64) -> String {
        let mut out = Vec::new();
        with_call(line, |call| with_remaining(call, Duration::from_millis(elapsed_ms), &mut out));
        let mut scanner = resp::RequestScanner::new();
        scanner.scan(&out, &resp::Limits::default()).unwrap();
        let call = Call::new(&out, scanner.args());
        let words: Vec<_> =
            (0..call.len()).map(|i| String::from_utf8_lossy(call.arg(i)).into_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn seconds_and_milliseconds_are_reduced_and_forever_stays() {
        assert_eq!(remaining("BLPOP k 10", 2500), "BLPOP k 7.500");
        assert_eq!(remaining("XREAD BLOCK 1000 STREAMS s $", 400), "XREAD BLOCK 600 STREAMS s $");
        assert_eq!(remaining("BLPOP k 0", 5000), "BLPOP k 0");
        assert_eq!(remaining("BLPOP k 1", 5000), "BLPOP k 0.001");
    }
}
