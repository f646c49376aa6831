//! The log's vocabulary: all that is worth keeping of a broadcast, as data for the journal, the report and the panel, and
//! as a sentence for an operator. Pure.
//!
//! An entry is written once and never changed. Whoever reads an old journal meets only words that were written then, so
//! a variant may gain optional fields, and no word may change its meaning.

mod text;

pub use text::span;

use crate::config::{AudioChange, TransitionKind};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entry {
    /// Wall time, milliseconds since 1970-01-01 UTC: for people. Intervals come from `elapsed`.
    #[serde(rename = "at_ms")]
    pub at: i64,
    /// None: outside of any broadcast.
    pub session: Option<SessionId>,
    /// Since the session's start by a clock that no step of the wall clock moves; zero outside of a session.
    #[serde(rename = "elapsed_s", with = "seconds")]
    #[schema(value_type = f64)]
    pub elapsed: Duration,
    pub who: Who,
    #[serde(flatten)]
    pub event: Event,
}

/// Names a session to people and scripts: the second it started in, UTC, as `20260731-193000`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct SessionId(String);

impl SessionId {
    pub fn new(name: impl Into<String>) -> Self {
        SessionId(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who brought it about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Somebody at the panel, by name.
    Operator(String),
    /// The command line on the box itself.
    Cli,
    /// A planned show, by its id.
    Schedule(String),
    Regia,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Operator(name) => write!(f, "{name}"),
            Who::Cli => f.write_str("the command line"),
            Who::Schedule(show) => write!(f, "the schedule ({show})"),
            Who::Regia => f.write_str("Regia"),
        }
    }
}

/// What happened. Durations are seconds, bitrates kb/s of video unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A broadcast was asked for.
    Started {
        destinations: Vec<String>,
        /// The files that record it.
        recordings: Vec<String>,
    },
    /// Pre-flight had problems, and the operator started all the same.
    Anyway {
        reason: String,
        /// Pre-flight's rows that were problems, as they were shown.
        problems: Vec<String>,
    },
    /// The daemon is back and goes on with a broadcast that was under way. Destinations that are not named here were
    /// ended by the outage; `NotResumed` says why.
    Resumed {
        destinations: Vec<String>,
        outage_s: f64,
    },
    /// The daemon is back, and a broadcast that was under way stays off the air.
    NotResumed {
        destination: Option<String>,
        outage_s: f64,
        reason: String,
    },

    /// It was asked for, and could not be begun.
    StartFailed {
        destination: String,
        reason: String,
    },
    /// A connection was told to publish and does.
    Publishing {
        destination: String,
        uplink: Option<String>,
        ingest: String,
        /// It continues a stream that this session published before.
        resumed: bool,
    },
    /// The first of it was acknowledged.
    OnAir {
        destination: String,
    },
    /// The connection is there and takes nothing.
    Stalled {
        destination: String,
        reason: String,
    },
    /// The connection is gone.
    Lost {
        destination: String,
        reason: String,
    },
    /// It is on air again, by another way than before or by the same.
    Failover {
        destination: String,
        from: String,
        to: String,
        /// How long nothing was delivered.
        outage_s: f64,
        covered: Covered,
    },
    /// Never sent, because it became older than the hold.
    Shed {
        destination: String,
        seconds: f64,
        /// Pictures and AAC frames.
        units: u64,
    },
    /// Sent a second time, because it was not certain that it had arrived.
    Replayed {
        destination: String,
        seconds: f64,
    },
    /// The encoder's bitrate was changed in flight.
    Bitrate {
        kbps: u32,
        from_kbps: u32,
        reason: String,
    },

    /// The platform's limit comes near.
    GuardWarning {
        destination: String,
        ends_in_s: f64,
        /// Whether a further session takes over at the end.
        rolls_over: bool,
    },
    /// A platform archives no longer session than this, and goes on all the same.
    ArchiveWarning {
        destination: String,
        ends_in_s: f64,
    },
    /// The guard's end was put off.
    Extended {
        destination: String,
        by_s: f64,
        ends_in_s: f64,
    },
    /// What the guard was asked for, and why it can't be.
    NotExtended {
        destination: String,
        reason: String,
    },
    /// The next session of a destination publishes, and the one before is ended.
    Rollover {
        destination: String,
        /// Sessions of this destination so far, this one counted.
        session: u32,
    },
    RolloverFailed {
        destination: String,
        reason: String,
    },
    /// The programme shows its closing scene; None: the slate.
    ClosingScene {
        scene: Option<String>,
    },
    /// The limit is so near that this destination is ended.
    LimitReached {
        destination: String,
        limit_s: f64,
    },

    /// A scene came on air.
    SceneTaken {
        scene: String,
        transition: TransitionKind,
        ms: u32,
    },
    /// Everything was faded to black, or back.
    FadedToBlack {
        on: bool,
    },
    /// A key over the programme came or went.
    OverlaySwitched {
        overlay: String,
        on: bool,
    },
    TitleSet {
        title: String,
        lines: Vec<String>,
    },
    /// An input of the desk was changed.
    AudioChanged {
        source: String,
        change: AudioChange,
    },
    LoudnessReset,

    /// What was delayed and not yet sent was thrown away.
    Dump {
        seconds: f64,
        units: u64,
    },
    /// The slate that a dump left has been replaced by the programme.
    DumpOver,

    SourceLost {
        source: String,
        detail: String,
    },
    SourceLive {
        source: String,
        detail: String,
    },
    EngineDied {
        run: u64,
        reason: String,
    },
    /// Another engine gives pictures.
    EngineBack {
        run: u64,
        /// For which the programme had none.
        gap_s: f64,
    },
    /// The machine was too slow for the programme.
    FramesLeftOut {
        frames: u64,
    },
    /// A recording ended by itself; the broadcast goes on.
    RecordingFailed {
        recording: String,
        reason: String,
    },

    /// A recording was asked for apart from the broadcast's own, and the file that it makes.
    RecordingOn {
        recording: String,
        file: String,
    },
    RecordingOff {
        recording: String,
    },

    /// Set by an operator, to find the moment again.
    Marker {
        text: String,
    },
    StopAsked {
        destinations: Vec<String>,
    },
    DestinationEnded {
        destination: String,
        reason: EndReason,
        totals: Totals,
    },
    Ended {
        delivered_s: f64,
    },

    /// Each few seconds while a destination is on air: for the report's curves, and for no log that people read.
    Sample {
        destination: String,
        /// Of the connection, all told.
        kbps: u32,
        rtt_ms: Option<f64>,
        /// How far behind the programme the destination is, beyond the delay.
        hold_used_s: f64,
        /// Short-term loudness; None while nobody measures it.
        loudness_lufs: Option<f64>,
    },

    KeySaved {
        slot: String,
        fingerprint: String,
    },
    KeyDeleted {
        slot: String,
    },

    /// A show's run begins: its first step is due.
    ShowBegins {
        show: String,
        /// As a key slot may name it.
        occurrence: String,
        /// When it goes live: milliseconds since 1970-01-01 UTC.
        start_ms: i64,
    },
    ShowStep {
        show: String,
        occurrence: String,
        /// From 1.
        step: u32,
        what: String,
        /// After its planned time; None: it had none.
        late_ms: Option<f64>,
        /// Empty: nothing is to be said.
        note: String,
    },
    ShowStepFailed {
        show: String,
        occurrence: String,
        step: u32,
        what: String,
        reason: String,
    },
    ShowStepSkipped {
        show: String,
        occurrence: String,
        step: u32,
        what: String,
        reason: String,
    },
    ShowHeld {
        show: String,
        occurrence: String,
    },
    ShowReleased {
        show: String,
        occurrence: String,
        held_s: f64,
    },
    /// Its time came and nothing was done.
    ShowMissed {
        show: String,
        occurrence: String,
        reason: String,
    },
    ShowOver {
        show: String,
        occurrence: String,
    },
    /// Somebody could not be told.
    AlertFailed {
        alert: String,
        reason: String,
    },
    /// Somebody changed the configuration.
    ConfigChanged {
        /// What of it.
        what: String,
        /// It holds from the broadcast's end on.
        later: bool,
    },
}

/// What an audience saw of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Covered {
    /// Nothing was lost: all of it was sent again.
    Replay,
    /// Part of it was older than the hold and was never sent.
    Partly,
    /// The destination resumes with the newest picture: what was in between was never sent.
    Live,
}

/// Why a destination ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Somebody asked for it.
    Asked,
    /// The guard, before the platform's limit.
    Limit,
    /// A further session took over.
    RolledOver,
    /// It could not be started, or the daemon was away for too long.
    Failed,
}

/// A destination's sums over a session, resumptions counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Totals {
    /// Programme time that the ingest acknowledged, what was repeated counted once.
    pub delivered_s: f64,
    pub shed_s: f64,
    pub shed_units: u64,
    pub replayed_s: f64,
    /// Not delivered when it ended.
    pub undelivered_s: f64,
    /// Publishes after the first.
    pub reconnects: u32,
}

impl Event {
    /// The destination it is about, if it is about one.
    pub fn destination(&self) -> Option<&str> {
        match self {
            Event::StartFailed { destination, .. }
            | Event::Publishing { destination, .. }
            | Event::OnAir { destination }
            | Event::Stalled { destination, .. }
            | Event::Lost { destination, .. }
            | Event::Failover { destination, .. }
            | Event::Shed { destination, .. }
            | Event::Replayed { destination, .. }
            | Event::GuardWarning { destination, .. }
            | Event::ArchiveWarning { destination, .. }
            | Event::Extended { destination, .. }
            | Event::NotExtended { destination, .. }
            | Event::Rollover { destination, .. }
            | Event::RolloverFailed { destination, .. }
            | Event::LimitReached { destination, .. }
            | Event::DestinationEnded { destination, .. }
            | Event::Sample { destination, .. } => Some(destination),
            Event::NotResumed { destination, .. } => destination.as_deref(),
            _ => None,
        }
    }

    /// Whether a person who follows the broadcast wants to read it.
    pub fn is_for_people(&self) -> bool {
        !matches!(self, Event::Sample { .. })
    }
}

/// Durations as seconds, for what people and scripts read; exact to the microsecond for centuries.
mod seconds {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(value.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(event: Event) -> Entry {
        Entry {
            at: 1_785_526_200_000,
            session: Some(SessionId::new("20260731-193000")),
            elapsed: Duration::from_millis(61_500),
            who: Who::Operator("anna".into()),
            event,
        }
    }

    #[test]
    fn an_entry_is_one_flat_object_and_comes_back_whole() {
        let written = entry(Event::Failover {
            destination: "linkedin".into(),
            from: "fibre".into(),
            to: "lte".into(),
            outage_s: 1.8,
            covered: Covered::Replay,
        });
        let json = serde_json::to_string(&written).unwrap();
        assert_eq!(
            json,
            r#"{"at_ms":1785526200000,"session":"20260731-193000","elapsed_s":61.5,"who":{"operator":"anna"},"event":"failover","destination":"linkedin","from":"fibre","to":"lte","outage_s":1.8,"covered":"replay"}"#
        );
        assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), written);
        let plain = Entry {
            session: None,
            who: Who::Regia,
            ..entry(Event::DumpOver)
        };
        let json = serde_json::to_string(&plain).unwrap();
        assert!(
            json.contains(r#""who":"regia","event":"dump_over""#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), plain);
    }
}
