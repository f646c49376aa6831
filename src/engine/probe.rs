//! What this machine offers the engine: for `regia doctor`.

use super::elements::NEEDED;
use super::encode::{CANDIDATES, trial};
use crate::bridge::protocol::EncoderTrial;
use crate::config::{Audio, EncoderChoice, Programme, Tune, Video};
use crate::media::FrameRate;
use gstreamer as gst;
use gstreamer::prelude::*;
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct EngineProbe {
    /// GStreamer's version; empty if it can't be initialised.
    pub gstreamer: String,
    /// Why it can't.
    pub error: Option<String>,
    /// Every encoder Regia knows, in the order in which `auto` tries them.
    pub encoders: Vec<EncoderTrial>,
    pub missing: Vec<MissingElement>,
    pub devices: Vec<Device>,
}

/// A GStreamer element that something of Regia needs and that is not installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingElement {
    pub element: String,
    /// The Debian package that brings it.
    pub package: String,
    pub needed_for: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The `kind` of source that captures it.
    pub kind: &'static str,
    /// The `device` to configure (`target` of PipeWire).
    pub device: String,
    /// What the device calls itself.
    pub name: String,
}

/// Looks around; takes a second or two for the encoders' trials.
pub fn probe() -> EngineProbe {
    if let Err(error) = gst::init() {
        return EngineProbe {
            gstreamer: String::new(),
            error: Some(error.to_string()),
            encoders: Vec::new(),
            missing: Vec::new(),
            devices: Vec::new(),
        };
    }
    EngineProbe {
        gstreamer: gst::version_string().into(),
        error: None,
        encoders: CANDIDATES
            .iter()
            .map(|candidate| EncoderTrial {
                element: candidate.factory.into(),
                error: trial::try_out(candidate, &usual_programme()).err(),
            })
            .collect(),
        missing: missing(),
        devices: devices(),
    }
}

fn missing() -> Vec<MissingElement> {
    NEEDED
        .iter()
        .filter(|(element, ..)| gst::ElementFactory::find(element).is_none())
        .map(|(element, package, needed_for)| MissingElement {
            element: (*element).into(),
            package: (*package).into(),
            needed_for: (*needed_for).into(),
        })
        .collect()
}

/// Cameras and sound cards, as the element that captures them would name them.
fn devices() -> Vec<Device> {
    let monitor = gst::DeviceMonitor::new();
    monitor.add_filter(Some("Video/Source"), None);
    monitor.add_filter(Some("Audio/Source"), None);
    if monitor.start().is_err() {
        return Vec::new();
    }
    let devices = monitor.devices().iter().filter_map(device).collect();
    monitor.stop();
    devices
}

fn device(found: &gst::Device) -> Option<Device> {
    let element = found.create_element(None).ok()?;
    let text = |property: &str| {
        element.find_property(property)?;
        element.property::<Option<String>>(property)
    };
    let (kind, device) = match element.factory()?.name().as_str() {
        "v4l2src" => ("v4l2", text("device")?),
        "alsasrc" => ("alsa", text("device")?),
        "pulsesrc" => ("pulse", text("device")?),
        // Of cameras and screens too; this kind takes its sound alone.
        "pipewiresrc" if found.has_classes("Audio") => ("pipewire", text("target-object")?),
        "decklinkvideosrc" => (
            "decklink",
            element.property::<i32>("device-number").to_string(),
        ),
        _ => return None,
    };
    Some(Device {
        kind,
        device,
        name: found.display_name().into(),
    })
}

/// What most platforms are sent: hardware that can't do this is of no use.
fn usual_programme() -> Programme {
    Programme {
        width: 1920,
        height: 1080,
        fps: FrameRate { num: 30, den: 1 },
        video: Video {
            encoder: EncoderChoice::Auto,
            preset: "veryfast".into(),
            tune: Tune::Quality,
            bitrate_kbps: 6_000,
            min_bitrate_kbps: 2_000,
            keyframe_s: 2.0,
        },
        audio: Audio {
            bitrate_kbps: 128,
            sample_rate: 48_000,
            limiter_db: Some(Audio::LIMITER_DB),
            target_lufs: Audio::TARGET_LUFS,
        },
        stamp: true,
        alarms: Default::default(),
        multiview: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_software_encoders_of_the_tests_pass_their_trial() {
        let probe = probe();
        assert!(probe.gstreamer.starts_with("GStreamer 1."));
        let error = |element: &str| {
            let trial = probe.encoders.iter().find(|t| t.element == element);
            trial.map(|t| t.error.clone())
        };
        assert_eq!(error("x264enc"), Some(None));
        assert_eq!(error("openh264enc"), Some(None));
        assert_eq!(probe.missing, []);
    }
}
