//! `cargo xtask demo`: failures of real servers, and what the clients of Redkeel see of them.

mod cluster;
mod screen;
mod summary;

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use testkit::{Load, Redkeel};

use crate::build;
use crate::install::{self, REDIS_SERVER};
use crate::step::step;
use cluster::Cluster;
use screen::Screen;
use summary::Summary;

/// How much is read and written: steady, and far from what a laptop can do.
const READERS: usize = 12;
const WRITERS: usize = 4;
const CONFIRMING_WRITERS: usize = 2;
const PAUSE: Duration = Duration::from_millis(4);

/// How long each picture is left to be looked at.
const LOOK: Duration = Duration::from_secs(3);
/// How long anything may take that must happen; each is a second or two in practice.
const PATIENCE: Duration = Duration::from_secs(15);
/// Sentinel turns a primary that came back into a replica: after 8 s at the earliest.
const SENTINEL_PATIENCE: Duration = Duration::from_secs(60);
/// Between two pictures, and between two looks at what is waited for.
const FRAME: Duration = Duration::from_millis(200);
const GLANCE: Duration = Duration::from_millis(20);

/// How the demo is played.
#[derive(Args)]
pub(crate) struct Options {
    /// Play one round unattended; fail if a read failed or a write that WAIT had confirmed is lost.
    #[arg(long)]
    once: bool,
    /// Use this binary instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let binary = step("preparation", || {
        install::programs(&[REDIS_SERVER])?;
        options.binary.clone().map_or_else(build::release, Ok)
    })?;
    // Where nobody can press a key, one round is played, as with --once.
    let once = options.once || !io::stdin().is_terminal();
    let hint = if once { "" } else { "Enter: end after this round, with a summary" };
    let servers = step("start", || Ok(Servers::start(&binary)))?;
    let mut demo = Demo { servers, screen: Screen::new(hint) };
    let end = if once { Arc::default() } else { on_enter() };
    loop {
        demo.round()?;
        if once || end.load(Ordering::Relaxed) {
            break;
        }
        demo.bring_back()?;
        if end.load(Ordering::Relaxed) {
            break;
        }
    }
    let summary = demo.finish();
    print!("{summary}");
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Becomes true when Enter is pressed.
fn on_enter() -> Arc<AtomicBool> {
    let pressed = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&pressed);
    thread::spawn(move || {
        let _ = io::stdin().lock().read_line(&mut String::new());
        set.store(true, Ordering::Relaxed);
    });
    pressed
}

struct Demo {
    servers: Servers,
    screen: Screen,
}

/// What runs, in the order in which it must end.
struct Servers {
    load: Load,
    redkeel: Redkeel,
    cluster: Cluster,
}

impl Servers {
    fn start(binary: &PathBuf) -> Self {
        let cluster = Cluster::start();
        let redkeel = Redkeel::builder(binary)
            .args(["--listen", "127.0.0.1:0", "--servers", &cluster.addresses()])
            // The nodes' failures are logged: they are what the demo is about.
            .expect_log("")
            .start();
        redkeel.wait_until(PATIENCE, "a primary and two readable replicas", |status| {
            let pool = &status["pools"][0];
            pool["primary"].is_string() && readable(pool).count() >= 2
        });
        let load = Load::builder(redkeel.address())
            .readers(READERS)
            .writers(WRITERS - CONFIRMING_WRITERS)
            .confirming_writers(CONFIRMING_WRITERS)
            .pause(PAUSE)
            .fill(&mut cluster.primary().client(), 2)
            .start();
        Self { load, redkeel, cluster }
    }

    fn is_readable(&self, node: usize) -> bool {
        let Ok(status) = self.redkeel.try_status() else { return false };
        let name = self.cluster.name(node);
        readable(&status["pools"][0]).any(|readable| readable == name)
    }
}

impl Demo {
    /// A replica dies and comes back, then the primary dies.
    fn round(&mut self) -> Result<()> {
        self.screen.event("reads and writes through one address");
        self.look();

        let replica = self.servers.cluster.replica();
        let name = self.servers.cluster.name(replica);
        self.screen.event(&format!("kill -9 of the replica {name}: reads go to the other one"));
        self.servers.cluster.kill(replica);
        self.look();
        self.screen.event(&format!("the replica {name} is started again"));
        self.servers.cluster.revive(replica);
        self.wait(PATIENCE, "reads from it again", |servers| servers.is_readable(replica))?;
        self.screen.event(&format!("{name} takes reads again"));
        self.look();

        let primary = self.servers.cluster.primary_index();
        let name = self.servers.cluster.name(primary);
        self.servers.cluster.wait_in_step();
        self.screen.event(&format!("kill -9 of the primary {name}: writes wait, reads go on"));
        self.servers.cluster.kill(primary);
        let killed = Instant::now();
        let since = |killed: Instant| killed.elapsed().as_secs_f64();
        self.wait(PATIENCE, "a promotion by Sentinel", |servers| servers.cluster.find_promoted())?;
        let name = self.servers.cluster.name(self.servers.cluster.primary_index());
        self.screen.event(&format!("Sentinel has promoted {name}, {:.2} s later", since(killed)));
        let acknowledged = self.servers.load.writes().ok;
        self.wait(PATIENCE, "writes to go on", |servers| servers.load.writes().ok > acknowledged)?;
        self.screen.event(&format!("writes go on at {name}, {:.2} s later", since(killed)));
        self.look();
        Ok(())
    }

    /// Between two rounds: the dead node comes back as what it was, and Sentinel sets it right.
    fn bring_back(&mut self) -> Result<()> {
        let dead = self.servers.cluster.dead();
        let name = self.servers.cluster.name(dead);
        self.screen.event(&format!("{name} is started again and believes that it is the primary"));
        self.servers.cluster.revive(dead);
        self.wait(SENTINEL_PATIENCE, "Sentinel to make it a replica", |servers| {
            servers.is_readable(dead)
        })?;
        self.screen.event(&format!("Sentinel has made {name} a replica, and it takes reads"));
        Ok(())
    }

    /// Stops the load, and asks the primary for every write.
    fn finish(self) -> Summary {
        let Self { servers: Servers { load, redkeel, cluster }, mut screen } = self;
        let report = load.stop();
        let audit = testkit::audit(&report.journal, &mut cluster.primary().client());
        screen.leave();
        redkeel.stop();
        Summary { report, audit }
    }

    fn look(&mut self) {
        let end = Instant::now() + LOOK;
        while Instant::now() < end {
            self.draw();
            thread::sleep(FRAME);
        }
    }

    /// Shows the screen until `condition` holds.
    fn wait(
        &mut self,
        patience: Duration,
        what: &str,
        mut condition: impl FnMut(&mut Servers) -> bool,
    ) -> Result<()> {
        let start = Instant::now();
        let mut next_frame = start;
        while !condition(&mut self.servers) {
            if start.elapsed() >= patience {
                bail!("waited {patience:?} for {what}");
            }
            if Instant::now() >= next_frame {
                self.draw();
                next_frame = Instant::now() + FRAME;
            }
            thread::sleep(GLANCE);
        }
        Ok(())
    }

    fn draw(&mut self) {
        let status = self.servers.redkeel.try_status().unwrap_or_default();
        let (reads, writes) = (self.servers.load.reads(), self.servers.load.writes());
        self.screen.draw(&self.servers.redkeel.address().to_string(), &status, reads, writes);
    }
}

/// The names of a pool's replicas that take reads.
fn readable(pool: &serde_json::Value) -> impl Iterator<Item = &str> {
    let nodes = pool["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    nodes
        .iter()
        .filter(|node| node["role"] == "replica" && node["readable"] == true)
        .filter_map(|node| node["name"].as_str())
}
