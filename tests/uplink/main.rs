//! The uplink against real faults: nginx-rtmp as the ingest, network namespaces as the network.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while its fault lasts"
)]

mod adobe;
mod both;
mod clock;
mod failover;
mod flaps;
mod hostile;
mod isolation;
mod moves;
mod mptcp;
mod outages;
mod pinning;
mod resume;
mod rig;
mod server;
mod timeline;
mod wire;
mod words;
