//! The listener and its connections, each in a task of its own.

use super::connection::{Context, serve};
use super::desk::{Desk, Event, Word};
use super::judge::report::Report;
use super::rules::{ConnectionId, Rules};
use super::tls::{self, Tls, TlsError};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Connections at a time. Each may hold its reader's limits in memory.
const MAX_CONNECTIONS: usize = 64;
/// What a listener of events may lag behind: a minute of many publishers.
const EVENTS: usize = 1_024;
/// How long connections may take to end after the rehearsal was stopped.
const FAREWELL: Duration = Duration::from_secs(5);
/// After an accept failed (out of file handles, say), before the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    pub tls: Tls,
    pub rules: Rules,
    /// FLV files of all that arrives are written to this directory.
    pub record: Option<PathBuf>,
    /// Ends when the first publish has ended.
    pub once: bool,
    pub patience: Patience,
    pub misbehave: Misbehaviour,
}

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For TLS, and again for RTMP's handshake and `connect`.
    pub handshake: Duration,
    /// From `connect` to `publish`: a standby waits here.
    pub publish: Duration,
    /// Between two reads while publishing: after this a dead connection is noticed.
    pub idle: Duration,
    /// To take what it is sent.
    pub write: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            handshake: Duration::from_secs(10),
            publish: Duration::from_secs(600),
            idle: Duration::from_secs(30),
            write: Duration::from_secs(10),
        }
    }
}

/// Faults on purpose, for the tests of an uplink.
#[derive(Clone, Copy, Debug, Default)]
pub struct Misbehaviour {
    /// Accepts the publish, then reads nothing more.
    pub reads_nothing: bool,
    /// Breaks a connection off this long after its publish was accepted.
    pub kill_after: Option<Duration>,
}

#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    #[error("{address} can't be listened on: {source}{}", listen_hint(source))]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the recordings' directory {} can't be made: {source}", .path.display())]
    RecordDirectory { path: PathBuf, source: io::Error },
}

impl RehearsalError {
    /// 2 for files that can't be used, 1 for what the machine refuses.
    pub fn exit_code(&self) -> u8 {
        match self {
            RehearsalError::Listen { .. } => 1,
            RehearsalError::Tls(_) | RehearsalError::RecordDirectory { .. } => 2,
        }
    }
}

fn listen_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => "; another program listens there: choose another port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need root: choose a higher one",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
        _ => "",
    }
}

/// An ingest that listens and is ready to run.
pub struct Rehearsal {
    settings: Arc<Settings>,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    ca_pem: Option<String>,
    events: broadcast::Sender<Event>,
}

impl Rehearsal {
    pub async fn bind(settings: Settings) -> Result<Self, RehearsalError> {
        let tls = tls::server(&settings.tls, settings.listen)?;
        if let Some(path) = &settings.record {
            let made = tokio::fs::create_dir_all(path).await;
            made.map_err(|source| RehearsalError::RecordDirectory {
                path: path.clone(),
                source,
            })?;
        }
        let failed = |source| RehearsalError::Listen {
            address: settings.listen,
            source,
        };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (acceptor, ca_pem) = match tls {
            Some(tls) => (Some(TlsAcceptor::from(tls.config)), tls.ca_pem),
            None => (None, None),
        };
        Ok(Rehearsal {
            settings: Arc::new(settings),
            listener,
            address,
            tls: acceptor,
            ca_pem,
            events: broadcast::channel(EVENTS).0,
        })
    }

    /// Where it listens: the port is the one chosen when the settings say 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server URL for a publisher; any key is accepted.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "rtmps" } else { "rtmp" };
        format!("{scheme}://{}/live", self.address)
    }

    /// What a publisher has to trust (`tls_ca_file`) when the certificate is self-made.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Events from now on. One who lags far behind misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Serves until `shutdown` resolves, or with `once` until the first publish has ended.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Report {
        let (word_sender, mut words) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let mut desk = Desk::new(
            self.settings.rules,
            word_sender.clone(),
            self.events.clone(),
        );
        let context = Context {
            settings: self.settings.clone(),
            desk: word_sender,
            events: self.events.clone(),
            shutdown: stopped,
        };
        let mut connections = JoinSet::new();
        let mut count = 0;
        tokio::pin!(shutdown);
        while !(self.settings.once && desk.ended() > 0) {
            tokio::select! {
                () = &mut shutdown => break,
                // Never None: `context` holds a sender.
                Some(word) = words.recv() => desk.handle(word),
                Some(ended) = connections.join_next() => contain(&mut desk, ended),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) if connections.len() < MAX_CONNECTIONS => {
                        count += 1;
                        let id = ConnectionId(count);
                        connections.spawn(accept(id, stream, peer, self.tls.clone(), context.clone()));
                    }
                    Ok((_, peer)) => desk.failed(format!(
                        "{peer}: turned away, {MAX_CONNECTIONS} others are connected"
                    )),
                    Err(error) => {
                        desk.failed(format!("a connection can't be accepted: {error}"));
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        stop.send_replace(true);
        let farewell = async {
            while let Some(ended) = connections.join_next().await {
                contain(&mut desk, ended);
            }
        };
        if timeout(FAREWELL, farewell).await.is_err() {
            connections.shutdown().await;
        }
        // Every lease has come back by now: the tasks that held them are gone.
        while let Ok(word) = words.try_recv() {
            desk.handle(word);
        }
        desk.report()
    }
}

/// A connection that panics takes nobody else down. Panic means bug, so it is told.
fn contain(desk: &mut Desk, ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        desk.failed("a connection's task panicked: this is a bug of Regia's".into());
    }
}

async fn accept(
    id: ConnectionId,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    context: Context,
) {
    // Answers are small and awaited: without this they wait for the peer's delayed acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY can't be set");
    }
    let desk = context.desk.clone();
    let result = match tls {
        None => serve(id, stream, context).await.map_err(|e| e.to_string()),
        Some(tls) => match handshake(tls, stream, &context).await {
            Ok(stream) => serve(id, stream, context).await.map_err(|e| e.to_string()),
            Err(text) => Err(text),
        },
    };
    if let Err(text) = result {
        // A desk that is gone has nobody to tell.
        let _ = desk.send(Word::Failed(format!("{peer}: {text}")));
    }
}

async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
    context: &Context,
) -> Result<tokio_rustls::server::TlsStream<TcpStream>, String> {
    let patience = context.settings.patience.handshake;
    let mut shutdown = context.shutdown.clone();
    tokio::select! {
        _ = shutdown.wait_for(|down| *down) => Err("the rehearsal ended during its TLS handshake".into()),
        accepted = timeout(patience, tls.accept(stream)) => match accepted {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(format!(
                "its TLS handshake failed: {error}; does it publish to rtmps:// and trust the certificate?"
            )),
            Err(_) => Err(format!("it did not finish its TLS handshake within {patience:?}")),
        },
    }
}
