//! `audio` of a source: a word, or a table of its own.
//!
//! Who hears what when nothing is said: what is only sound (a microphone, a sound desk's feed) is heard always, unless a scene
//! names it; then it is heard in the scenes that do. A picture's own sound follows its picture. But a camera's is off
//! where there is something that is only sound: two microphones in one room are an echo.

use super::desk::*;
use super::inputs::unknown_reference;
use super::picture::Scene;
use super::reader::Table;
use super::report::At;
use super::settings::{Source, SourceKind};
use std::ops::RangeInclusive;

const MODES: [(&str, AudioMode); 3] = [
    ("follow", AudioMode::Follow),
    ("on", AudioMode::On),
    ("off", AudioMode::Off),
];
const CHANNELS: [(&str, Channels); 5] = [
    ("stereo", Channels::Stereo),
    ("left", Channels::Left),
    ("right", Channels::Right),
    ("mono", Channels::Mono),
    ("swap", Channels::Swap),
];

/// A source's audio as far as its own table says it; whose mode is not said is for `settle`.
pub(super) struct Said {
    pub audio: SourceAudio,
    pub mode: Option<AudioMode>,
    /// Ids to give way to, with their places.
    under: Vec<(String, At)>,
}

pub(super) fn audio(source: &Table<'_>) -> Said {
    let mut audio = SourceAudio::default();
    if source.is_string("audio") {
        let mode = source.word("audio", &MODES);
        return Said {
            audio,
            mode,
            under: Vec::new(),
        };
    }
    let table = source.table("audio");
    let mode = table.word("mode", &MODES);
    let gain = number(&table, "gain_db", &GAIN_DB, " dB");
    audio.gain_db = gain.unwrap_or(audio.gain_db);
    audio.mute = table.boolean("mute").unwrap_or(false);
    audio.pan = number(&table, "pan", &PAN, "").unwrap_or(0.0);
    audio.channels = table.word("channels", &CHANNELS).unwrap_or(audio.channels);
    audio.delay_ms = table.whole("delay_ms", DELAY_MS, " ms").unwrap_or(0);
    audio.high_pass_hz = table.whole("high_pass_hz", HIGH_PASS_HZ, " Hz");
    audio.compressor = compressor(&table);
    let under: Vec<(String, At)> = table
        .strings("duck_under", "lectern")
        .into_iter()
        .map(|(id, at)| (id.to_owned(), at))
        .collect();
    let by_db = number(&table, "duck_db", &DUCK_DB, " dB");
    let threshold_db = number(&table, "duck_threshold_db", &THRESHOLD_DB, " dB");
    for key in ["duck_db", "duck_threshold_db"] {
        if table.has(key) && under.is_empty() {
            let what = "says how, but nothing says under which sources";
            table.problem(key, what, "add duck_under = [\"lectern\"]");
        }
    }
    audio.duck = (!under.is_empty()).then(|| Duck {
        under: under.iter().map(|(id, _)| id.clone()).collect(),
        by_db: by_db.unwrap_or(Duck::BY_DB),
        threshold_db: threshold_db.unwrap_or(Duck::THRESHOLD_DB),
    });
    audio.device = table.string("device", "hw:1,0").map(str::to_owned);
    if audio
        .device
        .as_ref()
        .is_some_and(|device| device.trim().is_empty())
    {
        table.problem("device", "is empty", "arecord -L lists them");
    }
    table.finish();
    Said { audio, mode, under }
}

/// `true`, or a table.
fn compressor(audio: &Table<'_>) -> Option<Compressor> {
    if audio.is_boolean("compressor") {
        return audio.boolean("compressor")?.then(Compressor::default);
    }
    if !audio.has("compressor") {
        // Known all the same.
        audio.boolean("compressor");
        return None;
    }
    let table = audio.table("compressor");
    let usual = Compressor::default();
    let number = |key, range, unit, default| number(&table, key, range, unit).unwrap_or(default);
    let compressor = Compressor {
        threshold_db: number("threshold_db", &THRESHOLD_DB, " dB", usual.threshold_db),
        ratio: number("ratio", &RATIO, "", usual.ratio),
        attack_ms: number("attack_ms", &ATTACK_MS, " ms", usual.attack_ms),
        release_ms: number("release_ms", &RELEASE_MS, " ms", usual.release_ms),
        makeup_db: number("makeup_db", &MAKEUP_DB, " dB", usual.makeup_db),
    };
    table.finish();
    Some(compressor)
}

/// A number within `range`; `unit` is said after it.
pub(super) fn number(
    table: &Table<'_>,
    key: &'static str,
    range: &RangeInclusive<f32>,
    unit: &str,
) -> Option<f32> {
    let number = table.number(key)? as f32;
    if range.contains(&number) {
        return Some(number);
    }
    let what = format!(
        "must be from {} to {}{unit}, not {number}",
        range.start(),
        range.end()
    );
    table.problem(key, what, "");
    None
}

/// Fills in what depends on the other sources and on the scenes, and checks whom sources give way to. What was said
/// belongs to the sources one by one.
pub(super) fn settle(
    root: &Table<'_>,
    sources: &mut [Source],
    said: &[Said],
    ids: &[String],
    scenes: &[Scene],
) {
    for (id, at) in said.iter().flat_map(|said| &said.under) {
        if !ids.contains(id) {
            unknown_reference(root.report(), at, "source", id, ids);
        }
    }
    let both = || sources.iter().zip(said);
    let microphones = both()
        .any(|(source, said)| source.kind.is_only_sound() && said.mode != Some(AudioMode::Off));
    let unsaid = |source: &Source| {
        if source.kind.is_only_sound() {
            let shown = scenes.iter().any(|scene| scene.shows(&source.id));
            if shown {
                AudioMode::Follow
            } else {
                AudioMode::On
            }
        } else if microphones && is_camera(&source.kind) {
            AudioMode::Off
        } else {
            AudioMode::Follow
        }
    };
    let modes: Vec<AudioMode> = both()
        .map(|(source, said)| said.mode.unwrap_or_else(|| unsaid(source)))
        .collect();
    for (source, mode) in sources.iter_mut().zip(modes) {
        source.audio.mode = mode;
    }
}

fn is_camera(kind: &SourceKind) -> bool {
    matches!(
        kind,
        SourceKind::V4l2 { .. } | SourceKind::Rtsp { .. } | SourceKind::Decklink { .. }
    )
}
