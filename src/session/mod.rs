//! The session: one broadcast, from the first publish to the last byte.

pub mod timeline;
