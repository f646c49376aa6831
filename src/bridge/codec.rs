//! The bridge's messages as bytes. Pure: no socket, no clock.
//!
//! A frame is `length: u32 BE` (of what follows), `kind: u8`, body. Media units are binary, so that their
//! payload is written from and read into place; everything else is JSON, so that it can be read in a dump:
//!
//! | kind | message | body |
//! | --- | --- | --- |
//! | 1 | `Up::Hello` | version: u16 BE |
//! | 2 | `Up::Config` | JSON |
//! | 3 | `Up::Unit` | flags: u8, dts: i64 BE, pts: i64 BE, the unit's bytes |
//! | 4 | `Up::Event` | JSON |
//! | 16 | `Up::Slate` | parts, each `length: u32 BE` and bytes: JSON of its configuration, a frame of sound, the pictures |
//! | 17 | `Up::Thumbnail` | parts as above: JSON of the view, the JPEG |
//! | 65 | `Down::Start` | version: u16 BE, JSON |
//! | 66 | `Down::SetBitrate` | kbps: u32 BE |
//! | 67 | `Down::Stop` | empty |
//! | 80 | `Down::EncodeSlate` | empty |
//! | 81 | `Down::Mix` | request: u64 BE, at: i64 BE, JSON |
//! | 82 | `Down::Pushed`, a configuration | source: u16 BE, flags: u8, the configuration's bytes |
//! | 83 | `Down::Pushed`, a unit | source: u16 BE, then as in `Up::Unit` |
//! | 84 | `Down::Pushed`, its end | source: u16 BE, UTF-8 |
//!
//! The first message of either direction carries the version, ahead of anything that could have changed.

use super::mix::{MixState, Thumbnail};
use super::protocol::{Down, Pushed, Up, VERSION};
use crate::config::EngineSpec;
use crate::media::{
    AudioConfig, Clip, FrameRate, MediaTime, MediaUnit, StreamConfig, Track, VideoConfig,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

const HELLO: u8 = 1;
const CONFIG: u8 = 2;
const UNIT: u8 = 3;
const EVENT: u8 = 4;
const SLATE: u8 = 16;
const THUMBNAIL: u8 = 17;
const START: u8 = 65;
const SET_BITRATE: u8 = 66;
const STOP: u8 = 67;
const ENCODE_SLATE: u8 = 80;
const MIX: u8 = 81;
const PUSHED_CONFIG: u8 = 82;
const PUSHED_UNIT: u8 = 83;
const PUSHED_END: u8 = 84;

/// An access unit of 16 MiB is 4 Gb/s at 30 fps: more is a damaged stream, not a picture.
const MAX_UNIT: usize = 16 << 20;
/// Sources and scenes of a large set-up take some tens of KiB.
const MAX_CONTROL: usize = 1 << 20;
const PREFIX: usize = 4;
const UNIT_HEAD: usize = 1 + 8 + 8;
/// A mix command's number and time.
const MIX_HEAD: usize = 8 + 8;
/// Which source it is pushed to.
const SOURCE: usize = 2;
const HEAD_MAX: usize = PREFIX + 1 + SOURCE + UNIT_HEAD;
/// What a read asks for at least: some units at a time at usual bitrates, without holding much memory.
const READ_SIZE: usize = 64 << 10;

const FLAG_AUDIO: u8 = 1;
const FLAG_KEYFRAME: u8 = 2;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error(
        "the other end speaks version {theirs} of the engine protocol and this one version {VERSION}: both must come from one build of regia"
    )]
    Version { theirs: u16 },
    #[error("the engine protocol must start with its version, but message {kind} came first")]
    NotGreeted { kind: u8 },
    #[error("the engine protocol's version came a second time")]
    GreetedTwice,
    #[error("message {kind} is unknown to the engine protocol")]
    UnknownKind { kind: u8 },
    #[error("message {kind} has {length} bytes, more than the {limit} allowed")]
    TooLong {
        kind: u8,
        length: usize,
        limit: usize,
    },
    #[error("message {kind} is too short for what it must carry")]
    TooShort { kind: u8 },
    #[error("message {kind} carries {extra} bytes too many")]
    TrailingBytes { kind: u8, extra: usize },
    #[error("a media unit has unknown flags {flags:#04x}")]
    UnknownFlags { flags: u8 },
    #[error("message {kind} can't be read: {text}")]
    BadJson { kind: u8, text: String },
    #[error("message {kind} holds no text: {text}")]
    BadText { kind: u8, text: String },
    #[error("message {kind} can't be written: {text}")]
    Unwritable { kind: u8, text: String },
}

/// One message ready to be written: head, then payload, which for a media unit is the unit's own bytes.
#[derive(Clone, Debug)]
pub struct Frame {
    head: [u8; HEAD_MAX],
    head_len: usize,
    payload: Bytes,
}

impl Frame {
    fn new(kind: u8, fields: &[u8], payload: Bytes, limit: usize) -> Result<Frame, ProtocolError> {
        let length = 1 + fields.len() + payload.len();
        if length > limit {
            return Err(ProtocolError::TooLong {
                kind,
                length,
                limit,
            });
        }
        let mut head = [0; HEAD_MAX];
        let head_len = PREFIX + 1 + fields.len();
        // The limits are far below 4 GiB, so the length fits its field.
        head[..PREFIX].copy_from_slice(&(length as u32).to_be_bytes());
        head[PREFIX] = kind;
        head[PREFIX + 1..head_len].copy_from_slice(fields);
        Ok(Frame {
            head,
            head_len,
            payload,
        })
    }

    pub fn head(&self) -> &[u8] {
        &self.head[..self.head_len]
    }

    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Head and payload in one piece, for messages that are rare and small.
    pub fn to_vec(&self) -> Vec<u8> {
        [self.head(), &self.payload].concat()
    }
}

/// A direction of the bridge.
pub trait Message: Sized {
    /// The kind that carries the version.
    const GREETING: u8;

    fn encode(&self) -> Result<Frame, ProtocolError>;

    /// The longest frame of this kind; None: there is no such kind in this direction.
    fn limit(kind: u8) -> Option<usize>;

    fn decode(kind: u8, body: Bytes) -> Result<Self, ProtocolError>;
}

impl Message for Up {
    const GREETING: u8 = HELLO;

    fn encode(&self) -> Result<Frame, ProtocolError> {
        match self {
            Up::Hello { version } => {
                Frame::new(HELLO, &version.to_be_bytes(), Bytes::new(), MAX_CONTROL)
            }
            Up::Config(config) => json(CONFIG, &[], &ConfigWire::from(config)),
            Up::Unit(unit) => Frame::new(UNIT, &unit_head(unit), unit.data.clone(), MAX_UNIT),
            Up::Event(event) => json(EVENT, &[], event),
            Up::Slate(clip) => Frame::new(SLATE, &[], clip_parts(clip)?, MAX_UNIT),
            Up::Thumbnail(Thumbnail { of, jpeg }) => {
                let view = json(THUMBNAIL, &[], of)?.payload;
                Frame::new(THUMBNAIL, &[], join_parts([&view, jpeg]), MAX_UNIT)
            }
        }
    }

    fn limit(kind: u8) -> Option<usize> {
        match kind {
            HELLO | CONFIG | EVENT => Some(MAX_CONTROL),
            UNIT | SLATE | THUMBNAIL => Some(MAX_UNIT),
            _ => None,
        }
    }

    fn decode(kind: u8, mut body: Bytes) -> Result<Self, ProtocolError> {
        match kind {
            HELLO => {
                let version = take_version(kind, &mut body)?;
                nothing_left(kind, &body)?;
                Ok(Up::Hello { version })
            }
            CONFIG => from_json::<ConfigWire>(kind, &body).map(|wire| Up::Config(wire.into())),
            UNIT => take_unit(kind, body).map(Up::Unit),
            EVENT => from_json(kind, &body).map(Up::Event),
            SLATE => {
                let config: ConfigWire = from_json(kind, &take_part(kind, &mut body)?)?;
                let sound = take_part(kind, &mut body)?;
                let mut pictures = Vec::new();
                while body.has_remaining() {
                    pictures.push(take_part(kind, &mut body)?);
                }
                Ok(Up::Slate(Clip {
                    config: config.into(),
                    pictures,
                    sound,
                }))
            }
            THUMBNAIL => {
                let of = from_json(kind, &take_part(kind, &mut body)?)?;
                let jpeg = take_part(kind, &mut body)?;
                nothing_left(kind, &body)?;
                Ok(Up::Thumbnail(Thumbnail { of, jpeg }))
            }
            _ => Err(ProtocolError::UnknownKind { kind }),
        }
    }
}

impl Message for Down {
    const GREETING: u8 = START;

    fn encode(&self) -> Result<Frame, ProtocolError> {
        match self {
            Down::Start { version, spec, mix } => {
                json(START, &version.to_be_bytes(), &StartOut { spec, mix })
            }
            Down::SetBitrate { kbps } => {
                Frame::new(SET_BITRATE, &kbps.to_be_bytes(), Bytes::new(), MAX_CONTROL)
            }
            Down::Stop => Frame::new(STOP, &[], Bytes::new(), MAX_CONTROL),
            Down::EncodeSlate => Frame::new(ENCODE_SLATE, &[], Bytes::new(), MAX_CONTROL),
            Down::Mix {
                request,
                at,
                command,
            } => {
                let mut fields = [0; MIX_HEAD];
                fields[..8].copy_from_slice(&request.to_be_bytes());
                fields[8..].copy_from_slice(&at.0.to_be_bytes());
                json(MIX, &fields, command)
            }
            Down::Pushed { source, pushed } => pushed_frame(*source, pushed),
        }
    }

    fn limit(kind: u8) -> Option<usize> {
        match kind {
            START | SET_BITRATE | STOP | ENCODE_SLATE | MIX | PUSHED_CONFIG | PUSHED_END => {
                Some(MAX_CONTROL)
            }
            PUSHED_UNIT => Some(MAX_UNIT),
            _ => None,
        }
    }

    fn decode(kind: u8, mut body: Bytes) -> Result<Self, ProtocolError> {
        match kind {
            START => {
                let version = take_version(kind, &mut body)?;
                let StartIn { spec, mix } = from_json(kind, &body)?;
                Ok(Down::Start { version, spec, mix })
            }
            SET_BITRATE => {
                let kbps = body
                    .try_get_u32()
                    .map_err(|_| ProtocolError::TooShort { kind })?;
                nothing_left(kind, &body)?;
                Ok(Down::SetBitrate { kbps })
            }
            STOP => nothing_left(kind, &body).map(|()| Down::Stop),
            ENCODE_SLATE => nothing_left(kind, &body).map(|()| Down::EncodeSlate),
            MIX => {
                if body.len() < MIX_HEAD {
                    return Err(ProtocolError::TooShort { kind });
                }
                Ok(Down::Mix {
                    request: body.get_u64(),
                    at: MediaTime(body.get_i64()),
                    command: from_json(kind, &body)?,
                })
            }
            PUSHED_CONFIG | PUSHED_UNIT | PUSHED_END => {
                let source = body
                    .try_get_u16()
                    .map_err(|_| ProtocolError::TooShort { kind })?;
                take_pushed(kind, body).map(|pushed| Down::Pushed { source, pushed })
            }
            _ => Err(ProtocolError::UnknownKind { kind }),
        }
    }
}

#[derive(Serialize)]
struct StartOut<'a> {
    spec: &'a EngineSpec,
    mix: &'a Option<Box<MixState>>,
}

#[derive(Deserialize)]
struct StartIn {
    spec: Box<EngineSpec>,
    mix: Option<Box<MixState>>,
}

fn flags(track: Track, keyframe: bool) -> u8 {
    let track = match track {
        Track::Video => 0,
        Track::Audio => FLAG_AUDIO,
    };
    track | if keyframe { FLAG_KEYFRAME } else { 0 }
}

fn unit_head(unit: &MediaUnit) -> [u8; UNIT_HEAD] {
    let mut head = [0; UNIT_HEAD];
    head[0] = flags(unit.track, unit.keyframe);
    head[1..9].copy_from_slice(&unit.dts.0.to_be_bytes());
    head[9..].copy_from_slice(&unit.pts.0.to_be_bytes());
    head
}

fn take_flags(kind: u8, body: &mut Bytes) -> Result<(Track, bool), ProtocolError> {
    let flags = body
        .try_get_u8()
        .map_err(|_| ProtocolError::TooShort { kind })?;
    if flags & !(FLAG_AUDIO | FLAG_KEYFRAME) != 0 {
        return Err(ProtocolError::UnknownFlags { flags });
    }
    let track = if flags & FLAG_AUDIO == 0 {
        Track::Video
    } else {
        Track::Audio
    };
    Ok((track, flags & FLAG_KEYFRAME != 0))
}

fn take_unit(kind: u8, mut body: Bytes) -> Result<MediaUnit, ProtocolError> {
    if body.len() < UNIT_HEAD {
        return Err(ProtocolError::TooShort { kind });
    }
    let (track, keyframe) = take_flags(kind, &mut body)?;
    Ok(MediaUnit {
        track,
        keyframe,
        dts: MediaTime(body.get_i64()),
        pts: MediaTime(body.get_i64()),
        data: body,
    })
}

fn pushed_frame(source: u16, pushed: &Pushed) -> Result<Frame, ProtocolError> {
    let source = source.to_be_bytes();
    match pushed {
        Pushed::Config { track, data } => {
            let fields = [source[0], source[1], flags(*track, false)];
            Frame::new(PUSHED_CONFIG, &fields, data.clone(), MAX_CONTROL)
        }
        Pushed::Unit(unit) => {
            let mut fields = [0; SOURCE + UNIT_HEAD];
            fields[..SOURCE].copy_from_slice(&source);
            fields[SOURCE..].copy_from_slice(&unit_head(unit));
            Frame::new(PUSHED_UNIT, &fields, unit.data.clone(), MAX_UNIT)
        }
        Pushed::End { text } => {
            let text = Bytes::copy_from_slice(text.as_bytes());
            Frame::new(PUSHED_END, &source, text, MAX_CONTROL)
        }
    }
}

fn take_pushed(kind: u8, mut body: Bytes) -> Result<Pushed, ProtocolError> {
    match kind {
        PUSHED_CONFIG => match take_flags(kind, &mut body)? {
            (track, false) => Ok(Pushed::Config { track, data: body }),
            (_, true) => Err(ProtocolError::UnknownFlags {
                flags: FLAG_KEYFRAME,
            }),
        },
        PUSHED_UNIT => take_unit(kind, body).map(Pushed::Unit),
        _ => match std::str::from_utf8(&body) {
            Ok(text) => Ok(Pushed::End {
                text: text.to_owned(),
            }),
            Err(error) => Err(ProtocolError::BadText {
                kind,
                text: error.to_string(),
            }),
        },
    }
}

/// Bytes in, messages out. After an error the stream is lost: the same error comes again for good.
#[derive(Debug)]
pub struct Decoder<M> {
    buffer: BytesMut,
    state: State,
    message: PhantomData<fn() -> M>,
}

#[derive(Debug)]
enum State {
    Fresh,
    Greeted,
    Broken(ProtocolError),
}

impl<M: Message> Default for Decoder<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Message> Decoder<M> {
    pub fn new() -> Self {
        Decoder {
            buffer: BytesMut::new(),
            state: State::Fresh,
            message: PhantomData,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Where to read into: has room for the rest of the frame that has begun, or for a usual read.
    pub fn space(&mut self) -> &mut BytesMut {
        let begun = self
            .frame_length()
            .filter(|_| !matches!(self.state, State::Broken(_)))
            .map_or(0, |length| {
                (PREFIX + length.min(MAX_UNIT)).saturating_sub(self.buffer.len())
            });
        self.buffer.reserve(begun.max(READ_SIZE));
        &mut self.buffer
    }

    /// The next whole message; None: more bytes are needed.
    pub fn next_message(&mut self) -> Result<Option<M>, ProtocolError> {
        if let State::Broken(error) = &self.state {
            return Err(error.clone());
        }
        let result = self.take();
        if let Err(error) = &result {
            self.state = State::Broken(error.clone());
            self.buffer.clear();
        }
        result
    }

    fn frame_length(&self) -> Option<usize> {
        let prefix = self.buffer.first_chunk::<PREFIX>()?;
        usize::try_from(u32::from_be_bytes(*prefix)).ok()
    }

    fn take(&mut self) -> Result<Option<M>, ProtocolError> {
        let Some(length) = self.frame_length() else {
            return Ok(None);
        };
        if length == 0 {
            return Err(ProtocolError::TooShort { kind: 0 });
        }
        let Some(&kind) = self.buffer.get(PREFIX) else {
            return Ok(None);
        };
        // Judged by the head alone, so that no length can make us wait for or hold what is never allowed.
        let limit = M::limit(kind).ok_or(ProtocolError::UnknownKind { kind })?;
        if length > limit {
            return Err(ProtocolError::TooLong {
                kind,
                length,
                limit,
            });
        }
        match (&self.state, kind == M::GREETING) {
            (State::Fresh, false) => return Err(ProtocolError::NotGreeted { kind }),
            (State::Greeted, true) => return Err(ProtocolError::GreetedTwice),
            _ => {}
        }
        if self.buffer.len() < PREFIX + length {
            return Ok(None);
        }
        // A copy of its own: a unit that shares the buffer would keep all of it for as long as it is held, and a hold of
        // small audio frames would cost many times its bytes.
        let frame = Bytes::copy_from_slice(&self.buffer[PREFIX + 1..PREFIX + length]);
        self.buffer.advance(PREFIX + length);
        let message = M::decode(kind, frame)?;
        self.state = State::Greeted;
        Ok(Some(message))
    }
}

fn json<T: Serialize>(kind: u8, fields: &[u8], value: &T) -> Result<Frame, ProtocolError> {
    let body = serde_json::to_vec(value).map_err(|e| ProtocolError::Unwritable {
        kind,
        text: e.to_string(),
    })?;
    Frame::new(kind, fields, body.into(), MAX_CONTROL)
}

fn from_json<'a, T: Deserialize<'a>>(kind: u8, body: &'a [u8]) -> Result<T, ProtocolError> {
    serde_json::from_slice(body).map_err(|e| ProtocolError::BadJson {
        kind,
        text: e.to_string(),
    })
}

fn take_version(kind: u8, body: &mut Bytes) -> Result<u16, ProtocolError> {
    match body.try_get_u16() {
        Ok(VERSION) => Ok(VERSION),
        Ok(theirs) => Err(ProtocolError::Version { theirs }),
        Err(_) => Err(ProtocolError::TooShort { kind }),
    }
}

fn clip_parts(clip: &Clip) -> Result<Bytes, ProtocolError> {
    let config = serde_json::to_vec(&ConfigWire::from(&clip.config)).map_err(|error| {
        ProtocolError::Unwritable {
            kind: SLATE,
            text: error.to_string(),
        }
    })?;
    let sound_and_pictures = std::iter::once(&clip.sound).chain(&clip.pictures);
    Ok(join_parts(
        std::iter::once(&Bytes::from(config)).chain(sound_and_pictures),
    ))
}

fn join_parts<'a>(parts: impl IntoIterator<Item = &'a Bytes>) -> Bytes {
    let mut joined = BytesMut::new();
    for part in parts {
        // What is longer than a frame may be is refused as a whole.
        joined.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
        joined.put_slice(part);
    }
    joined.freeze()
}

fn take_part(kind: u8, body: &mut Bytes) -> Result<Bytes, ProtocolError> {
    let length = body
        .try_get_u32()
        .map_err(|_| ProtocolError::TooShort { kind })?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > body.len() {
        return Err(ProtocolError::TooShort { kind });
    }
    Ok(body.split_to(length))
}

fn nothing_left(kind: u8, body: &Bytes) -> Result<(), ProtocolError> {
    match body.len() {
        0 => Ok(()),
        extra => Err(ProtocolError::TrailingBytes { kind, extra }),
    }
}

/// `StreamConfig` as JSON has it.
#[derive(Serialize, Deserialize)]
struct ConfigWire {
    avcc: Vec<u8>,
    width: u32,
    height: u32,
    fps: FrameRate,
    video_kbps: u32,
    asc: Vec<u8>,
    sample_rate: u32,
    channels: u8,
    audio_kbps: u32,
}

impl From<&StreamConfig> for ConfigWire {
    fn from(config: &StreamConfig) -> Self {
        let StreamConfig { video, audio } = config;
        ConfigWire {
            avcc: video.avcc.to_vec(),
            width: video.width,
            height: video.height,
            fps: video.fps,
            video_kbps: video.bitrate_kbps,
            asc: audio.asc.to_vec(),
            sample_rate: audio.sample_rate,
            channels: audio.channels,
            audio_kbps: audio.bitrate_kbps,
        }
    }
}

impl From<ConfigWire> for StreamConfig {
    fn from(wire: ConfigWire) -> Self {
        StreamConfig {
            video: VideoConfig {
                avcc: wire.avcc.into(),
                width: wire.width,
                height: wire.height,
                fps: wire.fps,
                bitrate_kbps: wire.video_kbps,
            },
            audio: AudioConfig {
                asc: wire.asc.into(),
                sample_rate: wire.sample_rate,
                channels: wire.channels,
                bitrate_kbps: wire.audio_kbps,
            },
        }
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
