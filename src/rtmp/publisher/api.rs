//! What goes into a publishing session and what comes out of it.

use crate::rtmp::adobe_auth;
use crate::rtmp::chunk::ChunkError;
use crate::rtmp::status::RejectKind;
use crate::secret::{Credentials, Secret};
use std::fmt;

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
    #[error("the server closed the connection {0}")]
    Closed(Stage),
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
            | PublisherError::NoStreamId
            // Servers that are going down close just like those that do not want us.
            | PublisherError::Closed(_) => false,
        }
    }
}

/// How far a session had come when its connection was closed. Many servers refuse by closing without a word;
/// what they mean depends on what was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Handshake,
    Connect,
    Standby,
    Publish,
    OnAir,
    /// We had ended it.
    Over,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Handshake => "during the RTMP handshake; is this an RTMP server?",
            Stage::Connect => "without answering `connect`; check the path of the server URL",
            Stage::Standby => "while it stood by",
            Stage::Publish => {
                "without answering `publish`; check the stream key, and that the platform's event is open \
                 for streaming"
            }
            Stage::OnAir => "while on air",
            Stage::Over => "after the stream had ended",
        })
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
