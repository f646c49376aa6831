//! One connection to the ingest, from its first byte to its last.

use super::desk::{Event, Lease, Word};
use super::judge::Arrival;
use super::record::Recorder;
use super::rules::{ConnectionId, End, Refusal, StreamKey};
use super::server::Settings;
use super::tls::Tls;
use crate::config::Secret;
use crate::media::Track;
use crate::rtmp::receiver::{Receiver, ReceiverError, ReceiverEvent, ReceiverSettings};
use crate::rtmp::{Amf0Value, TagKind, amf0};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};

const READ_BUFFER: usize = 64 * 1024;
/// After FCUnpublish a publisher sends deleteStream and closes; after a refusal it reads the reason and closes.
/// One that does neither is closed then.
const PARTING: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("it broke off: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Rtmp(#[from] ReceiverError),
    #[error("it did not finish the handshake and `connect` within {0:?}")]
    Handshake(Duration),
    #[error("it was connected for {0:?} without publishing")]
    NoPublish(Duration),
    #[error("it closed before it published")]
    ClosedEarly,
    #[error("it closed right after the TLS handshake: does it trust the certificate?")]
    Distrusted,
    #[error("for {0:?} nothing arrived")]
    Idle(Duration),
    #[error("it did not read what it was sent within {0:?}")]
    Unread(Duration),
    #[error("the key is being taken over by too many at once")]
    Crowded,
}

/// What every connection shares.
#[derive(Clone)]
pub(super) struct Context {
    pub settings: Arc<Settings>,
    pub desk: mpsc::UnboundedSender<Word>,
    pub events: broadcast::Sender<Event>,
    /// Turns true when the rehearsal ends.
    pub shutdown: watch::Receiver<bool>,
}

/// Serves one publisher to the end of its connection.
pub(super) async fn serve<S>(
    id: ConnectionId,
    stream: S,
    context: Context,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let now = Instant::now();
    let mut connection = Connection {
        id,
        stream,
        shutdown: context.shutdown.clone(),
        context,
        receiver: Receiver::new(ReceiverSettings::default()),
        stage: Stage::Opening { since: now },
        last_input: now,
        heard: false,
    };
    let result = match connection.run().await {
        // Publishers like to close without reading our last words, which resets the connection.
        Err(ConnectionError::Io(_)) if connection.has_said_goodbye() => Ok(()),
        result => result,
    };
    connection.stop_publishing().await;
    result
}

struct Connection<S> {
    id: ConnectionId,
    stream: S,
    context: Context,
    shutdown: watch::Receiver<bool>,
    receiver: Receiver,
    stage: Stage,
    last_input: Instant,
    /// Anything arrived at all: a port scanner or a health check sends nothing.
    heard: bool,
}

enum Stage {
    /// Until `connect` came.
    Opening {
        since: Instant,
    },
    /// Connected, not publishing yet.
    Connected {
        since: Instant,
    },
    Publishing(Box<Publishing>),
    /// Nothing more is expected but the peer's close.
    Parting {
        since: Instant,
    },
}

struct Publishing {
    lease: Lease,
    recorder: Option<Recorder>,
    clock: Clock,
    began: Instant,
    /// When FCUnpublish came.
    unpublished: Option<Instant>,
    /// The newest tag's time: metadata come without one.
    last_ms: u64,
}

/// The wall clock as it was when the publish began, going on with the monotonic one: a step of NTP while on air
/// changes no latency.
struct Clock {
    at: Instant,
    wall_us: u64,
}

impl Clock {
    fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Clock {
            at: Instant::now(),
            wall_us: micros(since_epoch),
        }
    }

    fn arrival(&self, at: Instant) -> Arrival {
        Arrival {
            at,
            wall_us: self.wall_us.saturating_add(micros(at - self.at)),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What woke the loop.
enum Woken {
    Read(io::Result<usize>),
    Deadline,
    Second,
    TakenOver,
    Shutdown,
}

/// What becomes of the connection.
enum Next {
    Go,
    Close,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) -> Result<(), ConnectionError> {
        let mut buffer = vec![0; READ_BUFFER];
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.deadline().map(|(at, _)| at);
            let was_publishing = matches!(self.stage, Stage::Publishing(_));
            let next = match self.wait(&mut buffer, deadline, &mut second).await {
                Woken::Read(Ok(0)) => return self.closed(),
                // Under TLS: closed without close_notify, as many encoders do.
                Woken::Read(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return self.closed();
                }
                Woken::Read(Ok(n)) => self.read(buffer.get(..n).unwrap_or_default()).await?,
                Woken::Read(Err(error)) => return Err(error.into()),
                Woken::Deadline => self.overdue()?,
                Woken::Second => {
                    self.tell_second().await;
                    Next::Go
                }
                Woken::TakenOver => self.end_with(End::TakenOver),
                Woken::Shutdown => self.end_with(End::Shutdown),
            };
            if matches!(next, Next::Close) {
                return Ok(());
            }
            if !was_publishing && matches!(self.stage, Stage::Publishing(_)) {
                second.reset();
            }
        }
    }

    async fn wait(
        &mut self,
        buffer: &mut [u8],
        deadline: Option<Instant>,
        second: &mut tokio::time::Interval,
    ) -> Woken {
        let wedged = self.is_wedged();
        // A publisher that has ended closes by itself: some call it an error when we do.
        let is_parting = matches!(self.stage, Stage::Parting { .. });
        let publishing = match &mut self.stage {
            Stage::Publishing(publishing) => Some(&mut publishing.lease.taken_over),
            _ => None,
        };
        let is_publishing = publishing.is_some();
        tokio::select! {
            biased;
            _ = self.shutdown.wait_for(|down| *down), if !is_parting => Woken::Shutdown,
            () = taken_over(publishing) => Woken::TakenOver,
            () = sleep_to(deadline) => Woken::Deadline,
            _ = second.tick(), if is_publishing => Woken::Second,
            read = self.stream.read(buffer), if !wedged => Woken::Read(read),
        }
    }

    /// For tests of an uplink: accepts, then reads nothing.
    fn is_wedged(&self) -> bool {
        self.context.settings.misbehave.reads_nothing && matches!(self.stage, Stage::Publishing(_))
    }

    fn has_said_goodbye(&self) -> bool {
        match &self.stage {
            Stage::Opening { .. } | Stage::Connected { .. } => false,
            Stage::Publishing(publishing) => publishing.unpublished.is_some(),
            Stage::Parting { .. } => true,
        }
    }

    /// When this stage has lasted too long, and why.
    fn deadline(&self) -> Option<(Instant, Overdue)> {
        let patience = &self.context.settings.patience;
        match &self.stage {
            Stage::Opening { since } => Some((*since + patience.handshake, Overdue::Handshake)),
            Stage::Connected { since } => Some((*since + patience.publish, Overdue::Publish)),
            Stage::Parting { since } => Some((*since + PARTING, Overdue::Parting)),
            Stage::Publishing(publishing) => {
                let kill = self.context.settings.misbehave.kill_after;
                let idle = (!self.is_wedged()).then(|| self.last_input + patience.idle);
                [
                    publishing.lease.until.map(|at| (at, Overdue::Limit)),
                    publishing
                        .unpublished
                        .map(|since| (since + PARTING, Overdue::Parting)),
                    kill.map(|after| (publishing.began + after, Overdue::Kill)),
                    idle.map(|at| (at, Overdue::Idle)),
                ]
                .into_iter()
                .flatten()
                .min_by_key(|(at, _)| *at)
            }
        }
    }

    fn overdue(&mut self) -> Result<Next, ConnectionError> {
        let patience = &self.context.settings.patience;
        let Some((_, overdue)) = self.deadline() else {
            return Ok(Next::Go);
        };
        match overdue {
            Overdue::Handshake => Err(ConnectionError::Handshake(patience.handshake)),
            Overdue::Publish => Err(ConnectionError::NoPublish(patience.publish)),
            Overdue::Idle => Err(ConnectionError::Idle(patience.idle)),
            Overdue::Limit => Ok(self.end_with(End::Limit)),
            Overdue::Kill | Overdue::Parting => Ok(Next::Close),
        }
    }

    /// The peer closed.
    fn closed(&self) -> Result<(), ConnectionError> {
        match &self.stage {
            Stage::Opening { .. } if !self.heard => match self.context.settings.tls {
                Tls::Off => Ok(()),
                Tls::SelfMade | Tls::Files { .. } => Err(ConnectionError::Distrusted),
            },
            Stage::Opening { .. } | Stage::Connected { .. } => Err(ConnectionError::ClosedEarly),
            Stage::Publishing(_) | Stage::Parting { .. } => Ok(()),
        }
    }

    async fn read(&mut self, bytes: &[u8]) -> Result<Next, ConnectionError> {
        self.last_input = Instant::now();
        self.heard = true;
        let read = self.receiver.handle_input(bytes);
        // What came before an error still counts.
        while let Some(event) = self.receiver.poll_event() {
            self.handle(event).await?;
        }
        self.write().await?;
        read?;
        Ok(Next::Go)
    }

    async fn write(&mut self) -> Result<(), ConnectionError> {
        let output = self.receiver.take_output();
        if output.is_empty() {
            return Ok(());
        }
        let patience = self.context.settings.patience.write;
        let write = async {
            self.stream.write_all(&output).await?;
            self.stream.flush().await
        };
        match timeout(patience, write).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(ConnectionError::Unread(patience)),
        }
    }

    async fn handle(&mut self, event: ReceiverEvent) -> Result<(), ConnectionError> {
        match event {
            ReceiverEvent::Connect { .. } => {
                self.stage = Stage::Connected {
                    since: self.last_input,
                };
            }
            ReceiverEvent::PublishRequested { app, key } => self.publish(app, &key).await?,
            ReceiverEvent::Metadata(value) => self.metadata(&value).await,
            ReceiverEvent::Tag {
                kind,
                timestamp_ms,
                body,
            } => self.tag(kind, timestamp_ms, &body).await,
            ReceiverEvent::Acknowledged { .. } => {}
            ReceiverEvent::Unpublished => {
                if let Stage::Publishing(publishing) = &mut self.stage {
                    publishing.lease.end = End::Unpublished;
                    publishing.unpublished = Some(self.last_input);
                }
            }
            ReceiverEvent::Deleted => {
                self.end_with(End::Deleted);
                self.stop_publishing().await;
            }
        }
        Ok(())
    }

    async fn metadata(&mut self, value: &Amf0Value) {
        let Stage::Publishing(publishing) = &mut self.stage else {
            return;
        };
        if let Some(judge) = publishing.lease.judge() {
            judge.metadata(value);
        }
        let body = amf0::encode(&[Amf0Value::string("onMetaData"), value.clone()]);
        let at_ms = publishing.last_ms;
        self.record(TagKind::Script, at_ms, &body).await;
    }

    async fn tag(&mut self, track: Track, at_ms: u64, body: &Bytes) {
        let Stage::Publishing(publishing) = &mut self.stage else {
            return;
        };
        publishing.last_ms = at_ms;
        let arrival = publishing.clock.arrival(self.last_input);
        if let Some(judge) = publishing.lease.judge() {
            judge.tag(arrival, track, at_ms, body);
        }
        let kind = match track {
            Track::Video => TagKind::Video,
            Track::Audio => TagKind::Audio,
        };
        self.record(kind, at_ms, body).await;
    }

    async fn record(&mut self, kind: TagKind, at_ms: u64, body: &[u8]) {
        if let Stage::Publishing(publishing) = &mut self.stage
            && let Some(recorder) = &mut publishing.recorder
            && let Err(error) = recorder.tag(kind, at_ms, body).await
        {
            publishing.recorder = None;
            self.fail(error.to_string());
        }
    }

    /// Asks for the key, and accepts or refuses accordingly.
    async fn publish(&mut self, app: String, key: &Secret) -> Result<(), ConnectionError> {
        self.stop_publishing().await;
        let key = StreamKey::new(&app, key.expose());
        let (reply, answer) = oneshot::channel();
        let word = Word::Publish {
            from: self.id,
            app,
            key,
            reply,
        };
        // A desk that is gone drops the word, and with it the reply.
        let _ = self.context.desk.send(word);
        match answer.await.map_err(|_| ConnectionError::Crowded)? {
            Ok(lease) => {
                self.receiver.accept_publish();
                self.stage = Stage::Publishing(Box::new(Publishing {
                    recorder: self.recorder(&lease).await,
                    lease,
                    clock: Clock::start(),
                    began: Instant::now(),
                    unpublished: None,
                    last_ms: 0,
                }));
            }
            Err(Refusal { code, description }) => {
                self.receiver.reject_publish(code, &description);
                self.stage = Stage::Parting {
                    since: Instant::now(),
                };
            }
        }
        Ok(())
    }

    async fn recorder(&self, lease: &Lease) -> Option<Recorder> {
        let directory = self.context.settings.record.as_ref()?;
        match Recorder::create(directory, &lease.key, lease.number).await {
            Ok(recorder) => Some(recorder),
            Err(error) => {
                self.fail(error.to_string());
                None
            }
        }
    }

    fn end_with(&mut self, end: End) -> Next {
        if let Stage::Publishing(publishing) = &mut self.stage
            && (publishing.unpublished.is_none() || end == End::Deleted)
        {
            publishing.lease.end = end;
        }
        Next::Close
    }

    /// Gives the lease back and closes the recording.
    async fn stop_publishing(&mut self) {
        let parting = Stage::Parting {
            since: Instant::now(),
        };
        if !matches!(self.stage, Stage::Publishing(_)) {
            return;
        }
        if let Stage::Publishing(publishing) = std::mem::replace(&mut self.stage, parting)
            && let Some(mut recorder) = publishing.recorder
            && let Err(error) = recorder.flush().await
        {
            self.fail(error.to_string());
        }
    }

    async fn tell_second(&mut self) {
        let Stage::Publishing(publishing) = &mut self.stage else {
            return;
        };
        let now = Instant::now();
        if let Some(summary) = publishing.lease.judge().and_then(|j| j.summary(now)) {
            // Nobody has to listen.
            let _ = self.context.events.send(Event::Summary(summary));
        }
        if let Some(recorder) = &mut publishing.recorder
            && let Err(error) = recorder.flush().await
        {
            publishing.recorder = None;
            self.fail(error.to_string());
        }
    }

    fn fail(&self, text: String) {
        // A desk that is gone has nobody to tell.
        let _ = self.context.desk.send(Word::Failed(text));
    }
}

enum Overdue {
    Handshake,
    Publish,
    Idle,
    Limit,
    Kill,
    Parting,
}

/// Never, when nobody publishes.
async fn taken_over(lease: Option<&mut oneshot::Receiver<()>>) {
    match lease {
        Some(lease) => {
            // The desk is gone: nobody can take over any more.
            if lease.await.is_err() {
                std::future::pending().await
            }
        }
        None => std::future::pending().await,
    }
}

async fn sleep_to(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
