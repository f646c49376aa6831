//! What director and engine say to each other. Pure; `codec` turns it into bytes and back.

use super::mix::{MixAnswer, MixCommand, MixState, Thumbnail};
use super::report::{Alarm, Levels, SourceHealth};
use crate::config::EngineSpec;
use crate::media::{Clip, MediaTime, MediaUnit, StreamConfig, Track};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Raised whenever the meaning of a frame changes. Both ends come from one binary, but an upgrade in
/// flight may join two.
pub const VERSION: u16 = 3;

/// Engine → director. Times in `Unit` are absolute: microseconds of CLOCK_MONOTONIC, at which the picture
/// or sound was captured. Both processes read the same clock, so two engine runs need no other agreement.
#[derive(Clone, Debug, PartialEq)]
pub enum Up {
    /// The first message.
    Hello {
        version: u16,
    },
    /// Before the first unit, and again whenever it changes.
    Config(StreamConfig),
    Unit(MediaUnit),
    Event(EngineEvent),
    /// The slate as `Down::EncodeSlate` asked for it.
    Slate(Clip),
    Thumbnail(Thumbnail),
}

/// Director → engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Down {
    /// The first message.
    Start {
        version: u16,
        spec: Box<EngineSpec>,
        /// What an engine before this one left, to go on with; None: the configuration's own beginning.
        mix: Option<Box<MixState>>,
    },
    SetBitrate {
        kbps: u32,
    },
    /// The director wants the slate, encoded, to put it out by itself.
    EncodeSlate,
    /// Answered by `EngineEvent::MixDone` with the same number.
    Mix {
        request: u64,
        /// It shows from the first frame on that is not before this, by CLOCK_MONOTONIC; of what is past, from the next frame on.
        at: MediaTime,
        command: MixCommand,
    },
    /// What an encoder pushes to an `rtmp` source, which the director receives.
    Pushed {
        /// Index into `EngineSpec::sources`.
        source: u16,
        pushed: Pushed,
    },
    Stop,
}

/// A part of what is pushed. Times are the encoder's own. Nothing of it relies on what went before but the units on their
/// keyframe, so an engine that starts in the middle begins at the next one.
#[derive(Clone, Debug, PartialEq)]
pub enum Pushed {
    /// What a decoder of the track must have: an AVCDecoderConfigurationRecord or an AudioSpecificConfig. Before each
    /// keyframe, though it be the same.
    Config {
        track: Track,
        data: Bytes,
    },
    Unit(MediaUnit),
    /// The encoder has gone, and why.
    End {
        text: String,
    },
}

/// What an operator or the session may want to know of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EngineEvent {
    /// The encoder that won the trial, and what others failed on.
    Encoder {
        name: String,
        tried: Vec<EncoderTrial>,
    },
    Bitrate {
        kbps: u32,
    },
    Source {
        id: String,
        state: SourceState,
        detail: String,
    },
    /// The encoder is slower than real time: so many frames were left out since the last such event.
    Overload {
        dropped: u64,
    },
    /// Every source, once a second.
    Health {
        sources: Vec<SourceHealth>,
    },
    /// Ten times a second.
    Levels(Levels),
    /// The programme has been black, frozen or silent for as long as the configuration allows (`on`), or is so no more.
    Alarm {
        alarm: Alarm,
        on: bool,
    },
    /// How the programme is arranged, whenever something of it changes.
    Mix(Box<MixState>),
    MixDone {
        request: u64,
        /// The error is for the operator.
        result: Result<MixAnswer, String>,
    },
    /// The engine is about to end because of this.
    Fatal {
        text: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderTrial {
    pub element: String,
    /// None: it encoded the trial's frames.
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    Starting,
    Live,
    /// Its slate is shown; it is being tried again.
    Lost,
}
