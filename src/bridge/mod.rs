//! The bridge between director and engine: a versioned protocol of frames over a Unix socket
//! (`protocol`, pure) and the engine's supervisor (`supervisor`, shell).

pub mod protocol;
