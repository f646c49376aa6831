//! The session that accepts a publisher of any make: the rehearsal ingest's, later the `rtmp` sources'.
//! Sans-IO: the caller moves bytes between this and a socket, and decides who may publish.

use super::amf0::Amf0Value;
use super::chunk::{ChunkError, ChunkLimits, Message, TimestampUnwrapper, message_type};
use super::connection::{Connection, Incoming};
use super::flv::FlvError;
use super::flv_file::{FlvReader, TagKind};
use super::status::code;
use crate::media::Track;
use crate::secret::Secret;
use bytes::Bytes;
use rml_rtmp::handshake::PeerType;
use std::collections::VecDeque;

/// What Adobe's server called itself; encoders are used to it.
const SERVER_VERSION: &str = "FMS/3,5,3,888";
const SERVER_CAPABILITIES: f64 = 31.0;
/// The only message stream there is.
const STREAM_ID: u32 = 1;
/// Set Peer Bandwidth's "as before, or as the window says" (RTMP 1.0, 5.4.5).
const LIMIT_DYNAMIC: u8 = 2;
const USER_CONTROL_STREAM_BEGIN: u16 = 0;
/// A publisher that lets this many bytes of answers lie is not interested in them.
const MAX_UNTAKEN: usize = 256 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverSettings {
    /// Of what is sent, bytes.
    pub chunk_size: u32,
    /// Acknowledgements are sent after this many bytes, unless the publisher asks for another number.
    pub window_ack_size: u32,
    pub limits: ChunkLimits,
}

impl Default for ReceiverSettings {
    fn default() -> Self {
        ReceiverSettings {
            chunk_size: 4096,
            window_ack_size: 2_500_000,
            limits: ChunkLimits::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum ReceiverEvent {
    /// The publisher's `connect`, already answered.
    Connect { app: String, tc_url: String },
    /// To be answered with `accept_publish` or `reject_publish`. Tags of a hasty publisher may follow at once.
    PublishRequested { app: String, key: Secret },
    /// onMetaData's value.
    Metadata(Amf0Value),
    /// The body of an FLV tag (see `flv::parse_video`, `flv::parse_audio`); never empty.
    Tag {
        kind: Track,
        /// Milliseconds on the publisher's timeline, which goes on past 2^32.
        timestamp_ms: u64,
        body: Bytes,
    },
    /// The publisher ended its stream (FCUnpublish, closeStream).
    Unpublished,
    /// The publisher gave its stream back (deleteStream).
    Deleted,
    /// The running total of our bytes that the publisher has read.
    Acknowledged { bytes: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiverError {
    #[error("the RTMP handshake failed: {0}; is this an RTMP publisher?")]
    Handshake(String),
    #[error("the publisher broke the RTMP protocol: {0}")]
    Protocol(#[from] ChunkError),
    #[error("the publisher sent an aggregate message that can't be read: {0}")]
    Aggregate(#[from] FlvError),
    #[error("the publisher asks on without reading the answers")]
    NotReading,
}

enum State {
    /// Up to and including the handshake.
    AwaitingConnect,
    Connected {
        app: String,
    },
    PublishRequested {
        app: String,
    },
    Publishing {
        app: String,
    },
    Failed(ReceiverError),
}

/// One RTMP connection that takes one stream. What it is asked before `connect` it ignores.
pub struct Receiver {
    settings: ReceiverSettings,
    state: State,
    connection: Connection,
    events: VecDeque<ReceiverEvent>,
    timeline: TimestampUnwrapper,
    /// createStream was answered, and deleteStream did not come.
    stream_open: bool,
}

impl Receiver {
    pub fn new(settings: ReceiverSettings) -> Self {
        let window = settings.window_ack_size.max(1);
        let connection = Connection::new(PeerType::Server, settings.limits, window);
        Self::over(connection, settings)
    }

    #[cfg(test)]
    pub(super) fn handshaken(settings: ReceiverSettings) -> Self {
        let connection = Connection::handshaken(settings.limits, settings.window_ack_size);
        Self::over(connection, settings)
    }

    fn over(connection: Connection, settings: ReceiverSettings) -> Self {
        Receiver {
            settings,
            state: State::AwaitingConnect,
            connection,
            events: VecDeque::new(),
            timeline: TimestampUnwrapper::default(),
            stream_open: false,
        }
    }

    /// Takes what came from the publisher. Take the events after each call: there may be as many as the bytes
    /// hold messages. After an error the connection is of no more use, and every later call gives the same
    /// error.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), ReceiverError> {
        let result = self.read(bytes);
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
        }
        result
    }

    pub fn poll_event(&mut self) -> Option<ReceiverEvent> {
        self.events.pop_front()
    }

    /// Bytes to write, in order; empty when there are none.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.connection.output)
    }

    /// Answers `PublishRequested`; without one it does nothing.
    pub fn accept_publish(&mut self) {
        let State::PublishRequested { app } = &mut self.state else {
            return;
        };
        let app = std::mem::take(app);
        self.state = State::Publishing { app };
        let mut begin = USER_CONTROL_STREAM_BEGIN.to_be_bytes().to_vec();
        begin.extend_from_slice(&STREAM_ID.to_be_bytes());
        self.connection.control(message_type::USER_CONTROL, &begin);
        self.status(
            STREAM_ID,
            "status",
            code::PUBLISH_START,
            "Start publishing.",
            &[],
        );
    }

    /// Answers `PublishRequested`, or ends a stream that was accepted, with an error status.
    pub fn reject_publish(&mut self, code: &str, description: &str) {
        let (State::PublishRequested { app } | State::Publishing { app }) = &mut self.state else {
            return;
        };
        let app = std::mem::take(app);
        self.state = State::Connected { app };
        self.events
            .retain(|event| !matches!(event, ReceiverEvent::Tag { .. }));
        self.status(STREAM_ID, "error", code, description, &[]);
    }

    /// Asks the publisher to connect again, there or, without `tc_url`, here (Enhanced RTMP v2). One that does
    /// not know this goes on as before.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, description: &str) {
        let more: Vec<_> = tc_url
            .map(|url| ("tcUrl".to_owned(), Amf0Value::string(url)))
            .into_iter()
            .collect();
        self.status(0, "status", code::RECONNECT_REQUEST, description, &more);
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), ReceiverError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        let handshaken = self.connection.push(bytes);
        handshaken.map_err(ReceiverError::Handshake)?;
        while let Some(incoming) = self.connection.next()? {
            match incoming {
                Incoming::Command {
                    name,
                    transaction,
                    arguments,
                    stream_id,
                } => self.handle_command(&name, transaction, &arguments, stream_id),
                Incoming::Data(values) => self.handle_data(values),
                Incoming::Media(message) => self.handle_media(&message)?,
                Incoming::Acknowledged(bytes) => {
                    if let Some(ReceiverEvent::Acknowledged { .. }) = self.events.back() {
                        self.events.pop_back();
                    }
                    self.events.push_back(ReceiverEvent::Acknowledged { bytes });
                }
            }
            if self.connection.output.len() > MAX_UNTAKEN {
                return Err(ReceiverError::NotReading);
            }
        }
        Ok(())
    }

    fn handle_command(
        &mut self,
        name: &str,
        transaction: f64,
        arguments: &[Amf0Value],
        stream_id: u32,
    ) {
        match (&self.state, name) {
            (State::AwaitingConnect, "connect") => self.handle_connect(transaction, arguments),
            (State::AwaitingConnect, _) => {}
            (_, "releaseStream" | "FCPublish") => {
                self.connection
                    .call(0, "_result", transaction, &[Amf0Value::Undefined]);
            }
            (_, "createStream") => {
                self.stream_open = true;
                let id = Amf0Value::Number(f64::from(STREAM_ID));
                self.connection.call(0, "_result", transaction, &[id]);
            }
            (_, "publish") => self.handle_publish(arguments, stream_id),
            (_, "play" | "play2") => self.status(
                stream_id,
                "error",
                code::PLAY_FAILED,
                "This server takes streams and gives none.",
                &[],
            ),
            (_, "FCUnpublish" | "closeStream") => self.handle_unpublish(),
            (_, "deleteStream") => {
                self.leave_air();
                if std::mem::take(&mut self.stream_open) {
                    self.events.push_back(ReceiverEvent::Deleted);
                }
            }
            // _checkbw, getStreamLength and others: publishers do not wait for an answer.
            _ => {}
        }
    }

    fn handle_connect(&mut self, transaction: f64, arguments: &[Amf0Value]) {
        let text = |name: &str| {
            let value = arguments.iter().find_map(|value| value.get(name));
            value
                .and_then(Amf0Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (app, tc_url) = (text("app"), text("tcUrl"));
        let window = self.settings.window_ack_size.to_be_bytes();
        self.connection
            .control(message_type::WINDOW_ACK_SIZE, &window);
        let mut bandwidth = window.to_vec();
        bandwidth.push(LIMIT_DYNAMIC);
        self.connection
            .control(message_type::SET_PEER_BANDWIDTH, &bandwidth);
        self.connection.set_chunk_size(self.settings.chunk_size);
        let server = Amf0Value::object([
            ("fmsVer", Amf0Value::string(SERVER_VERSION)),
            ("capabilities", Amf0Value::Number(SERVER_CAPABILITIES)),
        ]);
        let status = Amf0Value::object([
            ("level", Amf0Value::string("status")),
            ("code", Amf0Value::string(code::CONNECT_SUCCESS)),
            ("description", Amf0Value::string("Connection succeeded.")),
            // AMF0, whatever the publisher would like.
            ("objectEncoding", Amf0Value::Number(0.0)),
        ]);
        self.connection
            .call_with(0, "_result", transaction, server, &[status]);
        self.state = State::Connected { app: app.clone() };
        self.events
            .push_back(ReceiverEvent::Connect { app, tc_url });
    }

    fn handle_publish(&mut self, arguments: &[Amf0Value], stream_id: u32) {
        let State::Connected { app } = &mut self.state else {
            self.status(
                stream_id,
                "error",
                code::PUBLISH_BAD_NAME,
                "This connection publishes already.",
                &[],
            );
            return;
        };
        let app = std::mem::take(app);
        let key = arguments.iter().find_map(Amf0Value::as_str);
        self.events.push_back(ReceiverEvent::PublishRequested {
            app: app.clone(),
            key: Secret::new(key.unwrap_or_default()),
        });
        self.state = State::PublishRequested { app };
        self.timeline = TimestampUnwrapper::default();
        self.stream_open = true;
    }

    fn handle_unpublish(&mut self) {
        if self.leave_air() {
            let (code, text) = (code::UNPUBLISHED, "Stop publishing.");
            self.status(STREAM_ID, "status", code, text, &[]);
            self.events.push_back(ReceiverEvent::Unpublished);
        }
    }

    /// True: there was a stream to end.
    fn leave_air(&mut self) -> bool {
        let (State::PublishRequested { app } | State::Publishing { app }) = &mut self.state else {
            return false;
        };
        let app = std::mem::take(app);
        self.state = State::Connected { app };
        true
    }

    fn handle_data(&mut self, values: Vec<Amf0Value>) {
        let mut values = values.into_iter();
        let is_metadata = values.any(|value| value.as_str() == Some("onMetaData"));
        if let (true, true, Some(value)) = (self.is_on_air(), is_metadata, values.next()) {
            self.events.push_back(ReceiverEvent::Metadata(value));
        }
    }

    fn handle_media(&mut self, message: &Message) -> Result<(), ReceiverError> {
        if !self.is_on_air() {
            return Ok(());
        }
        match message.message_type {
            message_type::VIDEO => self.tag(Track::Video, message.timestamp, &message.payload),
            message_type::AUDIO => self.tag(Track::Audio, message.timestamp, &message.payload),
            _ => self.split_aggregate(message)?,
        }
        Ok(())
    }

    /// FLV tags in one message, on a timeline of their own whose first time is the message's (7.1.6).
    fn split_aggregate(&mut self, message: &Message) -> Result<(), ReceiverError> {
        let mut tags = FlvReader::without_header();
        tags.push(&message.payload);
        let mut first = None;
        while let Some(tag) = tags.next_tag()? {
            let since_first = tag
                .timestamp
                .wrapping_sub(*first.get_or_insert(tag.timestamp));
            let timestamp = message.timestamp.wrapping_add(since_first);
            match tag.kind {
                TagKind::Video => self.tag(Track::Video, timestamp, &tag.body),
                TagKind::Audio => self.tag(Track::Audio, timestamp, &tag.body),
                TagKind::Script => {}
            }
        }
        Ok(())
    }

    fn tag(&mut self, kind: Track, timestamp: u32, body: &Bytes) {
        if !body.is_empty() {
            self.events.push_back(ReceiverEvent::Tag {
                kind,
                timestamp_ms: self.timeline.unwrap(timestamp),
                body: body.clone(),
            });
        }
    }

    fn is_on_air(&self) -> bool {
        matches!(
            self.state,
            State::PublishRequested { .. } | State::Publishing { .. }
        )
    }

    fn status(
        &mut self,
        stream_id: u32,
        level: &str,
        code: &str,
        description: &str,
        more: &[(String, Amf0Value)],
    ) {
        let mut info = vec![
            ("level".to_owned(), Amf0Value::string(level)),
            ("code".to_owned(), Amf0Value::string(code)),
            ("description".to_owned(), Amf0Value::string(description)),
        ];
        info.extend_from_slice(more);
        self.connection
            .call(stream_id, "onStatus", 0.0, &[Amf0Value::Object(info)]);
    }
}
