//! `regia check`: all that is wrong with a configuration, or what it would put on air. Keys, applications and
//! queries of URLs are not shown.

use super::programme::window_bytes;
use super::{
    ConfigErrors, Destination, Loaded, Problem, Programme, Recording, Settings, Severity, Source,
    SourceKind, SrtMode, default_path, load,
};
use crate::platform;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

/// Exit codes of DESIGN: done, and bad arguments or configuration.
const DONE: u8 = 0;
const BAD_CONFIGURATION: u8 = 2;

/// Prints the verdict on the configuration at `path` (or where it usually is) and returns the exit code, 0 or 2.
pub fn check_command(path: Option<&Path>, json: bool) -> io::Result<u8> {
    let path = path.map_or_else(default_path, Path::to_owned);
    let verdict = Verdict {
        file: path.display().to_string(),
        outcome: load(&path),
    };
    let text = if json {
        format!("{}\n", verdict.json())
    } else {
        verdict.text()
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(verdict.exit_code())
}

/// What came of reading a configuration.
pub struct Verdict {
    pub file: String,
    pub outcome: Result<Loaded, ConfigErrors>,
}

impl Verdict {
    pub fn exit_code(&self) -> u8 {
        match self.outcome {
            Ok(_) => DONE,
            Err(_) => BAD_CONFIGURATION,
        }
    }

    fn found(&self) -> &[Problem] {
        match &self.outcome {
            Ok(loaded) => &loaded.warnings,
            Err(errors) => &errors.problems,
        }
    }

    fn of(&self, severity: Severity) -> Vec<&Problem> {
        let found = self.found().iter();
        found.filter(|p| p.severity == severity).collect()
    }

    /// For people: a line for each problem, the count, and what would go on air.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for problem in self.found() {
            let _ = writeln!(text, "{problem}"); // writing to a String does not fail
        }
        let problems = self.of(Severity::Problem).len();
        let warnings = self.of(Severity::Warning).len();
        let counted = match (problems, warnings) {
            (0, 0) => "no problems".to_owned(),
            (0, _) => format!("no problems, {}", count(warnings, "warning")),
            (_, 0) => count(problems, "problem"),
            _ => format!(
                "{}, {}",
                count(problems, "problem"),
                count(warnings, "warning")
            ),
        };
        let _ = writeln!(text, "{}: {counted}", self.file);
        if let Ok(loaded) = &self.outcome {
            text.push_str(&on_air_text(&loaded.settings));
        }
        text
    }

    /// For scripts: one object.
    pub fn json(&self) -> Value {
        json!({
            "file": self.file,
            "ok": self.outcome.is_ok(),
            "problems": self.of(Severity::Problem),
            "warnings": self.of(Severity::Warning),
            "on_air": self.outcome.as_ref().ok().map(|loaded| on_air_json(&loaded.settings)),
        })
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// What would go on air, in aligned lines.
fn on_air_text(settings: &Settings) -> String {
    let mut rows = vec![("programme", programme_line(&settings.programme))];
    if let Some(scene) = settings.scenes.first() {
        let shown = scene.sources();
        let source = shown
            .filter_map(|id| settings.sources.iter().find(|source| source.id == id))
            .map(source_line)
            .collect::<Vec<_>>()
            .join(", ");
        rows.push(("scene", format!("{}: {source}", scene.id)));
    }
    let window = &settings.window;
    let megabytes = window_bytes(window, &settings.programme).div_ceil(1_000_000);
    rows.push((
        "window",
        format!(
            "hold {} s, delay {} s, up to {megabytes} MB, catch-up {}×",
            window.hold.as_secs_f64(),
            window.delay.as_secs_f64(),
            window.catch_up
        ),
    ));
    for destination in &settings.destinations {
        rows.push(("destination", destination_line(settings, destination)));
    }
    for Recording { id, path, .. } in &settings.recordings {
        rows.push((
            "recording",
            format!("{id}: the exact programme to {}", path.display()),
        ));
    }
    if let Some(rtmp) = &settings.rtmp {
        rows.push(("rtmp", format!("encoders push to {}", rtmp.listen)));
    }
    rows.push(("panel", settings.panel.listen.to_string()));
    if let Some(obs) = &settings.panel.obs_websocket {
        rows.push(("obs", format!("obs-websocket at {}", obs.listen)));
    }
    let mut text = String::new();
    for (name, line) in rows {
        let _ = writeln!(text, "  {name:<12} {line}");
    }
    text
}

fn programme_line(programme: &Programme) -> String {
    let fps = (programme.fps.as_f64() * 100.0).round() / 100.0;
    let video = &programme.video;
    format!(
        "{}×{}, {fps} frames/s, H.264 {} kb/s (floor {}), keyframe every {} s, AAC {} kb/s at {} Hz",
        programme.width,
        programme.height,
        video.bitrate_kbps,
        video.min_bitrate_kbps,
        (video.keyframe_s * 1_000.0).round() / 1_000.0,
        programme.audio.bitrate_kbps,
        programme.audio.sample_rate
    )
}

fn source_line(source: &Source) -> String {
    let what = match &source.kind {
        SourceKind::Test => "test picture".to_owned(),
        SourceKind::File { path, repeat: true } => format!("file {}, looped", path.display()),
        SourceKind::File { path, .. } => format!("file {}", path.display()),
        SourceKind::Image { path } => format!("image {}", path.display()),
        SourceKind::V4l2 { device } => format!("camera {}", device.display()),
        SourceKind::Alsa { device } => format!("sound of {device}"),
        SourceKind::Pulse { device } => format!("sound of PulseAudio's {}", or_usual(device)),
        SourceKind::Pipewire { target } => format!("sound of PipeWire's {}", or_usual(target)),
        // The URL may carry the camera's password.
        SourceKind::Rtsp { .. } => "RTSP camera".to_owned(),
        SourceKind::Srt {
            mode: SrtMode::Caller,
            host,
            port,
            ..
        } => {
            format!("SRT from {host}:{port}")
        }
        SourceKind::Srt { port, .. } => format!("SRT that calls at port {port}"),
        SourceKind::Rtmp => "pushed over RTMP".to_owned(),
        SourceKind::Screen { display, .. } => format!("screen {display}"),
        SourceKind::Decklink { device, mode } => format!("DeckLink card {device}, {mode}"),
        // The URL may carry a token.
        SourceKind::Html { .. } => "web page".to_owned(),
    };
    format!("{} ({what})", source.id)
}

fn or_usual(name: &Option<String>) -> &str {
    name.as_deref().unwrap_or("usual source")
}

fn destination_line(settings: &Settings, destination: &Destination) -> String {
    let mut line = format!(
        "{}: {} at {}",
        destination.id,
        destination.platform,
        destination.server.public()
    );
    if let Some(backup) = &destination.backup_server {
        let _ = write!(line, ", backup {}", backup.public());
    }
    if !destination.uplinks.is_empty() {
        let by = |id: &String| {
            let uplink = settings.uplinks.iter().find(|uplink| uplink.id == *id);
            uplink.map_or_else(
                || id.clone(),
                |uplink| format!("{id} ({})", uplink.interface),
            )
        };
        let uplinks: Vec<String> = destination.uplinks.iter().map(by).collect();
        let _ = write!(line, ", over {}", uplinks.join(" then "));
    }
    if let Some(end) = guard_ends(destination) {
        let minutes = end.as_secs() / 60;
        let how = match destination.on_limit {
            super::OnLimit::End => "ends",
            super::OnLimit::Rollover => "rolls over",
        };
        let _ = write!(
            line,
            ", {how} after {} h {:02} min",
            minutes / 60,
            minutes % 60
        );
    }
    line
}

/// How long after the first publish the guard acts: the limit less the margin.
fn guard_ends(destination: &Destination) -> Option<Duration> {
    let rules = platform::rules(&destination.platform);
    let platforms = rules.and_then(|rules| rules.limit).map(|limit| limit.value);
    let limit = destination.limit.or(platforms)?;
    Some(limit.saturating_sub(destination.margin.unwrap_or(platform::DEFAULT_MARGIN)))
}

fn on_air_json(settings: &Settings) -> Value {
    let destinations: Vec<Value> = settings
        .destinations
        .iter()
        .map(|destination| {
            json!({
                "id": destination.id,
                "platform": destination.platform,
                "server": destination.server.public(),
                "backup_server": destination.backup_server.as_ref().map(|url| url.public()),
                "uplinks": destination.uplinks,
                "ends_after_s": guard_ends(destination).map(|end| end.as_secs_f64()),
            })
        })
        .collect();
    let sources: Vec<Value> = settings
        .sources
        .iter()
        .map(|source| json!({ "id": source.id, "is": source_line(source) }))
        .collect();
    json!({
        "programme": settings.programme,
        "scene": settings.scenes.first().map(|scene| &scene.id),
        "sources": sources,
        "hold_s": settings.window.hold.as_secs_f64(),
        "delay_s": settings.window.delay.as_secs_f64(),
        "window_bytes": window_bytes(&settings.window, &settings.programme),
        "destinations": destinations,
        "recordings": settings.recordings.iter().map(|recording| &recording.id).collect::<Vec<_>>(),
        "panel": settings.panel.listen,
    })
}
