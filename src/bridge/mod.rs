//! The bridge between director and engine: a versioned protocol over a Unix socket (`protocol`, `mix`, `report` and `codec`,
//! pure) and the engine's supervisor (`supervisor`, shell; `restart`, pure).

pub mod codec;
pub mod mix;
pub mod protocol;
pub mod report;
mod restart;
pub mod supervisor;
