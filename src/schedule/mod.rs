//! Shows that go on air by themselves, and their runs-of-show.
//!
//! `plan` says what is due, `run` is a run-of-show, `ical` speaks with calendars, `listing` and `dry` tell people: all pure. `service` owns
//! shows and the run; `carry` is where steps become what others do; `hooks` runs programs at events of the log.

mod alarm;
mod carry;
mod dry;
mod feed;
mod handle;
mod hooks;
pub mod ical;
mod listing;
pub mod plan;
pub mod run;
mod service;
mod shelf;
mod watch;

pub use dry::{DryRun, Finding};
pub use feed::FeedError;
pub use handle::{SaveError, Schedule};
pub use listing::{Listed, Upcoming};
pub use service::start;
pub use shelf::{Origin, ShowError};
