//! The uplink against real faults: nginx-rtmp as the ingest, network namespaces as the network.

mod failover;
mod isolation;
mod outages;
mod rig;
mod timeline;
mod wire;
mod words;
