//! The map of modules, from the ground up: see ARCHITECTURE.md.

#![deny(unsafe_code)]

pub mod alert;
pub mod bridge;
pub mod calendar;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod engine;
pub mod media;
pub mod panel;
pub mod platform;
pub mod preflight;
pub mod recording;
pub mod rehearsal;
pub mod rtmp;
pub mod schedule;
pub mod secret;
pub mod session;
pub mod stamp;
pub mod store;
pub mod telemetry;
pub mod uplink;
pub mod window;
