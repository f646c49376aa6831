//! What can end the engine.

/// Each text says what failed and what to do; the director logs it and starts the engine anew.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(
        "`regia engine` is started by `regia run` with a socket as its standard input, and has none: {0}"
    )]
    NoSocket(std::io::Error),
    #[error("the director can't be understood: {0}")]
    Protocol(#[from] crate::bridge::codec::ProtocolError),
    #[error("the director closed the socket before it said what to do")]
    NoStart,
    #[error("the director's first message must be the start")]
    NotStarted,
    #[error("GStreamer can't be initialised: {0}")]
    Gstreamer(String),
    #[error(
        "the GStreamer element {element} is missing: install the Debian package {package}, or run `regia doctor`"
    )]
    MissingElement {
        element: &'static str,
        package: &'static str,
    },
    #[error("no encoder works: {0}; run `regia doctor` to see what is installed")]
    NoEncoder(String),
    #[error("the programme has no scene with a source")]
    NoSource,
    #[error("the encoder failed: {0}")]
    Encoder(String),
    #[error("a thread of the engine can't be started: {0}")]
    Thread(std::io::Error),
}
