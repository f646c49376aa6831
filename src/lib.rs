//! The map of modules, from the ground up: see ARCHITECTURE.md.

#![deny(unsafe_code)]

pub mod bridge;
pub mod config;
pub mod engine;
pub mod media;
pub mod stamp;
