//! What Redkeel promises, and whether this run shows it.

use super::Measurements;
use super::load::{Turn, median};

/// One promise and what was measured.
pub(super) struct Bound {
    pub(super) what: &'static str,
    pub(super) measured: f64,
    pub(super) limit: Limit,
}

#[derive(Clone, Copy)]
pub(super) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    pub(super) fn is_met(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.measured <= limit,
            Limit::AtLeast(limit) => self.measured >= limit,
        }
    }
}

/// A ratio of two contestants under one load: the median over the rounds, since what else the machine does changes from round to
/// round more than from turn to turn.
struct Promise {
    what: &'static str,
    load: &'static str,
    peer: &'static str,
    figure: fn(&Turn) -> Option<f64>,
    limit: Limit,
}

const PROXY_CPU: fn(&Turn) -> Option<f64> = |turn| turn.proxy_cpu_us;

const PROMISES: [Promise; 13] = [
    cpu("proxy CPU per command, 50 clients: redkeel / haproxy", "get-c50", "haproxy", 0.75),
    cpu("proxy CPU per command, 50 clients: redkeel / twemproxy", "get-c50", "twemproxy", 0.85),
    cpu("the same, pipeline 16: redkeel / haproxy", "get-c50-p16", "haproxy", 0.9),
    cpu("the same, pipeline 16: redkeel / twemproxy", "get-c50-p16", "twemproxy", 0.45),
    cpu("proxy CPU per command, 500 clients: redkeel / haproxy", "get-c500", "haproxy", 0.7),
    cpu(
        "proxy CPU per command, 50 clients over TLS: redkeel / haproxy",
        "get-tls-c50",
        "haproxy",
        1.0,
    ),
    cpu(
        "proxy CPU per GET, 3 shards, 50 clients: redkeel / twemproxy",
        "shards3-c50",
        "twemproxy",
        0.85,
    ),
    cpu("the same, pipeline 16: redkeel / twemproxy", "shards3-c50-p16", "twemproxy", 0.45),
    cpu(
        "proxy CPU per MGET of 100, 8 shards: redkeel / twemproxy",
        "shards8-mget100",
        "twemproxy",
        0.6,
    ),
    cpu("the same: redkeel / envoy", "shards8-mget100", "envoy", 0.5),
    Promise {
        what: "p50 of MGET of 10,000, 8 shards: redkeel / direct",
        load: "shards8-mget10k",
        peer: "direct",
        figure: |turn| Some(turn.p50_ms),
        limit: Limit::AtMost(3.0),
    },
    Promise {
        what: "ops/s, 50 clients: redkeel / direct",
        load: "get-c50",
        peer: "direct",
        figure: |turn| Some(turn.ops_per_second),
        limit: Limit::AtLeast(1.05),
    },
    Promise {
        what: "p50, 1 client: redkeel / haproxy",
        load: "get-c1",
        peer: "haproxy",
        figure: |turn| turn.single_p50_us,
        limit: Limit::AtMost(1.05),
    },
];

/// Of one silent client.
const IDLE_BYTES: f64 = 2048.0;

const fn cpu(what: &'static str, load: &'static str, peer: &'static str, limit: f64) -> Promise {
    Promise { what, load, peer, figure: PROXY_CPU, limit: Limit::AtMost(limit) }
}

/// The promises that this run has measurements for.
pub(super) fn check(measurements: &Measurements) -> Vec<Bound> {
    let ratios = PROMISES.iter().filter_map(|promise| {
        let result = measurements.loads.iter().find(|result| result.load == promise.load)?;
        let turns = |name: &str| {
            let mut contestants = result.contestants.iter();
            Some(&contestants.find(|contestant| contestant.contestant == name)?.turns)
        };
        let rounds = turns("redkeel")?.iter().zip(turns(promise.peer)?);
        let ratios: Option<Vec<f64>> = rounds
            .map(|(own, peer)| Some((promise.figure)(own)? / (promise.figure)(peer)?))
            .collect();
        let measured = median(ratios.filter(|ratios| !ratios.is_empty())?);
        Some(Bound { what: promise.what, measured, limit: promise.limit })
    });
    let idle = measurements.idle.iter().filter(|idle| idle.contestant == "redkeel");
    let idle = idle.map(|idle| Bound {
        what: "bytes per silent client: redkeel",
        measured: idle.bytes_per_client(),
        limit: Limit::AtMost(IDLE_BYTES),
    });
    ratios.chain(idle).collect()
}

#[cfg(test)]
mod tests {
    use super::super::idle::IdleMemory;
    use super::super::{ContestantResult, LoadResult};
    use super::*;

    fn measurements(redkeel_cpu: f64, idle_bytes: u64) -> Measurements {
        // A round in which the machine was slow is slow for both.
        let contestant = |contestant, cpu| {
            let turns: Vec<Turn> = [1.0, 5.0, 1.0]
                .map(|slow| Turn { proxy_cpu_us: Some(cpu * slow), ..Turn::default() })
                .into();
            ContestantResult { contestant, median: Turn::median(&turns), turns }
        };
        let contestants = vec![contestant("redkeel", redkeel_cpu), contestant("haproxy", 10.0)];
        let idle = IdleMemory {
            contestant: "redkeel",
            clients: 1,
            before_bytes: 0,
            after_bytes: idle_bytes,
        };
        Measurements { loads: vec![LoadResult { load: "get-c500", contestants }], idle: vec![idle] }
    }

    #[test]
    fn what_was_measured_is_held_against_its_bound() {
        let met = |measurements| check(&measurements).iter().map(Bound::is_met).collect::<Vec<_>>();
        assert_eq!(met(measurements(7.0, 2048)), [true, true]);
        assert_eq!(met(measurements(7.1, 2049)), [false, false]);
    }

    #[test]
    fn every_promise_is_about_a_load_that_there_is() {
        for promise in &PROMISES {
            assert!(super::super::LOADS.iter().any(|load| load.name == promise.load));
        }
    }
}
