//! The session that pushes: from the handshake over a standby to publishing and its end. Sans-IO: the
//! caller moves bytes between this and a socket.
//!
//! Wire order: C0 C1 → S0 S1 S2 → C2, connect → _result → Set Chunk Size, Window Acknowledgement Size
//! (standby) → releaseStream, FCPublish, createStream → _result → publish → onStatus →
//! onMetaData, sequence headers, media → FCUnpublish, deleteStream.

mod api;
mod ballast;
mod timeline;

pub use api::{PublisherError, PublisherEvent, PublisherSettings, Stage};
pub use ballast::Ballast;

use super::adobe_auth::{self, AuthStep};
use super::amf0::{self, Amf0Value};
use super::chunk::{ChunkLimits, message_type};
use super::connection::{Connection, Incoming};
use super::flv;
use super::status::{RejectKind, Status, code, printable};
use super::writer::MediaKind;
use crate::media::{MediaTime, MediaUnit, StreamConfig, Track};
use rml_rtmp::handshake::PeerType;
use std::collections::VecDeque;
use timeline::Timeline;

/// What platforms are used to see from an encoder.
const FLASH_VERSION: &str = "FMLE/3.0 (compatible; FMSc/1.0)";
/// Enhanced RTMP v2, CapsExMask: we obey NetConnection.Connect.ReconnectRequest.
const CAPS_EX_RECONNECT: f64 = 1.0;
/// After this many bytes of ours the server shall acknowledge: a quarter of a second at 3 Mb/s, so that
/// what it had read when a connection broke is known closer than by the margin of DESIGN.md, section 4.
pub const ACK_WINDOW: u32 = 100_000;
/// A server has nothing long to say to a publisher.
const LIMITS: ChunkLimits = ChunkLimits {
    message: 1024 * 1024,
    buffered: 4 * 1024 * 1024,
    chunk_streams: 64,
};
/// Until the server sets another: 2.5 MB is what servers announce.
const DEFAULT_PEER_WINDOW: u32 = 2_500_000;

/// Transaction numbers: each command is sent once in a session.
mod transaction {
    pub const CONNECT: f64 = 1.0;
    pub const RELEASE_STREAM: f64 = 2.0;
    pub const FC_PUBLISH: f64 = 3.0;
    pub const CREATE_STREAM: f64 = 4.0;
    pub const PUBLISH: f64 = 5.0;
    pub const FC_UNPUBLISH: f64 = 6.0;
    pub const DELETE_STREAM: f64 = 7.0;
}

enum State {
    /// C0 C1 are in the output.
    Handshaking,
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

/// One RTMP connection that publishes one stream.
///
/// Two kinds of bytes leave it: control bytes through `take_output`, media through the `out` arguments. Each
/// kind keeps its order; between them any order of whole portions is right, but control output that is
/// already there goes before the first media, and all media before what `finish` gives.
pub struct Publisher {
    settings: PublisherSettings,
    state: State,
    connection: Connection,
    events: VecDeque<PublisherEvent>,
    publish_wanted: bool,
    /// Our random text for Adobe authentication.
    challenge: String,
}

impl Publisher {
    /// The output already holds C0 and C1.
    pub fn new(settings: PublisherSettings) -> Self {
        Self::over(
            Connection::new(PeerType::Client, LIMITS, DEFAULT_PEER_WINDOW),
            settings,
        )
    }

    /// Has sent `connect`.
    #[cfg(test)]
    pub(super) fn handshaken(settings: PublisherSettings) -> Self {
        let connection = Connection::handshaken(LIMITS, DEFAULT_PEER_WINDOW);
        let mut publisher = Self::over(connection, settings);
        publisher.connect();
        publisher
    }

    fn over(connection: Connection, settings: PublisherSettings) -> Self {
        // C1 is random bytes, and nobody else's.
        let random = connection.output.iter().rev().take(4);
        let challenge = random.map(|byte| format!("{byte:02x}")).collect();
        Publisher {
            settings,
            state: State::Handshaking,
            connection,
            events: VecDeque::new(),
            publish_wanted: false,
            challenge,
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

    /// What it means that the server closed the connection now.
    pub fn handle_close(&mut self) -> PublisherError {
        let stage = match &self.state {
            State::Handshaking => Stage::Handshake,
            State::Connecting => Stage::Connect,
            State::Standby => Stage::Standby,
            State::CreatingStream | State::AwaitingPublish { .. } => Stage::Publish,
            State::Publishing { .. } => Stage::OnAir,
            State::Over => Stage::Over,
            State::Failed(error) => return error.clone(),
        };
        let error = PublisherError::Closed(stage);
        self.state = State::Failed(error.clone());
        error
    }

    pub fn poll_event(&mut self) -> Option<PublisherEvent> {
        self.events.pop_front()
    }

    /// Control bytes to write, in order; empty when there are none.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.connection.output)
    }

    /// Leaves the standby; before it is reached: as soon as it is.
    pub fn publish(&mut self) {
        self.publish_wanted = true;
        if !matches!(self.state, State::Standby) {
            return;
        }
        let key = Amf0Value::string(self.settings.key.expose());
        self.connection.call(
            0,
            "releaseStream",
            transaction::RELEASE_STREAM,
            std::slice::from_ref(&key),
        );
        self.connection
            .call(0, "FCPublish", transaction::FC_PUBLISH, &[key]);
        self.connection
            .call(0, "createStream", transaction::CREATE_STREAM, &[]);
        self.state = State::CreatingStream;
    }

    /// What it was made with.
    pub fn settings(&self) -> &PublisherSettings {
        &self.settings
    }

    pub fn is_publishing(&self) -> bool {
        matches!(self.state, State::Publishing { .. })
    }

    /// Writes onMetaData and both sequence headers; programme time `base` becomes timestamp 0. To be called
    /// once after `Publishing`; otherwise it writes nothing.
    pub fn start_media(&mut self, config: &StreamConfig, base: MediaTime, out: &mut Vec<u8>) {
        self.start_media_at(config, base, 0, base, out);
    }

    /// Like `start_media`, but `base` becomes `start_ms`, and the first unit to come has a time of `begin` or later
    /// (`timeline = "continue"`): headers from the session's start would make a server see a gap of hours behind them.
    pub fn start_media_at(
        &mut self,
        config: &StreamConfig,
        base: MediaTime,
        start_ms: u64,
        begin: MediaTime,
        out: &mut Vec<u8>,
    ) {
        if let State::Publishing { timeline, .. } = &mut self.state {
            *timeline = Some(Timeline { base, start_ms });
            self.write_config(config, begin, out);
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
        let at_ms = timeline.timestamp_ms(at);
        for (kind, body) in messages {
            // Configurations change with a picture, and the sound that belongs to it may begin some milliseconds
            // before: a header at the picture's time would push it there.
            let earliest_ms = self.connection.writer.earliest_ms(kind);
            let time_ms = match kind {
                MediaKind::Audio if earliest_ms > 0 => at_ms.min(earliest_ms),
                _ => at_ms,
            };
            self.connection
                .writer
                .media(kind, stream_id, time_ms, body, out);
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
        let time_ms = timeline
            .timestamp_ms(unit.dts)
            .max(self.connection.writer.earliest_ms(kind));
        // From the time that is really sent, so that a clamped one does not bend the presentation.
        let cts_ms = timeline.place_ms(unit.pts).saturating_sub_unsigned(time_ms);
        let body = flv::unit_body(unit, cts_ms);
        self.connection
            .writer
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
        self.connection
            .call(0, "FCUnpublish", transaction::FC_UNPUBLISH, &[key]);
        if let Some(id) = stream_id {
            let id = Amf0Value::Number(f64::from(id));
            self.connection
                .call(0, "deleteStream", transaction::DELETE_STREAM, &[id]);
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
        match &self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Over => return Ok(()),
            _ => {}
        }
        let handshaken = self.connection.push(bytes);
        if handshaken.map_err(PublisherError::Handshake)? {
            self.connect();
        }
        while let Some(incoming) = self.connection.next()? {
            match incoming {
                Incoming::Command {
                    name,
                    transaction,
                    arguments,
                    ..
                } => self.handle_command(&name, transaction, &arguments)?,
                Incoming::Acknowledged(bytes) => {
                    self.report(PublisherEvent::Acknowledged { bytes });
                }
                // Not for a publisher.
                Incoming::Data(_) | Incoming::Media(_) => {}
            }
            if matches!(self.state, State::Over) {
                break;
            }
        }
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
        self.connection
            .call_with(0, "connect", transaction::CONNECT, object, &[]);
        self.state = State::Connecting;
    }

    fn handle_command(
        &mut self,
        name: &str,
        transaction: f64,
        arguments: &[Amf0Value],
    ) -> Result<(), PublisherError> {
        match name {
            "_result" => self.handle_result(transaction, arguments),
            "_error" => self.handle_error(transaction, arguments),
            "onStatus" => self.handle_status(&Status::find(arguments)),
            "close" => Err(self.rejected(&Status {
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
        match self.state {
            State::Connecting if transaction == transaction::CONNECT => {
                let status = Status::find(arguments);
                if status.is_error() {
                    return self.refuse_connect(&status);
                }
                self.connection.set_chunk_size(self.settings.chunk_size);
                self.connection
                    .control(message_type::WINDOW_ACK_SIZE, &ACK_WINDOW.to_be_bytes());
                self.state = State::Standby;
                self.report(PublisherEvent::Connected);
                if self.publish_wanted {
                    self.publish();
                }
            }
            State::CreatingStream if transaction == transaction::CREATE_STREAM => {
                let id = arguments.iter().find_map(Amf0Value::as_number);
                let stream_id = id
                    .filter(|id| (0.0..=f64::from(u32::MAX)).contains(id))
                    .ok_or(PublisherError::NoStreamId)? as u32;
                let key = Amf0Value::string(self.settings.key.expose());
                let live = Amf0Value::string("live");
                self.connection
                    .call(stream_id, "publish", transaction::PUBLISH, &[key, live]);
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
        match self.state {
            // Some servers leave the transaction out of a refusal; nothing else is under way here.
            State::Connecting => self.refuse_connect(&status),
            State::CreatingStream if transaction == transaction::CREATE_STREAM => {
                Err(self.rejected(&status))
            }
            State::AwaitingPublish { .. } if transaction == transaction::PUBLISH => {
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
