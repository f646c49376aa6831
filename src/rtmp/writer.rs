//! Messages → chunks, through rml_rtmp's `ChunkSerializer`, with every care it needs (its times are
//! exact; its choices of header are not always what peers read the same way).

use super::amf0::{self, Amf0Value};
use super::chunk::message_type;
use bytes::Bytes;
use rml_rtmp::chunk_io::ChunkSerializer;
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::time::RtmpTimestamp;

/// Until we say otherwise (RTMP 1.0, 5.4.1).
const INITIAL_CHUNK_SIZE: usize = 128;
/// A message's length is 24 bits on the wire.
const MAX_MESSAGE: usize = 0xff_ffff;

/// The kinds of message that carry media; each has a chunk stream of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaKind {
    Audio,
    Video,
    Data,
}

/// Turns messages into bytes for one connection. Whole messages of different kinds may be sent in any
/// order, for they are on chunk streams of their own; those of one kind must keep theirs.
pub(super) struct MessageWriter {
    chunks: ChunkSerializer,
    chunk_size: usize,
    audio: Lane,
    video: Lane,
    data: Lane,
}

/// What was last sent on one media chunk stream.
#[derive(Clone, Copy, Default)]
struct Lane {
    last: Option<Sent>,
}

#[derive(Clone, Copy)]
struct Sent {
    time_ms: u64,
    len: usize,
    /// With a full header, which holds the time itself instead of the step.
    absolute: bool,
}

impl MessageWriter {
    pub(super) fn new() -> Self {
        MessageWriter {
            chunks: ChunkSerializer::new(),
            chunk_size: INITIAL_CHUNK_SIZE,
            audio: Lane::default(),
            video: Lane::default(),
            data: Lane::default(),
        }
    }

    /// Announces and uses `size` (1 to 2^31 − 1) from here on.
    pub(super) fn set_chunk_size(&mut self, size: u32, out: &mut Vec<u8>) {
        let size = size.clamp(1, i32::MAX as u32);
        if let Ok(packet) = self.chunks.set_max_chunk_size(size, RtmpTimestamp::new(0)) {
            out.extend_from_slice(&packet.bytes);
            self.chunk_size = size as usize;
        }
    }

    /// A protocol control or user control message (at most 10 bytes).
    pub(super) fn control(&mut self, message_type: u8, payload: &[u8], out: &mut Vec<u8>) {
        self.write(
            message_type,
            0,
            0,
            Bytes::copy_from_slice(payload),
            true,
            out,
        );
    }

    /// A command; `stream_id` 0 is the connection itself.
    pub(super) fn command(&mut self, stream_id: u32, values: &[Amf0Value], out: &mut Vec<u8>) {
        let payload = Bytes::from(amf0::encode(values));
        let full = self.fits(&payload);
        self.write(message_type::COMMAND_AMF0, stream_id, 0, payload, full, out);
    }

    /// Audio, video or metadata. A time before the last of its kind becomes that time: on the wire a
    /// step back would be a step of 49 days forward. Gives the time that was used; None, and no
    /// bytes, when the payload is empty or longer than a message can be.
    pub(super) fn media(
        &mut self,
        kind: MediaKind,
        stream_id: u32,
        time_ms: u64,
        payload: Bytes,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        if payload.is_empty() || payload.len() > MAX_MESSAGE {
            return None;
        }
        let fits = self.fits(&payload);
        let (lane, message_type) = match kind {
            MediaKind::Audio => (&mut self.audio, message_type::AUDIO),
            MediaKind::Video => (&mut self.video, message_type::VIDEO),
            MediaKind::Data => (&mut self.data, message_type::DATA_AMF0),
        };
        let time_ms = time_ms.max(lane.earliest());
        let full = fits && (kind == MediaKind::Data || lane.is_ambiguous(time_ms, payload.len()));
        lane.last = Some(Sent {
            time_ms,
            len: payload.len(),
            absolute: full || lane.last.is_none(),
        });
        // Only the low 32 bits travel: the time wraps (RTMP 1.0, 5.3.1.2).
        self.write(message_type, stream_id, time_ms as u32, payload, full, out);
        Some(time_ms)
    }

    /// The earliest time that a message of this kind can still have.
    pub(super) fn earliest_ms(&self, kind: MediaKind) -> u64 {
        match kind {
            MediaKind::Audio => self.audio.earliest(),
            MediaKind::Video => self.video.earliest(),
            MediaKind::Data => self.data.earliest(),
        }
    }

    /// `force_uncompressed` puts a full header before every chunk of a message, and SRS rejects that
    /// inside one: so it is for messages of a single chunk.
    fn fits(&self, payload: &Bytes) -> bool {
        payload.len() <= self.chunk_size
    }

    fn write(
        &mut self,
        type_id: u8,
        stream_id: u32,
        timestamp: u32,
        data: Bytes,
        full_header: bool,
        out: &mut Vec<u8>,
    ) {
        let message = MessagePayload {
            timestamp: RtmpTimestamp::new(timestamp),
            type_id,
            message_stream_id: stream_id,
            data,
        };
        // Its only errors are a payload past 16 MB, which `media` has turned away and no command of ours
        // reaches, and writing to memory.
        if let Ok(packet) = self.chunks.serialize(&message, full_header, false) {
            out.extend_from_slice(&packet.bytes);
        }
    }
}

impl Lane {
    fn earliest(self) -> u64 {
        self.last.map_or(0, |last| last.time_ms)
    }

    /// After a full header with time T, a message of the same length at 2 T would go out as type 3, which
    /// the specification reads as "again T later" and nginx as "no later": it then records that track
    /// early for good.
    fn is_ambiguous(self, time_ms: u64, len: usize) -> bool {
        self.last.is_some_and(|last| {
            let step = time_ms - last.time_ms;
            last.absolute && last.len == len && step as u32 == last.time_ms as u32 && step != 0
        })
    }
}
