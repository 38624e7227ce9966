//! Hosts of their own on one machine: network namespaces around a bridge (Linux, as root, with iproute2).

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;

/// How many networks fit side by side: 198.18.0.0/15, the range for measurements (RFC 2544), in parts of 256 addresses.
const NETWORKS: u16 = 512;

/// A network between the test and some hosts. What a host that is cut off sends, or is sent, is lost without a word.
///
/// Everything is removed on drop; the hosts share it.
#[derive(Clone, Debug)]
pub struct Network {
    bridge: Arc<Bridge>,
}

#[derive(Debug)]
struct Bridge {
    number: u16,
}

/// A host: its programs see its own network interface, and nothing else of the machine's network.
#[derive(Clone, Debug)]
pub struct Host {
    end: Arc<End>,
}

#[derive(Debug)]
struct End {
    bridge: Arc<Bridge>,
    number: u8,
}

impl Network {
    /// Makes one; an error says why this machine does not allow it.
    pub fn new() -> Result<Self, String> {
        let mut refusal = String::new();
        for _ in 0..100 {
            let bridge = Bridge { number: fastrand::u16(0..NETWORKS) };
            // Of two that draw the same number one is refused.
            match ip(&format!("link add {} type bridge", bridge.name())) {
                Err(why) => {
                    refusal = why;
                    // It is somebody else's: not to be removed.
                    std::mem::forget(bridge);
                }
                Ok(()) => {
                    ip(&format!("address add {}/24 dev {}", bridge.address(1), bridge.name()))?;
                    ip(&format!("link set {} up", bridge.name()))?;
                    return Ok(Self { bridge: Arc::new(bridge) });
                }
            }
        }
        Err(refusal)
    }

    /// Adds a host.
    ///
    /// # Panics
    ///
    /// When the machine refuses.
    pub fn host(&self, number: u8) -> Host {
        let end = End { bridge: Arc::clone(&self.bridge), number: number + 2 };
        let (host, outside) = (end.name(), end.outside());
        let address = end.bridge.address(end.number);
        for arguments in [
            format!("netns add {host}"),
            format!("link add {outside} type veth peer name eth0 netns {host}"),
            format!("link set {outside} master {} up", end.bridge.name()),
            format!("-netns {host} address add {address}/24 dev eth0"),
            format!("-netns {host} link set lo up"),
            format!("-netns {host} link set eth0 up"),
        ] {
            ip(&arguments).unwrap_or_else(|why| panic!("ip {arguments}: {why}"));
        }
        Host { end: Arc::new(end) }
    }
}

impl Bridge {
    fn name(&self) -> String {
        format!("rk{}", self.number)
    }

    fn address(&self, host: u8) -> Ipv4Addr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(198, 18 + high, low, host)
    }
}

impl End {
    fn name(&self) -> String {
        format!("{}h{}", self.bridge.name(), self.number)
    }

    /// The end of its cable that is on this side.
    fn outside(&self) -> String {
        format!("{}v{}", self.bridge.name(), self.number)
    }
}

impl Host {
    /// Its address.
    pub fn address(&self) -> String {
        self.end.bridge.address(self.end.number).to_string()
    }

    /// A command that runs there.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.end.name(), program]);
        command
    }

    /// Cuts it off from everybody.
    ///
    /// # Panics
    ///
    /// When the machine refuses.
    pub fn cut(&self) {
        self.set("nomaster");
    }

    /// Connects it again.
    ///
    /// # Panics
    ///
    /// When the machine refuses.
    pub fn heal(&self) {
        self.set(&format!("master {}", self.end.bridge.name()));
    }

    fn set(&self, what: &str) {
        let arguments = format!("link set {} {what}", self.end.outside());
        ip(&arguments).unwrap_or_else(|why| panic!("ip {arguments}: {why}"));
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = ip(&format!("link del {}", self.name()));
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // The cable goes with its end in there, once nothing runs there any more.
        let _ = ip(&format!("link del {}", self.outside()));
        let _ = ip(&format!("netns del {}", self.name()));
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| format!("cannot run ip (iproute2): {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::RedisServer;
    use crate::{eventually, simple};
    use std::time::Duration;

    #[test]
    fn a_host_that_is_cut_off_is_silent_until_it_is_connected_again() {
        let network = match Network::new() {
            Ok(network) => network,
            Err(why) => return eprintln!("no namespaces here: {why}"),
        };
        let host = network.host(0);
        let server = RedisServer::builder().on(&host).start();
        let mut client = server.client();
        assert_eq!(client.command(["PING"]), simple("PONG"));
        client.set_timeout(Duration::from_millis(500));
        host.cut();
        assert!(client.try_command(["PING"]).is_err());
        host.heal();
        eventually(Duration::from_secs(15), "an answer", || server.is_answering());
    }
}
