//! The balancers: leastconn, roundrobin, random2, latency, first, hash.

use topology::NodeId;

/// 2^64 divided by the golden ratio: its multiples lie evenly in the numbers of 64 bits, however many there are.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// What a node is taken to need while its first answers are awaited.
const UNANSWERED_NANOS: f64 = 1e9;

/// How a node is chosen among those that may take a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Balance {
    /// Fewest unanswered commands divided by weight; ties rotate.
    LeastConn,
    /// Each in its turn, as often as its weight says (smooth weighted round robin).
    RoundRobin,
    /// Of two drawn by weight, the one with fewer unanswered commands divided by weight.
    Random2,
    /// Of two drawn by weight, the one that is expected to answer sooner.
    Latency,
    /// The first usable one in configuration order.
    First,
    /// By a hash of the batch's first key, stable while the set of nodes is.
    Hash,
}

impl Balance {
    /// As written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeastConn => "leastconn",
            Self::RoundRobin => "roundrobin",
            Self::Random2 => "random2",
            Self::Latency => "latency",
            Self::First => "first",
            Self::Hash => "hash",
        }
    }
}

/// One node that may take the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Which.
    pub node: NodeId,
    /// Its share; never 0.
    pub weight: u32,
    /// This worker's unanswered commands on it.
    pub in_flight: u64,
    /// What it takes to answer, in nanoseconds; 0 where nothing is known. Only [`Balance::Latency`] looks at it.
    pub latency_nanos: f64,
}

/// What one worker remembers between choices for one pool.
#[derive(Clone, Debug)]
pub struct Balancer {
    balance: Balance,
    /// Grows by [`GOLDEN`] with each choice.
    turn: u64,
    current: Vec<(NodeId, i64)>,
}

impl Balancer {
    /// `seed` decides where ties begin to rotate and what is drawn, so that workers and proxies do not move in step.
    pub fn new(balance: Balance, seed: u64) -> Self {
        Self { balance, turn: seed, current: Vec::new() }
    }

    /// Chooses one of `candidates` (in configuration order); `None` if there is none. `key` is the batch's first key.
    pub fn choose(&mut self, candidates: &[Candidate], key: Option<&[u8]>) -> Option<NodeId> {
        match candidates {
            [] => return None,
            [only] => return Some(only.node),
            _ => {}
        }
        let chosen = match self.balance {
            Balance::First => candidates.first(),
            Balance::LeastConn => self.least_conn(candidates),
            Balance::RoundRobin => return self.round_robin(candidates),
            Balance::Random2 => self.better_of_two(candidates, Candidate::is_less_loaded),
            Balance::Latency => self.better_of_two(candidates, Candidate::is_sooner),
            Balance::Hash => match key {
                Some(key) => highest_random_weight(candidates, key),
                None => self.least_conn(candidates),
            },
        };
        chosen.map(|candidate| candidate.node)
    }

    /// Ties go to each as often as its weight says: the search begins at a place that wanders evenly over the weights.
    fn least_conn<'a>(&mut self, candidates: &'a [Candidate]) -> Option<&'a Candidate> {
        self.turn = self.turn.wrapping_add(GOLDEN);
        let (before, from) = candidates.split_at(place(candidates, self.turn, None));
        let mut best: Option<&Candidate> = None;
        for candidate in from.iter().chain(before) {
            if best.is_none_or(|best| candidate.is_less_loaded(best)) {
                best = Some(candidate);
            }
        }
        best
    }

    /// The power of two choices: nearly as even as looking at all, and workers that know nothing of each other do not
    /// all run to the same node. A tie goes to the first drawn.
    fn better_of_two<'a>(
        &mut self,
        candidates: &'a [Candidate],
        is_better: fn(&Candidate, &Candidate) -> bool,
    ) -> Option<&'a Candidate> {
        let first = place(candidates, self.draw(), None);
        let second = place(candidates, self.draw(), Some(first));
        let (first, second) = (candidates.get(first)?, candidates.get(second)?);
        Some(if is_better(second, first) { second } else { first })
    }

    /// splitmix64.
    fn draw(&mut self) -> u64 {
        self.turn = self.turn.wrapping_add(GOLDEN);
        mix(self.turn)
    }

    /// Smooth weighted round robin: everyone gains its weight, the richest is chosen and pays the sum.
    fn round_robin(&mut self, candidates: &[Candidate]) -> Option<NodeId> {
        self.current.retain(|(node, _)| candidates.iter().any(|c| c.node == *node));
        let mut total = 0i64;
        for candidate in candidates {
            let weight = i64::from(candidate.weight);
            total += weight;
            match self.current.iter_mut().find(|(node, _)| *node == candidate.node) {
                Some((_, current)) => *current += weight,
                None => self.current.push((candidate.node, weight)),
            }
        }
        let richest = candidates.iter().filter_map(|candidate| {
            self.current.iter().position(|(node, _)| *node == candidate.node)
        });
        let mut best: Option<usize> = None;
        for index in richest {
            if best.is_none_or(|best| self.current[index].1 > self.current[best].1) {
                best = Some(index);
            }
        }
        let (node, current) = self.current.get_mut(best?)?;
        *current -= total;
        Some(*node)
    }
}

impl Candidate {
    /// Has it fewer unanswered commands for its weight?
    fn is_less_loaded(&self, other: &Self) -> bool {
        // a/b < c/d without division: a·d < c·b.
        u128::from(self.in_flight) * u128::from(other.weight)
            < u128::from(other.in_flight) * u128::from(self.weight)
    }

    /// Is it expected to have answered one more command sooner, for its weight?
    fn is_sooner(&self, other: &Self) -> bool {
        self.cost() < other.cost()
    }

    fn cost(&self) -> f64 {
        let waiting = self.in_flight as f64;
        // A node that has never answered is tried; while it is, it is not given everything.
        let nanos = if self.latency_nanos == 0.0 && self.in_flight > 0 {
            UNANSWERED_NANOS
        } else {
            self.latency_nanos
        };
        nanos * (waiting + 1.0) / f64::from(self.weight)
    }
}

/// The index of the candidate in whose share of the weights `draw` falls. `without` has none.
fn place(candidates: &[Candidate], draw: u64, without: Option<usize>) -> usize {
    let shares = || {
        let all = candidates.iter().enumerate().filter(|(index, _)| Some(*index) != without);
        all.map(|(index, candidate)| (index, u64::from(candidate.weight)))
    };
    let total: u64 = shares().map(|(_, weight)| weight).sum();
    let mut rest = ((u128::from(draw) * u128::from(total)) >> 64) as u64;
    for (index, weight) in shares() {
        if rest < weight {
            return index;
        }
        rest -= weight;
    }
    0
}

/// Rendezvous hashing: a node that goes away moves only its own keys.
fn highest_random_weight<'a>(candidates: &'a [Candidate], key: &[u8]) -> Option<&'a Candidate> {
    let key_hash = fnv1a_64(key, 0xcbf2_9ce4_8422_2325);
    let score = |candidate: &Candidate| {
        let hash = mix(key_hash ^ mix(u64::from(candidate.node.0) + 1));
        // -w / ln(u): the largest wins, in proportion to the weights. u lies strictly between 0 and 1.
        let unit = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        -f64::from(candidate.weight) / unit.ln()
    };
    candidates.iter().max_by(|a, b| score(a).total_cmp(&score(b)))
}

fn fnv1a_64(bytes: &[u8], seed: u64) -> u64 {
    bytes.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finalizer of splitmix64: spreads the bits of a weak hash.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(of: &[(u32, u32, u64)]) -> Vec<Candidate> {
        of.iter()
            .map(|&(node, weight, in_flight)| Candidate {
                node: NodeId(node),
                weight,
                in_flight,
                latency_nanos: 0.0,
            })
            .collect()
    }

    /// How often each of up to three nodes is chosen.
    fn shares(balancer: &mut Balancer, candidates: &[Candidate], choices: u32) -> [u32; 3] {
        let mut seen = [0; 3];
        for _ in 0..choices {
            seen[balancer.choose(candidates, None).unwrap().0 as usize] += 1;
        }
        seen
    }

    #[test]
    fn nothing_to_choose_from_is_none() {
        for balance in [
            Balance::LeastConn,
            Balance::RoundRobin,
            Balance::Random2,
            Balance::Latency,
            Balance::First,
            Balance::Hash,
        ] {
            assert_eq!(Balancer::new(balance, 0).choose(&[], Some(b"k")), None);
        }
    }

    #[test]
    fn leastconn_weighs_the_unanswered() {
        let mut balancer = Balancer::new(Balance::LeastConn, 0);
        // 9/3 is less than 4/1.
        let candidates = nodes(&[(0, 1, 4), (1, 3, 9)]);
        for _ in 0..4 {
            assert_eq!(balancer.choose(&candidates, None), Some(NodeId(1)));
        }
    }

    #[test]
    fn leastconn_rotates_ties() {
        let mut balancer = Balancer::new(Balance::LeastConn, 7);
        let candidates = nodes(&[(0, 1, 0), (1, 1, 0), (2, 1, 0)]);
        let mut seen = [0; 3];
        for _ in 0..9 {
            seen[balancer.choose(&candidates, None).unwrap().0 as usize] += 1;
        }
        assert_eq!(seen, [3, 3, 3]);
    }

    #[test]
    fn leastconn_gives_two_idle_nodes_half_each_from_wherever_it_begins() {
        let candidates = nodes(&[(0, 1, 0), (1, 1, 0)]);
        for seed in 0..2000 {
            let mut balancer = Balancer::new(Balance::LeastConn, mix(seed));
            for _ in 0..4 {
                let seen = shares(&mut balancer, &candidates, 200);
                assert!(seen[0].abs_diff(100) <= 2, "{seed}: {seen:?}");
            }
        }
    }

    #[test]
    fn leastconn_gives_ties_by_weight() {
        let mut balancer = Balancer::new(Balance::LeastConn, 7);
        let candidates = nodes(&[(0, 10, 0), (1, 100, 0), (2, 90, 0)]);
        let seen = shares(&mut balancer, &candidates, 2000);
        assert!(seen[0].abs_diff(100) < 10 && seen[1].abs_diff(1000) < 10, "{seen:?}");
    }

    #[test]
    fn random2_takes_the_less_loaded_of_two() {
        let mut balancer = Balancer::new(Balance::Random2, 7);
        let two = nodes(&[(0, 1, 4), (1, 3, 9)]);
        assert_eq!(shares(&mut balancer, &two, 100), [0, 100, 0]);
        // The most loaded of three is never the better one; each of the others is drawn now and then.
        let three = nodes(&[(0, 1, 1), (1, 1, 2), (2, 1, 3)]);
        let seen = shares(&mut balancer, &three, 3000);
        assert!(seen[2] == 0 && seen[0] > 1800 && seen[1] > 800, "{seen:?}");
    }

    #[test]
    fn random2_follows_the_weights_of_idle_nodes_and_differs_by_seed() {
        let idle = nodes(&[(0, 1, 0), (1, 3, 0)]);
        let mut balancer = Balancer::new(Balance::Random2, 7);
        let seen = shares(&mut balancer, &idle, 4000);
        assert!(seen[0].abs_diff(1000) < 120, "{seen:?}");
        let order = |seed| {
            let mut balancer = Balancer::new(Balance::Random2, seed);
            (0..64).map(|_| balancer.choose(&idle, None)).collect::<Vec<_>>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn latency_weighs_answers_by_what_is_waiting_and_by_weight() {
        let mut balancer = Balancer::new(Balance::Latency, 7);
        let mut two = nodes(&[(0, 1, 0), (1, 1, 0)]);
        for (fast, waiting, slow, weight, chosen) in [
            (1e6, 0, 5e6, 1, 0),
            (1e6, 3, 5e6, 1, 0),
            // Five waiting make six: later than one that takes five times as long.
            (1e6, 5, 5e6, 1, 1),
            (1e6, 0, 5e6, 6, 1),
            // Never asked: tried.
            (1e6, 0, 0.0, 1, 1),
        ] {
            (two[0].latency_nanos, two[0].in_flight) = (fast, waiting);
            (two[1].latency_nanos, two[1].weight) = (slow, weight);
            for _ in 0..8 {
                assert_eq!(balancer.choose(&two, None), Some(NodeId(chosen)), "{two:?}");
            }
        }
        // And while its first answer is awaited, the others are asked.
        two[1].in_flight = 1;
        assert_eq!(balancer.choose(&two, None), Some(NodeId(0)));
    }

    #[test]
    fn roundrobin_is_smooth() {
        let mut balancer = Balancer::new(Balance::RoundRobin, 0);
        let candidates = nodes(&[(0, 5, 0), (1, 1, 0), (2, 1, 0)]);
        let order: Vec<u32> =
            (0..7).map(|_| balancer.choose(&candidates, None).unwrap().0).collect();
        // The sequence that nginx documents for weights 5, 1, 1.
        assert_eq!(order, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn roundrobin_forgets_a_node_that_left() {
        let mut balancer = Balancer::new(Balance::RoundRobin, 0);
        balancer.choose(&nodes(&[(0, 1, 0), (1, 1, 0), (2, 1, 0)]), None);
        let order: Vec<u32> = (0..4)
            .map(|_| balancer.choose(&nodes(&[(1, 1, 0), (2, 1, 0)]), None).unwrap().0)
            .collect();
        assert_eq!(order.iter().filter(|node| **node == 1).count(), 2);
    }

    #[test]
    fn hash_moves_only_the_keys_of_the_node_that_left() {
        let mut balancer = Balancer::new(Balance::Hash, 0);
        let four = nodes(&[(0, 1, 0), (1, 1, 0), (2, 1, 0), (3, 1, 0)]);
        let three = nodes(&[(0, 1, 0), (1, 1, 0), (3, 1, 0)]);
        let mut counts = [0u32; 4];
        for key in 0..4000u32 {
            let key = key.to_string();
            let before = balancer.choose(&four, Some(key.as_bytes())).unwrap();
            let after = balancer.choose(&three, Some(key.as_bytes())).unwrap();
            counts[before.0 as usize] += 1;
            if before != NodeId(2) {
                assert_eq!(before, after);
            }
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn hash_follows_the_weights() {
        let mut balancer = Balancer::new(Balance::Hash, 0);
        let candidates = nodes(&[(0, 1, 0), (1, 3, 0)]);
        let heavy = (0..4000u32)
            .filter(|key| {
                balancer.choose(&candidates, Some(key.to_string().as_bytes())) == Some(NodeId(1))
            })
            .count();
        assert!((2850..3150).contains(&heavy), "{heavy}");
    }
}
