//! The uplink against real faults: nginx-rtmp as the ingest, network namespaces as the network.

mod adobe;
mod both;
mod clock;
mod failover;
mod flaps;
mod hostile;
mod moves;
mod mptcp;
mod pinning;
mod resume;
mod rig;
mod server;
mod timeline;
mod wire;
mod words;
