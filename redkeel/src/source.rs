//! Where a configuration comes from: a file, or the command line.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, anyhow};
use config::{
    Certificate, CertificateFile, Config, Diagnostics, Endpoint, Loaded, Overrides, Secrets,
};

use crate::cli::{RunArgs, SourceArgs};
use crate::failure::Failure;

/// More data-plane threads than this have to be asked for.
const MAX_DEFAULT_WORKERS: usize = 8;

/// What `redkeel run` is to run: the file or the one pool, with what the command line overrides. With the
/// warnings, if there are any.
pub(crate) fn of_run(args: &RunArgs) -> Result<(Config, Option<Diagnostics>), Failure> {
    let (mut config, warnings) = of_source(&args.source)?;
    let overrides = Overrides {
        workers: args.workers,
        admin: args.admin.as_deref(),
        drain_timeout: args.drain_timeout.as_deref(),
    };
    overrides.apply(&mut config).map_err(|wrong| refused(&wrong))?;
    Ok((config, warnings))
}

fn of_source(args: &SourceArgs) -> Result<(Config, Option<Diagnostics>), Failure> {
    match &args.config {
        Some(file) => {
            let Loaded { config, warnings } = of_file(file)?;
            Ok((config, (!warnings.is_empty()).then_some(warnings)))
        }
        None if args.listen.is_empty() => Err(Failure::usage(anyhow!(
            "run what? Name a configuration file with -c FILE, or a pool with --listen ADDR --servers A,B,C; \
             see `redkeel run --help`"
        ))),
        None => Ok((of_pool(&args.listen, &args.servers, args.mode.as_deref())?, None)),
    }
}

/// Reads and checks a file.
pub(crate) fn of_file(file: &Path) -> Result<Loaded, Failure> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the configuration file {}", file.display()))
        .map_err(Failure::usage)?;
    config::load(&file.display().to_string(), &text, &context()).map_err(|wrong| refused(&wrong))
}

/// One pool without a file.
pub(crate) fn of_pool(
    listen: &[String],
    servers: &[String],
    mode: Option<&str>,
) -> Result<Config, Failure> {
    config::from_command_line(listen, servers, mode, &context()).map_err(|wrong| refused(&wrong))
}

/// An address that a user gave by the name `origin`.
pub(crate) fn endpoint(origin: &str, text: &str) -> Result<Endpoint, Failure> {
    text.parse().map_err(|why| Failure::usage(anyhow!("{origin} {text:?} is no address: {why}")))
}

/// For stderr, in colour where that is a terminal.
pub(crate) fn render(diagnostics: &Diagnostics) -> String {
    diagnostics.render(std::io::stderr().is_terminal())
}

fn refused(diagnostics: &Diagnostics) -> Failure {
    Failure::configuration(render(diagnostics))
}

fn context() -> config::Context<'static> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    config::Context { secrets: &System, default_workers: cpus.min(MAX_DEFAULT_WORKERS) }
}

/// What a file with this text means.
#[cfg(test)]
pub(crate) fn of_text(text: &str) -> Config {
    config::load("test.toml", text, &context()).expect("a file of the test").config
}

/// Secrets from this process's environment and the file system.
struct System;

impl Secrets for System {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }

    fn certificate(&self, certificate: &Certificate) -> Result<(), (CertificateFile, String)> {
        tls::check_certificate(certificate)
    }

    fn authorities(&self, path: &Path) -> Result<(), String> {
        tls::check_authorities(path)
    }
}
