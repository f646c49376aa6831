//! What happened in a broadcast: a function of its log's entries. Pure.
//!
//! `Report` is what `--json` and the API give; `html` makes one page of it, with `plot`'s curves, and `text` some lines.

mod fold;
mod html;
mod plot;
mod text;

pub use html::page;
pub use text::summary;

use super::event::{Covered, EndReason, Totals};
use serde::{Deserialize, Serialize};

/// One broadcast. Times `…_at_s` count from its start, by a clock that no step of the wall clock moves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Report {
    pub session: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub started_ms: i64,
    /// None: it is under way, or was cut off.
    pub ended_ms: Option<i64>,
    pub lasted_s: f64,
    pub started_by: String,
    /// Why it was started although pre-flight had problems.
    pub anyway: Vec<Anyway>,
    pub recordings: Vec<String>,
    /// Over all destinations.
    pub totals: Totals,
    pub destinations: Vec<DestinationReport>,
    /// When the daemon itself was away.
    pub away: Vec<Away>,
    pub engine: EngineReport,
    /// What a person wants to read, in order.
    pub log: Vec<Line>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AnywayReport)]
pub struct Anyway {
    pub who: String,
    pub reason: String,
    pub problems: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DestinationReport {
    pub id: String,
    /// None: it never was.
    pub on_air_at_s: Option<f64>,
    /// None: it is under way, or was cut off.
    pub ended_at_s: Option<f64>,
    pub end: Option<EndReason>,
    /// Of the platform's sessions, when they rolled over.
    pub sessions: u32,
    /// As the destination counted when it ended; before that, what its events add up to.
    pub totals: Totals,
    /// Which way carried it, from when.
    pub ways: Vec<Way>,
    pub outages: Vec<Outage>,
    pub loudness: Option<Loudness>,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Way {
    pub from_s: f64,
    pub until_s: f64,
    pub uplink: Option<String>,
    pub ingest: String,
}

/// A time in which a destination got nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Outage {
    pub at_s: f64,
    pub lasted_s: f64,
    pub reason: String,
    /// What carried it before and after; empty where that is not known.
    pub from: String,
    pub to: String,
    /// None: it lasted to the end.
    pub covered: Option<Covered>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Away {
    pub until_s: f64,
    pub lasted_s: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EngineReport {
    pub restarts: u32,
    /// Programme time without pictures because of them.
    pub gap_s: f64,
    pub frames_left_out: u64,
}

/// Of short-term loudness, LUFS. The mean is one of energies, as EBU R 128 adds them, without its gate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Loudness {
    pub mean_lufs: f64,
    pub least_lufs: f64,
    pub most_lufs: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ReportSample)]
pub struct Sample {
    pub at_s: f64,
    pub kbps: u32,
    pub rtt_ms: Option<f64>,
    /// Behind the programme, beyond the delay.
    pub behind_s: f64,
    pub loudness_lufs: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ReportLine)]
pub struct Line {
    pub at_ms: i64,
    pub at_s: f64,
    pub who: String,
    /// The event's word.
    pub event: String,
    pub destination: Option<String>,
    pub text: String,
}

impl Report {
    /// From a session's entries, oldest first.
    pub fn of(entries: &[super::event::Entry]) -> Report {
        fold::fold(entries)
    }

    pub fn outages(&self) -> usize {
        self.destinations.iter().map(|to| to.outages.len()).sum()
    }

    /// How it went, in a sentence.
    pub fn verdict(&self) -> String {
        text::verdict(self)
    }
}
