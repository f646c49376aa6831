//! From the TOML file to validated settings: every problem at once, each with its line and dotted path.

pub mod secret;
pub mod settings;

pub use secret::Secret;
pub use settings::*;
