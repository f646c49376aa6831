//! Every kind of source under a real engine: lost and back, fed what it should not be, and what each gives.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while its fault lasts"
)]

mod bad_input;
mod daemon;
mod kinds;
mod loss;
mod reload;
mod screen;
#[path = "../engine/support.rs"]
#[allow(dead_code, reason = "what the engine's own tests use of it is more")]
mod support;
mod watch;
