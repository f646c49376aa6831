//! A TCP proxy that misbehaves on demand: delay, loss-like stalls, a narrow way, resets, half-open connections, a peer that
//! accepts and never reads. In user space, because this kernel has no netem. Each fault is counted, so that a test can assert
//! that it happened.
//!
//! A proxy ends TCP: what it has read is acknowledged to the sender though the server has not seen it yet. So it holds
//! little (`HELD_BYTES` and the kernel's buffers), and a reset passes on what was acknowledged before it cuts.

use crate::ports::queues;
use socket2::SockRef;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much one direction may hold on its way: enough for 300 ms at 12 Mb/s.
const HELD_BYTES: usize = 512 * 1024;
/// What the kernel may acknowledge to a client before the proxy reads it (socket(7): it doubles this for its own use). So little
/// that of a pause of 0.8 s a sender of 3 Mb/s felt 0.67 s; with 64 KiB it was 0.27 s.
const UNREAD_BYTES: usize = 8 * 1024;
/// Of Ethernet. Loopback's segments of 64 KiB would not fit into a buffer so small.
const MSS: u32 = 1460;
const CHUNK: usize = 4096;
/// How often an idle connection looks for work; also the error of its delays.
const GLANCE: Duration = Duration::from_millis(1);
/// The captured start of each connection.
const CAPTURE_BYTES: usize = 64 << 20;

/// What lies on the way, both directions alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Way {
    /// Added to the round trip, half in each direction.
    pub rtt: Duration,
    /// Bytes per second towards the server; `None`: as fast as it goes.
    pub rate: Option<u64>,
    pub stalls: Option<Stalls>,
}

/// Pauses as a lost packet makes them: everything behind it waits for `length`, unacknowledged once the small receive buffer
/// is full. They take `share` of all time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stalls {
    pub share: f64,
    pub length: Duration,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub accepted: u64,
    pub open: u64,
    pub resets: u64,
    /// Stalls that are over.
    pub stalls: u64,
    /// Of these, those that the client's TCP felt: when they ended it had held unacknowledged bytes for a while. Seen where the
    /// client shares the proxy's network namespace.
    pub stalls_felt: u64,
    /// For how long those clients had waited without any acknowledgement, all together.
    pub silence: Duration,
    /// The longest time for which the machine let a connection's thread do nothing: a fault that nobody asked for.
    pub starved: Duration,
    pub bytes_to_server: u64,
    pub bytes_to_client: u64,
}

#[derive(Default)]
struct Shared {
    way: Mutex<Way>,
    /// Existing connections stand still, both ways, and are not closed.
    half_open: AtomicBool,
    /// New connections are accepted and never read from.
    read_nothing: AtomicBool,
    refuse: AtomicBool,
    stop: AtomicBool,
    accepted: AtomicU64,
    open: AtomicU64,
    resets: AtomicU64,
    stalls: AtomicU64,
    stalls_felt: AtomicU64,
    silence_us: AtomicU64,
    starved_us: AtomicU64,
    bytes_to_server: AtomicU64,
    bytes_to_client: AtomicU64,
    connections: Mutex<Vec<Arc<Connection>>>,
}

struct Connection {
    reset: AtomicBool,
    /// What the client has sent, up to `CAPTURE_BYTES`.
    sent: Mutex<Vec<u8>>,
}

pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<std::thread::JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Listens on a free loopback port and passes everything on to `server`.
    pub fn start(server: SocketAddr) -> Self {
        Self::start_at(crate::ports::loopback(), server)
    }

    /// Listens on `addr`, in the network namespace of the calling thread (`Lab::at_the_ingests`).
    pub fn start_at(addr: SocketAddr, server: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).expect("nobody else listens there");
        listener
            .set_nonblocking(true)
            .expect("a listener can be made non-blocking");
        // Connections inherit it.
        SockRef::from(&listener)
            .set_recv_buffer_size(UNREAD_BYTES)
            .expect("a listener's buffer can be made smaller");
        SockRef::from(&listener)
            .set_tcp_mss(MSS)
            .expect("a listener's segments can be made shorter");
        let shared = Arc::new(Shared::default());
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, server, &shared)
        });
        Proxy {
            addr,
            shared,
            acceptor: Some(acceptor),
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn set_way(&self, way: Way) {
        *lock(&self.shared.way) = way;
    }

    /// Sends RST to all clients now, after passing on what the kernel has acknowledged to them; servers see an end.
    pub fn reset_all(&self) {
        for connection in lock(&self.shared.connections).iter() {
            connection.reset.store(true, Ordering::SeqCst);
        }
    }

    /// Connections stand still and stay open. The kernel acknowledges until its buffers are full, then no more.
    pub fn half_open(&self, on: bool) {
        self.shared.half_open.store(on, Ordering::SeqCst);
    }

    /// Connections made from now on are accepted and never read from, nor passed on.
    pub fn read_nothing(&self, on: bool) {
        self.shared.read_nothing.store(on, Ordering::SeqCst);
    }

    /// Connections made from now on are reset at once.
    pub fn refuse(&self, on: bool) {
        self.shared.refuse.store(on, Ordering::SeqCst);
    }

    pub fn counts(&self) -> Counts {
        let get = |n: &AtomicU64| n.load(Ordering::SeqCst);
        Counts {
            accepted: get(&self.shared.accepted),
            open: get(&self.shared.open),
            resets: get(&self.shared.resets),
            stalls: get(&self.shared.stalls),
            stalls_felt: get(&self.shared.stalls_felt),
            silence: Duration::from_micros(get(&self.shared.silence_us)),
            starved: Duration::from_micros(get(&self.shared.starved_us)),
            bytes_to_server: get(&self.shared.bytes_to_server),
            bytes_to_client: get(&self.shared.bytes_to_client),
        }
    }

    /// What the client has sent on each connection, in the order of accepting. Of RTMP, not RTMPS, it can be read.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        lock(&self.shared.connections)
            .iter()
            .map(|connection| lock(&connection.sent).clone())
            .collect()
    }

    /// How often each connection's client sent this AMF0 command: the string's bytes behind its marker and length.
    pub fn commands_sent(&self, name: &str) -> Vec<usize> {
        let mut wanted = vec![2, 0, name.len() as u8];
        wanted.extend_from_slice(name.as_bytes());
        let count = |sent: &Vec<u8>| sent.windows(wanted.len()).filter(|w| *w == wanted).count();
        self.sent().iter().map(count).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, server: SocketAddr, shared: &Arc<Shared>) {
    while !shared.stop.load(Ordering::SeqCst) {
        let Ok((client, _)) = listener.accept() else {
            std::thread::sleep(GLANCE);
            continue;
        };
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let connection = Arc::new(Connection {
            reset: AtomicBool::new(shared.refuse.load(Ordering::SeqCst)),
            sent: Mutex::new(Vec::new()),
        });
        lock(&shared.connections).push(Arc::clone(&connection));
        let mute = shared.read_nothing.load(Ordering::SeqCst);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            shared.open.fetch_add(1, Ordering::SeqCst);
            if mute {
                while !is_over(&connection, &shared) {
                    std::thread::sleep(GLANCE);
                }
            } else if !is_over(&connection, &shared) {
                // Whatever goes wrong with one connection ends that connection, and the client sees a reset.
                let carried = carry(&client, server, &connection, &shared);
                connection
                    .reset
                    .fetch_or(carried.is_err(), Ordering::SeqCst);
            }
            if connection.reset.load(Ordering::SeqCst) {
                shared.resets.fetch_add(1, Ordering::SeqCst);
                // Closing sends RST instead of FIN. An error means that the connection is gone already.
                let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
            }
            drop(client);
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn is_over(connection: &Connection, shared: &Shared) -> bool {
    shared.stop.load(Ordering::SeqCst) || connection.reset.load(Ordering::SeqCst)
}

/// Moves bytes until both directions have ended, or the test has had enough.
fn carry(
    client: &TcpStream,
    server: SocketAddr,
    connection: &Connection,
    shared: &Shared,
) -> std::io::Result<()> {
    let server = TcpStream::connect(server)?;
    // What a stopped direction holds must be small on the server's side too.
    SockRef::from(&server).set_send_buffer_size(HELD_BYTES / 4)?;
    for stream in [client, &server] {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
    }
    let mut up = Direction::new(client, &server, &shared.bytes_to_server);
    let mut down = Direction::new(&server, client, &shared.bytes_to_client);
    let mut stall = StallClock::new();
    let mut felt = None;
    let mut turn = Instant::now();
    while !(up.is_done() && down.is_done()) {
        if is_over(connection, shared) {
            up.read(Duration::ZERO, usize::MAX, Some(connection))?;
            return up.flush();
        }
        let way = *lock(&shared.way);
        let now = Instant::now();
        let pause = now.duration_since(turn);
        turn = now;
        shared
            .starved_us
            .fetch_max(pause.as_micros() as u64, Ordering::SeqCst);
        let stalled = stall.holds(now, way.stalls);
        if stalled {
            felt.get_or_insert_with(|| Felt::new(client, now)).look(now);
        } else if let Some(felt) = felt.take() {
            felt.count(shared);
        }
        let stands = stalled || shared.half_open.load(Ordering::SeqCst);
        let moved = if stands {
            false
        } else {
            let read = up.read(way.rtt / 2, HELD_BYTES, Some(connection))?
                | down.read(way.rtt / 2, HELD_BYTES, None)?;
            let written = up.write(now, way.rate)? | down.write(now, None)?;
            read | written
        };
        if !moved {
            std::thread::sleep(GLANCE);
        }
    }
    Ok(())
}

/// What a stall is to the client. Its kernel is told that all is well until the small receive buffer is full, so a stall is felt
/// later than it begins, or never by a client that has little to send.
struct Felt {
    /// The client's end of the connection and ours.
    ends: Option<(SocketAddr, SocketAddr)>,
    /// What had been acknowledged but not read when that last grew, and when.
    unread: u64,
    silent_since: Instant,
    looked: Option<Instant>,
    silence: Option<Duration>,
}

impl Felt {
    /// How often the kernel is asked: each time it lists all sockets.
    const LOOK: Duration = Duration::from_millis(10);
    /// A shorter silence may be TCP's own: Linux delays an acknowledgement by 40 ms.
    const LEAST: Duration = Duration::from_millis(100);

    fn new(client: &TcpStream, now: Instant) -> Self {
        Felt {
            ends: client.peer_addr().ok().zip(client.local_addr().ok()),
            unread: 0,
            silent_since: now,
            looked: None,
            silence: None,
        }
    }

    fn look(&mut self, now: Instant) {
        if self.looked.is_some_and(|at| now < at + Self::LOOK) {
            return;
        }
        self.looked = Some(now);
        let seen = self
            .ends
            .and_then(|(theirs, ours)| Some((queues(theirs, ours)?, queues(ours, theirs)?)));
        let Some((client, proxy)) = seen else {
            return;
        };
        if proxy.unread > self.unread {
            self.unread = proxy.unread;
            self.silent_since = now;
        }
        self.silence = (client.unacknowledged > 0).then(|| now - self.silent_since);
    }

    /// The stall is over.
    fn count(self, shared: &Shared) {
        shared.stalls.fetch_add(1, Ordering::SeqCst);
        if let Some(silence) = self.silence.filter(|silence| *silence >= Self::LEAST) {
            shared.stalls_felt.fetch_add(1, Ordering::SeqCst);
            shared
                .silence_us
                .fetch_add(silence.as_micros() as u64, Ordering::SeqCst);
        }
    }
}

/// When the next loss-like stall comes, and whether one lasts.
struct StallClock {
    next: Option<Instant>,
    until: Option<Instant>,
    random: u64,
}

impl StallClock {
    fn new() -> Self {
        StallClock {
            next: None,
            until: None,
            // Any constant: a test must fail the same way twice.
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    fn holds(&mut self, now: Instant, stalls: Option<Stalls>) -> bool {
        let Some(stalls) = stalls else {
            *self = StallClock::new();
            return false;
        };
        if self.until.is_some_and(|until| now < until) {
            return true;
        }
        if self.next.is_some_and(|next| now >= next) {
            self.next = None;
            self.until = Some(now + stalls.length);
            return true;
        }
        if self.next.is_none() {
            let mean = stalls.length.mul_f64((1.0 - stalls.share) / stalls.share);
            self.next = Some(now + mean.mul_f64(0.5 + self.unit()));
        }
        false
    }

    /// From 0 up to 1, by Marsaglia's xorshift (2003): even enough for spreading stalls.
    fn unit(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// One direction of one connection. What is held waits in order, each piece with the earliest time at which it may go on.
struct Direction<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    passed: &'a AtomicU64,
    held: VecDeque<(Instant, Vec<u8>)>,
    held_bytes: usize,
    /// The sender has ended its side.
    ended: bool,
    /// And the receiver has been told.
    told: bool,
    /// When the narrow way is free again.
    free_at: Option<Instant>,
}

impl<'a> Direction<'a> {
    fn new(from: &'a TcpStream, to: &'a TcpStream, passed: &'a AtomicU64) -> Self {
        Direction {
            from,
            to,
            passed,
            held: VecDeque::new(),
            held_bytes: 0,
            ended: false,
            told: false,
            free_at: None,
        }
    }

    fn is_done(&self) -> bool {
        self.told
    }

    /// Takes what is there, up to `limit` held bytes; true when it took something.
    fn read(
        &mut self,
        delay: Duration,
        limit: usize,
        capture: Option<&Connection>,
    ) -> std::io::Result<bool> {
        let mut moved = false;
        while !self.ended && self.held_bytes < limit {
            let mut piece = vec![0; CHUNK];
            match (&*self.from).read(&mut piece) {
                Ok(0) => self.ended = true,
                Ok(n) => {
                    piece.truncate(n);
                    if let Some(connection) = capture {
                        let mut sent = lock(&connection.sent);
                        let room = CAPTURE_BYTES - sent.len();
                        sent.extend_from_slice(&piece[..n.min(room)]);
                    }
                    self.held_bytes += n;
                    self.held.push_back((Instant::now() + delay, piece));
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Passes on what is due; true when it passed on something.
    fn write(&mut self, now: Instant, rate: Option<u64>) -> std::io::Result<bool> {
        let mut moved = false;
        while let Some((due, piece)) = self.held.front_mut() {
            if *due > now || rate.is_some() && self.free_at.is_some_and(|at| at > now) {
                break;
            }
            match (&*self.to).write(piece) {
                Ok(n) => {
                    moved = true;
                    self.held_bytes -= n;
                    self.passed.fetch_add(n as u64, Ordering::SeqCst);
                    if let Some(rate) = rate {
                        let from = self.free_at.unwrap_or(now).max(now - GLANCE * 5);
                        self.free_at = Some(from + Duration::from_secs_f64(n as f64 / rate as f64));
                    }
                    piece.drain(..n);
                    if piece.is_empty() {
                        self.held.pop_front();
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        if self.ended && self.held.is_empty() && !self.told {
            self.told = true;
            self.to.shutdown(Shutdown::Write)?;
        }
        Ok(moved)
    }

    /// Passes on everything held, whatever its time; a server that does not take it within a second does not get it.
    fn flush(&mut self) -> std::io::Result<()> {
        let give_up = Instant::now() + Duration::from_secs(1);
        while !self.held.is_empty() && Instant::now() < give_up {
            if !self.write(Instant::now() + Duration::from_secs(3600), None)? {
                std::thread::sleep(GLANCE);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// A server that echoes, and one client of it through the proxy.
    fn echo() -> (Proxy, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        let client = connect(&proxy);
        (proxy, client)
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let client = TcpStream::connect(proxy.addr()).unwrap();
        client.set_nodelay(true).unwrap();
        client.set_read_timeout(Some(SOON)).unwrap();
        client.set_write_timeout(Some(SOON)).unwrap();
        client
    }

    fn round_trip(mut client: &TcpStream, bytes: usize) -> std::io::Result<Duration> {
        let start = Instant::now();
        let sent = vec![7; bytes];
        client.write_all(&sent)?;
        let mut back = vec![0; bytes];
        client.read_exact(&mut back)?;
        assert_eq!(sent, back);
        Ok(start.elapsed())
    }

    #[test]
    fn it_passes_everything_on_and_captures_it() {
        let (proxy, client) = echo();
        round_trip(&client, 100_000).unwrap();
        (&client).write_all(b"\x02\x00\x0cdeleteStream").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        (&client).read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len(), 15);
        assert_eq!(proxy.counts().bytes_to_server, 100_015);
        assert_eq!(proxy.counts().bytes_to_client, 100_015);
        assert_eq!(proxy.commands_sent("deleteStream"), [1]);
        assert_eq!(proxy.commands_sent("FCUnpublish"), [0]);
        crate::wait::must("closed", SOON, || (proxy.counts().open == 0).then_some(()));
        assert_eq!(proxy.counts().resets, 0);
    }

    #[test]
    fn delay_is_added() {
        let (proxy, client) = echo();
        proxy.set_way(Way {
            rtt: Duration::from_millis(300),
            ..Way::default()
        });
        let took = round_trip(&client, 1000).unwrap();
        assert!(took >= Duration::from_millis(295), "{took:?}");
    }

    #[test]
    fn a_narrow_way_narrows() {
        let (proxy, client) = echo();
        proxy.set_way(Way {
            rate: Some(50_000),
            ..Way::default()
        });
        let took = round_trip(&client, 100_000).unwrap();
        assert!(took >= Duration::from_millis(1800), "{took:?}");
    }

    #[test]
    fn stalls_come_and_are_counted() {
        let (proxy, client) = echo();
        proxy.set_way(Way {
            stalls: Some(Stalls {
                share: 0.5,
                length: Duration::from_millis(50),
            }),
            ..Way::default()
        });
        let start = Instant::now();
        let mut longest = Duration::ZERO;
        while start.elapsed() < Duration::from_secs(1) {
            longest = longest.max(round_trip(&client, 10).unwrap());
        }
        let counts = proxy.counts();
        assert!(counts.stalls >= 3, "{counts:?}");
        assert!(longest >= Duration::from_millis(45), "{longest:?}");
        // Ten bytes fit into any buffer: they were acknowledged.
        assert_eq!(counts.stalls_felt, 0, "{counts:?}");
    }

    #[test]
    fn a_client_that_has_much_to_send_feels_a_stall() {
        let (proxy, client) = echo();
        proxy.set_way(Way {
            stalls: Some(Stalls {
                share: 0.5,
                length: Duration::from_millis(300),
            }),
            ..Way::default()
        });
        std::thread::scope(|scope| {
            scope.spawn(|| std::io::copy(&mut (&client), &mut std::io::sink()));
            let start = Instant::now();
            while proxy.counts().stalls_felt < 2 {
                assert!(start.elapsed() < SOON, "{:?}", proxy.counts());
                (&client).write_all(&[7; CHUNK]).unwrap();
            }
            client.shutdown(Shutdown::Write).unwrap();
            proxy.set_way(Way::default());
        });
        let counts = proxy.counts();
        assert!(counts.stalls_felt <= counts.stalls, "{counts:?}");
        assert!(counts.silence >= Felt::LEAST * 2, "{counts:?}");
    }

    #[test]
    fn a_reset_is_a_reset_and_what_was_acknowledged_arrives() {
        let (proxy, client) = echo();
        proxy.set_way(Way {
            rtt: Duration::from_secs(600),
            ..Way::default()
        });
        (&client).write_all(&[1; 5000]).unwrap();
        crate::wait::must("read by the proxy", SOON, || {
            (proxy.sent().first()?.len() == 5000).then_some(())
        });
        proxy.reset_all();
        let error = (&client).read(&mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(proxy.counts().resets, 1);
        assert_eq!(proxy.counts().bytes_to_server, 5000);
        // The next connection is as good as new.
        proxy.set_way(Way::default());
        round_trip(&connect(&proxy), 10).unwrap();
    }

    #[test]
    fn a_half_open_connection_stands_still_and_goes_on() {
        let (proxy, client) = echo();
        round_trip(&client, 10).unwrap();
        proxy.half_open(true);
        client
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        (&client).write_all(&[9; 10]).unwrap();
        let error = (&client).read(&mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(proxy.counts().open, 1);
        client.set_read_timeout(Some(SOON)).unwrap();
        proxy.half_open(false);
        (&client).read_exact(&mut [0; 10]).unwrap();
    }

    #[test]
    fn a_peer_that_reads_nothing_fills_up() {
        let (proxy, first) = echo();
        round_trip(&first, 10).unwrap();
        proxy.read_nothing(true);
        let client = connect(&proxy);
        client
            .set_write_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let error = (&client).write_all(&vec![0; 32 << 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(proxy.counts().bytes_to_server, 10);
        round_trip(&first, 10).unwrap();
    }

    #[test]
    fn refusing_cuts_at_once() {
        let (proxy, _first) = echo();
        proxy.refuse(true);
        let client = connect(&proxy);
        let mut buffer = [0; 1];
        assert!((&client).read(&mut buffer).is_err());
    }
}
