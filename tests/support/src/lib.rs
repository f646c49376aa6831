//! What Regia's tests and benchmarks share: third-party peers (nginx, ffmpeg, an RTSP server), faults (a network
//! lab of namespaces, a TCP proxy), and comparisons of what was sent with what arrived. It knows Regia only as a program and a
//! configuration file, and shares no code with it, so that a mistake can't hide by being made on both sides.
//!
//! Everything started here ends with its owner: on drop, after a panic, and (through the parent-death signal) when
//! the test process itself is killed.

#![forbid(unsafe_code)]

pub mod certs;
pub mod flv;
pub mod lab;
pub mod lipsync;
pub mod media;
pub mod nginx;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod regia;
pub mod rtsp;
pub mod skip;
pub mod truth;
pub mod usage;
pub mod wait;

use std::path::PathBuf;

/// The clip in tests/media: 5.28 s of 720p25 with sound (see its LICENCE.md).
pub fn clip() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../media/bigbuckbunny.mp4")
        .canonicalize()
        .expect("tests/media/bigbuckbunny.mp4 is part of the repository")
}
