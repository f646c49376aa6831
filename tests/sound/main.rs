//! The sound of the programme, measured as a listener has it: a real engine plays tones, ffmpeg decodes what it encoded.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while its fault lasts"
)]

mod desk;
mod follow;
mod loudness;
mod measure;
mod mute;
mod servers;
#[path = "../engine/support.rs"]
#[allow(dead_code, reason = "what the engine's own tests use of it is more")]
mod support;
