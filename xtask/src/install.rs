//! Installs what the tasks need and the machine lacks.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::root;
use crate::step::{output, run, run_command};

/// A program of the system's packages.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    name: &'static str,
    /// The package of Debian and Ubuntu.
    apt: &'static str,
    /// The package of Homebrew.
    brew: &'static str,
}

pub(crate) const REDIS_SERVER: Program =
    Program { name: "redis-server", apt: "redis-server", brew: "redis" };
pub(crate) const REDIS_BENCHMARK: Program =
    Program { name: "redis-benchmark", apt: "redis-tools", brew: "redis" };
pub(crate) const REDIS_CLI: Program =
    Program { name: "redis-cli", apt: "redis-tools", brew: "redis" };
pub(crate) const HAPROXY: Program = Program { name: "haproxy", apt: "haproxy", brew: "haproxy" };
pub(crate) const TWEMPROXY: Program =
    Program { name: "nutcracker", apt: "nutcracker", brew: "twemproxy" };
pub(crate) const VALGRIND: Program =
    Program { name: "valgrind", apt: "valgrind", brew: "valgrind" };
/// Namespaces are Linux' own: elsewhere the tests that want them say so and pass.
pub(crate) const IP: Program = Program { name: "ip", apt: "iproute2", brew: "iproute2mac" };
pub(crate) const TCLSH: Program = Program { name: "tclsh", apt: "tcl", brew: "tcl-tk" };
const PYTHON: Program = Program { name: "python3", apt: "python3", brew: "python" };
const NODE: Program = Program { name: "node", apt: "nodejs", brew: "node" };
const NPM: Program = Program { name: "npm", apt: "npm", brew: "node" };

/// Installs those of `programs` that are not on the path.
pub(crate) fn programs(programs: &[Program]) -> Result<()> {
    let missing: Vec<Program> =
        programs.iter().copied().filter(|program| !is_on_path(program.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|program| program.name).collect();
    println!("    missing: {}", names.join(", "));
    if is_on_path("apt-get") {
        apt(&missing.iter().map(|program| program.apt).collect::<Vec<_>>())?;
    } else if is_on_path("brew") {
        for program in &missing {
            run("brew", &["install", program.brew])?;
        }
    }
    match missing.iter().find(|program| !is_on_path(program.name)) {
        None => Ok(()),
        Some(program) => bail!(
            "{} is missing: install the package that has it (Debian: {}, Homebrew: {}), then run this again",
            program.name,
            program.apt,
            program.brew
        ),
    }
}

fn apt(packages: &[&str]) -> Result<()> {
    let install = |packages: &[&str]| {
        let mut words = vec!["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y"];
        words.push("--no-install-recommends");
        words.extend(packages);
        as_root(&words)
    };
    if install(packages).is_ok() {
        return Ok(());
    }
    // The package lists of a fresh machine are empty or old.
    as_root(&["apt-get", "update"])?;
    install(packages)
}

fn as_root(words: &[&str]) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return run(words[0], &words[1..]);
    }
    if is_on_path("sudo") {
        return run("sudo", words);
    }
    bail!("`{}` needs root: run it, then run this again", words.join(" "));
}

/// Installs a cargo subcommand in the version that this repository is used with, if there is none.
pub(crate) fn cargo_tool(name: &str, version: &str) -> Result<()> {
    let subcommand = name.strip_prefix("cargo-").unwrap_or(name);
    if output("cargo", &[subcommand, "--version"]).is_some() {
        return Ok(());
    }
    run("cargo", &["install", "--locked", &format!("{name}@{version}")])
}

/// Installs the client libraries that tests drive, in the versions that `testkit/clients` pins,
/// below `target/test-clients`: see `testkit::python` and `testkit::node`.
pub(crate) fn client_libraries() -> Result<()> {
    python()?;
    programs(&[NODE, NPM])?;
    let from = root().join("testkit/clients");
    let to = testkit::client_libraries();

    let requirements = from.join("python/requirements.txt");
    once(&requirements, &to.join("python"), |folder| {
        let mut pip = pip("install");
        pip.arg("--target").arg(folder).arg("--requirement").arg(&requirements);
        run_command(pip)
    })?;

    let lock = from.join("node/package-lock.json");
    once(&lock, &to.join("node"), |folder| {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(from.join("node").join(file), folder.join(file))?;
        }
        let mut npm = Command::new("npm");
        // The versions and checksums of the lock file. `npm ci` would refuse it where a registry lacks what only other
        // platforms need.
        npm.args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]);
        npm.args(["--loglevel", "error"]);
        npm.current_dir(folder);
        run_command(npm)
    })
}

/// Python with pip.
pub(crate) fn python() -> Result<()> {
    programs(&[PYTHON])?;
    if output("python3", &["-m", "pip", "--version"]).is_none() {
        apt(&["python3-pip"]).context("python3 has no pip")?;
    }
    Ok(())
}

/// `pip install` and its like, without questions and advice.
pub(crate) fn pip(subcommand: &str) -> Command {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", subcommand, "--quiet", "--disable-pip-version-check", "--no-input"]);
    if subcommand == "install" {
        pip.args(["--root-user-action", "ignore"]);
    }
    pip
}

/// Fills `folder` anew unless a copy of `pins` in it says that these are installed already.
pub(crate) fn once(
    pins: &Path,
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let stamp = folder.join("installed");
    let wanted = fs::read(pins).with_context(|| format!("cannot read {}", pins.display()))?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    fill(folder)?;
    fs::write(stamp, wanted)?;
    Ok(())
}

fn is_on_path(program: &str) -> bool {
    testkit::find_program(program).is_some()
}
