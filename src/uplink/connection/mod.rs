//! One connection to one ingest, from the dial to its end: a task that moves bytes and asks the pure parts what to do.
//!
//! The lane that owns it hears of every change of stage through `events`, reads how far the peer has acknowledged from
//! `progress`, and ends it by dropping its task: the socket is then reset, never closed in RTMP's own words, so that
//! a platform does not mistake a failover for the operator's stop.

mod goodbye;
mod media;
mod open;
mod sample;

use super::dial::Way;
use super::error::ConnectionError;
use super::failover::ConnectionId;
use super::flow::{Pace, Shed};
use super::liveness::{Liveness, STALL_AFTER};
use super::reader::Reader;
use super::wire::{InFlight, Wire};
use crate::config::IngestUrl;
use crate::media::MediaTime;
use crate::rtmp::{ACK_WINDOW, Publisher, PublisherEvent, PublisherSettings};
use crate::window::{Cursor, Feed};
use media::{Live, Next};
use open::Opened;
use rustls::ClientConfig;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

const READ_BUFFER: usize = 16 * 1024;
/// What a server says to a publisher is a few hundred bytes a minute. One that says this many buffers full at once is listened to
/// again after a pause, so that no flood keeps us from sending, here or on other connections.
const READS_AT_ONCE: usize = 4;
const READ_PAUSE: Duration = Duration::from_millis(20);
/// A server that makes us answer and does not read the answers is not listened to while so many bytes of them wait.
const UNREAD_ANSWERS_MAX: usize = 64 * 1024;
/// So many of a server's remarks on one connection are logged and its requests obeyed.
const REMARKS_MAX: u32 = 20;

/// All that a connection needs to know before it is asked to publish.
#[derive(Clone)]
pub struct Setup {
    pub server: IngestUrl,
    pub way: Way,
    /// None for plain RTMP.
    pub tls: Option<Arc<ClientConfig>>,
    pub publisher: PublisherSettings,
    pub feed: Feed,
    /// The last unit to deliver, once the broadcast is to end: then it ends in RTMP's words.
    pub stop: watch::Receiver<Option<u64>>,
    pub hold: Duration,
    pub delay: Duration,
    pub catch_up: f64,
}

/// Where and how a broadcast starts on this connection.
#[derive(Debug)]
pub struct Start {
    /// Before a keyframe.
    pub from: Cursor,
    /// Programme time that gets the timestamp `timestamp_ms`.
    pub base: MediaTime,
    pub timestamp_ms: u64,
    /// No unit from here on is earlier.
    pub begin: MediaTime,
}

#[derive(Debug)]
pub enum Event {
    Connected,
    Published,
    Stalled {
        since: Instant,
    },
    Progressed,
    /// The server wants us elsewhere (Enhanced RTMP's ReconnectRequest), at this URL if it names one.
    MoveRequested {
        tc_url: Option<String>,
    },
    /// The server wants Adobe authentication: dial again with these settings.
    Authenticate(Box<PublisherSettings>),
    /// The operator's stop is done: all was delivered and the server was told.
    Finished,
    Closed(ConnectionError),
}

/// How far this connection has come; the newest value only.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Behind the newest unit of which the peer's TCP has acknowledged every byte.
    pub acknowledged: Option<Cursor>,
    /// Behind the newest unit that the peer's RTMP says it has read.
    pub confirmed: Option<Cursor>,
    /// Whether only what is confirmed counts as delivered, because the peer confirms all that it reads.
    pub confirms: bool,
    /// Behind the newest unit written.
    pub written: Option<Cursor>,
    /// Running total of acknowledged bytes, and when it was read.
    pub acknowledged_bytes: u64,
    pub round_trip: Duration,
    pub shed: Shed,
    pub stalled: bool,
    /// Whether the kernel takes no more.
    pub full: bool,
}

pub type Events = mpsc::Sender<(ConnectionId, Event)>;

/// Runs one connection to its end, and tells the lane.
pub async fn run(
    id: ConnectionId,
    setup: Setup,
    starts: mpsc::Receiver<Start>,
    progress: watch::Sender<Progress>,
    events: Events,
) {
    let end = match Connection::open(setup, progress, id, events.clone()).await {
        Ok(Opened::Standby(mut connection)) => connection.drive(starts).await,
        Ok(Opened::Ended(event)) => Ok(event),
        Err(error) => Err(error),
    };
    let event = match end {
        Ok(event) => event,
        Err(error) => Event::Closed(error),
    };
    // A lane that is gone wants to know nothing.
    let _ = events.send((id, event)).await;
}

struct Connection {
    id: ConnectionId,
    setup: Setup,
    socket: TcpStream,
    wire: Wire,
    publisher: Publisher,
    phase: Phase,
    /// Sealed and not yet taken by the kernel, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    /// Bytes in `out` that are answers of the RTMP session, not media.
    answers: usize,
    /// After a flood, when the server is listened to again.
    listen_at: Option<Instant>,
    remarks: u32,
    /// Bytes that the kernel has taken in all.
    written: u64,
    /// Plain RTMP bytes in all, for the peer's own acknowledgements.
    plain_written: u64,
    live: Option<Live>,
    liveness: Liveness,
    stalled: bool,
    sampled: Option<Instant>,
    progress: watch::Sender<Progress>,
    events: Events,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    TlsHandshake,
    RtmpHandshake,
    Standby,
    Publish,
    Broadcast,
}

impl Connection {
    /// From standby to the end. `Ok` holds the last event of an end that is no failure.
    async fn drive(&mut self, mut starts: mpsc::Receiver<Start>) -> Result<Event, ConnectionError> {
        let mut read_ready = false;
        loop {
            if std::mem::take(&mut read_ready)
                && let Some(event) = self.read().await?
            {
                return Ok(event);
            }
            let now = Instant::now();
            let next = self.fill(now)?;
            if let Err(error) = self.flush() {
                // A server that refuses us says so and closes: its words, if they are there, tell more than the reset.
                return self.read().await.and(Err(error));
            }
            let sample_at = self.sample(now).await;
            let at = match next {
                Next::Drained => return self.say_goodbye().await,
                Next::Room
                    if self.live.is_some()
                        && self.out.is_empty()
                        && self.publisher.is_publishing() =>
                {
                    continue;
                }
                Next::Acknowledgement if self.all_acknowledged() => continue,
                Next::At(at) => Some(at),
                Next::Unit | Next::Room | Next::Acknowledgement => None,
            };
            let deadline = [at, sample_at].into_iter().flatten().min();
            let has_out = !self.out.is_empty();
            let wants_units = matches!(next, Next::Unit) && self.live.is_some();
            tokio::select! {
                ready = said_something(&self.socket, self.answers, self.listen_at) => { ready.map_err(ConnectionError::Io)?; read_ready = true; }
                ready = self.socket.writable(), if has_out => ready.map_err(ConnectionError::Io)?,
                () = self.setup.feed.changed(), if wants_units => {}
                // Only to look at it again.
                Ok(()) = self.setup.stop.changed() => {}
                start = starts.recv() => match start {
                    Some(start) => self.publish(start)?,
                    // The lane is gone: so are we.
                    None => return Ok(Event::Finished),
                },
                () = sleep_until(deadline.unwrap_or(now).into()), if deadline.is_some() => {}
            }
        }
    }

    fn all_acknowledged(&self) -> bool {
        self.live
            .as_ref()
            .is_some_and(|live| live.in_flight.is_empty())
    }

    fn publish(&mut self, start: Start) -> Result<(), ConnectionError> {
        self.phase = Phase::Publish;
        self.live = Some(Live {
            cursor: start.from,
            config: None,
            base: start.base,
            timestamp_ms: start.timestamp_ms,
            begin: start.begin,
            pace: Pace::new(self.setup.catch_up),
            in_flight: InFlight::default(),
            unread: InFlight::default(),
            reader: Reader::new(u64::from(ACK_WINDOW)),
            reading: Liveness::new(STALL_AFTER),
            shed: Shed::default(),
        });
        self.publisher.publish();
        self.seal_control()
    }

    /// Seals what the RTMP session itself has to say.
    fn seal_control(&mut self) -> Result<(), ConnectionError> {
        let control = self.publisher.take_output();
        self.plain_written += control.len() as u64;
        self.answers += control.len();
        self.wire
            .seal(&control, &mut self.out)
            .map_err(ConnectionError::Io)
    }

    /// Gives the kernel as much as it takes.
    fn flush(&mut self) -> Result<(), ConnectionError> {
        while self.sent < self.out.len() {
            match self.socket.try_write(&self.out[self.sent..]) {
                Ok(n) => {
                    self.sent += n;
                    self.written += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(ConnectionError::Io(error)),
            }
        }
        self.out.clear();
        self.sent = 0;
        self.answers = 0;
        Ok(())
    }

    /// Reads what there is, but no flood at once. `Some` ends the connection without a failure.
    async fn read(&mut self) -> Result<Option<Event>, ConnectionError> {
        let mut buffer = [0u8; READ_BUFFER];
        self.listen_at = None;
        for _ in 0..READS_AT_ONCE {
            let n = match self.socket.try_read(&mut buffer) {
                Ok(0) => return Err(self.closed()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if self.phase != Phase::Broadcast => {
                    tracing::debug!(%error, "the connection was reset");
                    return Err(self.closed());
                }
                Err(error) => return Err(ConnectionError::Io(error)),
            };
            let mut plain = Vec::new();
            let opened = self.wire.open(&buffer[..n], &mut plain, &mut self.out);
            if opened.is_err() {
                // Let the alert out, so that the server's log names the cause too.
                self.flush()?;
            }
            let open =
                opened.map_err(|error| ConnectionError::tls(&self.setup.server.host, &error))?;
            if self.phase == Phase::TlsHandshake && !self.wire.handshaking() {
                self.phase = Phase::RtmpHandshake;
            }
            let read = self.publisher.handle_input(&plain);
            let event = self.hear().await;
            read?;
            self.seal_control()?;
            if event.is_some() {
                return Ok(event);
            }
            if !open {
                return Err(self.closed());
            }
        }
        self.listen_at = Some(Instant::now() + READ_PAUSE);
        Ok(None)
    }

    /// What it means that the server closed now.
    fn closed(&mut self) -> ConnectionError {
        match self.phase {
            Phase::TlsHandshake => ConnectionError::ClosedInTls {
                host: self.setup.server.host.clone(),
            },
            _ => ConnectionError::Rtmp(self.publisher.handle_close()),
        }
    }

    /// What the RTMP session learnt.
    async fn hear(&mut self) -> Option<Event> {
        while let Some(event) = self.publisher.poll_event() {
            match event {
                PublisherEvent::Connected => {
                    self.phase = Phase::Standby;
                    self.tell(Event::Connected).await;
                }
                PublisherEvent::Publishing => {
                    self.phase = Phase::Broadcast;
                    self.tell(Event::Published).await;
                }
                PublisherEvent::Acknowledged { bytes } => {
                    if let Some(live) = &mut self.live {
                        live.reader.acknowledged(bytes, self.plain_written);
                    }
                }
                PublisherEvent::ReconnectRequested {
                    tc_url,
                    description,
                } => {
                    // Who asks more often than it is worth a line does not mean it.
                    if self.is_worth_a_line() {
                        tracing::info!(%description, "the server asks us to reconnect");
                        self.tell(Event::MoveRequested { tc_url }).await;
                    }
                }
                PublisherEvent::Retry { query } => {
                    let settings = self.setup.publisher.with_query(&query);
                    return Some(Event::Authenticate(Box::new(settings)));
                }
                PublisherEvent::Notice { code, description } => {
                    if self.is_worth_a_line() {
                        tracing::info!(%code, %description, "the server says");
                    }
                }
            }
        }
        None
    }

    /// Whether another remark of the server's is to be logged.
    fn is_worth_a_line(&mut self) -> bool {
        self.remarks = self.remarks.saturating_add(1);
        if self.remarks == REMARKS_MAX + 1 {
            tracing::info!("the server says more, which is neither logged nor obeyed");
        }
        self.remarks <= REMARKS_MAX
    }

    async fn tell(&self, event: Event) {
        let _ = self.events.send((self.id, event)).await;
    }
}

/// Until there is something to read that we want to read now.
async fn said_something(
    socket: &TcpStream,
    answers: usize,
    listen_at: Option<Instant>,
) -> io::Result<()> {
    if answers > UNREAD_ANSWERS_MAX {
        std::future::pending::<()>().await;
    }
    if let Some(at) = listen_at {
        sleep_until(at.into()).await;
    }
    socket.readable().await
}
