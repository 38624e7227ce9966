//! A TCP link that can be made slow, silent, broken or absent while it is in use.

mod pump;

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::address::Address;
use crate::port::Port;
use pump::Pump;

/// Forwards connections from its own port to a server, from one thread of its own.
#[derive(Debug)]
pub struct FaultyLink {
    port: Port,
    shared: Arc<Mutex<Shared>>,
    waker: UnixStream,
    thread: Option<JoinHandle<()>>,
}

/// What the owner asks for and the thread obeys.
#[derive(Debug)]
struct Shared {
    faults: Faults,
    /// Once, at the next turn.
    action: Option<Action>,
    /// Open connections, as of the last turn.
    connections: usize,
    end: bool,
}

/// The state of the link.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    /// Added to each direction.
    delay: Duration,
    /// Nothing passes in either direction; connections stay open, new ones get no answer.
    blackhole: bool,
    /// Nothing listens: a connect is refused.
    refuse: bool,
    /// Of each connection and direction; 0: no limit.
    bytes_per_second: u64,
}

/// What happens to the connections that are open now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Both sides get a reset.
    Reset,
    /// Both sides get an orderly end.
    Close,
    /// The server's side ends; the client's side stays open and silent.
    HalfOpen,
    /// Half-open ones get a reset.
    Heal,
}

impl FaultyLink {
    /// A link to `server` that has no fault yet.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub fn to(server: impl Into<Address>) -> Self {
        let port = Port::free();
        let shared = Shared { faults: Faults::default(), action: None, connections: 0, end: false };
        let shared = Arc::new(Mutex::new(shared));
        let (waker, wakes) = UnixStream::pair().expect("a socket pair");
        wakes.set_nonblocking(true).expect("a socket pair");
        let listener = listen(&port).expect("a free port to listen on");
        let mut pump = Pump::new(server.into(), port.clone(), listener, wakes, Arc::clone(&shared));
        let thread = thread::Builder::new().name("faulty-link".into()).spawn(move || pump.run());
        Self { port, shared, waker, thread: Some(thread.expect("a thread")) }
    }

    /// Where to connect instead of to the server.
    pub fn address(&self) -> Address {
        Address::Tcp(self.port.address())
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        lock(&self.shared).connections
    }

    /// Bytes arrive this much later, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.change(|shared| shared.faults.delay = delay);
    }

    /// Nothing passes any more, and nobody is told: connections stay open, and new ones are
    /// accepted and get no answer.
    pub fn blackhole(&self) {
        self.change(|shared| shared.faults.blackhole = true);
    }

    /// Connects are refused from now on; open connections live on.
    pub fn refuse(&self) {
        self.change(|shared| shared.faults.refuse = true);
    }

    /// Bytes per second of each connection and direction.
    pub fn bandwidth(&self, bytes_per_second: u64) {
        self.change(|shared| shared.faults.bytes_per_second = bytes_per_second);
    }

    /// Resets (RST) all open connections, on both sides.
    pub fn reset(&self) {
        self.act(Action::Reset);
    }

    /// Ends all open connections in order (FIN), on both sides.
    pub fn close(&self) {
        self.act(Action::Close);
    }

    /// The server's sides of all open connections end; the clients' sides stay open and silent.
    pub fn half_open(&self) {
        self.act(Action::HalfOpen);
    }

    /// Takes all faults away. What a blackhole held back arrives now; half-open connections are
    /// reset, as by a peer that does not know them any more.
    pub fn heal(&self) {
        self.change(|shared| {
            shared.faults = Faults::default();
            shared.action = Some(Action::Heal);
        });
    }

    fn act(&self, action: Action) {
        self.change(|shared| shared.action = Some(action));
    }

    /// Changes the settings and waits until the thread has obeyed: it answers each byte with one.
    fn change(&self, change: impl FnOnce(&mut Shared)) {
        change(&mut lock(&self.shared));
        let _ = (&self.waker).write_all(&[1]);
        let _ = (&self.waker).read_exact(&mut [0]);
    }
}

impl Drop for FaultyLink {
    fn drop(&mut self) {
        self.change(|shared| shared.end = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(port: &Port) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(port.address())?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::time::Instant;

    use super::*;
    use crate::stream::Stream;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(10);

    /// A server that sends back what it gets.
    struct Echo {
        address: Address,
    }

    impl Echo {
        fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = Address::Tcp(listener.local_addr().unwrap().to_string());
            thread::spawn(move || {
                for stream in listener.incoming() {
                    thread::spawn(move || {
                        let stream = stream.unwrap();
                        let _ = io::copy(&mut &stream, &mut &stream);
                        let _ = stream.shutdown(Shutdown::Write);
                    });
                }
            });
            Self { address }
        }
    }

    fn connect(link: &FaultyLink) -> Stream {
        let stream = link.address().connect(LONG).unwrap();
        stream.set_timeout(Some(LONG)).unwrap();
        stream
    }

    fn echo(stream: &mut Stream, text: &[u8]) -> io::Result<()> {
        stream.write_all(text)?;
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back)?;
        assert_eq!(back, text);
        Ok(())
    }

    #[test]
    fn passes_bytes_and_ends() {
        let link = FaultyLink::to(Echo::start().address);
        let mut stream = connect(&link);
        let large: Vec<u8> = (0..4_000_000_u32).map(|n| n as u8).collect();
        let mut writer = match &stream {
            Stream::Tcp(stream) => stream.try_clone().unwrap(),
            Stream::Tls(_) | Stream::Unix(_) => unreachable!(),
        };
        let sent = large.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        writing.join().unwrap();
        assert!(back == large, "{} of {} bytes", back.len(), large.len());
        crate::eventually(LONG, "the connection to be forgotten", || link.connections() == 0);
    }

    #[test]
    fn delays_each_direction() {
        let link = FaultyLink::to(Echo::start().address);
        link.delay(SHORT);
        let mut stream = connect(&link);
        let start = Instant::now();
        echo(&mut stream, b"x").unwrap();
        assert!(start.elapsed() >= 2 * SHORT);
    }

    #[test]
    fn a_blackhole_is_silent_and_gives_back_what_it_held() {
        let link = FaultyLink::to(Echo::start().address);
        let mut old = connect(&link);
        echo(&mut old, b"before").unwrap();
        link.blackhole();
        let mut new = connect(&link);
        for stream in [&mut old, &mut new] {
            stream.set_timeout(Some(SHORT)).unwrap();
            let error = echo(stream, b"during").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
        link.heal();
        for stream in [&mut old, &mut new] {
            stream.set_timeout(Some(LONG)).unwrap();
            let mut back = [0; 6];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"during");
        }
    }

    #[test]
    fn a_reset_is_not_an_orderly_end() {
        let link = FaultyLink::to(Echo::start().address);
        let mut stream = connect(&link);
        echo(&mut stream, b"x").unwrap();
        link.reset();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);

        let mut stream = connect(&link);
        echo(&mut stream, b"x").unwrap();
        link.close();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn half_open_is_silent_until_healed() {
        let link = FaultyLink::to(Echo::start().address);
        let mut stream = connect(&link);
        echo(&mut stream, b"x").unwrap();
        link.half_open();
        stream.set_timeout(Some(SHORT)).unwrap();
        let error = echo(&mut stream, b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        link.heal();
        stream.set_timeout(Some(LONG)).unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn refuses_and_accepts_again() {
        let link = FaultyLink::to(Echo::start().address);
        link.refuse();
        let error = link.address().connect(LONG).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        link.heal();
        echo(&mut connect(&link), b"x").unwrap();
    }

    #[test]
    fn bandwidth_is_limited() {
        let link = FaultyLink::to(Echo::start().address);
        link.bandwidth(100_000);
        let mut stream = connect(&link);
        let start = Instant::now();
        echo(&mut stream, &[7; 60_000]).unwrap();
        // 0.6 s at this rate, less the first tenth of a second's worth.
        assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
    }
}
