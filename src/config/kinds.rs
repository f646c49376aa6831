//! `kind` of a source, and the keys that go with each.

use super::environment::{Environment, Look};
use super::inputs::existing_file;
use super::key::{Given, KEY};
use super::reader::Table;
use super::settings::{Rtmp, RtmpKey, SourceKind, SrtMode, StreamKey};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
    Rtmp,
    Screen,
    Decklink,
    Html,
}

/// What a source's kind is, with its keys.
pub(super) struct Read {
    pub kind: SourceKind,
    /// What encoders push to it with.
    pub key: Option<StreamKey>,
}

impl From<SourceKind> for Read {
    fn from(kind: SourceKind) -> Self {
        Read { kind, key: None }
    }
}

const KINDS: [(&str, Kind); 13] = [
    ("test", Kind::Test),
    ("file", Kind::File),
    ("image", Kind::Image),
    ("v4l2", Kind::V4l2),
    ("alsa", Kind::Alsa),
    ("pulse", Kind::Pulse),
    ("pipewire", Kind::Pipewire),
    ("rtsp", Kind::Rtsp),
    ("srt", Kind::Srt),
    ("rtmp", Kind::Rtmp),
    ("screen", Kind::Screen),
    ("decklink", Kind::Decklink),
    ("html", Kind::Html),
];

/// None: the kind itself is not known. Some(None): one of its keys is of no use.
pub(super) fn source_kind(
    table: &Table<'_>,
    base: &Path,
    env: &dyn Environment,
) -> Option<Option<Read>> {
    table.missing(
        "kind",
        format!("one of {}", KINDS.map(|(name, _)| name).join(", ")),
    );
    let kind = match table.word("kind", &KINDS)? {
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
        Kind::Rtmp => {
            let key = rtmp_key(table, base, env);
            return Some(key.map(|key| Read {
                kind: SourceKind::Rtmp,
                key: Some(key),
            }));
        }
        Kind::Screen => {
            let display = table.string("display", USUAL_DISPLAY);
            let pointer = table.boolean("pointer").unwrap_or(true);
            let there = table.has("display");
            match display.unwrap_or(USUAL_DISPLAY) {
                _ if there && display.is_none() => None,
                display if display.contains(':') => Some(SourceKind::Screen {
                    display: display.to_owned(),
                    pointer,
                }),
                _ => {
                    let what = "is not an X display";
                    table.problem(
                        "display",
                        what,
                        "for example \":0\"; echo $DISPLAY says which",
                    );
                    None
                }
            }
        }
        Kind::Decklink => {
            let device = table.whole("device", 0..=31, "").unwrap_or(0);
            let mode = table.string("mode", "1080p25").unwrap_or("auto").to_owned();
            Some(SourceKind::Decklink { device, mode })
        }
        Kind::Html => {
            table.missing("url", "for example url = \"https://score.example/overlay\"");
            html(table, base, env)
        }
    };
    Some(kind.map(Read::from))
}

const USUAL_DISPLAY: &str = ":0";
/// As programmes are.
const PAGE_SIZE: std::ops::RangeInclusive<u32> = 16..=7_680;
/// Short keys are guessed by whoever reaches the port.
const SHORT_KEY: usize = 8;

fn rtmp_key(table: &Table<'_>, base: &Path, env: &dyn Environment) -> Option<StreamKey> {
    match KEY.read(table, base, env) {
        Given::Secret(key) => {
            if key.expose().len() < SHORT_KEY {
                let what = "is short, and whoever guesses it is on air";
                table.warning(
                    "key",
                    what,
                    format!("at least {SHORT_KEY} letters and digits"),
                );
            }
            Some(StreamKey::Given(key))
        }
        Given::Slot(name) => Some(StreamKey::Slot(name)),
        Given::Broken => None,
        Given::Absent => {
            let what = "is missing: whoever reaches the port would be on air";
            let instead =
                "choose one, and give it to the encoder: key_file, key_secret, key_env or key";
            table.report().absence(&table.at("key"), what, instead);
            None
        }
    }
}

/// Looked over only: it may carry a token, so nothing of it is repeated.
fn html(table: &Table<'_>, base: &Path, env: &dyn Environment) -> Option<SourceKind> {
    let width = table.whole("width", PAGE_SIZE, " pixels");
    let height = table.whole("height", PAGE_SIZE, " pixels");
    let size = match (width, height) {
        (Some(width), Some(height)) => Some((width, height)),
        (None, None) => None,
        (given, _) => {
            let (there, lacks) = if given.is_some() {
                ("width", "height")
            } else {
                ("height", "width")
            };
            if !table.has(lacks) {
                table.problem(
                    there,
                    format!("has no {lacks} beside it"),
                    "give both or neither",
                );
            }
            None
        }
    };
    let example = "for example \"https://score.example/overlay\" or \"overlay.html\"";
    let text = table.string("url", "https://score.example/overlay")?;
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https" | "file") => url.to_string(),
        Ok(_) => {
            let what = "has a scheme that is not one of http, https, file";
            table.problem("url", what, example);
            return None;
        }
        // A file beside the configuration.
        Err(_) => {
            let path = existing_file(table, "url", "overlay.html", base, env)?;
            let absolute = std::path::absolute(&path).unwrap_or(path);
            match Url::from_file_path(&absolute) {
                Ok(url) => url.to_string(),
                Err(()) => {
                    table.problem("url", "is no address of a page", example);
                    return None;
                }
            }
        }
    };
    Some(SourceKind::Html { url, size })
}

/// `[rtmp]`: where encoders push to. `keys` are those of the sources that there are.
pub(super) fn rtmp(root: &Table<'_>, keys: Vec<RtmpKey>) -> Option<Rtmp> {
    let table = root.table("rtmp");
    let mut listen = RTMP_LISTEN;
    if let Some(text) = table.string("listen", "0.0.0.0:1935") {
        match text.parse() {
            Ok(address) => listen = address,
            Err(_) => {
                let what = format!("{text:?} is not an address with a port");
                table.problem("listen", what, "for example \"0.0.0.0:1935\"");
            }
        }
    }
    table.finish();
    if keys.is_empty() {
        if root.has("rtmp") {
            let what = "nothing is listened to: there is no source of kind \"rtmp\"";
            table.report().warning(table.here(), what, "");
        }
        return None;
    }
    for (n, RtmpKey { source, key }) in keys.iter().enumerate() {
        if let Some(same) = keys[..n].iter().find(|other| other.key == *key) {
            let at = table.report().at_path(&format!("source {source:?}"));
            let what = format!(
                "has the key of source {:?}: an encoder would be shown in either",
                same.source
            );
            table.report().absence(&at, what, "give each its own");
        }
    }
    Some(Rtmp { listen, keys })
}

/// What encoders expect, on every interface: venues' networks hand out addresses.
const RTMP_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 1935);

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
