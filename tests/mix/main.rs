//! The vision mixer, by what comes out of an engine: takes, transitions, overlays, clips, restarts, pictures for people.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while the show goes on"
)]

mod clips;
mod evening;
mod looks;
mod pixels;
mod rig;
#[path = "../engine/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the engine")]
mod support;
mod takes;
