//! The map of modules, from the ground up: see ARCHITECTURE.md.

#![deny(unsafe_code)]

pub mod bridge;
pub mod config;
pub mod media;
pub mod platform;
pub mod rtmp;
pub mod session;
pub mod stamp;
pub mod uplink;
pub mod window;
