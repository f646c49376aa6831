//! How a source's sound is mixed, as configured and as changed while on air. Pure.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

pub const GAIN_DB: RangeInclusive<f32> = -60.0..=20.0;
pub const PAN: RangeInclusive<f32> = -1.0..=1.0;
pub const DELAY_MS: RangeInclusive<u32> = 0..=1_000;
pub const HIGH_PASS_HZ: RangeInclusive<u32> = 20..=500;
pub const THRESHOLD_DB: RangeInclusive<f32> = -60.0..=0.0;
pub const RATIO: RangeInclusive<f32> = 1.0..=100.0;
pub const ATTACK_MS: RangeInclusive<f32> = 0.1..=200.0;
pub const RELEASE_MS: RangeInclusive<f32> = 10.0..=3_000.0;
pub const MAKEUP_DB: RangeInclusive<f32> = 0.0..=24.0;
pub const DUCK_DB: RangeInclusive<f32> = -60.0..=0.0;

/// One input of the desk. Its sound goes through `channels`, `gain_db`, `high_pass_hz`, `compressor`, `delay_ms`, `pan`, and is
/// then let through or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceAudio {
    pub mode: AudioMode,
    pub gain_db: f32,
    pub mute: bool,
    /// −1 is left, 1 right: the other side is turned down.
    pub pan: f32,
    pub channels: Channels,
    /// For lips that come later than their sound.
    pub delay_ms: u32,
    /// 12 dB an octave below this.
    pub high_pass_hz: Option<u32>,
    pub compressor: Option<Compressor>,
    pub duck: Option<Duck>,
    /// The ALSA device whose sound belongs to this source's picture; None: the source's own sound.
    pub device: Option<String>,
}

impl Default for SourceAudio {
    fn default() -> Self {
        SourceAudio {
            mode: AudioMode::Follow,
            gain_db: 0.0,
            mute: false,
            pan: 0.0,
            channels: Channels::Stereo,
            delay_ms: 0,
            high_pass_hz: None,
            compressor: None,
            duck: None,
            device: None,
        }
    }
}

/// When a source is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AudioMode {
    /// While a scene that has it is on air.
    Follow,
    On,
    Off,
}

/// Which of a source's two channels are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    Stereo,
    /// One side, on both: a microphone that is plugged into one of two sockets.
    Left,
    Right,
    /// Half of each, on both.
    Mono,
    Swap,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Compressor {
    pub threshold_db: f32,
    /// So many dB over the threshold become one; from 20 on it is a limiter.
    pub ratio: f32,
    pub attack_ms: f32,
    pub release_ms: f32,
    pub makeup_db: f32,
}

impl Default for Compressor {
    /// For speech.
    fn default() -> Self {
        Compressor {
            threshold_db: -20.0,
            ratio: 3.0,
            attack_ms: 5.0,
            release_ms: 150.0,
            makeup_db: 0.0,
        }
    }
}

/// Turns a source down while others are heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Duck {
    /// Ids of the sources that it gives way to.
    pub under: Vec<String>,
    pub by_db: f32,
    /// How loud one of them must be.
    pub threshold_db: f32,
}

impl Duck {
    pub const BY_DB: f32 = -15.0;
    /// Above the noise of a room, below speech.
    pub const THRESHOLD_DB: f32 = -40.0;
}

/// What of an input is to change. What is None stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AudioChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<AudioMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain_db: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mute: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pan: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Channels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u32>,
    /// 0 takes the filter out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_pass_hz: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressor: Option<CompressorChange>,
    /// By how much it is ducked, if the configuration says under what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duck_db: Option<f32>,
}

impl fmt::Display for AudioChange {
    /// "gain -3 dB, muted"
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compressor = self.compressor.map(|compressor| match compressor {
            CompressorChange::Switch(false) => "compressor off".to_owned(),
            CompressorChange::Switch(true) => "compressor on".to_owned(),
            CompressorChange::Set(set) => {
                format!("compressor {}:1 over {} dB", set.ratio, set.threshold_db)
            }
        });
        let word = |text: String| text.to_lowercase();
        let parts = [
            self.mode.map(|mode| word(format!("{mode:?}"))),
            self.mute
                .map(|mute| if mute { "muted" } else { "not muted" }.to_owned()),
            self.gain_db.map(|db| format!("gain {db} dB")),
            self.pan.map(|pan| format!("pan {pan}")),
            self.channels
                .map(|channels| word(format!("channels {channels:?}"))),
            self.delay_ms.map(|ms| format!("delay {ms} ms")),
            self.high_pass_hz.map(|hz| match hz {
                0 => "high-pass off".to_owned(),
                hz => format!("high-pass {hz} Hz"),
            }),
            compressor,
            self.duck_db.map(|db| format!("ducked by {db} dB")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

/// `true` takes the usual values for speech.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum CompressorChange {
    Switch(bool),
    Set(Compressor),
}

/// A value that no input can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AudioError {
    #[error("{key} must be from {from} to {to}{unit}, not {value}{unit}")]
    Range {
        key: &'static str,
        value: f32,
        from: f32,
        to: f32,
        unit: &'static str,
    },
    #[error("this source is not ducked: give it duck_under in the configuration first")]
    NotDucked,
    #[error("the change names nothing to change")]
    Empty,
}

fn within(
    key: &'static str,
    value: f32,
    range: &RangeInclusive<f32>,
    unit: &'static str,
) -> Result<(), AudioError> {
    // A value that is no number is in no range.
    if range.contains(&value) {
        return Ok(());
    }
    Err(AudioError::Range {
        key,
        value,
        from: *range.start(),
        to: *range.end(),
        unit,
    })
}

fn as_f32(range: &RangeInclusive<u32>) -> RangeInclusive<f32> {
    *range.start() as f32..=*range.end() as f32
}

impl Compressor {
    pub fn check(&self) -> Result<(), AudioError> {
        within("threshold_db", self.threshold_db, &THRESHOLD_DB, " dB")?;
        within("ratio", self.ratio, &RATIO, "")?;
        within("attack_ms", self.attack_ms, &ATTACK_MS, " ms")?;
        within("release_ms", self.release_ms, &RELEASE_MS, " ms")?;
        within("makeup_db", self.makeup_db, &MAKEUP_DB, " dB")
    }
}

impl SourceAudio {
    /// This input with the change made; the first value that can't be is the error.
    pub fn changed(&self, change: &AudioChange) -> Result<SourceAudio, AudioError> {
        if *change == AudioChange::default() {
            return Err(AudioError::Empty);
        }
        let mut changed = self.clone();
        if let Some(gain_db) = change.gain_db {
            within("gain_db", gain_db, &GAIN_DB, " dB")?;
            changed.gain_db = gain_db;
        }
        if let Some(pan) = change.pan {
            within("pan", pan, &PAN, "")?;
            changed.pan = pan;
        }
        if let Some(delay_ms) = change.delay_ms {
            within("delay_ms", delay_ms as f32, &as_f32(&DELAY_MS), " ms")?;
            changed.delay_ms = delay_ms;
        }
        if let Some(hz) = change.high_pass_hz {
            if hz > 0 {
                within("high_pass_hz", hz as f32, &as_f32(&HIGH_PASS_HZ), " Hz")?;
            }
            changed.high_pass_hz = (hz > 0).then_some(hz);
        }
        if let Some(compressor) = change.compressor {
            changed.compressor = match compressor {
                CompressorChange::Switch(false) => None,
                // What was set stays set.
                CompressorChange::Switch(true) => Some(changed.compressor.unwrap_or_default()),
                CompressorChange::Set(compressor) => {
                    compressor.check()?;
                    Some(compressor)
                }
            };
        }
        if let Some(by_db) = change.duck_db {
            within("duck_db", by_db, &DUCK_DB, " dB")?;
            changed.duck.as_mut().ok_or(AudioError::NotDucked)?.by_db = by_db;
        }
        changed.mute = change.mute.unwrap_or(changed.mute);
        changed.mode = change.mode.unwrap_or(changed.mode);
        changed.channels = change.channels.unwrap_or(changed.channels);
        Ok(changed)
    }

    pub fn delay(&self) -> Duration {
        Duration::from_millis(u64::from(self.delay_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: &str) -> AudioChange {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_named_changes_and_the_rest_stays() {
        let before = SourceAudio {
            gain_db: -3.0,
            ..SourceAudio::default()
        };
        let after = before
            .changed(&change(
                r#"{"mute":true,"high_pass_hz":80,"compressor":true,"mode":"on"}"#,
            ))
            .unwrap();
        let wanted = SourceAudio {
            mute: true,
            high_pass_hz: Some(80),
            compressor: Some(Compressor::default()),
            mode: AudioMode::On,
            ..before
        };
        assert_eq!(after, wanted);
        let off = after
            .changed(&change(r#"{"high_pass_hz":0,"compressor":false}"#))
            .unwrap();
        assert_eq!((off.high_pass_hz, off.compressor), (None, None));
        let set = off
            .changed(&change(r#"{"compressor":{"ratio":20}}"#))
            .unwrap();
        assert_eq!(set.compressor.unwrap().ratio, 20.0);
        let again = set.changed(&change(r#"{"compressor":true}"#)).unwrap();
        assert_eq!(again, set);
    }

    #[test]
    fn what_can_not_be_is_told() {
        let told = |json: &str| {
            let error = SourceAudio::default().changed(&change(json));
            error.unwrap_err().to_string()
        };
        assert_eq!(
            told(r#"{"gain_db":21}"#),
            "gain_db must be from -60 to 20 dB, not 21 dB"
        );
        assert_eq!(
            told(r#"{"pan":-1.5}"#),
            "pan must be from -1 to 1, not -1.5"
        );
        assert_eq!(
            told(r#"{"delay_ms":1001}"#),
            "delay_ms must be from 0 to 1000 ms, not 1001 ms"
        );
        assert_eq!(
            told(r#"{"high_pass_hz":5}"#),
            "high_pass_hz must be from 20 to 500 Hz, not 5 Hz"
        );
        assert_eq!(
            told(r#"{"compressor":{"ratio":0.5}}"#),
            "ratio must be from 1 to 100, not 0.5"
        );
        assert_eq!(
            told(r#"{"duck_db":-6}"#),
            "this source is not ducked: give it duck_under in the configuration first"
        );
        assert_eq!(told("{}"), "the change names nothing to change");
        assert!(serde_json::from_str::<AudioChange>(r#"{"gian_db":1}"#).is_err());
    }
}
