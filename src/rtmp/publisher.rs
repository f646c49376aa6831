//! The session that pushes: from the handshake over a standby to publishing and its end. Sans-IO: the
//! caller moves bytes between this and a socket.
//!
//! Wire order: C0 C1 → S0 S1 S2 → C2, connect → _result → Set Chunk Size, Window Acknowledgement Size
//! (standby) → releaseStream, FCPublish, createStream → _result → publish → onStatus →
//! onMetaData, sequence headers, media → FCUnpublish, deleteStream.

use super::adobe_auth::{self, AuthStep};
use super::amf0::{self, Amf0Value};
use super::chunk::{ChunkError, ChunkLimits, ChunkReader, Message, message_type};
use super::flv;
use super::status::{RejectKind, Status, code, printable};
use super::writer::{MediaKind, MessageWriter};
use crate::config::{Credentials, Secret};
use crate::media::{MediaTime, MediaUnit, StreamConfig, Track};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use std::collections::VecDeque;
use std::fmt;

/// What platforms are used to see from an encoder.
const FLASH_VERSION: &str = "FMLE/3.0 (compatible; FMSc/1.0)";
/// Enhanced RTMP v2, CapsExMask: we obey NetConnection.Connect.ReconnectRequest.
const CAPS_EX_RECONNECT: f64 = 1.0;
/// After this many bytes of ours the server shall acknowledge: a third of a second at 6 Mb/s, so that
/// what it had read when a connection broke is known closer than by the margin of DESIGN.md, section 4.
const ACK_WINDOW: u32 = 250_000;
/// A server has nothing long to say to a publisher.
const LIMITS: ChunkLimits = ChunkLimits {
    message: 1024 * 1024,
    buffered: 4 * 1024 * 1024,
    chunk_streams: 64,
};
/// Above this much output that nobody took, answers to pings are left out: a flood must not fill our memory.
const MAX_UNTAKEN: usize = 64 * 1024;
const USER_CONTROL_PING: u16 = 6;
const USER_CONTROL_PONG: u16 = 7;

/// Transaction numbers: each command is sent once in a session.
mod transaction {
    pub const CONNECT: u32 = 1;
    pub const RELEASE_STREAM: u32 = 2;
    pub const FC_PUBLISH: u32 = 3;
    pub const CREATE_STREAM: u32 = 4;
    pub const PUBLISH: u32 = 5;
    pub const FC_UNPUBLISH: u32 = 6;
    pub const DELETE_STREAM: u32 = 7;
}

#[derive(Clone)]
pub struct PublisherSettings {
    /// Behind host and port in the server URL, verbatim; may have several segments and a query.
    pub app: String,
    /// The server URL, verbatim, without the key.
    pub tc_url: String,
    pub key: Secret,
    /// For Adobe authentication.
    pub credentials: Option<Credentials>,
    /// Of what is sent, bytes; 4096 or more.
    pub chunk_size: u32,
}

impl PublisherSettings {
    /// The settings for the next connection after `PublisherEvent::Retry`.
    pub fn with_query(&self, query: &Secret) -> Self {
        let append = |name: &str| adobe_auth::without_auth(name).to_owned() + query.expose();
        PublisherSettings {
            app: append(&self.app),
            tc_url: append(&self.tc_url),
            ..self.clone()
        }
    }
}

impl fmt::Debug for PublisherSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PublisherSettings {
            chunk_size,
            credentials,
            ..
        } = self;
        f.debug_struct("PublisherSettings")
            .field("tc_url", &self.tc_url.split('?').next())
            .field("credentials", credentials)
            .field("chunk_size", chunk_size)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublisherEvent {
    /// The server took `connect`: on standby until `publish`.
    Connected,
    /// The server took the stream: `start_media` may follow.
    Publishing,
    /// How many of our bytes the server says it has read, in all; past 2^32 too. Servers differ on whether the
    /// handshake's 3,073 bytes count.
    Acknowledged { bytes: u64 },
    /// The server wants this stream elsewhere, or here on a new connection (Enhanced RTMP v2). `tc_url` may be
    /// relative to the present one; None means the same.
    ReconnectRequested {
        tc_url: Option<String>,
        description: String,
    },
    /// The server asks for authentication: this connection is over; dial again with
    /// `PublisherSettings::with_query(&query)`.
    Retry { query: Secret },
    /// The server said something that changes nothing here. For the log.
    Notice { code: String, description: String },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublisherError {
    #[error("the server refused the stream: {}; {kind}", words(code, description))]
    Rejected {
        kind: RejectKind,
        code: String,
        /// The server's own words, made printable, without our secrets.
        description: String,
    },
    #[error("the RTMP handshake failed: {0}; is this an RTMP server?")]
    Handshake(String),
    #[error("the server broke the RTMP protocol: {0}")]
    Protocol(#[from] ChunkError),
    #[error("the server answered createStream without a stream number")]
    NoStreamId,
    #[error(
        "the server asks for a user and a password: give this destination `user` and `password`"
    )]
    CredentialsMissing,
}

impl PublisherError {
    /// Trying again with the same settings can't help: an operator has to act.
    pub fn is_final(&self) -> bool {
        match self {
            PublisherError::Rejected { kind, .. } => kind.is_final(),
            PublisherError::CredentialsMissing => true,
            // Another try may reach a healthier server behind the same name.
            PublisherError::Handshake(_)
            | PublisherError::Protocol(_)
            | PublisherError::NoStreamId => false,
        }
    }
}

fn words(code: &str, description: &str) -> String {
    match (description.is_empty(), code.is_empty()) {
        (false, false) => format!("{description} ({code})"),
        (false, true) => description.to_owned(),
        (true, false) => code.to_owned(),
        (true, true) => "without a word".to_owned(),
    }
}

enum State {
    /// C0 C1 are in the output.
    Handshaking(Box<Handshake>),
    /// `connect` was sent.
    Connecting,
    Standby,
    /// releaseStream, FCPublish and createStream were sent.
    CreatingStream,
    /// `publish` was sent.
    AwaitingPublish {
        stream_id: u32,
    },
    Publishing {
        stream_id: u32,
        timeline: Option<Timeline>,
    },
    /// Finished by us, or to be dialled again.
    Over,
    Failed(PublisherError),
}

/// Maps programme time to this session's timestamps.
#[derive(Clone, Copy)]
struct Timeline {
    base: MediaTime,
    start_ms: u64,
}

impl Timeline {
    /// Milliseconds on the session's timeline; negative before its start.
    fn at(self, time: MediaTime) -> i64 {
        let since_base = MediaTime(time.0.saturating_sub(self.base.0));
        since_base
            .round_millis()
            .saturating_add_unsigned(self.start_ms)
    }
}

/// One RTMP connection that publishes one stream.
///
/// Two kinds of bytes leave it: control bytes through `take_output`, media through the `out` arguments. Each
/// kind keeps its order; between them any order of whole portions is right, but control output that is
/// already there goes before the first media, and all media before what `finish` gives.
pub struct Publisher {
    settings: PublisherSettings,
    state: State,
    chunks: ChunkReader,
    writer: MessageWriter,
    output: Vec<u8>,
    events: VecDeque<PublisherEvent>,
    publish_wanted: bool,
    /// Our random text for Adobe authentication.
    challenge: String,
    /// The server wants an acknowledgement each time it has sent this many bytes.
    peer_window: Option<u32>,
    acknowledged_to_peer: u64,
    acknowledged_by_peer: u64,
}

impl Publisher {
    /// The output already holds C0 and C1.
    pub fn new(settings: PublisherSettings) -> Self {
        let mut handshake = Box::new(Handshake::new(PeerType::Client));
        // Never an error: it fills a buffer with random bytes.
        let output = handshake.generate_outbound_p0_and_p1().unwrap_or_default();
        let random = output.iter().rev().take(4);
        let challenge = random.map(|byte| format!("{byte:02x}")).collect();
        Publisher {
            settings,
            state: State::Handshaking(handshake),
            chunks: ChunkReader::new(LIMITS),
            writer: MessageWriter::new(),
            output,
            events: VecDeque::new(),
            publish_wanted: false,
            challenge,
            peer_window: None,
            acknowledged_to_peer: 0,
            acknowledged_by_peer: 0,
        }
    }

    /// Takes what came from the server. After an error the connection is of no more use, and every later
    /// call gives the same error.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), PublisherError> {
        let result = self.read(bytes);
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
        }
        result
    }

    pub fn poll_event(&mut self) -> Option<PublisherEvent> {
        self.events.pop_front()
    }

    /// Control bytes to write, in order; empty when there are none.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Leaves the standby; before it is reached: as soon as it is.
    pub fn publish(&mut self) {
        self.publish_wanted = true;
        if !matches!(self.state, State::Standby) {
            return;
        }
        let key = Amf0Value::string(self.settings.key.expose());
        self.call(
            "releaseStream",
            transaction::RELEASE_STREAM,
            std::slice::from_ref(&key),
        );
        self.call("FCPublish", transaction::FC_PUBLISH, &[key]);
        self.call("createStream", transaction::CREATE_STREAM, &[]);
        self.state = State::CreatingStream;
    }

    pub fn is_publishing(&self) -> bool {
        matches!(self.state, State::Publishing { .. })
    }

    /// Writes onMetaData and both sequence headers; programme time `base` becomes timestamp 0. To be called
    /// once after `Publishing`; otherwise it writes nothing.
    pub fn start_media(&mut self, config: &StreamConfig, base: MediaTime, out: &mut Vec<u8>) {
        self.start_media_at(config, base, 0, out);
    }

    /// Like `start_media`, but `base` becomes `start_ms` (`timeline = "continue"`).
    pub fn start_media_at(
        &mut self,
        config: &StreamConfig,
        base: MediaTime,
        start_ms: u64,
        out: &mut Vec<u8>,
    ) {
        if let State::Publishing { timeline, .. } = &mut self.state {
            *timeline = Some(Timeline { base, start_ms });
            self.write_config(config, base, out);
        }
    }

    /// Writes metadata and sequence headers that hold from programme time `at` on.
    pub fn write_config(&mut self, config: &StreamConfig, at: MediaTime, out: &mut Vec<u8>) {
        let Some((stream_id, timeline)) = self.on_air() else {
            return;
        };
        let metadata = [
            Amf0Value::string("@setDataFrame"),
            Amf0Value::string("onMetaData"),
            flv::metadata(config),
        ];
        let messages = [
            (MediaKind::Data, amf0::encode(&metadata).into()),
            (MediaKind::Video, flv::video_sequence_header(&config.video)),
            (MediaKind::Audio, flv::audio_sequence_header(&config.audio)),
        ];
        let time_ms = timestamp(timeline, timeline.at(at));
        for (kind, body) in messages {
            self.writer.media(kind, stream_id, time_ms, body, out);
        }
    }

    /// Writes one unit: timestamp = its decode time on the session's timeline in milliseconds, never before the
    /// last of its track; composition time = what is left to its presentation time. False, and no bytes,
    /// outside of `start_media` … `finish`, and for a unit that no RTMP message can carry (empty, or 16 MB).
    pub fn write_unit(&mut self, unit: &MediaUnit, out: &mut Vec<u8>) -> bool {
        let Some((stream_id, timeline)) = self.on_air() else {
            return false;
        };
        if unit.data.is_empty() {
            return false;
        }
        let kind = match unit.track {
            Track::Video => MediaKind::Video,
            Track::Audio => MediaKind::Audio,
        };
        let time_ms = timestamp(timeline, timeline.at(unit.dts)).max(self.writer.earliest_ms(kind));
        // From the time that is really sent, so that a clamped one does not bend the presentation.
        let cts_ms = timeline.at(unit.pts).saturating_sub_unsigned(time_ms);
        let body = flv::unit_body(unit, cts_ms);
        self.writer
            .media(kind, stream_id, time_ms, body, out)
            .is_some()
    }

    /// The operator's stop: says goodbye, so that the server ends the broadcast. Not for a failover, which
    /// just drops the connection: some platforms end the event on deleteStream.
    pub fn finish(&mut self) {
        let stream_id = match std::mem::replace(&mut self.state, State::Over) {
            State::Publishing { stream_id, .. } | State::AwaitingPublish { stream_id } => {
                Some(stream_id)
            }
            State::CreatingStream => None,
            failed @ State::Failed(_) => {
                self.state = failed;
                return;
            }
            _ => return,
        };
        let key = Amf0Value::string(self.settings.key.expose());
        self.call("FCUnpublish", transaction::FC_UNPUBLISH, &[key]);
        if let Some(id) = stream_id {
            let id = Amf0Value::Number(f64::from(id));
            self.call("deleteStream", transaction::DELETE_STREAM, &[id]);
        }
    }

    fn on_air(&self) -> Option<(u32, Timeline)> {
        match self.state {
            State::Publishing {
                stream_id,
                timeline: Some(timeline),
            } => Some((stream_id, timeline)),
            _ => None,
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), PublisherError> {
        match &mut self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Over => return Ok(()),
            State::Handshaking(handshake) => match handshake.process_bytes(bytes) {
                Ok(HandshakeProcessResult::InProgress { response_bytes }) => {
                    self.output.extend_from_slice(&response_bytes);
                    return Ok(());
                }
                Ok(HandshakeProcessResult::Completed {
                    response_bytes,
                    remaining_bytes,
                }) => {
                    self.output.extend_from_slice(&response_bytes);
                    self.connect();
                    self.chunks.push(&remaining_bytes);
                }
                Err(error) => return Err(PublisherError::Handshake(error.to_string())),
            },
            _ => self.chunks.push(bytes),
        }
        while let Some(message) = self.chunks.next_message()? {
            self.handle_message(&message)?;
            if matches!(self.state, State::Over) {
                return Ok(());
            }
        }
        self.acknowledge();
        Ok(())
    }

    fn connect(&mut self) {
        let object = Amf0Value::object([
            ("app", Amf0Value::string(&self.settings.app)),
            ("type", Amf0Value::string("nonprivate")),
            ("flashVer", Amf0Value::string(FLASH_VERSION)),
            ("swfUrl", Amf0Value::string(&self.settings.tc_url)),
            ("tcUrl", Amf0Value::string(&self.settings.tc_url)),
            ("capsEx", Amf0Value::Number(CAPS_EX_RECONNECT)),
        ]);
        let command = [
            Amf0Value::string("connect"),
            Amf0Value::Number(f64::from(transaction::CONNECT)),
            object,
        ];
        self.writer.command(0, &command, &mut self.output);
        self.state = State::Connecting;
    }

    /// A command on the connection, without a command object.
    fn call(&mut self, name: &str, transaction: u32, arguments: &[Amf0Value]) {
        self.call_on(0, name, transaction, arguments);
    }

    fn call_on(&mut self, stream_id: u32, name: &str, transaction: u32, arguments: &[Amf0Value]) {
        let mut values = vec![
            Amf0Value::string(name),
            Amf0Value::Number(f64::from(transaction)),
            Amf0Value::Null,
        ];
        values.extend_from_slice(arguments);
        self.writer.command(stream_id, &values, &mut self.output);
    }

    fn handle_message(&mut self, message: &Message) -> Result<(), PublisherError> {
        let payload = &message.payload[..];
        let number = || payload.first_chunk::<4>().map(|b| u32::from_be_bytes(*b));
        match message.message_type {
            message_type::ACKNOWLEDGEMENT => {
                if let Some(total) = number() {
                    self.note_acknowledgement(total);
                }
            }
            message_type::WINDOW_ACK_SIZE => self.peer_window = number().filter(|size| *size > 0),
            message_type::USER_CONTROL => self.answer_ping(payload),
            message_type::COMMAND_AMF0 => return self.handle_command(payload),
            // AMF3's envelope: one byte of format, then AMF0 values.
            message_type::COMMAND_AMF3 => {
                return self.handle_command(payload.strip_prefix(&[0]).unwrap_or(payload));
            }
            // Set Peer Bandwidth asks for a window of at most its size, and ours is smaller than any seen.
            // Media, shared objects and what else a server may send is not for a publisher.
            _ => {}
        }
        Ok(())
    }

    fn answer_ping(&mut self, payload: &[u8]) {
        let Some((kind, stamp)) = payload.split_first_chunk::<2>() else {
            return;
        };
        let Some(stamp) = stamp.first_chunk::<4>() else {
            return;
        };
        if u16::from_be_bytes(*kind) == USER_CONTROL_PING && self.output.len() < MAX_UNTAKEN {
            let mut pong = USER_CONTROL_PONG.to_be_bytes().to_vec();
            pong.extend_from_slice(stamp);
            self.writer
                .control(message_type::USER_CONTROL, &pong, &mut self.output);
        }
    }

    /// The number is 32 bits of a total that passes 4 GiB in 95 minutes at 6 Mb/s. One that goes back is no news.
    fn note_acknowledgement(&mut self, total: u32) {
        let step = total.wrapping_sub(self.acknowledged_by_peer as u32);
        if step > i32::MAX as u32 {
            return;
        }
        self.acknowledged_by_peer += u64::from(step);
        self.report(PublisherEvent::Acknowledged {
            bytes: self.acknowledged_by_peer,
        });
    }

    /// Tells the server how much of its output has been read, once per portion of input at most.
    fn acknowledge(&mut self) {
        let received = self.chunks.received();
        let due = self
            .peer_window
            .is_some_and(|window| received - self.acknowledged_to_peer >= u64::from(window));
        if due && self.output.len() < MAX_UNTAKEN {
            let total = (received as u32).to_be_bytes();
            self.writer
                .control(message_type::ACKNOWLEDGEMENT, &total, &mut self.output);
            self.acknowledged_to_peer = received;
        }
    }

    fn handle_command(&mut self, payload: &[u8]) -> Result<(), PublisherError> {
        // What can't be read of a command is as good as absent: servers append odd things.
        let (values, _) = amf0::decode(payload);
        let [name, rest @ ..] = &values[..] else {
            return Ok(());
        };
        let (transaction, arguments) = match rest {
            [Amf0Value::Number(number), arguments @ ..] => (*number, arguments),
            arguments => (0.0, arguments),
        };
        match name.as_str() {
            Some("_result") => self.handle_result(transaction, arguments),
            Some("_error") => self.handle_error(transaction, arguments),
            Some("onStatus") => self.handle_status(&Status::find(arguments)),
            Some("close") => Err(self.rejected(&Status {
                code: code::CONNECT_CLOSED.to_owned(),
                ..Status::find(arguments)
            })),
            // onFCPublish, onBWDone, _checkbw and others: nothing hangs on them.
            _ => Ok(()),
        }
    }

    fn handle_result(
        &mut self,
        transaction: f64,
        arguments: &[Amf0Value],
    ) -> Result<(), PublisherError> {
        let answers = |expected: u32| transaction == f64::from(expected);
        match self.state {
            State::Connecting if answers(transaction::CONNECT) => {
                let status = Status::find(arguments);
                if status.is_error() {
                    return self.refuse_connect(&status);
                }
                self.writer
                    .set_chunk_size(self.settings.chunk_size, &mut self.output);
                let window = ACK_WINDOW.to_be_bytes();
                self.writer
                    .control(message_type::WINDOW_ACK_SIZE, &window, &mut self.output);
                self.state = State::Standby;
                self.report(PublisherEvent::Connected);
                if self.publish_wanted {
                    self.publish();
                }
            }
            State::CreatingStream if answers(transaction::CREATE_STREAM) => {
                let id = arguments.iter().find_map(Amf0Value::as_number);
                let stream_id = id
                    .filter(|id| (0.0..=f64::from(u32::MAX)).contains(id))
                    .ok_or(PublisherError::NoStreamId)? as u32;
                let key = Amf0Value::string(self.settings.key.expose());
                let live = Amf0Value::string("live");
                self.call_on(stream_id, "publish", transaction::PUBLISH, &[key, live]);
                self.state = State::AwaitingPublish { stream_id };
            }
            _ => {}
        }
        Ok(())
    }

    fn handle_error(
        &mut self,
        transaction: f64,
        arguments: &[Amf0Value],
    ) -> Result<(), PublisherError> {
        let status = Status::find(arguments);
        let answers = |expected: u32| transaction == f64::from(expected);
        match self.state {
            // Some servers leave the transaction out of a refusal; nothing else is under way here.
            State::Connecting => self.refuse_connect(&status),
            State::CreatingStream if answers(transaction::CREATE_STREAM) => {
                Err(self.rejected(&status))
            }
            State::AwaitingPublish { .. } if answers(transaction::PUBLISH) => {
                Err(self.rejected(&status))
            }
            // Many servers do not know releaseStream and FCPublish.
            _ => Ok(()),
        }
    }

    fn refuse_connect(&mut self, status: &Status) -> Result<(), PublisherError> {
        let PublisherSettings {
            app, credentials, ..
        } = &self.settings;
        let step = adobe_auth::answer(
            &status.description,
            app,
            credentials.as_ref(),
            &self.challenge,
        );
        match step {
            AuthStep::Retry(query) => {
                self.state = State::Over;
                self.report(PublisherEvent::Retry { query });
                Ok(())
            }
            AuthStep::NoCredentials => Err(PublisherError::CredentialsMissing),
            AuthStep::Refused => match self.rejected(status) {
                PublisherError::Rejected {
                    code, description, ..
                } => Err(PublisherError::Rejected {
                    kind: RejectKind::Credentials,
                    code,
                    description,
                }),
                other => Err(other),
            },
            AuthStep::NotAsked => Err(self.rejected(status)),
        }
    }

    fn handle_status(&mut self, status: &Status) -> Result<(), PublisherError> {
        let ends = matches!(
            status.code.as_str(),
            code::CONNECT_CLOSED
                | code::CONNECT_REJECTED
                | code::APP_SHUTDOWN
                | code::PUBLISH_BAD_NAME
                | code::PUBLISH_DENIED
                | code::UNPUBLISHED
        ) || status.code.starts_with("NetStream.Publish.") && status.is_error();
        match (&self.state, status.code.as_str()) {
            (State::AwaitingPublish { stream_id }, code::PUBLISH_START) => {
                self.state = State::Publishing {
                    stream_id: *stream_id,
                    timeline: None,
                };
                self.report(PublisherEvent::Publishing);
            }
            (_, code::RECONNECT_REQUEST) => {
                let event = PublisherEvent::ReconnectRequested {
                    tc_url: status.tc_url.clone(),
                    description: self.printable(&status.description),
                };
                self.report(event);
            }
            (State::Connecting, _) if status.is_error() => return self.refuse_connect(status),
            _ if ends => return Err(self.rejected(status)),
            // On air only a definite word ends the stream; before, any error does, so as not to wait in vain.
            (State::CreatingStream | State::AwaitingPublish { .. }, _) if status.is_error() => {
                return Err(self.rejected(status));
            }
            (_, "") if status.description.is_empty() => {}
            _ => {
                let event = PublisherEvent::Notice {
                    code: self.printable(&status.code),
                    description: self.printable(&status.description),
                };
                self.report(event);
            }
        }
        Ok(())
    }

    fn rejected(&self, status: &Status) -> PublisherError {
        PublisherError::Rejected {
            kind: RejectKind::of(&status.code, &status.description),
            code: self.printable(&status.code),
            description: self.printable(&status.description),
        }
    }

    fn printable(&self, text: &str) -> String {
        let key = self.settings.key.expose();
        let bare_key = key.split('?').next().unwrap_or(key);
        let password = self
            .settings
            .credentials
            .as_ref()
            .map_or("", |credentials| credentials.password.expose());
        printable(text, &[key, bare_key, password])
    }

    /// Queues an event in place of one of its kind that nobody took yet, so that a flood of messages can't
    /// make the queue grow.
    fn report(&mut self, event: PublisherEvent) {
        let kind = std::mem::discriminant(&event);
        self.events
            .retain(|queued| std::mem::discriminant(queued) != kind);
        self.events.push_back(event);
    }
}

/// Nothing can be before the session's start: audio that precedes the first keyframe by a little is put there.
fn timestamp(timeline: Timeline, at_ms: i64) -> u64 {
    u64::try_from(at_ms).unwrap_or(0).max(timeline.start_ms)
}
