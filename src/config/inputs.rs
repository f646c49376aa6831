//! `[[source]]`: what can be shown and heard.

use super::environment::{Environment, Look};
use super::reader::{Table, did_you_mean};
use super::report::{At, Report};
use super::settings::{Source, SourceKind};
use super::sound;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Ids become file names and arguments, and are said over the intercom.
const LONGEST_ID: usize = 40;

/// Reads the id of each table; reports those that are missing, unfit or there twice.
pub(super) fn ids(tables: &[Table<'_>]) -> Vec<Option<String>> {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ids = Vec::new();
    for table in tables {
        let id = table.string("id", "main");
        table.missing("id", "for example id = \"main\"");
        ids.push(id.map(str::to_owned));
        let Some(id) = id else { continue };
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if id.is_empty()
            || id.len() > LONGEST_ID
            || !id.bytes().all(fits)
            || id.starts_with(['-', '_'])
        {
            let what = format!(
                "an id is up to {LONGEST_ID} letters (a to z), digits, - and _, and starts with a letter or digit"
            );
            table.problem("id", what, "");
        } else if let Some(line) = lines.get(id) {
            table.problem(
                "id",
                format!("{id:?} is used already, on line {line}"),
                "take another",
            );
        } else {
            lines.insert(id, table.report().line_of(&table.at("id")));
        }
    }
    ids
}

#[derive(Clone, Copy)]
enum Kind {
    Test,
    File,
    Image,
    V4l2,
    Alsa,
    Rtsp,
}

const KINDS: [(&str, Kind); 6] = [
    ("test", Kind::Test),
    ("file", Kind::File),
    ("image", Kind::Image),
    ("v4l2", Kind::V4l2),
    ("alsa", Kind::Alsa),
    ("rtsp", Kind::Rtsp),
];
/// Kinds of the design that this version can't capture yet.
const LATER_KINDS: [&str; 5] = ["pipewire", "srt", "rtmp", "screen", "decklink"];

/// The sources, and the ids of all of them, whether they could be read or not.
pub(super) fn sources(
    root: &Table<'_>,
    base: &Path,
    env: &dyn Environment,
) -> (Vec<Source>, Vec<sound::Said>, Vec<String>) {
    let tables = root.tables("source");
    let ids = ids(&tables);
    let mut sources = Vec::new();
    let mut sounds = Vec::new();
    for (table, id) in tables.iter().zip(&ids) {
        let kind = source_kind(table, base, env);
        let slate = existing_file(table, "slate", "slate.png", base, env);
        let said = sound::audio(table);
        // Of a kind that was not understood no key can be called unknown.
        if kind.is_some() {
            table.finish();
        }
        if let (Some(id), Some(Some(kind))) = (id, kind) {
            let id = id.clone();
            sources.push(Source {
                id,
                kind,
                slate,
                audio: said.audio.clone(),
            });
            sounds.push(said);
        }
    }
    if root.lacks("source") {
        let what = "is missing: there is nothing to show";
        let instead = "for example [[source]] with id = \"stage\" and kind = \"v4l2\"";
        root.report().absence(&root.at("source"), what, instead);
    }
    (sources, sounds, ids.into_iter().flatten().collect())
}

/// None: the kind itself is not known. Some(None): one of its keys is of no use.
fn source_kind(
    table: &Table<'_>,
    base: &Path,
    env: &dyn Environment,
) -> Option<Option<SourceKind>> {
    table.missing("kind", "one of test, file, image, v4l2, alsa, rtsp");
    let later = table.string_if_known("kind", &LATER_KINDS);
    if let Some(later) = later {
        let what = format!("this version of Regia has no {later} sources yet");
        table.problem("kind", what, "it has test, file, image, v4l2, alsa, rtsp");
        return None;
    }
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
            let device = table.string("device", "hw:1,0");
            device.and_then(|device| {
                if device.trim().is_empty() {
                    table.problem("device", "is empty", "arecord -L lists them");
                    return None;
                }
                let device = device.to_owned();
                Some(SourceKind::Alsa { device })
            })
        }
        Kind::Rtsp => {
            table.missing("url", "for example url = \"rtsp://camera.local/stream1\"");
            rtsp_url(table).map(|url| SourceKind::Rtsp { url })
        }
    })
}

/// A file named by `key`, which must be there; its path from `base` on.
pub(super) fn existing_file(
    table: &Table<'_>,
    key: &'static str,
    example: &str,
    base: &Path,
    env: &dyn Environment,
) -> Option<PathBuf> {
    let path = base.join(table.string(key, example)?);
    let shown = path.display();
    let (what, instead) = match env.look(&path) {
        Look::File { readable: true, .. } => return Some(path),
        Look::File { .. } => (
            format!("{shown} can't be read"),
            "it must be readable for the user Regia runs as",
        ),
        Look::Missing => (
            format!("{shown} does not exist"),
            "a relative path starts at the configuration's directory",
        ),
        Look::Unknown(error) => (format!("{shown} can't be looked at: {error}"), ""),
        Look::Directory { .. } | Look::CharDevice { .. } | Look::Other => {
            (format!("{shown} is not a file"), "")
        }
    };
    table.problem(key, what, instead);
    None
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

/// Reports a name that nothing of that kind bears.
pub(super) fn unknown_reference(
    report: &Report<'_>,
    at: &At,
    kind: &str,
    name: &str,
    known: &[String],
) {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let instead = match did_you_mean(name, &known) {
        near if !near.is_empty() => near,
        _ if known.is_empty() => format!("add [[{kind}]] with id = {name:?}"),
        _ => format!("there are {}", known.join(", ")),
    };
    report.absence(at, format!("there is no {kind} {name:?}"), instead);
}
