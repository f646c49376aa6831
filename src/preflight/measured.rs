//! What was measured, as the judges see it. Pure.

use crate::uplink::probe::Reached;
use std::path::PathBuf;

/// One way of one destination to one of its ingests.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    pub destination: String,
    /// The uplink's id; None: the system's routing.
    pub uplink: Option<String>,
    pub backup_ingest: bool,
    /// A broadcast starts by this way, if it works.
    pub preferred: bool,
    /// The way was to carry a load, for this programme.
    pub wanted: Option<Wanted>,
    /// Why it carried none, where it should have been measured.
    pub spared: Option<Spared>,
    /// The error is in an operator's words.
    pub result: Result<Reached, String>,
}

/// Bitrates in kb/s, sound and overhead counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub kbps: u32,
    /// What is left of it when the bitrate follows the way as far as it may; the same where it does not follow.
    pub floor_kbps: u32,
    /// Of that, the picture.
    pub video_kbps: u32,
}

/// Why a way was not measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spared {
    Metered,
    /// A broadcast runs over it, which a measurement would disturb.
    OnAir,
}

/// What is known of a destination's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// There is none that could be used, for this reason.
    Missing(String),
    Found {
        /// As it may be shown.
        fingerprint: String,
        /// It serves for one broadcast, whatever the platform.
        single_use: bool,
        /// The session that it was used for.
        used_in: Option<String>,
    },
}

/// A directory that something is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// None: the state directory. Otherwise the recording's id.
    pub recording: Option<String>,
    pub path: PathBuf,
    /// Which file system it lies on: those that share one share its room.
    pub device: Option<u64>,
    pub free_bytes: Option<u64>,
    /// Why nothing can be written there.
    pub unwritable: Option<String>,
}

/// How the engine coped while it was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    pub lasted_s: f64,
    pub cpus: usize,
    /// Processors that the engine kept busy; None: there was no engine throughout.
    pub engine_cpus: Option<f64>,
    /// Of all processors' time, 0 to 1.
    pub busy: Option<f64>,
    /// Frames that were due, and those left out.
    pub frames: u64,
    pub dropped: u64,
}

/// What the box tells of its power.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// A power supply is plugged in; None: the box has none that tells.
    pub mains: Option<bool>,
    /// Of the emptiest battery, per cent.
    pub battery_percent: Option<u8>,
}

/// The zone that is nearest to where the box slows itself down, in °C.
#[derive(Clone, Debug, PartialEq)]
pub struct Temperature {
    pub zone: String,
    pub now: f64,
    /// Where it slows down, if it tells.
    pub slows_at: Option<f64>,
    /// Where it switches itself off, if it tells.
    pub off_at: Option<f64>,
}
