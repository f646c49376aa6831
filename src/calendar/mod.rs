//! When shows are: recurrences over civil time, the zones they are in, and which of them are in each other's way. Pure but for
//! `zones`, which reads the machine's zone data.

mod conflict;
mod recurrence;
mod rule;
pub mod zones;

pub use conflict::{Conflict, Occupied, Timeline};
pub use recurrence::{Moved, Occurrence, Oddity, Recurrence, RecurrenceError};
pub use rule::{Rule, RuleError};
