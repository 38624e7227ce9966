//! What stands before the keys of `XREAD` and `XREADGROUP`.

/// Where the interesting options are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Index of the argument behind `BLOCK`.
    pub(crate) timeout: Option<usize>,
    /// Index of the argument behind `STREAMS`.
    pub(crate) keys: Option<usize>,
}

/// Walks over the options as the server does (t_stream.c `xreadCommand`): the value of an option
/// may look like another option. A word that no server has yet is passed over, so that a `BLOCK`
/// behind it is still seen.
pub(crate) fn options<'a>(argc: usize, arg: &impl Fn(usize) -> &'a [u8]) -> Options {
    const WITH_VALUE: [&[u8]; 4] = [b"COUNT", b"CLAIM", b"MAXCOUNT", b"MAXSIZE"];
    let mut options = Options::default();
    let mut index = 1;
    while index + 1 < argc {
        let word = arg(index);
        let is = |option: &[u8]| word.eq_ignore_ascii_case(option);
        index += if is(b"STREAMS") {
            options.keys = Some(index + 1);
            break;
        } else if is(b"BLOCK") {
            options.timeout = Some(index + 1);
            2
        } else if is(b"GROUP") {
            3
        } else if WITH_VALUE.iter().any(|option| is(option)) {
            2
        } else {
            1
        };
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(line: &str) -> Options {
        let words: Vec<&str> = line.split(' ').collect();
        options(words.len(), &|index| words[index].as_bytes())
    }

    #[test]
    fn finds_block_and_streams() {
        let found = |timeout, keys| Options { timeout, keys };
        assert_eq!(walk("XREAD STREAMS a 0"), found(None, Some(2)));
        assert_eq!(walk("XREAD count 2 block 5 streams a 0"), found(Some(4), Some(6)));
        assert_eq!(walk("XREADGROUP GROUP g c NOACK BLOCK 0 STREAMS a >"), found(Some(6), Some(8)));
        assert_eq!(walk("XREAD MAXCOUNT 1 MAXSIZE 2 BLOCK 0 STREAMS a 0"), found(Some(6), Some(8)));
    }

    #[test]
    fn values_are_not_options() {
        let found = |timeout, keys| Options { timeout, keys };
        assert_eq!(walk("XREADGROUP GROUP block streams STREAMS k >"), found(None, Some(5)));
        assert_eq!(walk("XREAD COUNT BLOCK STREAMS k 0"), found(None, Some(4)));
    }

    #[test]
    fn an_unknown_option_does_not_hide_block() {
        let found = Options { timeout: Some(4), keys: Some(6) };
        assert_eq!(
            walk("XREAD NEWOPTION 7 BLOCK 0 STREAMS a 0"),
            Options { timeout: Some(4), ..found }
        );
    }

    #[test]
    fn an_option_without_a_value_is_none() {
        assert_eq!(walk("XREAD STREAMS"), Options::default());
        assert_eq!(walk("XREAD BLOCK"), Options::default());
        assert_eq!(walk("XREAD"), Options::default());
    }
}
