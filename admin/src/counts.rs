//! The workers' counters: asked for by mail, waited for without blocking, summed.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use topology::{Mail, NodeCounts, NodeId, PoolCounts, WorkerCounts, Workers};

/// How long a page waits for the workers' answers. A worker reads its mail once a turn, so a healthy
/// one answers within a millisecond or so.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks for answers: it doubles from the first to the last.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(16);

/// What the workers counted, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    /// The sum over the workers. One that did not answer is in it with its last answer, so that a
    /// counter never falls.
    pub(crate) sum: WorkerCounts,
    /// By worker: did it answer?
    pub(crate) answered: Vec<bool>,
}

/// Asks the workers and remembers what each said last.
#[derive(Debug)]
pub(crate) struct Counters {
    workers: Vec<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    last: WorkerCounts,
    /// Its answer to a letter that was not answered in time. It gets no other until then, so that the
    /// mailbox of a worker that hangs does not grow with each request.
    overdue: Option<Receiver<WorkerCounts>>,
}

impl Counters {
    /// For this many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(|_| Asked::default()).collect() }
    }

    /// Asks all workers and waits for their answers, at most [`PATIENCE`].
    pub(crate) async fn ask(&mut self, workers: &Workers) -> Counted {
        let mut waiting: Vec<Option<Receiver<WorkerCounts>>> = Vec::new();
        for (asked, worker) in self.workers.iter_mut().zip(workers) {
            waiting.push(Some(asked.overdue.take().unwrap_or_else(|| {
                let (sender, receiver) = channel();
                worker.send(Mail::Counts(sender));
                receiver
            })));
        }
        let mut answered = vec![false; waiting.len()];
        let mut look = FIRST_LOOK;
        let mut waited = Duration::ZERO;
        loop {
            for (index, slot) in waiting.iter_mut().enumerate() {
                let Some(receiver) = slot else { continue };
                match receiver.try_recv() {
                    Ok(counts) => {
                        self.workers[index].last = counts;
                        answered[index] = true;
                        *slot = None;
                    }
                    // The letter was dropped: the worker has ended.
                    Err(TryRecvError::Disconnected) => *slot = None,
                    Err(TryRecvError::Empty) => {}
                }
            }
            if waiting.iter().all(Option::is_none) || waited >= PATIENCE {
                break;
            }
            tokio::time::sleep(look).await;
            waited += look;
            look = (look * 2).min(LAST_LOOK);
        }
        for (asked, slot) in self.workers.iter_mut().zip(waiting) {
            asked.overdue = slot;
        }
        Counted { sum: sum(self.workers.iter().map(|asked| &asked.last)), answered }
    }
}

/// The sum of several workers' counters.
fn sum<'a>(workers: impl Iterator<Item = &'a WorkerCounts>) -> WorkerCounts {
    let mut sum = WorkerCounts::default();
    for worker in workers {
        if sum.pools.len() < worker.pools.len() {
            sum.pools.resize_with(worker.pools.len(), PoolCounts::default);
        }
        for (total, pool) in sum.pools.iter_mut().zip(&worker.pools) {
            add_pool(total, pool);
        }
    }
    sum
}

fn add<const N: usize>(total: &mut [u64; N], counts: &[u64; N]) {
    for (total, count) in total.iter_mut().zip(counts) {
        *total += count;
    }
}

/// Adds every field. One that is new in [`PoolCounts`] stops the compiler here: give it a metric as well.
fn add_pool(total: &mut PoolCounts, pool: &PoolCounts) {
    let PoolCounts {
        clients,
        clients_total,
        clients_refused_total,
        clients_denied_total,
        clients_headerless_total,
        login_failures_total,
        logins_refused_total,
        tls_clients_total,
        tls_nodes_total,
        clients_slow_closed_total,
        reads_total,
        writes_total,
        client_bytes_in_total,
        client_bytes_out_total,
        errors_total,
        held,
        held_bytes,
        held_requests,
        held_total,
        retries_total,
        retries_refused_total,
        pinned,
        subscription_gaps_total,
        stray_pushes_total,
        mirrors_total,
        mirrors_dropped_total,
        latency,
        nodes,
    } = pool;
    total.clients += clients;
    total.clients_total += clients_total;
    total.clients_refused_total += clients_refused_total;
    total.clients_denied_total += clients_denied_total;
    total.clients_headerless_total += clients_headerless_total;
    total.login_failures_total += login_failures_total;
    total.logins_refused_total += logins_refused_total;
    total.clients_slow_closed_total += clients_slow_closed_total;
    total.reads_total += reads_total;
    total.writes_total += writes_total;
    total.client_bytes_in_total += client_bytes_in_total;
    total.client_bytes_out_total += client_bytes_out_total;
    add(&mut total.errors_total, errors_total);
    add(&mut total.tls_clients_total, tls_clients_total);
    add(&mut total.tls_nodes_total, tls_nodes_total);
    total.held += held;
    total.held_bytes += held_bytes;
    total.held_requests += held_requests;
    total.held_total += held_total;
    total.retries_total += retries_total;
    total.retries_refused_total += retries_refused_total;
    total.pinned += pinned;
    total.subscription_gaps_total += subscription_gaps_total;
    total.stray_pushes_total += stray_pushes_total;
    total.mirrors_total += mirrors_total;
    total.mirrors_dropped_total += mirrors_dropped_total;
    add_latency(&mut total.latency, latency);
    for (id, node) in nodes {
        match total.nodes.iter_mut().find(|(known, _)| known == id) {
            Some((_, total)) => add_node(total, node),
            None => total.nodes.push((*id, node.clone())),
        }
    }
}

/// Adds every field. One that is new in [`NodeCounts`] stops the compiler here: give it a metric as well.
fn add_node(total: &mut NodeCounts, node: &NodeCounts) {
    let NodeCounts {
        commands_total,
        errors_total,
        in_flight,
        lanes,
        pinned,
        connects_total,
        connect_failures_total,
        lost_total,
        bytes_out_total,
        bytes_in_total,
        latency,
    } = node;
    total.commands_total += commands_total;
    total.errors_total += errors_total;
    total.in_flight += in_flight;
    total.lanes += lanes;
    total.pinned += pinned;
    total.connects_total += connects_total;
    total.connect_failures_total += connect_failures_total;
    total.lost_total += lost_total;
    total.bytes_out_total += bytes_out_total;
    total.bytes_in_total += bytes_in_total;
    add_latency(&mut total.latency, latency);
}

fn add_latency(total: &mut histogram::Histogram, latency: &histogram::Histogram) {
    // Fails only on a different configuration (all are made by `latency_histogram`) or past 2^64.
    let added = total.checked_add_assign(latency);
    debug_assert!(added.is_ok(), "histograms of one kind add up");
}

/// The counters of one node in a pool's, if any worker knows the node.
pub(crate) fn node(pool: &PoolCounts, id: NodeId) -> Option<&NodeCounts> {
    pool.nodes.iter().find(|(known, _)| *known == id).map(|(_, counts)| counts)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixture::{FakeWorker, counts};

    #[tokio::test]
    async fn the_sum_has_every_workers_part_by_pool_and_node() {
        let workers: Workers =
            vec![Arc::new(FakeWorker::with(counts(1))), Arc::new(FakeWorker::with(counts(10)))];
        let counted = Counters::new(2).ask(&workers).await;
        assert_eq!(counted.answered, [true, true]);
        let pool = &counted.sum.pools[0];
        let (one, ten) = (counts(1), counts(10));
        assert_eq!(pool.reads_total, one.pools[0].reads_total + ten.pools[0].reads_total);
        assert_eq!(pool.latency.as_slice().iter().sum::<u64>(), 11 * 4);
        assert_eq!(pool.nodes.len(), 3);
        let first = node(pool, NodeId(0)).expect("counted");
        assert_eq!(
            first.commands_total,
            one.pools[0].nodes[0].1.commands_total + ten.pools[0].nodes[0].1.commands_total
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_worker_is_reported_and_counts_with_its_last_answer() {
        let silent = Arc::new(FakeWorker::with(counts(1)));
        let workers: Workers = vec![silent.clone(), Arc::new(FakeWorker::with(counts(1)))];
        let mut counters = Counters::new(2);
        let before = counters.ask(&workers).await.sum.pools[0].reads_total;

        silent.hang();
        for _ in 0..3 {
            let counted = counters.ask(&workers).await;
            assert_eq!(counted.answered, [false, true]);
            assert_eq!(counted.sum.pools[0].reads_total, before);
        }
        assert_eq!(silent.unanswered(), 1, "a worker that hangs is asked once");

        silent.wake();
        assert_eq!(counters.ask(&workers).await.answered, [true, true]);
    }

    #[tokio::test]
    async fn a_worker_that_has_ended_is_not_waited_for() {
        let workers: Workers = vec![Arc::new(FakeWorker::ended())];
        assert_eq!(Counters::new(1).ask(&workers).await.answered, [false]);
    }
}
