//! The tests of the installed redis-server: from the source package that its binary package was built from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::folder;
use crate::step::{output, run_command};

/// A folder with the server's own `tests` folder, changed as [`add_shim`] says; fetched if it is not there yet.
pub(super) fn redis_tests() -> Result<PathBuf> {
    let version = installed_version()?;
    let to = folder().join(format!("redis-{version}"));
    if !to.join("tests/complete").is_file() {
        fetch(&to).with_context(|| {
            format!(
                "no source package of the installed redis-server {version}: unpack its source into {} and create \
                 the file `tests/complete` there",
                to.display()
            )
        })?;
        add_shim(&to)?;
        fs::write(to.join("tests/complete"), "")?;
    }
    Ok(to)
}

fn installed_version() -> Result<String> {
    let text = output("redis-server", &["--version"]).context("redis-server does not run")?;
    let version = text.split_once(" v=").and_then(|(_, rest)| rest.split(' ').next());
    Ok(version.context("redis-server --version says no version")?.to_owned())
}

/// Debian's and Ubuntu's way: the package's own sources, asked for what they were built from.
fn fetch(to: &Path) -> Result<()> {
    let query = ["-W", "-f", "${source:Package}=${source:Version}", "redis-server"];
    let package = output("dpkg-query", &query)
        .context("redis-server is not installed from a Debian package")?;
    let apt = folder().join("apt");
    let download = apt.join("download");
    for part in ["sources.d", "lists/partial", "cache/archives/partial", "download"] {
        fs::create_dir_all(apt.join(part))?;
    }
    let written = write_sources(Path::new("/etc/apt"), &apt.join("sources.d"))?;
    ensure!(written > 0, "/etc/apt names no package sources");
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        for (name, value) in [
            ("Dir::Etc::sourcelist", PathBuf::from("/dev/null")),
            ("Dir::Etc::sourceparts", apt.join("sources.d")),
            ("Dir::State::lists", apt.join("lists")),
            ("Dir::Cache", apt.join("cache")),
        ] {
            command.arg("-o").arg(format!("{name}={}", value.display()));
        }
        command.args(arguments).current_dir(&download);
        command
    };
    // Sources that have no source packages fail; whether ours was among them shows in the next step.
    if let Err(error) = run_command(apt_get(&["update", "-qq"])) {
        println!("    {error:#}");
    }
    run_command(apt_get(&["source", "-qq", "--download-only", &package]))?;
    let archive = fs::read_dir(&download)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.to_string_lossy().contains(".orig.tar"))
        .context("the source package has no .orig.tar file")?;
    fs::create_dir_all(to)?;
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(&archive).arg("-C").arg(to);
    tar.args(["--strip-components=1", "--wildcards", "*/tests"]);
    run_command(tar)
}

/// Copies apt's sources from `etc` to `to`, each turned into one of source packages; returns how many files that were.
fn write_sources(etc: &Path, to: &Path) -> Result<usize> {
    let parts = fs::read_dir(etc.join("sources.list.d")).into_iter().flatten();
    let parts = parts.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut written = 0;
    for path in [etc.join("sources.list")].into_iter().chain(parts) {
        let (Ok(text), Some(name)) = (fs::read_to_string(&path), path.file_name()) else {
            continue;
        };
        let extension = path.extension().unwrap_or_default();
        let text = if extension == "list" {
            one_line_sources(&text)
        } else if extension == "sources" {
            deb822_sources(&text)
        } else {
            continue;
        };
        fs::write(to.join(name), text)?;
        written += 1;
    }
    Ok(written)
}

/// `deb …` becomes `deb-src …`.
fn one_line_sources(text: &str) -> String {
    let lines = text.lines().map(|line| match line.trim_start().strip_prefix("deb ") {
        Some(rest) => format!("deb-src {rest}\n"),
        None => String::new(),
    });
    lines.collect()
}

/// `Types: deb` becomes `Types: deb-src`.
fn deb822_sources(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let is_types = line.to_ascii_lowercase().starts_with("types:");
        if is_types { "Types: deb-src\n".to_owned() } else { format!("{line}\n") }
    });
    lines.collect()
}

/// Has the suite read `$SUITE_SHIM` before its first test: see `xtask/suites/tcl/shim.tcl`.
fn add_shim(to: &Path) -> Result<()> {
    const BEGIN: &str = "\nif {$::client} {\n";
    let path = to.join("tests/test_helper.tcl");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    ensure!(text.matches(BEGIN).count() == 1, "{} has no place for the shim", path.display());
    let text = text.replace(BEGIN, &format!("\nsource $::env(SUITE_SHIM){BEGIN}"));
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_binaries_become_sources_of_sources() {
        let list =
            "# comment\ndeb [signed-by=/k] http://host/debian stable main\ndeb-src http://x y z\n";
        let expected = "deb-src [signed-by=/k] http://host/debian stable main\n";
        assert_eq!(one_line_sources(list), expected);
        let sources =
            "Types: deb\nURIs: http://host/debian\nSuites: stable\n\nTypes: deb deb-src\n";
        let expected =
            "Types: deb-src\nURIs: http://host/debian\nSuites: stable\n\nTypes: deb-src\n";
        assert_eq!(deb822_sources(sources), expected);
    }
}
