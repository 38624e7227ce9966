//! Buffers that are taken from a pool when there is something to hold and given back when it is gone: a silent client holds none.

/// The smallest capacity of a buffer; each further size is twice the one before.
const FIRST_CAPACITY: usize = 1024;
/// How many sizes there are. A larger buffer is not kept: a burst is given back to the allocator.
const SIZES: usize = 7;
/// The capacity of the largest that are kept.
const KEEP_CAPACITY: usize = FIRST_CAPACITY << (SIZES - 1);
/// How much spare memory is kept of each size.
const KEEP_BYTES: usize = 1 << 20;
/// Sent bytes at the front of a buffer are cut off beyond this, once they are half of it.
const COMPACT_ABOVE: usize = 64 * 1024;

/// Spare buffers of one worker, by their sizes. Those that were used last are used first: they are in the processor's caches.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    spare: [Vec<Vec<u8>>; SIZES],
}

impl BufferPool {
    /// A buffer for so many bytes at least.
    #[inline]
    fn take(&mut self, len: usize) -> Vec<u8> {
        if len <= FIRST_CAPACITY
            && let Some(buffer) = self.spare[0].pop()
        {
            return buffer;
        }
        self.take_any(len)
    }

    fn take_any(&mut self, len: usize) -> Vec<u8> {
        let larger = (len.saturating_sub(1) / FIRST_CAPACITY).checked_ilog2();
        let size = larger.map_or(0, |larger| larger + 1);
        match self.spare.get_mut(size as usize) {
            Some(spare) => {
                spare.pop().unwrap_or_else(|| Vec::with_capacity(FIRST_CAPACITY << size))
            }
            None => Vec::with_capacity(len),
        }
    }

    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        // A smaller one came from elsewhere: it would have to grow whenever it is used.
        if !(FIRST_CAPACITY..=KEEP_CAPACITY).contains(&capacity) {
            return;
        }
        let size = (capacity / FIRST_CAPACITY).ilog2();
        let spare = &mut self.spare[size as usize];
        if spare.len() < (KEEP_BYTES / FIRST_CAPACITY) >> size {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// Appends to a buffer that has to be taken first if it is none yet.
    pub(crate) fn append(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        if buffer.capacity() == 0 {
            *buffer = self.take(bytes.len());
        }
        buffer.extend_from_slice(bytes);
    }
}

/// How much a buffer held when it was last given back: what it will probably hold the next time.
#[derive(Clone, Copy, Debug, Default)]
struct Usual(u32);

impl Usual {
    fn note(&mut self, len: usize) {
        self.0 = len.min(KEEP_CAPACITY) as u32;
    }

    /// Enough for these bytes and for what is usual.
    fn at_least(self, len: usize) -> usize {
        len.max(self.0 as usize)
    }
}

/// Replies on their way to a client: `[taken by the kernel | committed | not yet]`.
///
/// Bytes of a reply that is not complete are appended but not committed, so that they can be taken back if the node is
/// lost before its end.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    sent: usize,
    committed: usize,
    usual: Usual,
}

impl Output {
    pub(crate) fn append(&mut self, bytes: &[u8], pool: &mut BufferPool) {
        self.buffer(bytes.len(), pool).extend_from_slice(bytes);
    }

    /// The buffer, to append about `len` bytes.
    #[inline]
    pub(crate) fn buffer(&mut self, len: usize, pool: &mut BufferPool) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take(self.usual.at_least(len));
        }
        &mut self.bytes
    }

    /// What was appended may be sent.
    pub(crate) fn commit(&mut self) {
        self.committed = self.bytes.len();
    }

    /// Takes back what is not committed.
    pub(crate) fn rollback(&mut self) {
        self.bytes.truncate(self.committed);
    }

    pub(crate) fn uncommitted(&self) -> &[u8] {
        &self.bytes[self.committed..]
    }

    /// The last `len` bytes that were appended.
    pub(crate) fn tail(&self, len: usize) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(len)..]
    }

    /// Takes back the last `len` bytes that were appended.
    pub(crate) fn truncate_tail(&mut self, len: usize) {
        let end = self.bytes.len().saturating_sub(len).max(self.committed);
        self.bytes.truncate(end);
    }

    /// What may be sent now.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.sent..self.committed]
    }

    /// Everything held for the client, sent bytes apart.
    pub(crate) fn unsent(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Memory for them.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The kernel took `count` bytes.
    pub(crate) fn advance(&mut self, count: usize, pool: &mut BufferPool) {
        self.sent = (self.sent + count).min(self.committed);
        if self.sent == self.bytes.len() {
            self.usual.note(self.sent);
            pool.give(std::mem::take(&mut self.bytes));
            self.sent = 0;
            self.committed = 0;
        } else if self.sent > COMPACT_ABOVE && self.sent * 2 > self.bytes.len() {
            self.bytes.drain(..self.sent);
            self.committed -= self.sent;
            self.sent = 0;
        }
    }

    pub(crate) fn free(self, pool: &mut BufferPool) {
        pool.give(self.bytes);
    }
}

/// Requests on their way to a node: `[sent and unanswered | not yet taken by the kernel]`. What is answered leaves at the front.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    bytes: Vec<u8>,
    head: usize,
    sent: usize,
    usual: Usual,
}

impl Requests {
    pub(crate) fn append(&mut self, bytes: &[u8], pool: &mut BufferPool) {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take(self.usual.at_least(bytes.len()));
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Everything held, sent or not.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    pub(crate) fn advance(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.bytes.len());
    }

    /// The bytes from `offset` after the oldest unanswered one.
    pub(crate) fn slice(&self, offset: usize, len: usize) -> &[u8] {
        self.bytes.get(self.head + offset..self.head + offset + len).unwrap_or_default()
    }

    /// How many of the bytes held are sent.
    pub(crate) fn sent_len(&self) -> usize {
        self.sent.saturating_sub(self.head)
    }

    /// The oldest `len` bytes are answered.
    pub(crate) fn release(&mut self, len: usize, pool: &mut BufferPool) {
        self.head = (self.head + len).min(self.bytes.len());
        if self.head == self.bytes.len() && self.sent == self.bytes.len() {
            self.usual.note(self.sent);
            pool.give(std::mem::take(&mut self.bytes));
            self.head = 0;
            self.sent = 0;
        } else if self.head > COMPACT_ABOVE && self.head * 2 > self.bytes.len() {
            self.bytes.drain(..self.head);
            self.sent = self.sent.saturating_sub(self.head);
            self.head = 0;
        }
    }

    /// Drops the unsent bytes from `offset` on, `offset` counted from the oldest unanswered one.
    pub(crate) fn truncate(&mut self, offset: usize) {
        self.bytes.truncate((self.head + offset).max(self.sent));
    }

    pub(crate) fn free(self, pool: &mut BufferPool) {
        pool.give(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_reply_can_be_taken_back() {
        let mut pool = BufferPool::default();
        let mut output = Output::default();
        output.append(b"+OK\r\n", &mut pool);
        output.commit();
        output.append(b"$100\r\nab", &mut pool);
        assert_eq!(output.pending(), b"+OK\r\n");
        assert_eq!(output.tail(2), b"ab");
        output.rollback();
        assert_eq!(output.unsent(), 5);
        output.advance(5, &mut pool);
        assert_eq!(output.unsent(), 0);
        assert_eq!(pool.spare[0].len(), 1);
    }

    #[test]
    fn sent_requests_are_kept_until_they_are_answered() {
        let mut pool = BufferPool::default();
        let mut requests = Requests::default();
        requests.append(b"first", &mut pool);
        requests.append(b"second", &mut pool);
        requests.advance(7);
        assert_eq!(requests.unsent(), b"cond");
        assert_eq!(requests.sent_len(), 7);
        requests.release(5, &mut pool);
        assert_eq!(requests.slice(0, 6), b"second");
        assert_eq!(requests.sent_len(), 2);
        requests.advance(4);
        requests.release(6, &mut pool);
        assert_eq!(requests.len(), 0);
    }

    #[test]
    fn a_burst_is_not_kept() {
        let mut pool = BufferPool::default();
        pool.give(Vec::with_capacity(KEEP_CAPACITY * 2));
        pool.give(Vec::with_capacity(FIRST_CAPACITY / 2));
        assert!(pool.spare.iter().all(Vec::is_empty));
    }

    #[test]
    fn a_buffer_is_as_large_as_what_it_is_taken_for() {
        let mut pool = BufferPool::default();
        for len in [0, 1, 1024, 1025, 5000, 65_536, 65_537, 1_000_000] {
            let buffer = pool.take(len);
            assert!(buffer.capacity() >= len.max(FIRST_CAPACITY), "{len}");
            pool.give(buffer);
        }
        let kept: Vec<usize> = pool.spare.iter().map(Vec::len).collect();
        assert_eq!(kept, [1, 1, 0, 1, 0, 0, 1]);
        assert_eq!(pool.take(3000).capacity(), 4096);
        assert_eq!(pool.take(2000).capacity(), 2048);
        let kept: Vec<usize> = pool.spare.iter().map(Vec::len).collect();
        assert_eq!(kept, [1, 0, 0, 1, 0, 0, 1]);
    }

    #[test]
    fn what_was_usual_is_taken_at_once_the_next_time() {
        let mut pool = BufferPool::default();
        let mut output = Output::default();
        output.append(&[b'x'; 3000], &mut pool);
        output.commit();
        output.advance(3000, &mut pool);
        output.append(b"y", &mut pool);
        assert_eq!(output.capacity(), 4096);
        output.commit();
        output.advance(1, &mut pool);
        output.append(b"y", &mut pool);
        assert_eq!(output.capacity(), FIRST_CAPACITY);
    }
}
