//! What the engine measures and tells again and again: the health of its sources, the levels of its sound, alarms of its
//! programme. Pure.

use serde::{Deserialize, Serialize};

/// One source, as it was over the last second. Sent for every source once a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceHealth {
    pub id: String,
    /// Pictures since the engine started.
    pub frames: u64,
    /// Those of them that came too late for their place on the programme's grid.
    pub late: u64,
    /// Pictures a second, over the time since the last report.
    pub fps: f32,
    /// For how many seconds the picture has not changed; 0 when it moves. None: it gives no picture now.
    pub frozen_s: Option<f32>,
    /// For how many seconds the picture has been black; 0 when it isn't. None: as above.
    pub black_s: Option<f32>,
    /// For how many seconds its sound has been below −60 dBFS; 0 when it is heard. None: it gives no sound now.
    pub silent_s: Option<f32>,
    /// What it gives before it is brought to the programme's format: "1280x720 25 fps, 44100 Hz mono". Empty while nothing
    /// has come.
    pub format: String,
    /// How often it came back after it was lost.
    pub reconnects: u32,
    /// It is meant not to move: an image.
    pub still: bool,
}

/// What can be wrong with a programme whose sources are all there.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    Black,
    Frozen,
    Silent,
}

/// How loud it is, ten times a second. None is silence, or that nothing can be measured yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Levels {
    pub programme: ProgrammeLevels,
    pub inputs: Vec<InputLevel>,
}

/// The sound that is sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProgrammeLevels {
    /// Left and right, since the last report: dBFS.
    pub peak_db: [Option<f32>; 2],
    /// EBU R128 over 0.4 s, over 3 s, and over all since the measurement began, gated.
    pub momentary_lufs: Option<f32>,
    pub short_term_lufs: Option<f32>,
    pub integrated_lufs: Option<f32>,
    /// The greatest since the measurement began: dBTP.
    pub true_peak_db: Option<f32>,
    /// What the limiter took off at most, since the last report.
    pub limited_db: f32,
}

/// One input of the desk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InputLevel {
    pub id: String,
    /// Left and right, before delay, pan and fader: also of an input that is not heard.
    pub peak_db: [Option<f32>; 2],
    /// It is in the programme, as its mode, its mute and the scene on air say.
    pub open: bool,
    /// What its compressor took off at most, since the last report.
    pub reduced_db: f32,
    /// How far it is turned down under others: 0 or less.
    pub ducked_db: f32,
}
