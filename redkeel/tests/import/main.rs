//! What `redkeel import` prints is run: the files that people have, before real servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod envoy;
mod haproxy;
mod nutcracker;
mod predixy;
#[path = "../scene/mod.rs"]
#[allow(dead_code, reason = "other test binaries use the rest")]
mod scene;

use std::process::Command;

use testkit::{Folder, Redkeel, RedkeelBuilder};

/// A Redkeel that runs what the importer made of `text`, of which nothing may be left over.
fn imported(format: &str, name: &str, text: &str) -> RedkeelBuilder {
    let folder = Folder::new("import");
    let binary = env!("CARGO_BIN_EXE_redkeel");
    let file = folder.write(name, text);
    let output = Command::new(binary).args(["import", format]).arg(&file).output().unwrap();
    let (file, said) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (file, said) = (file.unwrap(), said.unwrap());
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.ends_with("0 directives left over\n") && said.lines().count() == 1, "{said}");
    let written = folder.write("redkeel.toml", &file);
    let checked = Command::new(binary).arg("check").arg(written).output().unwrap();
    assert_eq!((checked.status.code(), &*checked.stderr), (Some(0), &b""[..]), "{file}");
    Redkeel::builder(binary).config(&file)
}

/// `text` with addresses in the places of those of the document.
fn with_addresses<A: ToString>(
    text: &str,
    addresses: impl IntoIterator<Item = (&'static str, A)>,
) -> String {
    let mut text = text.to_owned();
    for (written, address) in addresses {
        assert!(text.contains(written), "{written}");
        text = text.replace(written, &address.to_string());
    }
    text
}
