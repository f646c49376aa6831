//! Everything of a destination: which way, which ingest, when to send what, and the sockets that do it.
//!
//! Pure: `flow`, `liveness`, `failover`, `budget`, `steer`, `position`, `meter`, `reader`, `wire`, `error`. Shell: the rest.

pub mod budget;
pub mod carrier;
pub mod connection;
pub mod destination;
pub mod dial;
pub mod dns;
pub mod error;
pub mod failover;
pub mod flow;
pub mod lane;
pub mod liveness;
pub mod meter;
pub mod position;
pub mod probe;
pub mod reader;
pub mod sockopt;
pub mod steer;
pub mod tls;
pub mod wire;
