//! The session: one broadcast, from the first publish to the last byte. Pure: `event`, `machine`, `overload`, `report`, `timeline`. Shell: `actor`.

mod actor;
pub mod event;
pub mod machine;
mod overload;
pub mod report;
pub mod timeline;

pub use actor::{SessionError, SessionHandle, SourceStatus, Status, start};
