//! Regia in OBS's words: scenes, inputs, transitions and outputs, as they are at one moment. Pure.
//!
//! Regia's sources are OBS's inputs, and ids are names: they are what a configuration keeps when a scene is called otherwise, so that
//! no button of a desk points to nothing. All destinations together are the stream, all recordings together the recording.

use crate::bridge::mix::{MixState, Running};
use crate::config::{Layer, Settings, SourceKind, Transition, TransitionKind};
use crate::session::machine::State;
use crate::session::{RecordingView, Status};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    pub scenes: Vec<Scene>,
    pub inputs: Vec<Input>,
    pub programme: Option<String>,
    pub preview: Option<String>,
    pub transition: Option<Running>,
    /// Sources that are seen in the programme, and those in programme or preview.
    pub active: BTreeSet<String>,
    pub showing: BTreeSet<String>,
    pub stream: Stream,
    /// What may be recorded.
    pub recordings: Vec<String>,
    pub recording: Vec<Recording>,
    pub picture: Picture,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    pub id: String,
    /// Of its layers that show one, lowest first: sources, each with its place in fractions of the frame.
    pub items: Vec<(String, [f64; 4])>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    pub id: String,
    pub kind: &'static str,
    pub muted: bool,
    pub gain_db: f32,
}

/// How far a broadcast is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Stopped,
    Starting,
    Started,
    /// On air, and somewhere just now it is not.
    Reconnecting,
    Stopping,
}

impl Phase {
    fn of(state: State) -> Self {
        match state {
            State::Off | State::Standby | State::Ended => Phase::Stopped,
            State::Connecting => Phase::Starting,
            State::Rehearsal | State::OnAir | State::BackupUplink | State::Slate => Phase::Started,
            State::Degraded => Phase::Reconnecting,
            State::Ending => Phase::Stopping,
        }
    }

    pub fn is_active(self) -> bool {
        !matches!(self, Phase::Stopped | Phase::Starting)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    pub phase: Phase,
    /// What a stop names.
    pub session: Option<String>,
    pub elapsed_s: f64,
    /// Of the fullest hold, from 0 to 1.
    pub congestion: f64,
    pub bytes: u64,
    pub skipped_frames: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    pub id: String,
    pub file: String,
    pub for_s: f64,
    pub by_hand: bool,
    pub ending: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    /// Frames a second, as a fraction.
    pub rate: (u32, u32),
    /// 0 while no engine gives any.
    pub fps: f64,
    /// Made, and left out by a slow machine, since the engine started.
    pub frames: u64,
    pub dropped: u64,
}

impl View {
    pub fn new(settings: &Settings, status: &Status) -> Self {
        let mix = status.mix.as_ref();
        let seen = |scene: Option<&String>| sources_of(settings, scene);
        let leaving = mix.and_then(|mix| mix.transition.as_ref());
        let mut active = seen(status.scene.as_ref());
        active.extend(seen(leaving.map(|running| &running.from)));
        active.extend(keyed(settings, mix));
        let mut showing = active.clone();
        showing.extend(seen(status.preview.as_ref()));
        let programme = &settings.programme;
        let gives = status.state != State::Off && status.engine_pid.is_some();
        View {
            scenes: settings.scenes.iter().map(scene).collect(),
            inputs: settings
                .sources
                .iter()
                .map(|source| {
                    let now = mix.and_then(|mix| mix.audio.get(&source.id));
                    let audio = now.unwrap_or(&source.audio);
                    Input {
                        id: source.id.clone(),
                        kind: kind(&source.kind),
                        muted: audio.mute,
                        gain_db: audio.gain_db,
                    }
                })
                .collect(),
            programme: status.scene.clone(),
            preview: status.preview.clone(),
            transition: leaving.cloned(),
            active,
            showing,
            stream: stream(status),
            recordings: settings
                .recordings
                .iter()
                .map(|one| one.id.clone())
                .collect(),
            recording: status.recordings.iter().map(recording).collect(),
            picture: Picture {
                width: programme.width,
                height: programme.height,
                rate: (programme.fps.num, programme.fps.den),
                fps: if gives { programme.fps.as_f64() } else { 0.0 },
                frames: (status.elapsed_s * programme.fps.as_f64()) as u64,
                dropped: status.dropped_frames,
            },
        }
    }

    /// How far the recordings are, all together.
    pub fn record_phase(&self) -> Phase {
        match self.recording.iter().any(|one| !one.ending) {
            true => Phase::Started,
            false if self.recording.is_empty() => Phase::Stopped,
            false => Phase::Stopping,
        }
    }

    pub fn input(&self, id: &str) -> Option<&Input> {
        self.inputs.iter().find(|input| input.id == id)
    }
}

fn sources_of(settings: &Settings, scene: Option<&String>) -> BTreeSet<String> {
    let all = settings.scenes.iter();
    let scenes = all.filter(|its| Some(&its.id) == scene);
    scenes
        .flat_map(|scene| scene.sources().map(str::to_owned))
        .collect()
}

/// Sources that lie over the programme as keys.
fn keyed(settings: &Settings, mix: Option<&MixState>) -> Vec<String> {
    let on: Vec<&str> = mix
        .map(|mix| mix.overlays.iter().filter(|overlay| overlay.on))
        .into_iter()
        .flatten()
        .map(|overlay| overlay.id.as_str())
        .collect();
    let overlays = settings.overlays.iter();
    overlays
        .filter(|overlay| on.contains(&overlay.id.as_str()))
        .filter_map(|overlay| overlay.layer.content.source())
        .map(str::to_owned)
        .collect()
}

fn scene(scene: &crate::config::Scene) -> Scene {
    let item = |layer: &Layer| {
        let place = layer.place;
        let place = [place.x, place.y, place.width, place.height];
        Some((layer.content.source()?.to_owned(), place))
    };
    let mut layers: Vec<&Layer> = scene.layers.iter().collect();
    layers.sort_by_key(|layer| layer.z);
    Scene {
        id: scene.id.clone(),
        items: layers.into_iter().filter_map(item).collect(),
    }
}

/// The configuration's word, under a prefix of Regia's own: what OBS calls its kinds has settings that Regia's don't.
fn kind(kind: &SourceKind) -> &'static str {
    match kind {
        SourceKind::Test => "regia_test",
        SourceKind::File { .. } => "regia_file",
        SourceKind::Image { .. } => "regia_image",
        SourceKind::V4l2 { .. } => "regia_v4l2",
        SourceKind::Alsa { .. } => "regia_alsa",
        SourceKind::Pulse { .. } => "regia_pulse",
        SourceKind::Pipewire { .. } => "regia_pipewire",
        SourceKind::Rtsp { .. } => "regia_rtsp",
        SourceKind::Srt { .. } => "regia_srt",
        SourceKind::Rtmp => "regia_rtmp",
        SourceKind::Screen { .. } => "regia_screen",
        SourceKind::Decklink { .. } => "regia_decklink",
        SourceKind::Html { .. } => "regia_html",
    }
}

fn stream(status: &Status) -> Stream {
    let full = |used: f64, hold: f64| {
        if hold > 0.0 {
            (used / hold).min(1.0)
        } else {
            0.0
        }
    };
    let deliveries = || status.destinations.iter().map(|view| &view.delivery);
    let congestion = deliveries().map(|to| full(to.hold_used_s, to.hold_s));
    // What was acknowledged, at the encoder's present bitrate: nobody counts bytes of media.
    let delivered_s: f64 = deliveries().map(|to| to.delivered_s).sum();
    Stream {
        phase: Phase::of(status.state),
        session: status.session.as_ref().map(ToString::to_string),
        elapsed_s: status.elapsed_s,
        congestion: congestion.fold(0.0, f64::max),
        bytes: (delivered_s * f64::from(status.video_kbps) * 125.0) as u64,
        skipped_frames: status.dropped_frames,
    }
}

fn recording(view: &RecordingView) -> Recording {
    Recording {
        id: view.id.clone(),
        file: view.file.clone(),
        for_s: view.for_s,
        by_hand: view.by_hand,
        ending: view.ending,
    }
}

/// How takes from other desks go; one for all of them, as in OBS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// None: each scene's own transition.
    pub kind: Option<TransitionKind>,
    pub ms: u32,
}

impl Default for Chosen {
    fn default() -> Self {
        Chosen {
            kind: None,
            ms: Transition::USUAL_MS,
        }
    }
}

/// Each scene's own transition.
const SCENES_OWN: &str = "Scene's own";

impl Chosen {
    pub const ALL: [(Option<TransitionKind>, &str, &str); 7] = [
        (None, SCENES_OWN, "regia_scene"),
        (Some(TransitionKind::Cut), "Cut", "cut_transition"),
        (Some(TransitionKind::Fade), "Fade", "fade_transition"),
        (Some(TransitionKind::Dip), "Dip", "fade_to_color_transition"),
        (Some(TransitionKind::Slide), "Slide", "slide_transition"),
        (Some(TransitionKind::Push), "Push", "swipe_transition"),
        (Some(TransitionKind::Wipe), "Wipe", "wipe_transition"),
    ];

    /// What a take is told; None: nothing, so that the scene's own holds.
    pub fn transition(self) -> Option<Transition> {
        let kind = self.kind?;
        Some(Transition {
            kind,
            ms: if kind == TransitionKind::Cut {
                0
            } else {
                self.ms
            },
            from: Transition::CUT.from,
        })
    }

    /// It has no length of its own that could be set.
    pub fn is_fixed(kind: Option<TransitionKind>) -> bool {
        matches!(kind, None | Some(TransitionKind::Cut))
    }
}

pub fn transition_name(kind: Option<TransitionKind>) -> &'static str {
    let mut all = Chosen::ALL.iter();
    all.find(|(its, ..)| *its == kind)
        .map_or(SCENES_OWN, |(_, name, _)| name)
}

pub fn transition_named(name: &str) -> Option<Option<TransitionKind>> {
    let mut all = Chosen::ALL.iter();
    all.find(|(_, its, _)| its.eq_ignore_ascii_case(name))
        .map(|(kind, ..)| *kind)
}

/// OBS knows things by UUID as well. The same thing has the same one for ever (RFC 9562's version 8: of its kind and its name).
pub fn uuid(what: &str, id: &str) -> String {
    let hash = digest(&SHA256, format!("regia {what} {id}").as_bytes());
    let mut bytes: [u8; 16] = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (n, byte) in bytes.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `{"sceneName":…,"sceneUuid":…}`, for any kind of thing.
pub fn named(what: &str, id: &str) -> Value {
    let mut value = json!({});
    value[format!("{what}Name")] = id.into();
    value[format!("{what}Uuid")] = uuid(what, id).into();
    value
}

/// "01:02:03.456"
pub fn timecode(seconds: f64) -> String {
    let ms = (seconds.max(0.0) * 1_000.0) as u64;
    let (s, ms) = (ms / 1_000, ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3_600, s / 60 % 60, s % 60)
}

/// dB as a factor of amplitude, and back.
pub fn mul_of(db: f32) -> f64 {
    10f64.powf(f64::from(db) / 20.0)
}

/// To two places, which f32 does not show by itself.
pub fn decibels(db: f32) -> f64 {
    (f64::from(db) * 100.0).round() / 100.0
}

pub fn db_of(mul: f64) -> f64 {
    20.0 * mul.log10()
}

/// The scenes in OBS's order: its first is the lowest of its list, and has the index 0.
pub fn scene_list(view: &View) -> Value {
    let listed = view.scenes.iter().rev().enumerate().map(|(index, scene)| {
        let mut value = named("scene", &scene.id);
        value["sceneIndex"] = index.into();
        value
    });
    Value::Array(listed.collect())
}

/// Of a sentence that says what there is instead.
pub fn known<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<&str> = ids.collect();
    if ids.is_empty() {
        return "the configuration has none".to_owned();
    }
    format!("there are {}", ids.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_has_its_own_uuid_for_ever() {
        let wide = uuid("scene", "wide");
        assert_eq!(wide, uuid("scene", "wide"));
        assert_ne!(wide, uuid("input", "wide"));
        assert_ne!(wide, uuid("scene", "near"));
        assert_eq!(wide.len(), 36);
        assert_eq!(&wide[14..15], "8", "{wide}");
        assert!(matches!(&wide[19..20], "8" | "9" | "a" | "b"), "{wide}");
    }

    #[test]
    fn times_and_volumes() {
        assert_eq!(timecode(3_723.456_7), "01:02:03.456");
        assert_eq!(timecode(-1.0), "00:00:00.000");
        assert_eq!(timecode(360_000.0), "100:00:00.000");
        assert!((mul_of(-6.0) - 0.501).abs() < 0.001);
        assert!((db_of(mul_of(-23.0)) + 23.0).abs() < 1e-4);
        assert_eq!(db_of(0.0), f64::NEG_INFINITY);
    }

    #[test]
    fn the_way_of_takes() {
        assert_eq!(Chosen::default().transition(), None);
        let fade = Chosen {
            kind: transition_named("fade").unwrap(),
            ms: 800,
        };
        assert_eq!(fade.transition().map(|its| its.ms), Some(800));
        assert_eq!(transition_named("Explode"), None);
        assert_eq!(
            transition_name(transition_named(SCENES_OWN).unwrap()),
            SCENES_OWN
        );
        for (kind, name, _) in Chosen::ALL {
            assert_eq!(transition_named(name), Some(kind));
        }
    }

    #[test]
    fn scenes_are_in_obs_s_order() {
        let scene = |id: &str| Scene {
            id: id.to_owned(),
            items: Vec::new(),
        };
        let view = View {
            scenes: vec![scene("first"), scene("second")],
            ..View::default()
        };
        let list = scene_list(&view);
        assert_eq!(
            (&list[0]["sceneName"], &list[0]["sceneIndex"]),
            (&json!("second"), &json!(0))
        );
        assert_eq!(
            (&list[1]["sceneName"], &list[1]["sceneIndex"]),
            (&json!("first"), &json!(1))
        );
    }
}
