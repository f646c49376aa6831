//! The uplink against real faults: nginx-rtmp as the ingest, network namespaces as the network.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while its fault lasts"
)]

mod failover;
mod isolation;
mod outages;
mod rig;
mod timeline;
mod wire;
mod words;
