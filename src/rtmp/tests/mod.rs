//! Sessions joined in memory, over bytes split anywhere, and peers that do what HAZARDS.md tells of.

mod hazards;
mod hazards_writing;
mod mutations;
mod sessions;
mod support;
