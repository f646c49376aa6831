//! The rehearsal: a built-in RTMP(S) ingest that behaves like a platform and reports what arrived.
//!
//! - `rules` (pure): who may publish on which key, for how long, and who may come back.
//! - `platform` (pure): the platforms it can behave like.
//! - `judge` (pure): what arrived on one key, over all its publishes.
//! - `desk` owns the rules and the judges; `connection` serves one publisher; `server` listens.
//! - `record` writes FLV files; `tls` makes the certificate; `args` is the command.

pub mod args;
mod connection;
mod desk;
pub mod judge;
pub mod platform;
mod record;
pub mod rules;
pub mod server;
pub mod tls;

pub use args::{RehearseArgs, rehearse_command};
pub use desk::Event;
pub use judge::report::{Report, StreamReport, Summary};
pub use platform::Platform;
pub use rules::{Rules, SecondPublish};
pub use server::{Misbehaviour, Patience, Rehearsal, RehearsalError, Settings};
pub use tls::Tls;
