//! The session: one broadcast, from the first publish to the last byte.
//!
//! Pure: `air`, `control`, `event`, `guard`, `machine`, `moment`, `overload`, `report`, `timeline`, `watch`. Shell: `actor`, `clock`,
//! `intake` (but for its `feed`), `journal`, `keys`.

mod actor;
pub mod air;
pub mod clock;
pub mod control;
pub mod event;
pub mod guard;
mod intake;
mod journal;
pub mod keys;
pub mod machine;
pub mod moment;
mod overload;
pub mod report;
pub mod timeline;
mod watch;

pub use actor::{
    Anyway, Applies, DestinationView, Look, Looking, RecordingView, SessionError, SessionHandle,
    SourceStatus, StartAsk, Status, StopAsk, Thumbnails, start,
};
