//! A publisher joined with a receiver, a server that says what a test wants, and units to send.

use crate::media::{
    AudioConfig, FrameRate, MediaTime, MediaUnit, StreamConfig, Track, VideoConfig,
};
use crate::rtmp::amf0::{self, Amf0Value};
use crate::rtmp::chunk::message_type;
use crate::rtmp::{
    Publisher, PublisherError, PublisherEvent, PublisherSettings, Receiver, ReceiverEvent,
    ReceiverSettings,
};
use crate::secret::Secret;
use bytes::Bytes;

/// SplitMix64: repeatable, so that a failing case can be run again.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `end` − 1.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// `bytes` in portions of random sizes, from single bytes to thousands.
    pub fn split<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut portions = Vec::new();
        while !bytes.is_empty() {
            let most = [1, 7, 200, 5000][self.below(4)];
            let (portion, rest) = bytes.split_at((1 + self.below(most)).min(bytes.len()));
            portions.push(portion);
            bytes = rest;
        }
        portions
    }
}

pub fn settings() -> PublisherSettings {
    PublisherSettings {
        app: "live/event".into(),
        tc_url: "rtmp://ingest.example:1935/live/event".into(),
        key: Secret::new("key-123?token=t0"),
        credentials: None,
        chunk_size: 4096,
    }
}

pub fn config() -> StreamConfig {
    StreamConfig {
        video: VideoConfig {
            avcc: Bytes::from_static(&[1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 0]),
            width: 1280,
            height: 720,
            fps: FrameRate { num: 30, den: 1 },
            bitrate_kbps: 3_000,
        },
        audio: AudioConfig {
            asc: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            bitrate_kbps: 128,
        },
    }
}

pub fn video(dts_us: i64, pts_us: i64, keyframe: bool, data: impl Into<Bytes>) -> MediaUnit {
    MediaUnit {
        track: Track::Video,
        dts: MediaTime(dts_us),
        pts: MediaTime(pts_us),
        keyframe,
        data: data.into(),
    }
}

pub fn audio(dts_us: i64, data: impl Into<Bytes>) -> MediaUnit {
    MediaUnit {
        track: Track::Audio,
        dts: MediaTime(dts_us),
        pts: MediaTime(dts_us),
        keyframe: false,
        data: data.into(),
    }
}

/// Both ends and what they said.
pub struct Joined {
    pub publisher: Publisher,
    pub receiver: Receiver,
    pub published: Vec<PublisherEvent>,
    pub received: Vec<ReceiverEvent>,
    /// Every byte that went each way.
    pub to_server: Vec<u8>,
    pub to_publisher: Vec<u8>,
    random: Random,
}

impl Joined {
    pub fn new(settings: PublisherSettings, seed: u64) -> Self {
        Joined {
            publisher: Publisher::new(settings),
            receiver: Receiver::new(ReceiverSettings::default()),
            published: Vec::new(),
            received: Vec::new(),
            to_server: Vec::new(),
            to_publisher: Vec::new(),
            random: Random(seed),
        }
    }

    /// On air, with `start_media_at` written.
    pub fn on_air(settings: PublisherSettings, seed: u64, base: MediaTime, start_ms: u64) -> Self {
        let mut joined = Joined::new(settings, seed);
        joined.publisher.publish();
        joined.settle();
        assert!(joined.publisher.is_publishing());
        let mut out = Vec::new();
        joined
            .publisher
            .start_media_at(&config(), base, start_ms, base, &mut out);
        joined.carry(&out);
        joined
    }

    /// Carries control bytes both ways until both are silent. Publishing is accepted.
    pub fn settle(&mut self) {
        loop {
            let up = self.publisher.take_output();
            let down = self.receiver.take_output();
            if up.is_empty() && down.is_empty() {
                return;
            }
            self.carry(&up);
            for portion in self.random.split(&down) {
                self.publisher.handle_input(portion).unwrap();
                while let Some(event) = self.publisher.poll_event() {
                    self.published.push(event);
                }
            }
            self.to_publisher.extend_from_slice(&down);
        }
    }

    /// Gives the receiver bytes of the publisher, in random portions.
    pub fn carry(&mut self, bytes: &[u8]) {
        for portion in self.random.split(bytes) {
            self.receiver.handle_input(portion).unwrap();
            while let Some(event) = self.receiver.poll_event() {
                if matches!(event, ReceiverEvent::PublishRequested { .. }) {
                    self.receiver.accept_publish();
                }
                self.received.push(event);
            }
        }
        self.to_server.extend_from_slice(bytes);
    }

    pub fn send(&mut self, unit: &MediaUnit) -> bool {
        let mut out = Vec::new();
        let written = self.publisher.write_unit(unit, &mut out);
        self.carry(&out);
        written
    }

    /// Times and bodies of one track as they arrived, the sequence header first.
    pub fn tags(&self, track: Track) -> Vec<(u64, Bytes)> {
        let tag = |event: &ReceiverEvent| match event {
            ReceiverEvent::Tag {
                kind,
                timestamp_ms,
                body,
            } if *kind == track => Some((*timestamp_ms, body.clone())),
            _ => None,
        };
        self.received.iter().filter_map(tag).collect()
    }
}

/// One chunk with a full header. `payload` must fit into the chunk size.
pub fn chunk(chunk_stream: u8, message_type: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = full_header(chunk_stream, message_type, stream_id, payload.len());
    bytes.extend_from_slice(payload);
    bytes
}

/// Type 0, time 0.
pub fn full_header(chunk_stream: u8, message_type: u8, stream_id: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![chunk_stream, 0, 0, 0];
    bytes.extend_from_slice(&(len as u32).to_be_bytes()[1..]);
    bytes.push(message_type);
    bytes.extend_from_slice(&stream_id.to_le_bytes());
    bytes
}

pub fn set_chunk_size(size: u32) -> Vec<u8> {
    chunk(2, message_type::SET_CHUNK_SIZE, 0, &size.to_be_bytes())
}

pub fn user_control(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut payload = kind.to_be_bytes().to_vec();
    payload.extend_from_slice(data);
    chunk(2, message_type::USER_CONTROL, 0, &payload)
}

/// A command of any length, in chunks of 128 bytes.
pub fn command(values: &[Amf0Value]) -> Vec<u8> {
    command_bytes(message_type::COMMAND_AMF0, &amf0::encode(values))
}

pub fn command_bytes(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = full_header(3, kind, 0, payload.len());
    for (n, part) in payload.chunks(128).enumerate() {
        if n > 0 {
            bytes.push(0xc3);
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
    command(&[
        Amf0Value::string("onStatus"),
        Amf0Value::Number(0.0),
        Amf0Value::Null,
        info,
    ])
}

pub fn connect_result() -> Vec<u8> {
    command(&[
        Amf0Value::string("_result"),
        Amf0Value::Number(1.0),
        Amf0Value::Null,
        status("status", "NetConnection.Connect.Success", "ok"),
    ])
}

/// The answer to a connect that the server does not take.
pub fn connect_error(description: &str) -> Vec<u8> {
    command(&[
        Amf0Value::string("_error"),
        Amf0Value::Number(1.0),
        Amf0Value::Null,
        status("error", "NetConnection.Connect.Rejected", description),
    ])
}

pub fn create_stream_result() -> Vec<u8> {
    command(&[
        Amf0Value::string("_result"),
        Amf0Value::Number(4.0),
        Amf0Value::Null,
        Amf0Value::Number(1.0),
    ])
}

pub fn publish_start() -> Vec<u8> {
    on_status(status("status", "NetStream.Publish.Start", "go"))
}

/// A publisher that has said `publish` and awaits the server's word.
pub fn awaiting_publish() -> Publisher {
    let mut publisher = Publisher::handshaken(settings());
    publisher.publish();
    feed(&mut publisher, &connect_result()).unwrap();
    feed(&mut publisher, &create_stream_result()).unwrap();
    publisher.take_output();
    publisher
}

pub fn publishing() -> Publisher {
    let mut publisher = awaiting_publish();
    feed(&mut publisher, &publish_start()).unwrap();
    assert!(publisher.is_publishing());
    while publisher.poll_event().is_some() {}
    publisher
}

/// Gives `bytes` to the publisher and takes its events.
pub fn feed(
    publisher: &mut Publisher,
    bytes: &[u8],
) -> Result<Vec<PublisherEvent>, PublisherError> {
    publisher.handle_input(bytes)?;
    Ok(std::iter::from_fn(|| publisher.poll_event()).collect())
}
