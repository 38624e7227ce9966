//! SIGHUP: the configuration is read again, and what may change while it runs is taken over.

use std::sync::Arc;

use config::{Config, Diagnostics};
use proxy::Proxy;
use tokio::signal::unix::Signal;

use crate::cli::RunArgs;
use crate::source;

/// What runs, and where it is told of changes.
pub(crate) struct Reload<'a> {
    /// As the command line and the file had it, before it was fitted to the machine.
    pub(crate) present: Config,
    /// As it runs.
    pub(crate) running: Arc<Config>,
    pub(crate) args: &'a RunArgs,
    pub(crate) proxy: &'a Proxy,
    pub(crate) control: &'a dyn Fn(&Config),
}

impl Reload<'_> {
    /// Reads again at each signal, for ever.
    pub(crate) async fn at(mut self, mut signal: Signal) {
        while signal.recv().await.is_some() {
            self.read_again();
        }
        std::future::pending().await
    }

    fn read_again(&mut self) {
        let (wanted, warnings) = match source::of_run(self.args) {
            Ok(read) => read,
            Err(failure) => {
                return tracing::error!(
                    "the configuration is not taken over, everything goes on as before: {}",
                    failure.text()
                );
            }
        };
        for warning in warnings.iter().flat_map(Diagnostics::iter) {
            tracing::warn!(help = warning.help(), "configuration: {}", warning.message());
        }
        if wanted == self.present {
            return tracing::info!("the configuration is the same");
        }
        if let Some(what) = needs_restart(&self.present, &wanted) {
            return tracing::error!(
                "nothing of the configuration is taken over: {what} changes only with a restart; routes alone can be \
                 changed while it runs"
            );
        }
        let mut running = (*self.running).clone();
        for (own, wanted) in running.pools.iter_mut().zip(&wanted.pools) {
            if own.routes != wanted.routes {
                tracing::info!(pool = own.name, routes = wanted.routes.len(), "routes changed");
                own.routes.clone_from(&wanted.routes);
            }
        }
        (self.control)(&running);
        self.proxy.reroute(&running);
        self.running = Arc::new(running);
        self.present = wanted;
    }
}

/// What is different besides the routes of pools that have some, if anything is.
fn needs_restart(present: &Config, wanted: &Config) -> Option<String> {
    let bare = |config: &Config| {
        let mut bare = config.clone();
        bare.pools.clear();
        bare
    };
    if bare(present) != bare(wanted) {
        return Some("what stands outside of the pools".to_owned());
    }
    let names =
        |config: &Config| config.pools.iter().map(|pool| pool.name.clone()).collect::<Vec<_>>();
    if names(present) != names(wanted) {
        return Some("which pools there are, and in which order,".to_owned());
    }
    let changed = present.pools.iter().zip(&wanted.pools).find(|(present, wanted)| {
        let mut unrouted = (*wanted).clone();
        unrouted.routes.clone_from(&present.routes);
        // A pool without routes talks to its nodes itself.
        **present != unrouted || present.routes.is_empty() != wanted.routes.is_empty()
    });
    changed.map(|(present, _)| format!("pool {}", present.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::of_text;

    #[test]
    fn only_routes_may_change() {
        let config = |port: u16, routes: &str| {
            of_text(&format!(
                "workers = 1\n[pool.main]\nlisten = \"127.0.0.1:0\"\nservers = [\"127.0.0.1:{port}\"]\n{routes}"
            ))
        };
        let routed = |prefix: &str| config(1, &format!("routes = [{{ prefix = \"{prefix}\" }}]\n"));
        assert_eq!(needs_restart(&routed("a"), &routed("b")), None);
        let (plain, other) = (config(1, ""), config(2, ""));
        assert_eq!(needs_restart(&plain, &other).as_deref(), Some("pool main"));
        assert_eq!(needs_restart(&plain, &routed("a")).as_deref(), Some("pool main"));
        let mut more = plain.clone();
        more.workers += 1;
        assert_eq!(
            needs_restart(&plain, &more).as_deref(),
            Some("what stands outside of the pools")
        );
        let mut fewer = plain.clone();
        fewer.pools.clear();
        let what = needs_restart(&plain, &fewer);
        assert_eq!(what.as_deref(), Some("which pools there are, and in which order,"));
    }
}
