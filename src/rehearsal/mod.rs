//! The rehearsal: a built-in RTMP(S) ingest that behaves like a platform and reports what arrived.

pub mod judge;
pub mod rules;
pub mod tls;
