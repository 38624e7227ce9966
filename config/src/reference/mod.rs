//! The options for people: `docs/configuration.md` and `redkeel.sample.toml`.

mod page;
mod sample;

pub use page::reference_page;
pub use sample::sample_file;
