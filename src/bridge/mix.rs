//! What the vision mixer and the desk are told, and how they stand. Pure.

use crate::config::{AudioChange, SourceAudio, Transition, TransitionKind};
use crate::media::MediaTime;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A change to the programme while it runs. Ids are those of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum MixCommand {
    /// Makes a scene ready.
    Preview {
        scene: String,
    },
    /// Puts a scene on air, from the next frame on; without one, what is in preview. The two swap places. Undoes black.
    Take {
        scene: Option<String>,
        /// None: the scene's own.
        transition: Option<Transition>,
    },
    /// Fades everything to black, or back.
    Black {
        on: bool,
        ms: u32,
    },
    /// A key over the programme comes or goes.
    Overlay {
        id: String,
        on: bool,
    },
    /// A title's text, from the next frame on.
    Title {
        id: String,
        lines: Vec<String>,
    },
    Audio {
        source: String,
        change: AudioChange,
    },
    /// Integrated loudness and true peak count from now.
    ResetLoudness,
    /// What somebody looks at: so many thumbnails a second, and the multiview. Nothing is made for nobody.
    Look {
        thumbnails_per_s: u32,
        multiview: bool,
    },
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixAnswer {
    /// Of a take: the transition that runs.
    pub ran: Transition,
    /// The first frame that shows it, by CLOCK_MONOTONIC.
    pub at: MediaTime,
    /// What ran instead of what was asked for, and why; empty: just that.
    pub note: String,
}

/// The programme's arrangement, whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MixState {
    pub scene: String,
    pub preview: Option<String>,
    pub transition: Option<Running>,
    pub black: bool,
    pub overlays: Vec<OverlayState>,
    /// The text of each title now, by its id.
    pub titles: BTreeMap<String, Vec<String>>,
    /// What plays once in the scene on air.
    pub clip: Option<ClipState>,
    /// Each source's settings now, by its id.
    pub audio: BTreeMap<String, SourceAudio>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Running {
    pub from: String,
    pub to: String,
    pub kind: TransitionKind,
    pub ms: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OverlayState {
    pub id: String,
    pub on: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClipState {
    pub scene: String,
    pub source: String,
    pub position_s: f64,
    /// None: the file does not tell.
    pub length_s: Option<f64>,
}

/// What there are small pictures of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    Source(String),
    Programme,
    Preview,
    Multiview,
}

/// A picture for people, not for the programme.
#[derive(Clone, Debug, PartialEq)]
pub struct Thumbnail {
    pub of: View,
    pub jpeg: Bytes,
}
