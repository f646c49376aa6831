//! iCalendar (RFC 5545): shows as a calendar, and a calendar's events as shows. Pure.
//!
//! Zones: Google and Apple name the IANA's, Outlook Windows' own, for which Unicode has a table. A VTIMEZONE of another name is looked at for
//! what it does: a zone of the IANA's that did and does the same is taken for it, and that is said.

mod export;
mod import;
mod vtimezone;

pub use export::export;
pub use import::{ImportError, Imported, import};
