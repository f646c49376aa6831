//! Others' desks: obs-websocket 5, so that Bitfocus Companion, Stream Deck and tally programs steer the programme. Off by default.
//!
//! Pure: `codec`, `auth`, `view`, `request`, `event`. Shell: `socket` holds a client's connection, `act` does what it asks through the
//! session's handle, as the panel does, and `vitals` looks at the machine.

mod act;
mod auth;
pub mod codec;
mod event;
mod request;
mod socket;
mod view;
mod vitals;

pub use socket::{Obs, router};
