//! The session: one broadcast, from the first publish to the last byte. Pure: `control`, `event`, `guard`, `machine`, `moment`, `overload`, `report`, `timeline`. Shell: `actor`.

mod actor;
pub mod control;
pub mod event;
pub mod guard;
pub mod machine;
pub mod moment;
mod overload;
pub mod report;
pub mod timeline;

pub use actor::{SessionError, SessionHandle, SourceStatus, Status, start};
