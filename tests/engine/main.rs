//! The engine as a process of its own under its supervisor: what it gives, and what becomes of it.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while its fault lasts"
)]

mod life;
mod programme;
mod sources;
mod support;
