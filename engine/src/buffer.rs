//! Buffers that are taken from a pool when there is something to hold and given back when it is gone: a silent client holds none.

/// Buffers above this capacity are not kept: a burst is given back to the allocator.
const KEEP_CAPACITY: usize = 64 * 1024;
/// How many spare buffers are kept.
const KEEP_COUNT: usize = 512;
/// A buffer's first capacity.
const FIRST_CAPACITY: usize = 1024;
/// Sent bytes at the front of a buffer are cut off beyond this, once they are half of it.
const COMPACT_ABOVE: usize = 64 * 1024;

/// Spare buffers of one worker.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    spare: Vec<Vec<u8>>,
}

impl BufferPool {
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(FIRST_CAPACITY))
    }

    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > 0
            && buffer.capacity() <= KEEP_CAPACITY
            && self.spare.len() < KEEP_COUNT
        {
            buffer.clear();
            self.spare.push(buffer);
        }
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
}

impl Output {
    pub(crate) fn append(&mut self, bytes: &[u8], pool: &mut BufferPool) {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The buffer to append to with the writers of `resp`.
    pub(crate) fn buffer(&mut self, pool: &mut BufferPool) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
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
}

impl Requests {
    pub(crate) fn append(&mut self, bytes: &[u8], pool: &mut BufferPool) {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
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
        assert_eq!(pool.spare.len(), 1);
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
        assert!(pool.spare.is_empty());
    }
}
