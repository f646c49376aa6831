//! The engine as a process of its own under its supervisor: what it gives, and what becomes of it.

mod life;
mod programme;
mod sources;
mod support;
