//! A command as it came: its bytes and where its arguments are.

use resp::ArgRange;

/// One multibulk request, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    bytes: &'a [u8],
    args: &'a [ArgRange],
    announced: usize,
}

impl<'a> Call<'a> {
    /// `args` are ranges of `bytes`, as `resp::RequestScanner` gives them.
    pub fn new(bytes: &'a [u8], args: &'a [ArgRange]) -> Self {
        Self { bytes, args, announced: args.len() }
    }

    /// One whose arguments have not all come; so many are announced.
    pub fn begun(bytes: &'a [u8], args: &'a [ArgRange], announced: u32) -> Self {
        Self { bytes, args, announced: args.len().max(announced as usize) }
    }

    /// How many arguments it will have when all of it has come.
    pub fn announced(&self) -> usize {
        self.announced
    }

    /// How many arguments have come, the name included.
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// No arguments: a request that Redis ignores.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// Argument `index`, the name being 0; empty where there is none.
    pub fn arg(&self, index: usize) -> &'a [u8] {
        self.args
            .get(index)
            .and_then(|range| self.bytes.get(range.start as usize..range.end as usize))
            .unwrap_or_default()
    }

    /// Arguments as they were sent, each with its header and its end.
    pub fn raw(&self, from: usize, to: usize) -> Option<&'a [u8]> {
        let before = self.args.get(from.checked_sub(1)?)?;
        let last = self.args.get(to.checked_sub(1)?)?;
        self.bytes.get(before.end as usize + 2..last.end as usize + 2)
    }

    /// The name as sent.
    pub fn name(&self) -> &'a [u8] {
        self.arg(0)
    }

    /// The arguments after the name.
    pub fn rest(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        (1..self.len()).map(|index| self.arg(index))
    }
}

/// Hands the words of `line`, as a request, to a test.
#[cfg(test)]
pub(crate) fn with_call<T>(line: &str, check: impl FnOnce(Call<'_>) -> T) -> T {
    let mut bytes = Vec::new();
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    resp::write_command(&mut bytes, &words);
    let mut scanner = resp::RequestScanner::new();
    scanner.scan(&bytes, &resp::Limits::default()).unwrap();
    check(Call::new(&bytes, scanner.args()))
}
