//! RTMP servers that do what a test wants of them, on real sockets: Regia's own receiver behind a listener, with the test's hand on
//! what it answers. They record as FLV what they are sent.

use regia::media::Track;
use regia::rtmp::{Amf0Value, Receiver, ReceiverEvent, ReceiverSettings, amf0};
use regia_testkit::certs::Leaf;
use regia_testkit::flv;
use regia_testkit::media::Recording;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A connection looks for the end of the test this often.
const GLANCE: Duration = Duration::from_millis(50);
const ACCEPT_GLANCE: Duration = Duration::from_millis(2);

trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// One connection, from the server's side.
pub struct Peer {
    /// From 0, in the order of accepting.
    pub number: usize,
    pub receiver: Receiver,
    wire: Box<dyn Wire>,
    /// What came, up to the first media.
    pub heard: Vec<u8>,
    events: VecDeque<ReceiverEvent>,
    stop: Arc<AtomicBool>,
    recording: Option<File>,
    pub keyframes: Vec<Instant>,
    over: bool,
}

impl Peer {
    pub fn say(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.wire.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(error) if is_pause(&error) && !self.stop.load(Ordering::SeqCst) => {}
                Err(_) => return false,
            }
        }
        self.wire.flush().is_ok()
    }

    /// Sends what the receiver has to say.
    pub fn answer(&mut self) -> bool {
        let output = self.receiver.take_output();
        self.say(&output)
    }

    /// Reads for a moment, without answering; false when the client has gone or the test is over.
    pub fn listen(&mut self) -> bool {
        if self.over {
            return false;
        }
        let mut buffer = [0; 65_536];
        match self.wire.read(&mut buffer) {
            Ok(0) => return false,
            Ok(n) => {
                if self.heard.len() < 8192 {
                    self.heard.extend_from_slice(&buffer[..n]);
                }
                if self.receiver.handle_input(&buffer[..n]).is_err() {
                    return false;
                }
            }
            Err(error) if is_pause(&error) => {}
            Err(_) => return false,
        }
        while let Some(event) = self.receiver.poll_event() {
            self.record(&event);
            self.events.push_back(event);
        }
        !self.stop.load(Ordering::SeqCst)
    }

    /// The next event, everything before it answered; None when the client has gone or the test is over.
    pub fn next(&mut self) -> Option<ReceiverEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if !self.answer() || !self.listen() {
                return None;
            }
        }
    }

    /// A publish was asked for since the last call.
    pub fn wants_to_publish(&mut self) -> bool {
        let asks = |event: ReceiverEvent| matches!(event, ReceiverEvent::PublishRequested { .. });
        self.events.drain(..).any(asks)
    }

    /// Nothing is read any more, and the connection closes when `work` returns.
    pub fn hang_up(&mut self) {
        self.over = true;
    }

    /// Goes as far as the publish and takes it.
    pub fn accept_publish(&mut self) -> bool {
        if !self.until_publish() {
            return false;
        }
        self.receiver.accept_publish();
        self.answer()
    }

    /// Goes as far as the publish and leaves it unanswered.
    pub fn until_publish(&mut self) -> bool {
        while let Some(event) = self.next() {
            if matches!(event, ReceiverEvent::PublishRequested { .. }) {
                return true;
            }
        }
        false
    }

    /// Takes what comes for so long, or to the end of the test; false when the client has gone.
    pub fn take_for(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if !self.answer() || !self.listen() {
                return false;
            }
            self.events.clear();
        }
        true
    }

    pub fn take_all(&mut self) {
        self.take_for(Duration::from_secs(3600));
    }

    /// Everything from now on goes to this file.
    pub fn record_to(&mut self, path: &Path) {
        let mut file = File::create(path).expect("the test's directory is writable");
        file.write_all(b"FLV\x01\x05\0\0\0\x09\0\0\0\0")
            .expect("the disk has room");
        self.recording = Some(file);
    }

    /// One tag as the Video File Format Specification 10.1, annex E, has it.
    fn record(&mut self, event: &ReceiverEvent) {
        let ReceiverEvent::Tag {
            kind,
            timestamp_ms,
            body,
        } = event
        else {
            return;
        };
        if *kind == Track::Video && body.first().is_some_and(|b| b >> 4 == 1) && body[1] == 1 {
            self.keyframes.push(Instant::now());
        }
        let Some(file) = &mut self.recording else {
            return;
        };
        let mut tag = vec![if *kind == Track::Video { 9 } else { 8 }];
        tag.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
        let [high, rest @ ..] = (*timestamp_ms as u32).to_be_bytes();
        tag.extend_from_slice(&rest);
        tag.extend_from_slice(&[high, 0, 0, 0]);
        tag.extend_from_slice(body);
        tag.extend_from_slice(&(tag.len() as u32).to_be_bytes());
        file.write_all(&tag).expect("the disk has room");
    }
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

pub struct Server {
    pub addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// How a server takes connections.
#[derive(Clone, Default)]
pub struct Listen {
    at: Option<SocketAddr>,
    tls: Option<Leaf>,
    mptcp: bool,
}

impl Listen {
    pub fn at(addr: SocketAddr) -> Self {
        Listen {
            at: Some(addr),
            ..Listen::default()
        }
    }

    pub fn tls(leaf: &Leaf) -> Self {
        Listen {
            tls: Some(leaf.clone()),
            ..Listen::default()
        }
    }

    pub fn mptcp(self) -> Self {
        Listen {
            mptcp: true,
            ..self
        }
    }

    fn bind(&self) -> TcpListener {
        let addr = self.at.unwrap_or_else(regia_testkit::ports::loopback);
        let protocol = if self.mptcp {
            Protocol::MPTCP
        } else {
            Protocol::TCP
        };
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(protocol))
            .expect("the kernel has this protocol");
        socket
            .set_reuse_address(true)
            .expect("a socket can be reused");
        socket.bind(&addr.into()).expect("the address is free");
        socket.listen(64).expect("a bound socket can listen");
        socket.into()
    }
}

impl Server {
    /// `work` has each connection to itself, in a thread of its own; when it returns the connection is closed.
    pub fn start(listen: &Listen, work: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let tls = listen.tls.as_ref().map(tls_config);
        Self::accept(listen, move |number, stream, stop| {
            let wire: Box<dyn Wire> = match &tls {
                None => Box::new(stream),
                Some(config) => {
                    let session = rustls::ServerConnection::new(Arc::clone(config))
                        .expect("the configuration is good");
                    Box::new(rustls::StreamOwned::new(session, stream))
                }
            };
            work(&mut Peer {
                number,
                receiver: Receiver::new(ReceiverSettings::default()),
                wire,
                heard: Vec::new(),
                events: VecDeque::new(),
                stop: Arc::clone(stop),
                recording: None,
                keyframes: Vec::new(),
                over: false,
            });
        })
    }

    /// The same without any RTMP: `work` has the bare connection.
    pub fn bare(work: impl Fn(usize, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::accept(&Listen::default(), move |number, mut stream, _| {
            work(number, &mut stream);
        })
    }

    fn accept(
        listen: &Listen,
        work: impl Fn(usize, TcpStream, &Arc<AtomicBool>) + Send + Sync + 'static,
    ) -> Self {
        let listener = listen.bind();
        let addr = listener.local_addr().expect("a bound socket has one");
        listener
            .set_nonblocking(true)
            .expect("a listener can be made non-blocking");
        let stop = Arc::new(AtomicBool::new(false));
        let accepted = Arc::new(AtomicUsize::new(0));
        std::thread::spawn({
            let (stop, accepted, work) = (Arc::clone(&stop), Arc::clone(&accepted), Arc::new(work));
            move || {
                while !stop.load(Ordering::SeqCst) {
                    let Ok((stream, _)) = listener.accept() else {
                        std::thread::sleep(ACCEPT_GLANCE);
                        continue;
                    };
                    let number = accepted.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.set_read_timeout(Some(GLANCE));
                    let _ = stream.set_write_timeout(Some(GLANCE));
                    let (stop, work) = (Arc::clone(&stop), Arc::clone(&work));
                    std::thread::spawn(move || work(number, stream, &stop));
                }
            }
        });
        Server {
            addr,
            accepted,
            stop,
        }
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("rtmp://{}/live", self.addr)
    }

    pub fn rtmps_url(&self) -> String {
        format!("rtmps://{}/live", self.addr)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn tls_config(leaf: &Leaf) -> Arc<rustls::ServerConfig> {
    let chain = CertificateDer::pem_file_iter(&leaf.cert)
        .expect("the leaf's file is there")
        .collect::<Result<Vec<_>, _>>()
        .expect("the leaf's file is PEM");
    let key = PrivateKeyDer::from_pem_file(&leaf.key).expect("the key's file is PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("key and certificate belong together");
    Arc::new(config)
}

/// A chunk with a full header, time 0; `payload` must fit into the chunk size.
pub fn chunk(chunk_stream: u8, message_type: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(chunk_stream, message_type, payload.len());
    bytes.extend_from_slice(payload);
    bytes
}

pub fn header(chunk_stream: u8, message_type: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![chunk_stream, 0, 0, 0];
    bytes.extend_from_slice(&(len as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(&[message_type, 0, 0, 0, 0]);
    bytes
}

/// A message of AMF0 on a chunk stream that the receiver does not use, in chunks of the receiver's size.
pub fn command(payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(8, 20, payload.len());
    let size = ReceiverSettings::default().chunk_size as usize;
    for (number, part) in payload.chunks(size).enumerate() {
        if number > 0 {
            bytes.push(0xc8);
        }
        bytes.extend_from_slice(part);
    }
    bytes
}

pub fn status(level: &str, code: &str, description: &str) -> Amf0Value {
    Amf0Value::object([
        ("level", Amf0Value::string(level)),
        ("code", Amf0Value::string(code)),
        ("description", Amf0Value::string(description)),
    ])
}

pub fn on_status(info: Amf0Value) -> Vec<u8> {
    command(&amf0::encode(&[
        Amf0Value::string("onStatus"),
        Amf0Value::Number(0.0),
        Amf0Value::Null,
        info,
    ]))
}

/// What servers recorded under `dir`, oldest first.
pub fn recorded(dir: &Path) -> Vec<Recording> {
    let files: Vec<PathBuf> = flv::files(dir);
    files
        .iter()
        // A standby never sent anything.
        .filter(|path| flv::trim(path).expect("the file is the test's own"))
        .map(|path| Recording::read(path))
        .collect()
}
