//! The log: to stderr, text for people or JSON for machines.

use std::io::IsTerminal;

use config::{Log, LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;

/// From now on events are written to stderr, and so are panics, as events.
pub(crate) fn start(log: &Log) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(level(log.level))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(thread, "{panic}");
    }));
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
