//! `redkeel run`: check, bind, run, drain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, anyhow};
use config::{Config, Diagnostics};
use proxy::{Proxy, StartError};
use tokio::time::{sleep, timeout};
use topology::{Published, Time};

use crate::cli::RunArgs;
use crate::failure::Failure;
use crate::reload::Reload;
use crate::signals::Signals;
use crate::{descriptors, logging, source};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How often the data plane is asked whether it is still whole.
const GUARD: Duration = Duration::from_millis(250);
/// How often it is asked whether it has ended, once it shall.
const LOOK: Duration = Duration::from_millis(10);

/// How often TLS files are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(1);

/// How long the data plane may take to close all connections: more than a turn that handles a burst.
const STOP: Duration = Duration::from_secs(2);

/// Runs the proxy until it is told to stop.
pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let start = Start::now();
    let (mut config, warnings) = source::of_run(args)?;
    logging::start(&config.log);
    tracing::info!(version = VERSION, workers = config.workers, "starting");
    for warning in warnings.iter().flat_map(Diagnostics::iter) {
        tracing::warn!(help = warning.help(), "configuration: {}", warning.message());
    }
    let present = config.clone();
    descriptors::provide(&mut config);
    let config = Arc::new(config.with_groups());

    // Probes and administration only: the clients' traffic has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::internal)?;
    let outcome = runtime.block_on(live(args, present, &config, start));
    // A name that is being resolved on another thread is not waited for.
    runtime.shutdown_background();
    outcome
}

/// The one place where the process's clocks are read at its start.
#[derive(Clone, Copy)]
struct Start {
    origin: Instant,
    wall: SystemTime,
}

impl Start {
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary hands the time's origin to all others"
    )]
    fn now() -> Self {
        Self { origin: Instant::now(), wall: SystemTime::now() }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the clock that the administration shows times by"
    )]
    fn clock(self) -> impl Fn() -> Time + Send + Sync + 'static {
        move || Time::at(self.origin, Instant::now())
    }
}

/// From the first bound socket to the last closed one.
async fn live(
    args: &RunArgs,
    present: Config,
    config: &Arc<Config>,
    start: Start,
) -> Result<(), Failure> {
    // Before anything listens: a signal that comes early must not be lost.
    let mut signals = Signals::new()?;
    let hangups = Signals::reload()?;
    let published = Arc::new(Published::default());
    let tls = Arc::new(tls::Pools::load(config).map_err(|error| Failure::usage(error.into()))?);
    let (control, evidence) =
        control::Control::new(config, &tls, Arc::clone(&published), start.origin);
    let switchovers = control.switchovers();
    let rerouter = control.rerouter();
    let admin = bind_admin(config).await?;
    let told = evidence.clone();
    let evidence_dropped = Box::new(move || told.dropped());
    let evidence = Arc::new(move |seen| evidence.send(seen));
    let proxy =
        proxy::start(config, &published, evidence, &tls, start.origin).map_err(not_started)?;

    let draining = Arc::new(AtomicBool::new(false));
    announce(config, admin.as_ref(), &proxy);
    let sources = admin::Sources {
        published: Arc::clone(&published),
        workers: proxy.workers(),
        config: Arc::clone(config),
        listeners: bound(&proxy),
        started: start.wall,
        draining: Arc::clone(&draining),
        clock: Box::new(start.clock()),
        evidence_dropped,
        switchovers,
        version: VERSION,
    };
    let administration = administration(admin, sources);
    let running = Arc::clone(config);
    let reload = Reload { present, running, args, proxy: &proxy, control: &rerouter };
    let outcome = tokio::select! {
        () = look_at_files(&tls) => Err(ended("the watch over the TLS files")),
        () = reload.at(hangups) => Err(ended("the watch over the configuration")),
        () = control.run() => Err(ended("the control plane")),
        () = administration => Err(ended("the administration endpoint")),
        () = until(GUARD, || proxy.failed()) => Err(ended("a data-plane thread")),
        () = until_drained(&mut signals, &proxy, &draining, config.drain_timeout) => Ok(()),
    };
    let outcome = outcome.and(close(proxy).await);
    match &outcome {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => tracing::error!("stopped by an internal fault; please report it with the log"),
    }
    outcome
}

fn not_started(error: StartError) -> anyhow::Error {
    match error {
        StartError::Listen { .. } => {
            anyhow!("{error}; give it another address, or stop what listens there")
        }
        StartError::Worker(_) => error.into(),
    }
}

async fn bind_admin(config: &Config) -> Result<Option<admin::Listener>, Failure> {
    let Some(endpoint) = &config.admin.listen else { return Ok(None) };
    let listener = admin::bind(endpoint).await.with_context(|| {
        format!(
            "cannot listen at {endpoint} for the administration endpoint; give it another address with \
             [admin] listen or --admin, or \"none\""
        )
    })?;
    Ok(Some(listener))
}

/// The real addresses, where a port was 0. Whoever starts Redkeel may wait for these lines.
fn announce(config: &Config, admin: Option<&admin::Listener>, proxy: &Proxy) {
    if let Some(admin) = admin {
        tracing::info!(address = %admin.address(), "admin listening");
    }
    for listener in proxy.listeners() {
        let pool = config.pools.get(listener.pool.0 as usize).map_or("", |pool| &pool.name);
        tracing::info!(
            pool,
            address = %listener.address,
            mode = listener.mode.as_str(),
            tls = listener.tls,
            "listening"
        );
    }
}

/// Takes over TLS files that have changed, for ever; does nothing for ever where there are none.
async fn look_at_files(tls: &Arc<tls::Pools>) {
    if !tls.has_files() {
        return std::future::pending().await;
    }
    loop {
        sleep(LOOK_AT_FILES).await;
        let tls = Arc::clone(tls);
        // A file system may take its time: nobody else is to wait for it.
        if tokio::task::spawn_blocking(move || tls.look()).await.is_err() {
            return;
        }
    }
}

/// Serves for ever; does nothing for ever where it is turned off.
async fn administration(listener: Option<admin::Listener>, sources: admin::Sources) {
    let Some(listener) = listener else { return std::future::pending().await };
    admin::serve(listener, sources).await;
}

fn bound(proxy: &Proxy) -> Vec<admin::BoundListener> {
    let bound = proxy.listeners().into_iter().map(|bound| admin::BoundListener {
        pool: bound.pool,
        address: bound.address,
        mode: bound.mode,
    });
    bound.collect()
}

/// Waits for a signal, then until all clients are served, `drain_timeout` has passed, or a second signal comes.
async fn until_drained(
    signals: &mut Signals,
    proxy: &Proxy,
    draining: &AtomicBool,
    drain_timeout: Duration,
) {
    let signal = signals.next().await;
    tracing::info!(signal, timeout = ?drain_timeout, "draining");
    draining.store(true, Ordering::Relaxed);
    proxy.drain();
    tokio::select! {
        () = until(LOOK, || proxy.drained()) => {}
        () = sleep(drain_timeout) => {
            let clients: usize = proxy.workers().iter().map(|worker| worker.clients()).sum();
            tracing::warn!(clients, "drain_timeout has passed; closing the remaining clients");
        }
        signal = signals.next() => tracing::info!(signal, "stopping at once"),
    }
}

/// Closes what is left.
async fn close(proxy: Proxy) -> Result<(), Failure> {
    proxy.stop();
    if timeout(STOP, until(LOOK, || proxy.drained())).await.is_err() {
        return Err(Failure::internal(anyhow!("a data-plane thread does not end")));
    }
    if proxy.join() { Ok(()) } else { Err(ended("a data-plane thread")) }
}

async fn until(period: Duration, condition: impl Fn() -> bool) {
    while !condition() {
        sleep(period).await;
    }
}

fn ended(what: &str) -> Failure {
    Failure::internal(anyhow!("{what} has ended by itself"))
}
