//! Real Redis servers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::process::Command;
use std::time::Duration;

use resp::Value;
use rustix::process::Signal;

use crate::address::Address;
use crate::client::{Client, simple};
use crate::folder::Folder;
use crate::network::Host;
use crate::port::Port;
use crate::process::Process;
use crate::tls::{Authority, Certificate, ServerTls};
use crate::wait::{eventually, within_time};

/// How long a server may take to start, and a replica to synchronise.
const START: Duration = Duration::from_secs(20);
/// How long one that is up may refuse a connection or close it.
const ANSWERS: Duration = Duration::from_secs(5);
const CONFIG: &str = "redis.conf";

/// What a server is to be started with.
#[derive(Clone, Debug, Default)]
pub struct RedisBuilder {
    unix: bool,
    ipv6: bool,
    host: Option<Host>,
    password: Option<String>,
    primary: Option<(String, u16, Option<String>)>,
    options: Vec<(String, String)>,
    arguments: Vec<String>,
    cpu: Option<usize>,
    tls: Option<ServerTls>,
}

impl RedisBuilder {
    /// Listens on a unix socket instead of TCP.
    pub fn unix_socket(mut self) -> Self {
        self.unix = true;
        self
    }

    /// Listens on ::1 instead of 127.0.0.1.
    pub fn ipv6(mut self) -> Self {
        self.ipv6 = true;
        self
    }

    /// Runs on this host, at its address.
    pub fn on(mut self, host: &Host) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// Clients need this password.
    pub fn requirepass(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Speaks TLS only, with a certificate of `authority` for localhost; clients need none.
    pub fn tls(self, authority: &Authority) -> Self {
        let certificate = authority.certificate(&["localhost", "127.0.0.1"]);
        self.tls_with(authority, &certificate, "no")
    }

    /// Speaks TLS only, with this certificate. `clients`: `tls-auth-clients`, by the authority.
    pub fn tls_with(
        mut self,
        authority: &Authority,
        certificate: &Certificate,
        clients: &'static str,
    ) -> Self {
        self.tls = Some(ServerTls::new(authority, certificate, clients));
        self
    }

    /// Starts as a replica of `primary`.
    ///
    /// # Panics
    ///
    /// When `primary` has no TCP port.
    pub fn replica_of(mut self, primary: &RedisServer) -> Self {
        let port = primary.port();
        self.primary = Some((primary.host().into(), port, primary.setup.password.clone()));
        self
    }

    /// A line of the configuration file, such as `("maxmemory", "10mb")`.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }

    /// A further argument of the command line.
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Binds the process to one CPU (on Linux).
    pub fn cpu(mut self, cpu: usize) -> Self {
        self.cpu = Some(cpu);
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[track_caller]
    pub fn start(self) -> RedisServer {
        let folder = Folder::new("redis");
        let port = (!self.unix).then(Port::free);
        let address = match &port {
            None => Address::Unix(folder.path().join("redis.sock")),
            Some(port) if self.ipv6 => Address::Tcp(format!("[::1]:{}", port.number())),
            Some(port) => Address::Tcp(format!("{}:{}", self.ip(), port.number())),
        };
        let address = match &self.tls {
            Some(tls) => address.over(&tls.secure),
            None => address,
        };
        folder.write(CONFIG, &self.config(port.as_ref(), &address));
        let process = launch(&folder, &self);
        let server = RedisServer { ip: self.ip(), setup: self, process, address, port, folder };
        server.wait_ready();
        server
    }

    fn ip(&self) -> String {
        match &self.host {
            Some(host) => host.address(),
            None if self.ipv6 => "::1".to_owned(),
            None => "127.0.0.1".to_owned(),
        }
    }

    fn config(&self, port: Option<&Port>, address: &Address) -> String {
        let number = port.map_or(0, Port::number);
        let mut lines = vec![
            format!("bind {}", self.ip()),
            // Only its own network can reach it; without this, none but its own host could.
            format!("protected-mode {}", if self.host.is_some() { "no" } else { "yes" }),
            // The folder is the process's working directory.
            "dir .".into(),
            "save \"\"".into(),
            "appendonly no".into(),
            // A full synchronisation starts at once and waits for no further replica.
            "repl-diskless-sync yes".into(),
            "repl-diskless-sync-delay 0".into(),
            // SIGTERM ends it at once, also while a replica is behind.
            "shutdown-timeout 0".into(),
            "enable-debug-command yes".into(),
        ];
        match &self.tls {
            Some(tls) => lines.extend(tls.lines(number)),
            None => lines.push(format!("port {number}")),
        }
        if let Address::Unix(path) = address {
            lines.push(format!("unixsocket {}", path.display()));
        }
        if let Some(password) = &self.password {
            lines.push(format!("requirepass {password}"));
            lines.push(format!("masterauth {password}"));
        }
        if let Some((host, port, password)) = &self.primary {
            lines.push(format!("replicaof {host} {port}"));
            if let Some(password) = password {
                lines.push(format!("masterauth {password}"));
            }
        }
        lines.extend(self.options.iter().map(|(name, value)| format!("{name} {value}")));
        lines.join("\n") + "\n"
    }
}

fn launch(folder: &Folder, setup: &RedisBuilder) -> Process {
    let mut command = match &setup.host {
        Some(host) => host.command("redis-server"),
        None => Command::new("redis-server"),
    };
    command.current_dir(folder.path()).arg(CONFIG).args(&setup.arguments);
    Process::start_on("redis-server", command, folder.path().join("log"), setup.cpu)
}

/// A running `redis-server` with its own folder and address, ended on drop.
#[derive(Debug)]
pub struct RedisServer {
    setup: RedisBuilder,
    ip: String,
    // Before the folder: the process goes first.
    process: Process,
    address: Address,
    port: Option<Port>,
    folder: Folder,
}

impl RedisServer {
    /// Starts a server on a free TCP port.
    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// What it is to be started with.
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    /// Where it listens, as Redkeel's `servers` takes it.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The IP address that it listens on.
    pub fn host(&self) -> &str {
        &self.ip
    }

    /// Its TCP port.
    ///
    /// # Panics
    ///
    /// When it listens on a unix socket.
    pub fn port(&self) -> u16 {
        self.port.as_ref().map(Port::number).expect("this server has no TCP port")
    }

    /// The process number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The folder that holds its data, configuration and log.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// SIGTERM, and waits until it is gone.
    #[track_caller]
    pub fn terminate(&mut self) {
        self.process.signal(Signal::TERM);
        self.process.wait_exit(START);
    }

    /// SIGSTOP: it keeps its connections and answers nothing.
    pub fn stop_signal(&mut self) {
        self.process.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on where it was stopped.
    pub fn cont(&mut self) {
        self.process.signal(Signal::CONT);
    }

    /// Starts it again at the same address, with the data and the configuration (as `CONFIG
    /// REWRITE` left it) of its folder; ends it first if it runs.
    #[track_caller]
    pub fn restart(&mut self) {
        self.process.kill9();
        self.process = launch(&self.folder, &self.setup);
        self.wait_ready();
    }

    /// Starts it again at the same address without data and with the configuration it had first.
    #[track_caller]
    pub fn restart_empty(&mut self) {
        self.process.kill9();
        for data in ["dump.rdb", "appendonlydir"] {
            let path = self.folder.path().join(data);
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
        self.folder.write(CONFIG, &self.setup.config(self.port.as_ref(), &self.address));
        self.restart();
    }

    /// A new connection, authenticated if the server has a password.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.try_client().unwrap_or_else(|error| panic!("{}: {error}", self.address))
    }

    fn try_client(&self) -> io::Result<Client> {
        let mut client = Client::try_connect(&self.address)?;
        if let Some(password) = &self.setup.password {
            client.try_command(["AUTH", password])?;
        }
        Ok(client)
    }

    /// One command over a new connection.
    #[track_caller]
    pub fn cli<A: AsRef<[u8]>>(&self, command: impl IntoIterator<Item = A>) -> Value {
        self.client().command(command)
    }

    /// A section of INFO, by field name. A Sentinel that makes the server a replica closes its clients' connections: it is
    /// asked again.
    #[track_caller]
    pub fn info(&self, section: &str) -> BTreeMap<String, String> {
        within_time(ANSWERS, || self.try_info(section))
            .unwrap_or_else(|error| panic!("{}: {error}", self.address))
    }

    fn try_info(&self, section: &str) -> io::Result<BTreeMap<String, String>> {
        self.try_client()?.try_info(section)
    }

    /// Does it answer PING with PONG: is it up, and has it loaded its data?
    pub fn is_answering(&self) -> bool {
        self.ping().is_ok()
    }

    fn ping(&self) -> io::Result<()> {
        match self.try_client()?.try_command(["PING"])? {
            pong if pong == simple("PONG") => Ok(()),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }

    /// Waits until it does.
    #[track_caller]
    pub fn wait_ready(&self) {
        let ready = within_time(START, || self.ping());
        if let Err(reason) = ready {
            let log = self.process.log_tail();
            panic!("redis-server at {} is not ready: {reason}\n{log}", self.address);
        }
    }

    /// As a replica: waits until its link to its primary is up and the first synchronisation done.
    #[track_caller]
    pub fn wait_link_up(&self) {
        eventually(START, "the replica's link to its primary", || {
            let info = self.try_info("replication").map_err(|error| error.to_string())?;
            match info.get("master_link_status").map(String::as_str) {
                Some("up") => Ok(()),
                other => Err(format!("master_link_status is {other:?}")),
            }
        });
    }

    /// As a primary: waits until this many replicas are online.
    #[track_caller]
    pub fn wait_for_replicas(&self, count: usize) {
        eventually(START, "the primary's replicas to be online", || {
            let info = self.try_info("replication").map_err(|error| error.to_string())?;
            let online = info
                .iter()
                .filter(|(name, value)| name.starts_with("slave") && value.contains("state=online"))
                .count();
            if online >= count { Ok(()) } else { Err(format!("{online} of {count} are online")) }
        });
    }

    /// Waits until `replica` has applied all that this server has written so far.
    #[track_caller]
    pub fn wait_caught_up(&self, replica: &Self) {
        let target = self.replication_offset();
        eventually(START, "the replica to catch up", || {
            let offset = replica.replication_offset();
            if offset >= target { Ok(()) } else { Err(format!("{offset} of {target}")) }
        });
    }

    /// The replication offset it has written (primary) or applied (replica).
    #[track_caller]
    pub fn replication_offset(&self) -> i64 {
        let info = self.info("replication");
        let field = info.get("slave_repl_offset").or_else(|| info.get("master_repl_offset"));
        field.and_then(|text| text.parse().ok()).expect("INFO replication has an offset")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::bulk;

    #[test]
    fn a_replica_follows_and_a_restart_keeps_the_address() {
        let mut primary = RedisServer::builder().requirepass("secret").start();
        let replica = RedisServer::builder().requirepass("secret").replica_of(&primary).start();
        replica.wait_link_up();
        primary.wait_for_replicas(1);
        assert_eq!(primary.cli(["SET", "a", "1"]), simple("OK"));
        primary.wait_caught_up(&replica);
        assert_eq!(replica.cli(["GET", "a"]), bulk("1"));

        let (address, pid) = (primary.address().clone(), primary.pid());
        primary.stop_signal();
        primary.restart_empty();
        assert_eq!(primary.address(), &address);
        assert_ne!(primary.pid(), pid);
        assert_eq!(primary.cli(["GET", "a"]), Value::Null);
    }

    #[test]
    fn unix_sockets_and_ipv6() {
        for server in [
            RedisServer::builder().unix_socket().start(),
            RedisServer::builder().ipv6().option("maxmemory", "10mb").start(),
        ] {
            assert_eq!(server.cli(["PING"]), simple("PONG"));
            assert_eq!(Address::from(server.address().to_string().as_str()), *server.address());
        }
    }

    #[test]
    fn a_restart_keeps_what_config_rewrite_wrote() {
        let mut server = RedisServer::start();
        assert_eq!(server.cli(["CONFIG", "SET", "maxclients", "77"]), simple("OK"));
        assert_eq!(server.cli(["CONFIG", "REWRITE"]), simple("OK"));
        server.restart();
        let reply = server.cli(["CONFIG", "GET", "maxclients"]);
        assert_eq!(reply.as_array().unwrap()[1], bulk("77"));
        server.restart_empty();
        let reply = server.cli(["CONFIG", "GET", "maxclients"]);
        assert_ne!(reply.as_array().unwrap()[1], bulk("77"));
    }
}
