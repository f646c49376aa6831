//! `[rtmp]`: encoders push to the box, each on its source's key, and what they push goes to the engine. Shell.

mod connection;
mod feed;

use super::keys::Keyring;
use crate::bridge::supervisor::Inlet;
use crate::config::{RtmpKey, Settings, StreamKey};
use crate::secret::Secret;
use connection::Connection;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{Instrument, debug, info, info_span, warn};

/// Connections at a time. Each may hold its reader's limits in memory.
const MAX_CONNECTIONS: usize = 16;
/// Before an address that is taken, or not there yet, is tried again.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);
/// After an accept failed (out of file handles, say), before the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection shares.
struct Intake {
    keyring: Keyring,
    inlet: Inlet,
    entries: Vec<Entry>,
    /// Closed when it is to end.
    going_on: watch::Receiver<()>,
}

/// An intake that runs. Dropped, it ends, and who pushes is cut off.
pub(super) struct Listening {
    going_on: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Afterwards its address is free.
    pub async fn end(self) {
        drop(self.going_on);
        if let Err(error) = self.task.await {
            tracing::error!("a fault of ours: the intake ended by itself ({error})");
        }
    }
}

/// One source that is pushed to.
struct Entry {
    /// Index into `EngineSpec::sources`.
    source: u16,
    id: String,
    key: StreamKey,
    /// Counts who published on it: the last holds it, and the one before lets go.
    holder: watch::Sender<u64>,
}

/// Listens until no engine follows, for the sources that are pushed to; None: there is no such source.
pub(super) fn start(settings: &Settings, keyring: Keyring, inlet: Inlet) -> Option<Listening> {
    let rtmp = settings.rtmp.as_ref()?;
    let entry = |key: &RtmpKey| {
        let mut sources = settings.sources.iter();
        let index = sources.position(|source| source.id == key.source)?;
        Some(Entry {
            source: u16::try_from(index).ok()?,
            id: key.source.clone(),
            key: key.key.clone(),
            holder: watch::Sender::new(0),
        })
    };
    let (going_on, ends) = watch::channel(());
    let intake = Arc::new(Intake {
        keyring,
        entries: rtmp.keys.iter().filter_map(entry).collect(),
        inlet,
        going_on: ends,
    });
    let address = rtmp.listen;
    let task = tokio::spawn(async move {
        tokio::select! {
            () = intake.ended() => {}
            () = listen(address, Arc::clone(&intake)) => {}
        }
    });
    Some(Listening { going_on, task })
}

async fn listen(address: std::net::SocketAddr, intake: Arc<Intake>) {
    let mut told = None;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => {
                if told != Some(error.kind()) {
                    warn!(
                        "rtmp can't listen at {address}: {error}{}; trying again",
                        hint(&error)
                    );
                    told = Some(error.kind());
                }
                sleep(LISTEN_AGAIN).await;
            }
        }
    };
    info!("encoders may push to rtmp://{address}/live");
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("an encoder's connection can't be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            warn!(%peer, "turned away: {MAX_CONNECTIONS} others are connected");
            continue;
        };
        let intake = Arc::clone(&intake);
        let serve = async move {
            serve(stream, intake).await;
            drop(place);
        };
        tokio::spawn(serve.instrument(info_span!("rtmp", %peer)));
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            " (another program listens there: end it, or choose another port in [rtmp] listen)"
        }
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need root: choose a higher one in [rtmp] listen)"
        }
        io::ErrorKind::AddrNotAvailable => " (no interface of this machine has that address yet)",
        _ => "",
    }
}

async fn serve(stream: TcpStream, intake: Arc<Intake>) {
    // Answers are small and awaited: without this they wait for the peer's delayed acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY can't be set");
    }
    if let Err(error) = Connection::new(stream, intake).run().await {
        info!("{error}");
    }
}

impl Intake {
    /// Until the engine that it is for has ended, or it is to listen no more.
    async fn ended(&self) {
        let mut going_on = self.going_on.clone();
        tokio::select! {
            () = self.inlet.closed() => {}
            _ = going_on.changed() => {}
        }
    }

    /// Whose key it is.
    async fn entry_of(&self, given: &Secret) -> Option<&Entry> {
        for entry in &self.entries {
            if self.keyring.is(&entry.key, given).await {
                return Some(entry);
            }
        }
        None
    }
}
