//! The validated settings: what the rest of Regia may rely on. Made only by `config::load`; every
//! value here is in range and every reference resolves. Pure.

use super::desk::SourceAudio;
use super::picture::{Overlay, Scene, Title};
use super::show::Show;
use crate::media::FrameRate;
use crate::platform::{self, Overrides};
use crate::secret::{Credentials, Secret};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    pub programme: Programme,
    pub window: Window,
    pub sources: Vec<Source>,
    /// There whenever there is a source of that kind.
    pub rtmp: Option<Rtmp>,
    pub scenes: Vec<Scene>,
    pub titles: Vec<Title>,
    pub overlays: Vec<Overlay>,
    pub uplinks: Vec<Uplink>,
    pub destinations: Vec<Destination>,
    pub recordings: Vec<Recording>,
    pub panel: Panel,
    pub session: Session,
    /// Those of the configuration; others are in the store.
    pub shows: Vec<Show>,
    pub alerts: Vec<Alert>,
    pub hooks: Vec<Hook>,
}

/// Somebody who is told.
#[derive(Clone, Debug)]
pub struct Alert {
    pub id: String,
    /// What is less than this is not told.
    pub least: AlertLevel,
    pub way: AlertWay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertLevel {
    Info,
    Warning,
    Problem,
}

#[derive(Clone, Debug)]
pub enum AlertWay {
    Email(Email),
    Webhook(Webhook),
}

#[derive(Clone, Debug)]
pub struct Email {
    pub security: MailSecurity,
    pub host: String,
    pub port: u16,
    pub credentials: Option<Credentials>,
    pub from: String,
    pub to: Vec<String>,
    pub tls_ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// From the first byte.
    Tls,
    StartTls,
    /// On this machine only.
    None,
}

#[derive(Clone, Debug)]
pub struct Webhook {
    /// It may have a token in it.
    pub url: Secret,
    pub form: WebhookForm,
    /// What is sent is signed with it (HMAC-SHA256).
    pub signing: Option<Secret>,
    /// Sent as a bearer token.
    pub token: Option<Secret>,
    /// Telegram's.
    pub chat: Option<String>,
    /// Matrix's.
    pub room: Option<String>,
    pub tls_ca_file: Option<PathBuf>,
}

/// What a webhook wants to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookForm {
    Json,
    Ntfy,
    Matrix,
    Telegram,
}

/// A program that is run at events of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    pub id: String,
    /// The log's words.
    pub on: Vec<String>,
    /// The program's path and its arguments; never read by a shell.
    pub command: Vec<String>,
    pub time_out: Duration,
}

/// What holds for every broadcast.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The scene shown before the guard ends a broadcast; None: the slate.
    pub closing_scene: Option<String>,
    /// For how long.
    pub closing: Duration,
    /// After a crash or a power cut of up to this long a broadcast goes on by itself, where its platform names no time.
    pub resume_within: Duration,
}

/// What the engine is told when it starts (as JSON over the bridge).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineSpec {
    pub programme: Programme,
    pub sources: Vec<Source>,
    pub scenes: Vec<Scene>,
    pub titles: Vec<Title>,
    pub overlays: Vec<Overlay>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Programme {
    pub width: u32,
    pub height: u32,
    pub fps: FrameRate,
    pub video: Video,
    pub audio: Audio,
    /// Each frame carries an SEI stamp (src/stamp.rs).
    pub stamp: bool,
    pub alarms: Alarms,
    /// Where the multiview is shown on the box itself.
    pub multiview: Option<Screen>,
}

/// A screen of the box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Screen {
    /// The whole screen, without a desktop; None: the first connector with something on it.
    Kms { connector: Option<u32> },
    /// A window on an X display.
    X { display: String },
}

/// How long the programme may be so before an operator is told; None: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarms {
    pub black: Option<Duration>,
    pub frozen: Option<Duration>,
    pub silent: Option<Duration>,
}

impl Default for Alarms {
    /// Longer than what shows do on purpose.
    fn default() -> Self {
        Alarms {
            black: Some(Duration::from_secs(3)),
            frozen: Some(Duration::from_secs(10)),
            silent: Some(Duration::from_secs(10)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Video {
    pub encoder: EncoderChoice,
    /// x264's speed preset.
    pub preset: String,
    pub tune: Tune,
    pub bitrate_kbps: u32,
    pub min_bitrate_kbps: u32,
    /// Whole seconds or fractions; GOPs are exactly this long.
    pub keyframe_s: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderChoice {
    Auto,
    X264,
    Openh264,
    Nvenc,
    Vaapi,
    Qsv,
    V4l2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tune {
    /// Lookahead and B-frames.
    Quality,
    /// Neither.
    Latency,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audio {
    pub bitrate_kbps: u32,
    pub sample_rate: u32,
    /// No true peak of the programme is over this, in dBTP; None: it is not limited.
    pub limiter_db: Option<f32>,
    /// How loud the show is meant to be, in LUFS: for the meters. Nothing is changed after it.
    pub target_lufs: f32,
}

impl Audio {
    /// EBU R128 s2 asks for -1 dBTP before a lossy encoder.
    pub const LIMITER_DB: f32 = -1.0;
    /// What platforms turn speech down to, or leave.
    pub const TARGET_LUFS: f32 = -16.0;
}

#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// How old an unsent unit may grow before it is shed.
    pub hold: Duration,
    /// How long every unit waits before it may be sent.
    pub delay: Duration,
    /// Sending speed after an outage, as a multiple of real time; above 1.
    pub catch_up: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub id: String,
    pub kind: SourceKind,
    /// The picture shown when the source is lost; without one, a plain dark frame with the source's id.
    pub slate: Option<PathBuf>,
    pub audio: SourceAudio,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SourceKind {
    Test,
    File {
        path: PathBuf,
        repeat: bool,
    },
    Image {
        path: PathBuf,
    },
    V4l2 {
        device: PathBuf,
    },
    Alsa {
        device: String,
    },
    /// None: the one that PulseAudio takes by itself.
    Pulse {
        device: Option<String>,
    },
    Pipewire {
        target: Option<String>,
    },
    Rtsp {
        url: String,
    },
    Srt {
        mode: SrtMode,
        /// The machine to call; as a listener, the address to be called at.
        host: String,
        port: u16,
        stream_id: Option<String>,
        latency_ms: u32,
        /// The file, not the passphrase: the engine reads it.
        passphrase_file: Option<PathBuf>,
    },
    /// Pushed to the director (`Settings::rtmp`), which hands it over.
    Rtmp,
    /// An X11 display.
    Screen {
        display: String,
        /// The mouse pointer is seen.
        pointer: bool,
    },
    Decklink {
        device: u32,
        /// As GStreamer calls it: "auto", "1080p25", …
        mode: String,
    },
    /// A web page, transparent where it paints nothing.
    Html {
        url: String,
        /// The size it is laid out for, in pixels; None: the programme's.
        size: Option<(u32, u32)>,
    },
}

/// Where encoders push to, and on which keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtmp {
    pub listen: SocketAddr,
    pub keys: Vec<RtmpKey>,
}

/// Who has it is shown in that source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtmpKey {
    pub source: String,
    pub key: StreamKey,
}

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SrtMode {
    Caller,
    Listener,
}

impl SrtMode {
    /// SRT's own: four round trips of 30 ms, in which what is lost is sent again.
    pub const LATENCY_MS: u32 = 120;
}

impl SourceKind {
    /// It never has a picture.
    pub fn is_only_sound(&self) -> bool {
        matches!(
            self,
            SourceKind::Alsa { .. } | SourceKind::Pulse { .. } | SourceKind::Pipewire { .. }
        )
    }
}

/// A way out of the box.
#[derive(Clone, Debug, PartialEq)]
pub struct Uplink {
    pub id: String,
    /// The network interface that every packet of this uplink leaves by.
    pub interface: String,
    /// Name servers asked over this uplink; empty: the system's.
    pub dns: Vec<IpAddr>,
    /// A standby on this uplink keeps to a few kb/s.
    pub metered: bool,
}

#[derive(Clone, Debug)]
pub struct Destination {
    pub id: String,
    /// The platform's word in the configuration ("linkedin", "custom", …); its rules are in src/platform.
    pub platform: String,
    pub server: IngestUrl,
    pub backup_server: Option<IngestUrl>,
    pub key: StreamKey,
    /// Ids of uplinks in order of preference; empty: the system's routing.
    pub uplinks: Vec<String>,
    pub mode: Mode,
    pub resume: Resume,
    pub timeline: Timeline,
    /// With `timeline = "continue"`: the timestamp of the session's start.
    pub timeline_start: Duration,
    pub steer: bool,
    pub mptcp: bool,
    pub tls_ca_file: Option<PathBuf>,
    /// Adobe authentication.
    pub credentials: Option<Credentials>,
    /// Overrides `window.catch_up` for this destination.
    pub catch_up: Option<f64>,
    pub limit: Option<Duration>,
    pub margin: Option<Duration>,
    pub on_limit: OnLimit,
    /// The key of the session that follows; there whenever `on_limit` is `Rollover`, and never the same as `key`.
    pub rollover_key: Option<StreamKey>,
    /// In place of the platform's rules.
    pub rules: Overrides,
}

impl Destination {
    /// It with the key of another slot, where one is named.
    pub fn with_slot(&self, slot: Option<&String>) -> Destination {
        let mut destination = self.clone();
        if let Some(slot) = slot {
            destination.key = StreamKey::Slot(slot.clone());
        }
        destination
    }

    /// The platform's rules with this destination's own.
    pub fn rules(&self) -> platform::Rules {
        platform::or_custom(&self.platform).with(&self.rules)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamKey {
    /// From the configuration, a file or the environment.
    Given(Secret),
    /// In the store, by the name of its slot. Never shown: a key pasted there looks exactly like a name.
    Slot(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Failover,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    Replay,
    Live,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeline {
    Restart,
    Continue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLimit {
    End,
    Rollover,
}

/// A server URL taken apart without changing a letter of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestUrl {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// Everything behind `host:port/`, verbatim, with its query: may have several segments.
    pub app: String,
    /// The whole URL as the platform gave it, without a trailing slash: what goes into `tcUrl`.
    pub tc_url: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    pub id: String,
    pub kind: RecordingKind,
    /// A directory.
    pub path: PathBuf,
    /// Every broadcast makes it; else a step of a show does.
    pub auto: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingKind {
    /// The exact encoded programme, bit for bit, as FLV.
    Copy,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub listen: SocketAddr,
    pub tls: PanelTls,
    pub obs_websocket: Option<ObsWebsocket>,
}

/// Other makers' desks, by OBS's protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct ObsWebsocket {
    pub listen: SocketAddr,
    /// None: on loopback only.
    pub password: Option<Secret>,
    /// Off: on loopback only.
    pub tls: PanelTls,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PanelTls {
    /// Plain HTTP: on loopback only.
    Off,
    /// A certificate of the daemon's own, kept in its state.
    Own,
    /// PEM.
    Files { certificate: PathBuf, key: PathBuf },
}
