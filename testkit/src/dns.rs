//! A name server of a test's own: it answers what the test has set, and counts the questions.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long the thread waits for a question before it looks whether it is to end.
const TURN: Duration = Duration::from_millis(20);

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// Answers questions for A, AAAA and SRV over UDP, from one thread of its own.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One SRV record.
#[derive(Clone, Debug)]
pub struct Service {
    /// The lowest is for use.
    pub priority: u16,
    /// The port of the target.
    pub port: u16,
    /// The target's name.
    pub target: String,
}

#[derive(Debug, Default)]
struct Zone {
    /// By name in lower case, without the last dot.
    names: HashMap<String, Records>,
    questions: HashMap<String, u64>,
    mood: Mood,
}

#[derive(Clone, Debug, Default)]
struct Records {
    addresses: Vec<IpAddr>,
    services: Vec<Service>,
    ttl_seconds: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Answers,
    Silent,
    Fails,
}

/// A question, and where it ends in its message.
struct Question {
    name: String,
    kind: u16,
    end: usize,
}

impl DnsServer {
    /// A server that knows no name yet.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free UDP port");
        socket.set_read_timeout(Some(TURN)).expect("a UDP socket");
        let address = socket.local_addr().expect("a UDP socket");
        let zone = Arc::<Mutex<Zone>>::default();
        let end = Arc::<AtomicBool>::default();
        let (of_thread, ends) = (Arc::clone(&zone), Arc::clone(&end));
        let thread = thread::Builder::new().name("dns".into()).spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                // A datagram that could not be read or sent is as good as lost, which is what datagrams are.
                let _ = serve(&socket, &of_thread);
            }
        });
        Self { address, zone, end, thread: Some(thread.expect("a thread")) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The addresses of a name, from now on.
    pub fn set(&self, name: &str, addresses: &[IpAddr], ttl_seconds: u32) {
        let records = Records { addresses: addresses.to_vec(), ttl_seconds, ..Records::default() };
        self.zone().names.insert(name.to_owned(), records);
    }

    /// The SRV records of a name, from now on.
    pub fn set_services(&self, name: &str, services: &[Service], ttl_seconds: u32) {
        let records = Records { services: services.to_vec(), ttl_seconds, ..Records::default() };
        self.zone().names.insert(name.to_owned(), records);
    }

    /// The name exists no more: NXDOMAIN.
    pub fn remove(&self, name: &str) {
        self.zone().names.remove(name);
    }

    /// Answers nothing.
    pub fn be_silent(&self) {
        self.zone().mood = Mood::Silent;
    }

    /// Answers every question with SERVFAIL.
    pub fn fail(&self) {
        self.zone().mood = Mood::Fails;
    }

    /// Answers again.
    pub fn heal(&self) {
        self.zone().mood = Mood::Answers;
    }

    /// How many questions there were about a name, for A or SRV.
    pub fn questions(&self, name: &str) -> u64 {
        self.zone().questions.get(name).copied().unwrap_or(0)
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        lock(&self.zone)
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(zone: &Mutex<Zone>) -> MutexGuard<'_, Zone> {
    zone.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(socket: &UdpSocket, zone: &Mutex<Zone>) -> io::Result<()> {
    let mut buffer = [0; 1500];
    let (len, client) = socket.recv_from(&mut buffer)?;
    let Some(question) = Question::parse(&buffer[..len]) else { return Ok(()) };
    let reply = lock(zone).answer(&buffer[..len], &question);
    if let Some(reply) = reply {
        socket.send_to(&reply, client)?;
    }
    Ok(())
}

impl Question {
    /// The only question of a message (RFC 1035, 4.1).
    fn parse(message: &[u8]) -> Option<Self> {
        let mut at = 12;
        let mut labels = Vec::new();
        loop {
            let len = usize::from(*message.get(at)?);
            let label = message.get(at + 1..at + 1 + len)?;
            at += 1 + len;
            if len == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        }
        let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
        message.get(at + 3)?;
        Some(Self { name: labels.join("."), kind, end: at + 4 })
    }
}

impl Zone {
    fn answer(&mut self, message: &[u8], question: &Question) -> Option<Vec<u8>> {
        if question.kind != AAAA {
            *self.questions.entry(question.name.clone()).or_default() += 1;
        }
        let records = self.names.get(&question.name);
        let (code, answers) = match (self.mood, records) {
            (Mood::Silent, _) => return None,
            (Mood::Fails, _) => (SERVFAIL, Vec::new()),
            (Mood::Answers, None) => (NXDOMAIN, Vec::new()),
            (Mood::Answers, Some(records)) => (0, records.of_kind(question.kind)),
        };
        // Identifier; a response, recursion desired and available; one question.
        let mut reply = vec![message[0], message[1], 0x81, 0x80 | code, 0, 1];
        reply.extend(u16::try_from(answers.len()).unwrap_or(u16::MAX).to_be_bytes());
        reply.extend([0; 4]);
        reply.extend(&message[12..question.end]);
        let ttl = records.map_or(0, |records| records.ttl_seconds);
        for data in answers {
            // The name: as in the question.
            reply.extend([0xc0, 12]);
            reply.extend(question.kind.to_be_bytes());
            reply.extend([0, 1]);
            reply.extend(ttl.to_be_bytes());
            reply.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
            reply.extend(data);
        }
        Some(reply)
    }
}

impl Records {
    /// The data of the records of one type.
    fn of_kind(&self, kind: u16) -> Vec<Vec<u8>> {
        let addresses = self.addresses.iter().filter_map(|address| match (kind, address) {
            (A, IpAddr::V4(ip)) => Some(ip.octets().to_vec()),
            (AAAA, IpAddr::V6(ip)) => Some(ip.octets().to_vec()),
            _ => None,
        });
        let services = self.services.iter().filter(|_| kind == SRV).map(Service::data);
        addresses.chain(services).collect()
    }
}

impl Service {
    /// Priority, weight, port, target (RFC 2782).
    fn data(&self) -> Vec<u8> {
        let mut data = Vec::new();
        for number in [self.priority, 0, self.port] {
            data.extend(number.to_be_bytes());
        }
        for label in self.target.split('.').filter(|label| !label.is_empty()) {
            data.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
            data.extend(label.as_bytes());
        }
        data.push(0);
        data
    }
}
