//! The loads, and one contestant's turn under one of them.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use testkit::{Address, Client, RedisServer, simple, usage};

use super::benchmark_tool::{Command, Task};
use super::contestant::{Contestant, LOAD_CPU, Proxy, Tls};
use super::single;

/// A load by name.
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    task: Task,
    /// Clients speak TLS with the proxy.
    tls: bool,
    /// How many servers there are; all but the first are for those who shard.
    servers: usize,
}

const SMALL: usize = 64;
const LARGE: usize = 16 * 1024;

/// Every load of the comparison.
pub(super) const LOADS: [Load; 14] = [
    get("get-c1", "GET 64 B, 1 client", 1, 1, SMALL),
    get("get-c50", "GET 64 B, 50 clients", 50, 1, SMALL),
    get("get-c500", "GET 64 B, 500 clients", 500, 1, SMALL),
    get("get-c1-p16", "GET 64 B, 1 client, pipeline 16", 1, 16, SMALL),
    get("get-c50-p16", "GET 64 B, 50 clients, pipeline 16", 50, 16, SMALL),
    get("get-c500-p16", "GET 64 B, 500 clients, pipeline 16", 500, 16, SMALL),
    Load {
        name: "set-c50",
        description: "SET 64 B, 50 clients",
        task: Task {
            command: Command::Set,
            clients: 50,
            pipeline: 1,
            value_bytes: SMALL,
            keys: 10_000,
        },
        tls: false,
        servers: 1,
    },
    get("get16k-c50", "GET 16 KiB, 50 clients", 50, 1, LARGE),
    Load { tls: true, ..get("get-tls-c50", "GET 64 B, 50 clients over TLS", 50, 1, SMALL) },
    Load { servers: 3, ..get("shards3-c50", "GET 64 B, 3 shards, 50 clients", 50, 1, SMALL) },
    Load {
        servers: 3,
        ..get("shards3-c50-p16", "GET 64 B, 3 shards, 50 clients, pipeline 16", 50, 16, SMALL)
    },
    Load { servers: 3, ..get("shards3-c500", "GET 64 B, 3 shards, 500 clients", 500, 1, SMALL) },
    mget("shards8-mget100", "MGET of 100 keys of 64 B, 8 shards, 50 clients", 50, 100),
    mget("shards8-mget10k", "MGET of 10,000 keys of 64 B, 8 shards, 1 client", 1, 10_000),
];

const fn get(
    name: &'static str,
    description: &'static str,
    clients: usize,
    pipeline: usize,
    value_bytes: usize,
) -> Load {
    // About 64 MB at most.
    let keys = if value_bytes > SMALL { 4000 } else { 10_000 };
    let task = Task { command: Command::Get, clients, pipeline, value_bytes, keys };
    Load { name, description, task, tls: false, servers: 1 }
}

const fn mget(name: &'static str, description: &'static str, clients: usize, keys: usize) -> Load {
    let command = Command::Mget { keys };
    let task = Task { command, clients, pipeline: 1, value_bytes: SMALL, keys: 10_000 };
    Load { name, description, task, tls: false, servers: 8 }
}

/// What was measured in one turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Turn {
    pub(super) ops_per_second: f64,
    /// Of the proxy, by the kernel's accounting; `None`: there is no proxy.
    pub(super) proxy_cpu_us: Option<f64>,
    /// Of redis-server.
    pub(super) redis_cpu_us: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// With one client, the median by a clock that is finer than redis-benchmark's.
    pub(super) single_p50_us: Option<f64>,
    /// Resident memory of the proxy, after the load.
    pub(super) rss_mib: Option<f64>,
}

impl Load {
    /// Is it one for this contestant?
    pub(super) fn suits(&self, contestant: &Contestant) -> bool {
        (!self.tls || contestant.speaks_tls()) && (self.servers == 1 || contestant.shards())
    }

    /// The redis-servers. A single one has every key of the load.
    pub(super) fn start_redis(&self) -> Vec<RedisServer> {
        let redis: Vec<RedisServer> =
            (0..self.servers).map(|_| RedisServer::builder().cpu(LOAD_CPU).start()).collect();
        if let [single] = &redis[..] {
            self.fill(single.client());
        }
        redis
    }

    /// Sets every key of the load: through a proxy, each is where that looks for it.
    fn fill(&self, mut client: Client) {
        let value = vec![b'x'; self.task.value_bytes];
        for part in (0..self.task.keys).collect::<Vec<_>>().chunks(500) {
            // redis-benchmark's own names: -r replaces __rand_int__ by twelve digits.
            let keys = part.iter().map(|number| format!("key:{number:012}").into_bytes());
            let replies = client.pipeline(keys.map(|key| [b"SET".to_vec(), key, value.clone()]));
            assert!(replies.iter().all(|reply| *reply == simple("OK")), "SET failed");
        }
    }

    /// Starts the contestant, warms it up, and measures for about this time.
    pub(super) fn turn(
        &self,
        contestant: &Contestant,
        redis: &[RedisServer],
        seconds: f64,
    ) -> Result<Turn> {
        let server = redis.first().context("no server")?.address();
        let servers: Vec<String> = redis.iter().map(|one| one.address().to_string()).collect();
        let clients = self.task.clients + 10;
        let tls = self.tls.then(Tls::new);
        let ca = tls.as_ref().map(|tls| tls.authority.ca());
        let proxy = match &tls {
            Some(tls) => contestant.start_tls(server, clients, tls),
            None => contestant.start(&servers, clients),
        };
        let address = proxy.as_ref().map_or_else(|| server.clone(), Proxy::address);
        if redis.len() > 1 {
            redis.iter().for_each(|one| _ = one.client().command(["FLUSHALL"]));
            self.fill(Client::connect(address.clone()));
        }
        let warm_up = self.task.run(&address, ca.as_deref(), self.warm_up_requests())?;
        let requests = (warm_up.ops_per_second * seconds) as u64;
        let requests = requests.max(self.task.clients as u64 * self.task.pipeline as u64);

        let before = Cpu::of(proxy.as_ref(), redis)?;
        let figures = self.task.run(&address, ca.as_deref(), requests)?;
        let after = Cpu::of(proxy.as_ref(), redis)?;
        let per_command = |time: Duration| time.as_secs_f64() * 1e6 / requests as f64;
        let proxy_cpu = after.proxy.zip(before.proxy).map(|(after, before)| after - before);
        Ok(Turn {
            ops_per_second: figures.ops_per_second,
            proxy_cpu_us: proxy_cpu.map(per_command),
            redis_cpu_us: per_command(after.redis - before.redis),
            p50_ms: figures.p50_ms,
            p99_ms: figures.p99_ms,
            single_p50_us: self.single_p50(&address, seconds)?,
            rss_mib: proxy
                .and_then(|proxy| usage::resident_bytes(proxy.pid()))
                .map(|bytes| bytes as f64 / 1024.0 / 1024.0),
        })
    }

    fn warm_up_requests(&self) -> u64 {
        let each = self.task.command.keys() as u64;
        (self.task.clients * self.task.pipeline).clamp(5_000, 50_000) as u64 / each + 10
    }

    fn single_p50(&self, address: &Address, seconds: f64) -> Result<Option<f64>> {
        if (self.task.clients, self.task.pipeline) != (1, 1) || self.servers > 1 {
            return Ok(None);
        }
        let time = Duration::from_secs_f64(seconds);
        Ok(Some(single::median_us(address, self.task.keys, time)?))
    }
}

struct Cpu {
    proxy: Option<Duration>,
    redis: Duration,
}

impl Cpu {
    fn of(proxy: Option<&Proxy>, redis: &[RedisServer]) -> Result<Self> {
        let time = |pid: u32| usage::cpu_time(pid).context("a process has ended");
        Ok(Self {
            proxy: proxy.map(|proxy| time(proxy.pid())).transpose()?,
            redis: redis.iter().map(|one| time(one.pid())).sum::<Result<Duration>>()?,
        })
    }
}

impl Turn {
    /// Of each figure the median.
    pub(super) fn median(turns: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(turns.iter().map(figure).collect());
        let maybe = |figure: fn(&Self) -> Option<f64>| {
            let some: Option<Vec<f64>> = turns.iter().map(figure).collect();
            some.filter(|some| !some.is_empty()).map(median)
        };
        Self {
            ops_per_second: of(|turn| turn.ops_per_second),
            proxy_cpu_us: maybe(|turn| turn.proxy_cpu_us),
            redis_cpu_us: of(|turn| turn.redis_cpu_us),
            p50_ms: of(|turn| turn.p50_ms),
            p99_ms: of(|turn| turn.p99_ms),
            single_p50_us: maybe(|turn| turn.single_p50_us),
            rss_mib: maybe(|turn| turn.rss_mib),
        }
    }
}

/// The middle one, or the mean of the two in the middle; 0 of none.
pub(super) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match (numbers.len() % 2, numbers.get(middle)) {
        (1, Some(number)) => *number,
        (0, Some(number)) => (numbers[middle - 1] + number) / 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![]), 0.0);
        let turn = |ops, cpu| Turn { ops_per_second: ops, proxy_cpu_us: cpu, ..Turn::default() };
        let median = Turn::median(&[turn(1.0, None), turn(9.0, None), turn(5.0, None)]);
        assert_eq!((median.ops_per_second, median.proxy_cpu_us), (5.0, None));
        let median = Turn::median(&[turn(1.0, Some(7.0))]);
        assert_eq!(median.proxy_cpu_us, Some(7.0));
    }
}
