//! `regia doctor`: joins what the machine shows with what the engine found.

use crate::config;
use crate::doctor::{EnginePart, Grade, Row, doctor_command};
use crate::engine::{self, EngineProbe};
use std::path::Path;

/// A configuration that can't be used is no reason not to look at the machine: `regia check` speaks of it.
pub fn doctor(config: Option<&Path>, state: &Path, json: bool) -> anyhow::Result<u8> {
    let path = config.map_or_else(config::default_path, Path::to_owned);
    let loaded = config::load(&path).ok();
    let probe = engine::probe();
    let part = EnginePart {
        rows: rows(&probe),
        detail: probe,
    };
    Ok(doctor_command(
        loaded.as_ref().map(|loaded| &loaded.settings),
        state,
        part,
        json,
    )?)
}

fn rows(probe: &EngineProbe) -> Vec<Row> {
    let mut rows = vec![match &probe.error {
        None => Row::new("GStreamer", Grade::Ok, &probe.gstreamer, ""),
        Some(error) => {
            let advice = "install libgstreamer1.0-0 and gstreamer1.0-plugins-base";
            Row::new("GStreamer", Grade::Problem, error, advice)
        }
    }];
    let works = |element: &str| {
        probe
            .encoders
            .iter()
            .any(|trial| trial.element == element && trial.error.is_none())
    };
    let any = probe.encoders.iter().any(|trial| trial.error.is_none());
    for trial in &probe.encoders {
        let name = format!("encoder {}", trial.element);
        rows.push(match &trial.error {
            None => Row::new(name, Grade::Ok, "encoded the frames of its trial", ""),
            // One of a kind of hardware that this box does not have is nothing to worry about.
            Some(error) if any => {
                Row::new(name, Grade::Unknown, format!("not usable: {error}"), "")
            }
            Some(error) => Row::new(
                name,
                Grade::Problem,
                format!("not usable: {error}"),
                "install gstreamer1.0-plugins-ugly for x264enc",
            ),
        });
    }
    if any && !works("x264enc") {
        let advice = "install gstreamer1.0-plugins-ugly";
        rows.push(Row::new(
            "x264",
            Grade::Warning,
            "not usable: nothing to fall back on with the same quality",
            advice,
        ));
    }
    for missing in &probe.missing {
        let found = format!("not installed; needed for {}", missing.needed_for);
        let advice = format!("apt-get install {}", missing.package);
        rows.push(Row::new(
            format!("element {}", missing.element),
            Grade::Warning,
            found,
            advice,
        ));
    }
    for device in &probe.devices {
        let found = format!(
            "{} (kind = \"{}\", device = \"{}\")",
            device.name, device.kind, device.device
        );
        rows.push(Row::new("device", Grade::Ok, found, ""));
    }
    if probe.devices.is_empty() {
        rows.push(Row::new(
            "devices",
            Grade::Unknown,
            "no camera and no sound card was found",
            "",
        ));
    }
    rows
}
