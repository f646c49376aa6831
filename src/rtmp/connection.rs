//! What both kinds of session share: handshake, chunks, and the messages about the connection itself (pings,
//! acknowledgements). What a session has to decide about comes out as `Incoming`.

use super::amf0::{self, Amf0Value};
use super::chunk::{ChunkError, ChunkLimits, ChunkReader, Message, message_type};
use super::writer::MessageWriter;
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};

/// Above this much output that nobody took, answers to pings are left out: a flood must not fill our memory.
const MAX_UNTAKEN: usize = 64 * 1024;
const USER_CONTROL_PING: u16 = 6;
const USER_CONTROL_PONG: u16 = 7;

pub(super) enum Incoming {
    /// A command with its transaction number (0 when it has none) and the values that follow.
    Command {
        name: String,
        transaction: f64,
        arguments: Vec<Amf0Value>,
        stream_id: u32,
    },
    /// onMetaData and the like.
    Data(Vec<Amf0Value>),
    /// Audio, video or an aggregate of both.
    Media(Message),
    /// The running total of our bytes that the peer has read, past 2^32 too.
    Acknowledged(u64),
}

pub(super) struct Connection {
    /// None once it is done.
    handshake: Option<Box<Handshake>>,
    chunks: ChunkReader,
    pub writer: MessageWriter,
    /// What is to be written, in order.
    pub output: Vec<u8>,
    /// The peer wants an acknowledgement each time it has sent this many bytes.
    peer_window: u32,
    acknowledged_to_peer: u64,
    acknowledged_by_peer: u64,
}

impl Connection {
    /// A client's output already holds C0 and C1. `peer_window` holds until the peer sets another.
    pub(super) fn new(role: PeerType, limits: ChunkLimits, peer_window: u32) -> Self {
        let is_client = role == PeerType::Client;
        let mut handshake = Box::new(Handshake::new(role));
        let mut output = Vec::new();
        if is_client {
            // Never an error: it fills a buffer with random bytes.
            output = handshake.generate_outbound_p0_and_p1().unwrap_or_default();
        }
        Connection {
            handshake: Some(handshake),
            chunks: ChunkReader::new(limits),
            writer: MessageWriter::new(),
            output,
            peer_window,
            acknowledged_to_peer: 0,
            acknowledged_by_peer: 0,
        }
    }

    /// With the handshake behind it, so that a hundred thousand sessions can be tried in a test.
    #[cfg(test)]
    pub(super) fn handshaken(limits: ChunkLimits, peer_window: u32) -> Self {
        Connection {
            handshake: None,
            chunks: ChunkReader::new(limits),
            writer: MessageWriter::new(),
            output: Vec::new(),
            peer_window,
            acknowledged_to_peer: 0,
            acknowledged_by_peer: 0,
        }
    }

    /// Takes bytes as they came; true: with them the handshake is done. Call `next` until it gives None.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<bool, String> {
        let Some(handshake) = &mut self.handshake else {
            self.chunks.push(bytes);
            return Ok(false);
        };
        match handshake.process_bytes(bytes) {
            Ok(HandshakeProcessResult::InProgress { response_bytes }) => {
                self.output.extend_from_slice(&response_bytes);
                Ok(false)
            }
            Ok(HandshakeProcessResult::Completed {
                response_bytes,
                remaining_bytes,
            }) => {
                self.output.extend_from_slice(&response_bytes);
                self.handshake = None;
                self.chunks.push(&remaining_bytes);
                Ok(true)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The next message that is the session's business; None: more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, ChunkError> {
        while let Some(message) = self.chunks.next_message()? {
            if let Some(incoming) = self.sort(message) {
                return Ok(Some(incoming));
            }
        }
        self.acknowledge();
        Ok(None)
    }

    /// Writes a command without a command object.
    pub(super) fn call(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        arguments: &[Amf0Value],
    ) {
        self.call_with(stream_id, name, transaction, Amf0Value::Null, arguments);
    }

    pub(super) fn call_with(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        object: Amf0Value,
        arguments: &[Amf0Value],
    ) {
        let mut values = vec![
            Amf0Value::string(name),
            Amf0Value::Number(transaction),
            object,
        ];
        values.extend_from_slice(arguments);
        self.writer.command(stream_id, &values, &mut self.output);
    }

    pub(super) fn control(&mut self, message_type: u8, payload: &[u8]) {
        self.writer.control(message_type, payload, &mut self.output);
    }

    pub(super) fn set_chunk_size(&mut self, size: u32) {
        self.writer.set_chunk_size(size, &mut self.output);
    }

    fn sort(&mut self, message: Message) -> Option<Incoming> {
        let payload = &message.payload[..];
        // AMF3's envelope: one byte of format, then AMF0 values.
        let unwrapped = || payload.strip_prefix(&[0]).unwrap_or(payload);
        let number = || payload.first_chunk::<4>().map(|b| u32::from_be_bytes(*b));
        match message.message_type {
            message_type::ACKNOWLEDGEMENT => self.unwrap_acknowledgement(number()?),
            message_type::WINDOW_ACK_SIZE => {
                self.peer_window = number().filter(|size| *size > 0)?;
                None
            }
            message_type::USER_CONTROL => {
                self.answer_ping(payload);
                None
            }
            message_type::COMMAND_AMF0 => command(payload, message.stream_id),
            message_type::COMMAND_AMF3 => command(unwrapped(), message.stream_id),
            message_type::DATA_AMF0 => Some(Incoming::Data(amf0::decode(payload).0)),
            message_type::DATA_AMF3 => Some(Incoming::Data(amf0::decode(unwrapped()).0)),
            message_type::AUDIO | message_type::VIDEO | message_type::AGGREGATE => {
                Some(Incoming::Media(message))
            }
            // Set Peer Bandwidth asks for a window of at most its size, and ours is smaller than any seen.
            // Shared objects and what else there may be do not matter here.
            _ => None,
        }
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
            self.control(message_type::USER_CONTROL, &pong);
        }
    }

    /// The number is 32 bits of a total that passes 4 GiB in 95 minutes at 6 Mb/s. One that goes back is no news.
    fn unwrap_acknowledgement(&mut self, total: u32) -> Option<Incoming> {
        let step = total.wrapping_sub(self.acknowledged_by_peer as u32);
        if step > i32::MAX as u32 {
            return None;
        }
        self.acknowledged_by_peer += u64::from(step);
        Some(Incoming::Acknowledged(self.acknowledged_by_peer))
    }

    /// Tells the peer how much of its output has been read, once per portion of input at most.
    fn acknowledge(&mut self) {
        let received = self.chunks.received();
        let due = received - self.acknowledged_to_peer >= u64::from(self.peer_window);
        if due && self.output.len() < MAX_UNTAKEN {
            self.control(
                message_type::ACKNOWLEDGEMENT,
                &(received as u32).to_be_bytes(),
            );
            self.acknowledged_to_peer = received;
        }
    }
}

/// What can't be read of a command is as good as absent: peers append odd things. None: not even a name.
fn command(payload: &[u8], stream_id: u32) -> Option<Incoming> {
    let (values, _) = amf0::decode(payload);
    let mut values = values.into_iter().peekable();
    let Some(Amf0Value::String(name)) = values.next() else {
        return None;
    };
    let transaction = values.peek().and_then(Amf0Value::as_number);
    if transaction.is_some() {
        values.next();
    }
    Some(Incoming::Command {
        name,
        transaction: transaction.unwrap_or(0.0),
        arguments: values.collect(),
        stream_id,
    })
}
