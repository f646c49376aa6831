//! The sections that there is one of: `[programme]`, `[window]` and `[session]`; `[panel]` is in `panel`.

use super::inputs::unknown_reference;
use super::picture::Scene;
use super::reader::Table;
use super::settings::{
    Alarms, Audio, Destination, EncoderChoice, Programme, Screen, Session, Tune, Video, Window,
};
use super::sound;
use crate::media::FrameRate;
use crate::platform;
use std::ops::RangeInclusive;
use std::time::Duration;

const ENCODERS: [(&str, EncoderChoice); 7] = [
    ("auto", EncoderChoice::Auto),
    ("x264", EncoderChoice::X264),
    ("openh264", EncoderChoice::Openh264),
    ("nvenc", EncoderChoice::Nvenc),
    ("vaapi", EncoderChoice::Vaapi),
    ("qsv", EncoderChoice::Qsv),
    ("v4l2", EncoderChoice::V4l2),
];
const TUNES: [(&str, Tune); 2] = [("quality", Tune::Quality), ("latency", Tune::Latency)];
/// x264's own, fastest first.
const PRESETS: [&str; 10] = [
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
];

const DEFAULT_BITRATE_KBPS: u32 = 6_000;
/// Under this a talking head in 1080p falls apart; an operator may go lower only by saying so.
const DEFAULT_FLOOR_KBPS: u32 = 2_000;
/// What every platform asks for or takes (PLATFORMS: two seconds, four at most).
const DEFAULT_KEYFRAME_S: f64 = 2.0;
const DEFAULT_HOLD: Duration = Duration::from_secs(30);
const LONGEST_HOLD: Duration = Duration::from_secs(7 * 24 * 3_600);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
const DEFAULT_CATCH_UP: f64 = 2.0;
const CEILING_DB: RangeInclusive<f32> = -20.0..=0.0;
const TARGET_LUFS: RangeInclusive<f32> = -40.0..=-5.0;
const LONGEST_ALARM: Duration = Duration::from_secs(3_600);
const FASTEST_CATCH_UP: f64 = 10.0;

pub(super) fn programme(root: &Table<'_>) -> Programme {
    let table = root.table("programme");
    let width = even(&table, "width", 128..=7_680).unwrap_or(1_920);
    let height = even(&table, "height", 72..=4_320).unwrap_or(1_080);
    let fps = frame_rate(&table).unwrap_or(FrameRate { num: 30, den: 1 });
    let video = video(&table, fps);
    let audio = audio(&table);
    let stamp = table.boolean("stamp").unwrap_or(true);
    let alarms = alarms(&table);
    let multiview = multiview(&table);
    table.finish();
    Programme {
        width,
        height,
        fps,
        video,
        audio,
        stamp,
        alarms,
        multiview,
    }
}

/// `kms`, `kms:CONNECTOR` or an X display.
fn multiview(table: &Table<'_>) -> Option<Screen> {
    const KMS: &str = "kms";
    let text = table.string("multiview", KMS)?;
    let screen = parse_screen(text);
    if screen.is_none() {
        let what = format!("{text:?} is no screen");
        let instead = "\"kms\" takes the screen that is plugged in, \"kms:33\" that at connector 33 (`modetest -c` lists them), and \":0\" is an X display";
        table.problem("multiview", what, instead);
    }
    screen
}

fn parse_screen(text: &str) -> Option<Screen> {
    match text.strip_prefix("kms") {
        Some("") => Some(Screen::Kms { connector: None }),
        Some(rest) => {
            let connector = rest.strip_prefix(':')?.parse().ok()?;
            // GStreamer's property is signed.
            (connector <= i32::MAX as u32).then_some(Screen::Kms {
                connector: Some(connector),
            })
        }
        None => text.contains(':').then(|| Screen::X {
            display: text.to_owned(),
        }),
    }
}

/// `[programme.alarms]`: seconds; 0 is never.
fn alarms(programme: &Table<'_>) -> Alarms {
    let table = programme.table("alarms");
    let limit = |key, default: Option<Duration>| match table
        .duration(key, Duration::ZERO..=LONGEST_ALARM)
    {
        Some(limit) => (!limit.is_zero()).then_some(limit),
        None => default,
    };
    let default = Alarms::default();
    let alarms = Alarms {
        black: limit("black_s", default.black),
        frozen: limit("frozen_s", default.frozen),
        silent: limit("silent_s", default.silent),
    };
    table.finish();
    alarms
}

/// Long enough to be read, short enough for every margin.
const DEFAULT_CLOSING: Duration = Duration::from_secs(10);
const LONGEST_CLOSING: Duration = Duration::from_secs(600);
/// A box restarts within a minute or two; after five an audience has gone, and nobody expects a camera to be on air.
const DEFAULT_RESUME: Duration = Duration::from_secs(300);
const LONGEST_RESUME: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn session(root: &Table<'_>, scenes: &[Scene], destinations: &[Destination]) -> Session {
    let table = root.table("session");
    let ids: Vec<String> = scenes.iter().map(|scene| scene.id.clone()).collect();
    let closing_scene = table.string("closing_scene", "closing").and_then(|scene| {
        if !ids.iter().any(|id| id == scene) {
            let at = table.at("closing_scene");
            unknown_reference(table.report(), &at, "scene", scene, &ids);
            return None;
        }
        Some(scene.to_owned())
    });
    let closing = table
        .duration("closing_s", Duration::ZERO..=LONGEST_CLOSING)
        .unwrap_or(DEFAULT_CLOSING);
    let resume_within = table
        .duration("resume_within_s", Duration::ZERO..=LONGEST_RESUME)
        .unwrap_or(DEFAULT_RESUME);
    for destination in destinations {
        let limit = destination.rules().limit.map(|limit| limit.value);
        let margin = destination.margin.unwrap_or(platform::DEFAULT_MARGIN);
        if table.has("closing_s") && destination.limit.or(limit).is_some() && closing >= margin {
            let what = format!(
                "the closing scene of {} s does not fit into the margin of destination {:?}, {} s",
                closing.as_secs_f64(),
                destination.id,
                margin.as_secs_f64()
            );
            table.problem("closing_s", what, "shorten it, or give a longer margin_s");
        }
    }
    table.finish();
    Session {
        closing_scene,
        closing,
        resume_within,
    }
}

/// H.264 in 4:2:0 halves the colours' resolution, so an odd size can't be coded.
fn even(table: &Table<'_>, key: &'static str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let size = table.whole(key, range, " pixels")?;
    if size % 2 == 1 {
        let instead = format!("{} or {}", size - 1, size + 1);
        table.problem(key, format!("must be even, not {size}"), instead);
        return None;
    }
    Some(size)
}

/// A whole number, or a fraction in a string.
fn frame_rate(table: &Table<'_>) -> Option<FrameRate> {
    if !table.is_string("fps") {
        let num = table.whole("fps", 1..=120, " frames per second")?;
        return Some(FrameRate { num, den: 1 });
    }
    let text = table.string("fps", "30000/1001")?;
    let rate = parse_frame_rate(text);
    if rate.is_none() {
        let what = format!(
            "must be frames per second from 1 to 120 as a number or a fraction, not {text:?}"
        );
        table.problem("fps", what, "for example 30 or \"30000/1001\"");
    }
    rate
}

fn parse_frame_rate(text: &str) -> Option<FrameRate> {
    let (num, den) = text.split_once('/').unwrap_or((text, "1"));
    let (num, den) = (num.trim().parse().ok()?, den.trim().parse().ok()?);
    let rate = FrameRate { num, den };
    // Both parts go to GStreamer, whose fractions are signed 32-bit numbers.
    let fits = num <= 1_000_000 && (1..=1_000_000).contains(&den);
    (fits && (1.0..=120.0).contains(&rate.as_f64())).then_some(rate)
}

fn video(programme: &Table<'_>, fps: FrameRate) -> Video {
    let table = programme.table("video");
    let encoder = table.word("encoder", &ENCODERS);
    let presets = PRESETS.map(|name| (name, name));
    let preset = table.word("preset", &presets).unwrap_or("veryfast");
    let tune = table.word("tune", &TUNES).unwrap_or(Tune::Quality);
    let range = 100..=100_000;
    let bitrate = table.whole("bitrate_kbps", range.clone(), " kb/s");
    let bitrate_kbps = bitrate.unwrap_or(DEFAULT_BITRATE_KBPS);
    let floor = table.whole("min_bitrate_kbps", range, " kb/s");
    let min_bitrate_kbps = match floor {
        // An unreadable ceiling is reported already; comparing with a default would only confuse.
        Some(floor)
            if floor > bitrate_kbps && (bitrate.is_some() || !table.has("bitrate_kbps")) =>
        {
            let what =
                format!("the floor of {floor} kb/s is over bitrate_kbps, {bitrate_kbps} kb/s");
            table.problem("min_bitrate_kbps", what, "lower the one or raise the other");
            bitrate_kbps
        }
        Some(floor) => floor,
        None => DEFAULT_FLOOR_KBPS.min(bitrate_kbps),
    };
    let keyframe_s = keyframe(&table, fps);
    table.finish();
    Video {
        encoder: encoder.unwrap_or(EncoderChoice::Auto),
        preset: preset.to_owned(),
        tune,
        bitrate_kbps,
        min_bitrate_kbps,
        keyframe_s,
    }
}

/// The GOP's length in seconds, which must be a whole number of frames, since every GOP is exactly that long.
fn keyframe(table: &Table<'_>, fps: FrameRate) -> f64 {
    let range = Duration::from_millis(100)..=Duration::from_secs(20);
    let whole = |seconds: f64| {
        let frames = (seconds * fps.as_f64()).round().max(1.0);
        let exact = frames * f64::from(fps.den) / f64::from(fps.num);
        (frames, exact)
    };
    let Some(given) = table.duration("keyframe_s", range) else {
        return whole(DEFAULT_KEYFRAME_S).1;
    };
    let seconds = given.as_secs_f64();
    let (frames, exact) = whole(seconds);
    // Decimals are written to the millisecond or microsecond, never to the third of a frame.
    if (seconds - exact).abs() > 1e-5 {
        let count = (seconds * fps.as_f64() * 1_000.0).round() / 1_000.0;
        let rate = if fps.den == 1 {
            fps.num.to_string()
        } else {
            format!("{}/{}", fps.num, fps.den)
        };
        let what = format!(
            "{seconds} s at {rate} frames per second is {count} frames, which is not a whole number"
        );
        let rounded = (exact * 1e6).round() / 1e6;
        let instead = format!("{rounded} would be {frames} frames");
        table.problem("keyframe_s", what, instead);
    }
    exact
}

fn audio(programme: &Table<'_>) -> Audio {
    let table = programme.table("audio");
    let bitrate_kbps = table.whole("bitrate_kbps", 32..=320, " kb/s");
    let sample_rate = table.whole("sample_rate", 8_000..=96_000, " Hz");
    let sample_rate = sample_rate.unwrap_or(48_000);
    if ![48_000, 44_100].contains(&sample_rate) {
        let what = format!("must be 48000 or 44100 Hz, not {sample_rate}");
        table.problem("sample_rate", what, "every platform takes 48000");
    }
    let limiter = table.boolean("limiter").unwrap_or(true);
    let ceiling = sound::number(&table, "limiter_db", &CEILING_DB, " dBTP");
    let target = sound::number(&table, "target_lufs", &TARGET_LUFS, " LUFS");
    table.finish();
    Audio {
        bitrate_kbps: bitrate_kbps.unwrap_or(128),
        sample_rate,
        limiter_db: limiter.then_some(ceiling.unwrap_or(Audio::LIMITER_DB)),
        target_lufs: target.unwrap_or(Audio::TARGET_LUFS),
    }
}

/// The window's own settings; whether the hold fits into memory is for `check_hold`.
pub(super) fn window(root: &Table<'_>, programme: &Programme, memory_bytes: Option<u64>) -> Window {
    let table = root.table("window");
    let hold = table.duration("hold_s", Duration::ZERO..=LONGEST_HOLD);
    let delay = table.duration("delay_s", Duration::ZERO..=LONGEST_DELAY);
    let catch_up = catch_up(&table).unwrap_or(DEFAULT_CATCH_UP);
    let window = Window {
        hold: hold.unwrap_or(DEFAULT_HOLD),
        delay: delay.unwrap_or_default(),
        catch_up,
    };
    check_hold(&table, &window, programme, memory_bytes);
    table.finish();
    window
}

/// Sending speed after an outage; also a destination's own.
pub(super) fn catch_up(table: &Table<'_>) -> Option<f64> {
    let speed = table.number("catch_up")?;
    if speed <= 1.0 || speed > FASTEST_CATCH_UP {
        let what = format!("must be over 1 and at most {FASTEST_CATCH_UP}, not {speed}");
        let instead = "it is the sending speed after an outage: at 1 the latency never returns";
        table.problem("catch_up", what, instead);
        return None;
    }
    Some(speed)
}

/// What the window holds when it is full, in bytes: the programme's bitrates over hold and delay.
pub(super) fn window_bytes(window: &Window, programme: &Programme) -> u64 {
    let kbps = programme.video.bitrate_kbps + programme.audio.bitrate_kbps;
    let seconds = (window.hold + window.delay).as_secs_f64();
    (seconds * f64::from(kbps) * 125.0) as u64
}

fn check_hold(table: &Table<'_>, window: &Window, programme: &Programme, memory: Option<u64>) {
    let gop = programme.video.keyframe_s;
    if window.hold.as_secs_f64() < gop {
        let what = format!(
            "{} s is shorter than a GOP of {} s, and only whole GOPs are shed",
            window.hold.as_secs_f64(),
            (gop * 1e6).round() / 1e6
        );
        table.problem("hold_s", what, "30 rides out most outages of an uplink");
        return;
    }
    let Some(memory) = memory else { return };
    let bytes = window_bytes(window, programme);
    // The other half is for the engine's raw pictures, the encoder and the system.
    let allowed = memory / 2;
    if bytes > allowed {
        let kbps = programme.video.bitrate_kbps + programme.audio.bitrate_kbps;
        let fits =
            (allowed as f64 / (f64::from(kbps) * 125.0) - window.delay.as_secs_f64()).floor();
        let what = format!(
            "{} s of {kbps} kb/s are {bytes} bytes, and of this machine's {memory} bytes of memory half may be used",
            (window.hold + window.delay).as_secs_f64(),
        );
        table.problem("hold_s", what, format!("at most {fits}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screens() {
        let kms = |connector| Some(Screen::Kms { connector });
        let x = |display: &str| {
            let display = display.to_owned();
            Some(Screen::X { display })
        };
        for (text, screen) in [
            ("kms", kms(None)),
            ("kms:33", kms(Some(33))),
            (":0", x(":0")),
            ("hall:1.0", x("hall:1.0")),
            ("kms:", None),
            ("kms:-1", None),
            ("kms:4294967295", None),
            ("kmsx", None),
            ("HDMI-A-1", None),
            ("", None),
        ] {
            assert_eq!(parse_screen(text), screen, "{text}");
        }
    }

    #[test]
    fn frame_rates() {
        for (text, rate) in [
            ("30", Some((30, 1))),
            ("30000/1001", Some((30_000, 1_001))),
            (" 25 / 1 ", Some((25, 1))),
            ("0/1", None),
            ("30/0", None),
            ("1/2", None),
            ("29.97", None),
            ("-30", None),
            ("4294967295/4294967295", None),
        ] {
            let rate = rate.map(|(num, den)| FrameRate { num, den });
            assert_eq!(parse_frame_rate(text), rate, "{text}");
        }
    }
}
