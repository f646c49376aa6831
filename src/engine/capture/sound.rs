//! Sources of sound alone: sound cards through ALSA, and what PulseAudio and PipeWire offer. Their picture is their slate.
//! Any of them may belong to another source's picture (`audio.device`).

use super::graph::{Captured, Graph, Patience};
use super::{Capture, End};
use crate::engine::elements::{make, set};
use gstreamer as gst;
use gstreamer::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Patience = Patience::new(Duration::from_secs(2), Duration::from_secs(1));
/// The device's periods, in µs: sound arrives this late.
const PERIOD_US: i64 = 10_000;
const BUFFER_US: i64 = 100_000;
/// PipeWire stamps its buffers when a cycle begins and gives them when it is over.
const PIPEWIRE_DELAY: Duration = Duration::from_millis(30);

/// Where sound comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SoundDevice {
    Alsa(String),
    /// None: what the sound server takes by itself.
    Pulse(Option<String>),
    Pipewire(Option<String>),
}

impl SoundDevice {
    /// As `audio.device` has it: a device of ALSA's, or "pulse:NAME", "pipewire:NAME", "pulse", "pipewire".
    pub fn parse(text: &str) -> Self {
        let (server, name) = text.split_once(':').unwrap_or((text, ""));
        let name = (!name.is_empty()).then(|| name.to_owned());
        match server {
            "pulse" => SoundDevice::Pulse(name),
            "pipewire" => SoundDevice::Pipewire(name),
            _ => SoundDevice::Alsa(text.to_owned()),
        }
    }

    /// As an operator would call it.
    pub fn shown(&self) -> String {
        match self {
            SoundDevice::Alsa(device) => device.clone(),
            SoundDevice::Pulse(None) => "PulseAudio".into(),
            SoundDevice::Pipewire(None) => "PipeWire".into(),
            SoundDevice::Pulse(Some(name)) | SoundDevice::Pipewire(Some(name)) => name.clone(),
        }
    }

    fn element(&self) -> Result<gst::Element, End> {
        match self {
            SoundDevice::Alsa(device) => {
                let source = make("alsasrc")?;
                source.set_property("device", device);
                Ok(with_periods(source))
            }
            SoundDevice::Pulse(device) => {
                let source = make("pulsesrc")?;
                source.set_property("device", device);
                source.set_property("client-name", "Regia");
                Ok(with_periods(source))
            }
            SoundDevice::Pipewire(target) => {
                let source = make("pipewiresrc")?;
                set(&source, "client-name", "Regia");
                set(&source, "do-timestamp", "true");
                if let Some(target) = target
                    && !set(&source, "target-object", target)
                {
                    // Before PipeWire 0.3.44 it had another name.
                    set(&source, "path", target);
                }
                Ok(source)
            }
        }
    }

    fn delay(&self) -> Duration {
        match self {
            SoundDevice::Alsa(_) | SoundDevice::Pulse(_) => Duration::ZERO,
            SoundDevice::Pipewire(_) => PIPEWIRE_DELAY,
        }
    }

    /// What to do when it fails.
    fn advice(&self) -> &'static str {
        match self {
            SoundDevice::Alsa(_) => "`regia doctor` lists the sound cards there are",
            SoundDevice::Pulse(_) => {
                "does PulseAudio run for the user that Regia runs as? `pactl list short sources` lists what it has"
            }
            SoundDevice::Pipewire(_) => {
                "does PipeWire run for the user that Regia runs as? `pw-cli list-objects Node` lists what it has"
            }
        }
    }
}

fn with_periods(source: gst::Element) -> gst::Element {
    source.set_property("latency-time", PERIOD_US);
    source.set_property("buffer-time", BUFFER_US);
    // The engine's clock rules; the card's drift against it is taken up where the timestamps say so.
    source.set_property("provide-clock", false);
    source
}

pub fn run(capture: &Capture, device: &SoundDevice) -> End {
    match play(capture, device) {
        Ok(End::Failed(text)) | Err(End::Failed(text)) => {
            let text = text.trim_end_matches('.');
            End::Failed(format!("{}: {text} ({})", device.shown(), device.advice()))
        }
        Ok(end) | Err(end) => end,
    }
}

fn play(capture: &Capture, device: &SoundDevice) -> Result<End, End> {
    let base = capture.clock.now();
    let placement = Captured {
        base,
        delay: device.delay(),
    };
    let graph = Graph::new(capture, base, Arc::new(placement));
    let mut chain = vec![device.element()?];
    if let SoundDevice::Pipewire(_) = device {
        // Of cameras it would give pictures.
        let sound = gst::Caps::new_empty_simple("audio/x-raw");
        chain.push(crate::engine::encode::caps_filter(&sound)?);
    }
    chain.extend(graph.tails().audio_tail()?);
    graph
        .pipeline
        .add_many(&chain)
        .and_then(|()| gst::Element::link_many(&chain))
        .map_err(|e| End::Failed(e.to_string()))?;
    graph.play()?;
    Ok(graph.watch(capture, PATIENCE, |_| Some(End::Failed("it ended".into()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_apart_by_their_server() {
        let parse = SoundDevice::parse;
        assert_eq!(parse("hw:1,0"), SoundDevice::Alsa("hw:1,0".into()));
        assert_eq!(parse("pulse"), SoundDevice::Pulse(None));
        assert_eq!(
            parse("pulse:mic.monitor"),
            SoundDevice::Pulse(Some("mic.monitor".into()))
        );
        assert_eq!(
            parse("pipewire:alsa_input.usb:2"),
            SoundDevice::Pipewire(Some("alsa_input.usb:2".into()))
        );
    }
}
