//! The RTMP wire, sans-IO: bytes in → bytes and events out. No socket, no clock. Panic means bug: no bytes of
//! a peer may cause one, and none may make a session's memory grow past its limits.
//!
//! - `chunk` and `amf0` read what a peer sent; `writer` writes, through rml_rtmp's serializer.
//! - `flv` and `flv_file` turn media units into tag bodies and tags into files, and back.
//! - `connection` is what both kinds of session share: handshake, chunks, pings, acknowledgements.
//! - `publisher` is the session that pushes, `receiver` the one that accepts.

pub mod adobe_auth;
pub mod amf0;
pub mod chunk;
mod connection;
pub mod flv;
pub mod flv_file;
pub mod publisher;
pub mod receiver;
pub mod status;
#[cfg(test)]
mod tests;
mod writer;

pub use amf0::{Amf0Error, Amf0Value};
pub use chunk::{ChunkError, ChunkLimits, ChunkReader, Message, TimestampUnwrapper};
pub use flv::FlvError;
pub use flv_file::{FlvReader, FlvTag, TagKind};
pub use publisher::{
    ACK_WINDOW, Ballast, Publisher, PublisherError, PublisherEvent, PublisherSettings,
};
pub use receiver::{Receiver, ReceiverError, ReceiverEvent, ReceiverSettings};
pub use status::RejectKind;
