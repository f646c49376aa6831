//! RTMP chunks → messages (Adobe's RTMP 1.0, section 5.3), from bytes that a peer chose.
//!
//! Nothing here trusts the peer: memory is bounded by `ChunkLimits` whatever it announces, and every
//! violation is an error that says what was wrong.

#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};
use std::collections::HashMap;

/// Until the peer says otherwise (5.4.1).
const INITIAL_CHUNK_SIZE: usize = 128;
/// Sizes above this mean this (5.4.1): no message is longer.
const MAX_CHUNK_SIZE: u32 = 0xff_ffff;
/// The value of a 24-bit time field that says "the 32-bit field holds it".
const EXTENDED: u32 = 0xff_ffff;
/// A payload's memory grows as its bytes arrive; this much at once.
const GROWTH: usize = 64 * 1024;

/// Message types that the chunk layer or the sessions know (5.4, 6.2, 7.1).
pub mod message_type {
    pub const SET_CHUNK_SIZE: u8 = 1;
    pub const ABORT: u8 = 2;
    pub const ACKNOWLEDGEMENT: u8 = 3;
    pub const USER_CONTROL: u8 = 4;
    pub const WINDOW_ACK_SIZE: u8 = 5;
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    pub const AUDIO: u8 = 8;
    pub const VIDEO: u8 = 9;
    pub const DATA_AMF3: u8 = 15;
    pub const COMMAND_AMF3: u8 = 17;
    pub const DATA_AMF0: u8 = 18;
    pub const COMMAND_AMF0: u8 = 20;
    pub const AGGREGATE: u8 = 22;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Of one message, bytes.
    pub message: usize,
    /// Of all unfinished messages together, bytes.
    pub buffered: usize,
    /// Chunk streams a peer may open. Real peers use fewer than ten.
    pub chunk_streams: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        ChunkLimits {
            message: 16 * 1024 * 1024,
            buffered: 16 * 1024 * 1024,
            chunk_streams: 64,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub chunk_stream: u32,
    /// Milliseconds, modulo 2^32: see `TimestampUnwrapper`.
    pub timestamp: u32,
    pub message_type: u8,
    pub stream_id: u32,
    pub payload: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    #[error("the peer set its chunk size to {0}, which is not between 1 and 2147483647")]
    ChunkSize(u32),
    #[error("the peer opened more than {0} chunk streams")]
    TooManyChunkStreams(usize),
    #[error("the peer announced a message of {len} bytes; the limit is {limit}")]
    MessageTooLong { len: usize, limit: usize },
    #[error("the peer left more than {0} bytes of messages unfinished")]
    TooMuchBuffered(usize),
    #[error("chunk stream {0} starts without a full header")]
    NoHeader(u32),
    #[error("a new message starts on chunk stream {0} before the last one is complete")]
    HeaderInsideMessage(u32),
    #[error("a control message of type {message_type} has {len} bytes instead of 4")]
    ControlLength { message_type: u8, len: usize },
}

/// Bytes in any portions → whole messages. Set Chunk Size and Abort are obeyed here and not passed on.
pub struct ChunkReader {
    limits: ChunkLimits,
    chunk_size: usize,
    streams: HashMap<u32, ChunkStream>,
    /// Unread input: after `next_message` gave None, less than one chunk header.
    input: BytesMut,
    /// The chunk whose payload is being read.
    open: Option<OpenChunk>,
    buffered: usize,
    received: u64,
}

struct OpenChunk {
    chunk_stream: u32,
    left: usize,
}

/// What a chunk stream remembers between chunks (5.3.1.2).
#[derive(Default)]
struct ChunkStream {
    timestamp: u32,
    /// The time field of the last header that had one: an absolute time (type 0) or a delta.
    time_field: u32,
    extended: bool,
    message_len: usize,
    message_type: u8,
    stream_id: u32,
    payload: Vec<u8>,
    /// A message has begun and is not complete.
    in_message: bool,
}

impl ChunkReader {
    pub fn new(limits: ChunkLimits) -> Self {
        ChunkReader {
            limits,
            chunk_size: INITIAL_CHUNK_SIZE,
            streams: HashMap::new(),
            input: BytesMut::new(),
            open: None,
            buffered: 0,
            received: 0,
        }
    }

    /// Takes bytes as they came. Call `next_message` until it gives None before the next `push`.
    pub fn push(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
        self.input.extend_from_slice(bytes);
    }

    /// Bytes pushed so far: the running total that acknowledgements carry.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next complete message; None: more bytes are needed. After an error the stream is lost.
    pub fn next_message(&mut self) -> Result<Option<Message>, ChunkError> {
        loop {
            if self.open.is_none() && !self.read_header()? {
                return Ok(None);
            }
            let Some(message) = self.read_payload()? else {
                if self.input.is_empty() {
                    return Ok(None);
                }
                continue;
            };
            if !self.obey(&message)? {
                return Ok(Some(message));
            }
        }
    }

    /// Reads one chunk's header into `open`; false: it is not complete yet and nothing was consumed.
    fn read_header(&mut self) -> Result<bool, ChunkError> {
        let mut header = HeaderBytes::new(&self.input);
        let Some((format, chunk_stream)) = header.basic() else {
            return Ok(false);
        };
        if !self.streams.contains_key(&chunk_stream) {
            if self.streams.len() >= self.limits.chunk_streams {
                return Err(ChunkError::TooManyChunkStreams(self.limits.chunk_streams));
            }
            // A first header of type 1 is a known habit (librtmp's pong): its delta counts from zero.
            if format > 1 {
                return Err(ChunkError::NoHeader(chunk_stream));
            }
        }
        let known = self.streams.get(&chunk_stream);
        let Some(fields) = header.fields(format, known) else {
            return Ok(false);
        };
        let consumed = header.at;

        let stream = self.streams.entry(chunk_stream).or_default();
        if stream.in_message {
            // Type 3 goes on with the message. Some writers repeat the header instead; that is only
            // recognisable, and harmless, when it announces the same message.
            let repeated =
                fields.length_and_type == Some((stream.message_len, stream.message_type));
            if format != 3 && !repeated {
                return Err(ChunkError::HeaderInsideMessage(chunk_stream));
            }
        } else {
            stream.begin(format, &fields);
            if stream.message_len > self.limits.message {
                return Err(ChunkError::MessageTooLong {
                    len: stream.message_len,
                    limit: self.limits.message,
                });
            }
        }
        let left = (stream.message_len - stream.payload.len()).min(self.chunk_size);
        self.input.advance(consumed);
        self.open = Some(OpenChunk { chunk_stream, left });
        Ok(true)
    }

    /// Moves what is there of the open chunk's payload; gives the message if that completes it.
    fn read_payload(&mut self) -> Result<Option<Message>, ChunkError> {
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        let Some(stream) = self.streams.get_mut(&open.chunk_stream) else {
            return Ok(None);
        };
        let take = open.left.min(self.input.len());
        if self.buffered + take > self.limits.buffered {
            return Err(ChunkError::TooMuchBuffered(self.limits.buffered));
        }
        stream.append(&self.input[..take]);
        self.input.advance(take);
        self.buffered += take;
        open.left -= take;
        if open.left > 0 {
            return Ok(None);
        }
        let chunk_stream = open.chunk_stream;
        self.open = None;
        if stream.payload.len() < stream.message_len {
            return Ok(None);
        }
        let payload = std::mem::take(&mut stream.payload);
        stream.in_message = false;
        self.buffered -= payload.len();
        Ok(Some(Message {
            chunk_stream,
            timestamp: stream.timestamp,
            message_type: stream.message_type,
            stream_id: stream.stream_id,
            payload: payload.into(),
        }))
    }

    /// Obeys the two messages that speak about chunks themselves; false: it was another.
    fn obey(&mut self, message: &Message) -> Result<bool, ChunkError> {
        let abort = match message.message_type {
            message_type::SET_CHUNK_SIZE => false,
            message_type::ABORT => true,
            _ => return Ok(false),
        };
        let value = message
            .payload
            .first_chunk::<4>()
            .map(|bytes| u32::from_be_bytes(*bytes))
            .ok_or(ChunkError::ControlLength {
                message_type: message.message_type,
                len: message.payload.len(),
            })?;
        if abort {
            if let Some(stream) = self.streams.get_mut(&value) {
                self.buffered -= stream.payload.len();
                stream.payload = Vec::new();
                stream.in_message = false;
            }
        } else if value == 0 || value > i32::MAX as u32 {
            return Err(ChunkError::ChunkSize(value));
        } else {
            self.chunk_size = value.min(MAX_CHUNK_SIZE) as usize;
        }
        Ok(true)
    }
}

impl ChunkStream {
    fn begin(&mut self, format: u8, fields: &HeaderFields) {
        if let Some((len, kind)) = fields.length_and_type {
            self.message_len = len;
            self.message_type = kind;
        }
        if let Some(stream_id) = fields.stream_id {
            self.stream_id = stream_id;
        }
        if let Some(time) = fields.time {
            self.time_field = time.value;
            self.extended = time.extended;
        }
        // A type 3 that starts a message repeats the last field as a delta, even after a type 0 (5.3.1.2.4).
        self.timestamp = match format {
            0 => self.time_field,
            _ => self.timestamp.wrapping_add(self.time_field),
        };
        self.in_message = true;
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.payload.capacity() - self.payload.len() < bytes.len() {
            let missing = self.message_len - self.payload.len();
            let grow = self.payload.len().max(GROWTH).max(bytes.len()).min(missing);
            self.payload.reserve_exact(grow);
        }
        self.payload.extend_from_slice(bytes);
    }
}

#[derive(Clone, Copy)]
struct TimeField {
    value: u32,
    extended: bool,
}

/// What one header says; what it leaves out comes from the header before.
struct HeaderFields {
    time: Option<TimeField>,
    length_and_type: Option<(usize, u8)>,
    stream_id: Option<u32>,
}

/// Reads a header from the front of the input without consuming it. None: bytes are missing.
struct HeaderBytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> HeaderBytes<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        HeaderBytes { bytes, at: 0 }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(*bytes)
    }

    /// The basic header (5.3.1.1): format 0 to 3, and the chunk stream's id.
    fn basic(&mut self) -> Option<(u8, u32)> {
        let [first] = self.take()?;
        let id = match first & 0x3f {
            0 => 64 + u32::from(self.take::<1>()?[0]),
            1 => 64 + u32::from(u16::from_le_bytes(self.take()?)),
            id => u32::from(id),
        };
        Some((first >> 6, id))
    }

    /// The message header (5.3.1.2) and the extended timestamp (5.3.1.3).
    fn fields(&mut self, format: u8, stream: Option<&ChunkStream>) -> Option<HeaderFields> {
        let mut fields = HeaderFields {
            time: None,
            length_and_type: None,
            stream_id: None,
        };
        if format == 3 {
            if let Some(stream) = stream.filter(|stream| stream.extended) {
                self.skip_repeated_time(stream.time_field)?;
            }
            return Some(fields);
        }
        let short = u24(self.take()?);
        if format <= 1 {
            let len = u24(self.take()?) as usize;
            let [kind] = self.take()?;
            fields.length_and_type = Some((len, kind));
        }
        if format == 0 {
            fields.stream_id = Some(u32::from_le_bytes(self.take()?));
        }
        let extended = short == EXTENDED;
        let value = match extended {
            true => u32::from_be_bytes(self.take()?),
            false => short,
        };
        fields.time = Some(TimeField { value, extended });
        Some(fields)
    }

    /// After an extended time, type 3 chunks repeat it. Some writers don't: then the next bytes are
    /// payload. They are told apart by comparing, as SRS does.
    fn skip_repeated_time(&mut self, time: u32) -> Option<()> {
        let expected = time.to_be_bytes();
        let there = self.bytes.get(self.at..)?;
        let compared = there.len().min(expected.len());
        if there[..compared] != expected[..compared] {
            return Some(());
        }
        self.take::<4>().map(|_| ())
    }
}

fn u24(bytes: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}

/// RTMP's 32-bit milliseconds wrap after 49.7 days, and publishers may start anywhere: this makes one
/// long timeline of them. Each time is taken as the one nearest to the last (within 2^31 ms either way).
#[derive(Clone, Debug, Default)]
pub struct TimestampUnwrapper {
    last: Option<u64>,
}

impl TimestampUnwrapper {
    /// Milliseconds; the first is what it says.
    pub fn unwrap(&mut self, timestamp: u32) -> u64 {
        let time = match self.last {
            None => u64::from(timestamp),
            Some(last) => {
                let step = timestamp.wrapping_sub(last as u32) as i32;
                last.saturating_add_signed(i64::from(step))
            }
        };
        self.last = Some(time);
        time
    }
}
