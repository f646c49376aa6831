//! Telling people what needs them when nobody is in the room: e-mail and webhooks. Shell.
//!
//! Each channel has a task and a queue of its own, so that one that is dead keeps neither the show nor the others waiting. What can't be
//! delivered is tried again for a quarter of an hour; then the log says so.

mod mail;
pub mod message;
mod service;
mod webhook;

pub use message::Message;
pub use service::{Alerts, Telling, start};
