//! The session: one broadcast, from the first publish to the last byte. Pure: `machine`, `overload`, `timeline`. Shell: `actor`.

mod actor;
pub mod machine;
mod overload;
pub mod timeline;

pub use actor::{SessionError, SessionHandle, SourceStatus, Status, start};
