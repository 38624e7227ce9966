//! From the configuration of another proxy to Redkeel's.
//!
//! [`import`] reads a text and gives back a file that [`config::load`] accepts, with comments on what was decided, and a list of
//! the directives that it could not carry over, each with its line. Every value that is carried over has been tried in
//! that file first, so what an importer writes is never out of Redkeel's bounds: what is, is left over with the reason.
//!
//! This crate does no I/O: the text comes in as an argument, further files through [`Files`].

mod document;
mod draft;
mod envoy;
mod haproxy;
mod nutcracker;
mod predixy;
mod report;
mod value;
mod yaml;

pub use report::Left;

use document::Document;
use report::Report;

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// HAProxy: `haproxy.cfg`.
    Haproxy,
    /// twemproxy: `nutcracker.yml`.
    Nutcracker,
    /// Envoy: a bootstrap file, in YAML or JSON.
    Envoy,
    /// predixy: `predixy.conf`.
    Predixy,
}

/// Finds the further files that a configuration includes.
pub trait Files {
    /// The text of the file `path`, which is relative to the file that includes it.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    fn read(&self, path: &str) -> Result<String, String>;
}

/// A configuration that was carried over.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The text of a `redkeel.toml`.
    pub file: String,
    /// How many pools it has.
    pub pools: usize,
    /// What it does not have, in the order of the lines.
    pub left: Vec<Left>,
}

/// A configuration of which nothing could be carried over.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What is wrong with it as a whole.
    pub why: String,
    /// What was left over, in the order of the lines.
    pub left: Vec<Left>,
}

/// Longer texts are no configuration.
const MAX_BYTES: usize = 16 << 20;

/// Reads a configuration. `origin` is the name of its file, for comments and messages.
///
/// # Errors
///
/// It cannot be understood, or there is no pool in it that Redkeel could run.
pub fn import(
    format: Format,
    origin: &str,
    text: &str,
    files: &dyn Files,
) -> Result<Imported, Refused> {
    let mut report = Report::new(origin);
    let mut document = Document::new(format.program(), origin);
    let read = if text.len() > MAX_BYTES {
        Err(format!("{origin} is too large for a configuration"))
    } else {
        match format {
            Format::Haproxy => haproxy::read(text, &mut document, &mut report),
            Format::Nutcracker => nutcracker::read(text, &mut document, &mut report),
            Format::Envoy => envoy::read(text, &mut document, &mut report),
            Format::Predixy => predixy::read(text, files, &mut document, &mut report),
        }
    };
    let left = report.finish();
    let nothing = || format!("there is nothing in {origin} that could be a pool of Redkeel's");
    match read {
        Err(why) => Err(Refused { why, left }),
        Ok(()) if document.pools() == 0 => Err(Refused { why: nothing(), left }),
        Ok(()) => {
            let (file, pools) = (document.to_string(), document.pools());
            match draft::accepts(&file) {
                Ok(()) => Ok(Imported { file, pools, left }),
                Err(why) => {
                    Err(Refused { why: format!("what {origin} becomes is refused: {why}"), left })
                }
            }
        }
    }
}

impl Format {
    /// For people.
    fn program(self) -> &'static str {
        match self {
            Self::Haproxy => "HAProxy",
            Self::Nutcracker => "twemproxy",
            Self::Envoy => "Envoy",
            Self::Predixy => "predixy",
        }
    }
}
