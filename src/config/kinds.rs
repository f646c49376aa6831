//! `kind` of a source, and the keys that go with each.

use super::environment::{Environment, Look};
use super::inputs::existing_file;
use super::reader::Table;
use super::settings::{SourceKind, SrtMode};
use std::path::{Path, PathBuf};
use url::Url;

#[derive(Clone, Copy)]
enum Kind {
    Test,
    File,
    Image,
    V4l2,
    Alsa,
    Pulse,
    Pipewire,
    Rtsp,
    Srt,
}

const KINDS: [(&str, Kind); 9] = [
    ("test", Kind::Test),
    ("file", Kind::File),
    ("image", Kind::Image),
    ("v4l2", Kind::V4l2),
    ("alsa", Kind::Alsa),
    ("pulse", Kind::Pulse),
    ("pipewire", Kind::Pipewire),
    ("rtsp", Kind::Rtsp),
    ("srt", Kind::Srt),
];

/// None: the kind itself is not known. Some(None): one of its keys is of no use.
pub(super) fn source_kind(
    table: &Table<'_>,
    base: &Path,
    env: &dyn Environment,
) -> Option<Option<SourceKind>> {
    table.missing(
        "kind",
        format!("one of {}", KINDS.map(|(name, _)| name).join(", ")),
    );
    Some(match table.word("kind", &KINDS)? {
        Kind::Test => Some(SourceKind::Test),
        Kind::File => {
            table.missing("path", "for example path = \"clips/opener.mp4\"");
            let path = existing_file(table, "path", "clips/opener.mp4", base, env);
            let repeat = table.boolean("loop").unwrap_or(false);
            path.map(|path| SourceKind::File { path, repeat })
        }
        Kind::Image => {
            table.missing("path", "for example path = \"logo.png\"");
            let path = existing_file(table, "path", "logo.png", base, env);
            path.map(|path| SourceKind::Image { path })
        }
        Kind::V4l2 => {
            table.missing("device", "for example device = \"/dev/video0\"");
            video_device(table, env).map(|device| SourceKind::V4l2 { device })
        }
        Kind::Alsa => {
            table.missing(
                "device",
                "for example device = \"hw:1,0\"; arecord -L lists them",
            );
            let device = named(table, "device", "hw:1,0", "arecord -L lists them");
            device.map(|device| SourceKind::Alsa { device })
        }
        Kind::Pulse => {
            let there = table.has("device");
            let example = "alsa_input.usb-Focusrite_Scarlett-00.analog-stereo";
            let device = named(
                table,
                "device",
                example,
                "pactl list short sources lists them",
            );
            (there == device.is_some()).then_some(SourceKind::Pulse { device })
        }
        Kind::Pipewire => {
            let there = table.has("target");
            let example = "alsa_input.usb-Focusrite_Scarlett-00.analog-stereo";
            let target = named(
                table,
                "target",
                example,
                "pw-cli list-objects Node lists them",
            );
            (there == target.is_some()).then_some(SourceKind::Pipewire { target })
        }
        Kind::Rtsp => {
            table.missing("url", "for example url = \"rtsp://camera.local/stream1\"");
            rtsp_url(table).map(|url| SourceKind::Rtsp { url })
        }
        Kind::Srt => {
            table.missing("url", "for example url = \"srt://encoder.local:9000\"");
            srt(table, base, env)
        }
    })
}

/// A device's name.
fn named(table: &Table<'_>, key: &'static str, example: &str, lists: &str) -> Option<String> {
    let name = table.string(key, example)?;
    if name.trim().is_empty() {
        table.problem(key, "is empty", lists);
        return None;
    }
    Some(name.to_owned())
}

fn video_device(table: &Table<'_>, env: &dyn Environment) -> Option<PathBuf> {
    let device = PathBuf::from(table.string("device", "/dev/video0")?);
    let shown = device.display();
    let (what, instead) = match env.look(&device) {
        Look::CharDevice { readable: true } => return Some(device),
        Look::CharDevice { readable: false } => (
            format!("{shown} can't be opened"),
            "add the user Regia runs as to the group video".to_owned(),
        ),
        Look::Missing => {
            let found: Vec<String> = env
                .video_devices()
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let instead = if found.is_empty() {
                "this machine has no video device; is the camera plugged in and on?".to_owned()
            } else {
                format!("this machine has {}", found.join(", "))
            };
            (format!("there is no device {shown}"), instead)
        }
        Look::Unknown(error) => (
            format!("{shown} can't be looked at: {error}"),
            String::new(),
        ),
        Look::File { .. } | Look::Directory { .. } | Look::Other => (
            format!("{shown} is not a video device"),
            "for example /dev/video0".to_owned(),
        ),
    };
    table.problem("device", what, instead);
    None
}

const SRT_MODES: [(&str, SrtMode); 2] =
    [("caller", SrtMode::Caller), ("listener", SrtMode::Listener)];
/// What SRT itself allows (SRTO_PASSPHRASE).
const PASSPHRASE: std::ops::RangeInclusive<usize> = 10..=79;
const SRT_LATENCY_MS: std::ops::RangeInclusive<u32> = 20..=8_000;

fn srt(table: &Table<'_>, base: &Path, env: &dyn Environment) -> Option<SourceKind> {
    let mode = table.word("mode", &SRT_MODES);
    let mode = mode.unwrap_or(SrtMode::Caller);
    let latency_ms = table.whole("latency_ms", SRT_LATENCY_MS, " ms");
    let file = existing_file(table, "passphrase_file", "srt.passphrase", base, env);
    let passphrase_file = file.filter(|path| is_passphrase(table, path, env));
    let (host, port, stream_id) = srt_url(table, mode)?;
    Some(SourceKind::Srt {
        mode,
        host,
        port,
        stream_id,
        latency_ms: latency_ms.unwrap_or(SrtMode::LATENCY_MS),
        passphrase_file,
    })
}

fn is_passphrase(table: &Table<'_>, path: &Path, env: &dyn Environment) -> bool {
    let key = "passphrase_file";
    if let Look::File { mode, .. } = env.look(path)
        && mode & 0o077 != 0
    {
        let shown = path.display();
        let what = format!("{shown} is open to others (mode {mode:04o})");
        table.warning(key, what, format!("chmod 600 {shown}"));
    }
    match env.read(path) {
        Ok(text) if PASSPHRASE.contains(&text.trim().len()) => return true,
        Ok(_) => {
            let what = "what is in it is no passphrase of SRT, which has from 10 to 79 characters";
            table.problem(key, what, "the sending side must have the same");
        }
        Err(error) => table.problem(key, format!("can't be read: {error}"), ""),
    }
    false
}

/// Host, port and stream id. A stream id may be a password, so nothing of the URL is repeated.
fn srt_url(table: &Table<'_>, mode: SrtMode) -> Option<(String, u16, Option<String>)> {
    let text = table.string("url", "srt://encoder.local:9000")?;
    let example = match mode {
        SrtMode::Caller => "for example \"srt://encoder.local:9000\"",
        SrtMode::Listener => "for example \"srt://:9000\"",
    };
    // "srt://:9000" is how everybody writes a listener, and no URL.
    let text = match text.strip_prefix("srt://:") {
        Some(rest) => format!("srt://0.0.0.0:{rest}"),
        None => text.to_owned(),
    };
    let refuse = |what: &str, instead: &str| {
        table.problem("url", what, instead);
        None
    };
    let url = match Url::parse(&text) {
        Ok(url) => url,
        Err(error) => return refuse(&format!("is not a URL: {error}"), example),
    };
    if url.scheme() != "srt" {
        return refuse("has a scheme that is not srt", example);
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return refuse("names no host", example);
    };
    if mode == SrtMode::Caller && host == "0.0.0.0" {
        let instead = "name the machine to call, or write mode = \"listener\"";
        return refuse("names no host", instead);
    }
    let Some(port) = url.port() else {
        return refuse("names no port, and SRT has none of its own", example);
    };
    let mut stream_id = None;
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "streamid" => stream_id = Some(value.into_owned()),
            "passphrase" => {
                let instead =
                    "write it into a file of mode 0600 and name that with passphrase_file";
                return refuse("has a passphrase in it", instead);
            }
            "mode" | "latency" => {
                let instead = "write mode and latency_ms as keys of the source";
                return refuse(&format!("has {key} in it"), instead);
            }
            _ => {
                return refuse(
                    &format!("has {key:?} in it, which Regia does not know"),
                    "leave it away",
                );
            }
        }
    }
    Some((host.to_owned(), port, stream_id))
}

/// Only looked over: a camera's URL may carry its password, so nothing of it is repeated.
fn rtsp_url(table: &Table<'_>) -> Option<String> {
    let text = table.string("url", "rtsp://camera.local/stream1")?;
    let instead = "for example \"rtsp://camera.local/stream1\"";
    match url::Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "rtsp" | "rtsps" | "rtspt" | "rtspu") => {
            table.problem(
                "url",
                "has a scheme that is not one of rtsp, rtsps, rtspt, rtspu",
                instead,
            );
            None
        }
        Ok(url) if url.host_str().is_none_or(str::is_empty) => {
            table.problem("url", "names no host", instead);
            None
        }
        Ok(_) => Some(text.to_owned()),
        Err(error) => {
            table.problem("url", format!("is not a URL: {error}"), instead);
            None
        }
    }
}
