//! Scripts and functions that promise to change nothing.

use std::collections::HashSet;

use resp::{Value, ValueLimits};

/// What is looked at of a reply; more is not expected, nor kept.
const LIMITS: ValueLimits =
    ValueLimits { max_bytes: 1024 * 1024, max_elements: 100_000, max_depth: 8 };

/// Does the script's first line say so: `#!lua flags=no-writes`? (Redis, `evalExtractShebangFlags`.)
#[must_use]
pub fn is_no_writes(script: &[u8]) -> bool {
    let Some(end) = script.iter().position(|byte| *byte == b'\n') else {
        return false;
    };
    let mut words =
        script[..end].split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    script.starts_with(b"#!")
        && words.next() == Some(b"#!lua")
        && words
            .filter_map(|word| word.strip_prefix(b"flags="))
            .any(|flags| flags.split(|byte| *byte == b',').any(|flag| flag == b"no-writes"))
}

/// The names of those functions in a reply to FUNCTION LIST, in lower case: Redis tells no cases apart. None of what is
/// no such reply.
#[must_use]
pub fn reading_functions(reply: &[u8]) -> HashSet<Box<[u8]>> {
    let Ok(Some((Value::Array(libraries), _))) = Value::parse(reply, &LIMITS) else {
        return HashSet::new();
    };
    let functions = libraries.iter().filter_map(|library| field(library, b"functions")?.as_array());
    let reading = functions.flatten().filter_map(|function| {
        let flags = field(function, b"flags")?.as_array()?;
        let reads = flags.iter().any(|flag| flag.as_bytes() == Some(b"no-writes"));
        let name = field(function, b"name").filter(|_| reads)?.as_bytes()?;
        Some(name.to_ascii_lowercase().into())
    });
    reading.collect()
}

/// Of a map, which RESP2 writes as an array of names and values.
fn field<'a>(map: &'a Value, name: &[u8]) -> Option<&'a Value> {
    match map {
        Value::Map(pairs) => {
            pairs.iter().find(|(own, _)| own.as_bytes() == Some(name)).map(|(_, value)| value)
        }
        Value::Array(elements) => {
            let mut pairs = elements.chunks_exact(2);
            pairs.find(|pair| pair[0].as_bytes() == Some(name)).map(|pair| &pair[1])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_that_a_script_only_reads() {
        for script in [
            "#!lua flags=no-writes\nreturn 1",
            "#!lua  flags=allow-stale,no-writes \r\nreturn 1",
            "#!lua flags=allow-oom flags=no-writes\n",
        ] {
            assert!(is_no_writes(script.as_bytes()), "{script:?}");
        }
        for script in [
            "return 1",
            "",
            "#!lua flags=no-writes",
            "#!lua\nreturn 1 -- flags=no-writes\n",
            "#!lua flags=no-writes2\n",
            "#!js flags=no-writes\n",
            " #!lua flags=no-writes\n",
            "\n#!lua flags=no-writes\n",
            "#! lua flags=no-writes\n",
        ] {
            assert!(!is_no_writes(script.as_bytes()), "{script:?}");
        }
    }

    #[test]
    fn the_functions_that_only_read() {
        let resp2 = "*1\r\n*6\r\n$12\r\nlibrary_name\r\n$1\r\nl\r\n$6\r\nengine\r\n$3\r\nLUA\r\n$9\r\nfunctions\r\n\
            *2\r\n*6\r\n$4\r\nname\r\n$2\r\nF1\r\n$11\r\ndescription\r\n$-1\r\n$5\r\nflags\r\n*2\r\n+allow-oom\r\n+no-writes\r\n\
            *6\r\n$4\r\nname\r\n$2\r\nf2\r\n$11\r\ndescription\r\n$-1\r\n$5\r\nflags\r\n*0\r\n";
        let resp3 = "*1\r\n%3\r\n$12\r\nlibrary_name\r\n$1\r\nl\r\n$6\r\nengine\r\n$3\r\nLUA\r\n$9\r\nfunctions\r\n\
            *2\r\n%3\r\n$4\r\nname\r\n$2\r\nF1\r\n$11\r\ndescription\r\n_\r\n$5\r\nflags\r\n~2\r\n+allow-oom\r\n+no-writes\r\n\
            %3\r\n$4\r\nname\r\n$2\r\nf2\r\n$11\r\ndescription\r\n_\r\n$5\r\nflags\r\n~0\r\n";
        let expected: HashSet<Box<[u8]>> = [b"f1".as_slice().into()].into();
        for reply in [resp2, resp3] {
            assert_eq!(reading_functions(reply.as_bytes()), expected, "{reply:?}");
        }
        for other in
            ["-NOPERM no\r\n", "*0\r\n", "*1\r\n:1\r\n", "*1\r\n*1\r\n$4\r\nname\r\n", "*2\r\n", ""]
        {
            assert!(reading_functions(other.as_bytes()).is_empty(), "{other:?}");
        }
    }
}
