//! A broadcast's settings against the rules of one platform. It takes its own small view of the settings: the
//! configuration is built on this module, not under it.

use super::table::GENERAL_FLOOR_KBPS;
use super::{Backup, Confidence, DEFAULT_MARGIN, Rtmps, Rules, Value, VideoTier};
use std::time::Duration;

/// What is to go to one destination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Broadcast {
    pub width: u32,
    pub height: u32,
    /// Frames per second.
    pub fps: f64,
    pub video_kbps: u32,
    pub keyframe_s: f64,
    pub audio_kbps: u32,
    pub sample_rate: u32,
    /// The destination's server is rtmps.
    pub tls: bool,
    pub has_backup: bool,
    /// The destination sends to both of its ingests at once.
    pub both: bool,
    /// The destination's own limit and margin, over the platform's.
    pub limit: Option<Duration>,
    pub margin: Option<Duration>,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// It can't work.
    Problem,
    /// It may be refused or look bad; or the rule may have changed.
    Warning,
}

/// The setting that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    Width,
    Height,
    Fps,
    VideoBitrate,
    Keyframe,
    AudioBitrate,
    SampleRate,
    Server,
    BackupServer,
    Mode,
    Limit,
    Margin,
}

impl Setting {
    /// Its dotted path in the configuration, and whether that is the destination's rather than the file's.
    pub fn path(self) -> (&'static str, bool) {
        match self {
            Setting::Width => ("programme.width", false),
            Setting::Height => ("programme.height", false),
            Setting::Fps => ("programme.fps", false),
            Setting::VideoBitrate => ("programme.video.bitrate_kbps", false),
            Setting::Keyframe => ("programme.video.keyframe_s", false),
            Setting::AudioBitrate => ("programme.audio.bitrate_kbps", false),
            Setting::SampleRate => ("programme.audio.sample_rate", false),
            Setting::Server => ("server", true),
            Setting::BackupServer => ("backup_server", true),
            Setting::Mode => ("mode", true),
            Setting::Limit => ("limit_s", true),
            Setting::Margin => ("margin_s", true),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub grade: Grade,
    pub setting: Setting,
    pub what: String,
    pub instead: String,
}

/// All that the rules have against the broadcast.
pub fn check(rules: &Rules, broadcast: &Broadcast) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    check_picture(rules, broadcast, &mut findings);
    check_video(rules, broadcast, &mut findings);
    check_audio(rules, broadcast, &mut findings);
    check_ingest(rules, broadcast, &mut findings);
    check_limit(rules, broadcast, &mut findings);
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn warn(&mut self, setting: Setting, what: String, instead: String) {
        self.add(Grade::Warning, setting, what, instead);
    }

    fn add(&mut self, grade: Grade, setting: Setting, what: String, instead: String) {
        self.0.push(Finding {
            grade,
            setting,
            what,
            instead,
        });
    }
}

/// " (the platform's documentation)": how sure a rule is, for the end of a sentence.
fn origin<T>(value: &Value<T>) -> String {
    format!(" ({})", value.confidence.words())
}

fn check_picture(rules: &Rules, b: &Broadcast, findings: &mut Findings) {
    if let Some(wide) = rules.wide_only
        && u64::from(b.width) * 9 != u64::from(b.height) * 16
    {
        let what = format!(
            "{}×{} is not 16:9, and {} takes nothing else{}",
            b.width,
            b.height,
            rules.name,
            origin(&wide)
        );
        findings.warn(Setting::Width, what, "for example 1920 × 1080".to_owned());
    }
    let tiers = rules.video.value;
    let tallest = tiers.iter().map(|tier| tier.max_height).max();
    if let Some(tallest) = tallest
        && b.height > tallest
    {
        let what = format!(
            "{} lines are more than the {tallest} that are known to work with {}{}",
            b.height,
            rules.name,
            origin(&rules.video)
        );
        findings.warn(Setting::Height, what, format!("at most {tallest}"));
        return;
    }
    let fastest = tiers
        .iter()
        .filter(|tier| b.height <= tier.max_height)
        .map(|tier| tier.max_fps)
        .max();
    if let Some(fastest) = fastest
        && rules.tier(b.height, b.fps).is_none()
    {
        let fps = (b.fps * 100.0).round() / 100.0;
        let what = format!(
            "{fps} frames per second are more than {} takes, {fastest}{}",
            rules.name,
            origin(&rules.video)
        );
        findings.warn(Setting::Fps, what, format!("at most {fastest}"));
    }
}

fn check_video(rules: &Rules, b: &Broadcast, findings: &mut Findings) {
    // Without a fitting tier, the size or rate is reported; the largest bitrate still holds.
    let largest = || {
        let tiers = rules.video.value.iter();
        let largest = tiers.max_by_key(|tier| tier.max_kbps)?;
        Some(rules.bounded(*largest))
    };
    if let Some(tier) = rules.tier(b.height, b.fps).or_else(largest) {
        if b.video_kbps > tier.max_kbps {
            let what = format!(
                "{} kb/s is over what {} takes for this picture, {} kb/s{}",
                b.video_kbps,
                rules.name,
                tier.max_kbps,
                origin(&rules.video)
            );
            let instead = format!("at most {}", tier.max_kbps);
            findings.warn(Setting::VideoBitrate, what, instead);
        }
        check_floor(rules, b.video_kbps, &tier, findings);
    }
    let wanted = &rules.keyframe_s;
    let keyframe_s = (b.keyframe_s * 1_000.0).round() / 1_000.0;
    if let Some(longest) = rules.max_keyframe_s
        && keyframe_s > longest.value
    {
        let what = format!(
            "{} s between keyframes is over what {} takes, {} s{}",
            keyframe_s,
            rules.name,
            longest.value,
            origin(&longest)
        );
        findings.warn(Setting::Keyframe, what, format!("{}", wanted.value));
    // 2.002 s at 30000/1001 is what a platform calls two seconds.
    } else if (keyframe_s - wanted.value).abs() > 0.05 && !excused(wanted, keyframe_s) {
        let what = format!(
            "{} s between keyframes is not what {} wants, {} s{}",
            keyframe_s,
            rules.name,
            wanted.value,
            origin(wanted)
        );
        findings.warn(Setting::Keyframe, what, format!("{}", wanted.value));
    }
}

fn check_floor(rules: &Rules, kbps: u32, tier: &VideoTier, findings: &mut Findings) {
    let (least, what) = match tier.min_kbps {
        Some(least) => {
            let origin = origin(&rules.video);
            let name = rules.name;
            let what = format!("under what {name} wants for this picture, {least} kb/s{origin}");
            (least, what)
        }
        None => {
            let Value { value, .. } = GENERAL_FLOOR_KBPS;
            let origin = origin(&GENERAL_FLOOR_KBPS);
            let what = format!("under {value} kb/s, where a picture falls apart{origin}");
            (value, what)
        }
    };
    if kbps < least {
        let instead = format!("at least {least}, or a smaller picture");
        findings.warn(
            Setting::VideoBitrate,
            format!("{kbps} kb/s is {what}"),
            instead,
        );
    }
}

/// X asks for three seconds where all others ask for two: one programme serves both with the shorter.
fn excused(wanted: &Value<f64>, keyframe_s: f64) -> bool {
    let meant = matches!(
        wanted.confidence,
        Confidence::Documented | Confidence::Operator
    );
    !meant && (2.0..=wanted.value).contains(&keyframe_s)
}

fn check_audio(rules: &Rules, b: &Broadcast, findings: &mut Findings) {
    if let Some(most) = rules.max_audio_kbps
        && b.audio_kbps > most.value
    {
        let what = format!(
            "{} kb/s is over what {} takes, {} kb/s{}",
            b.audio_kbps,
            rules.name,
            most.value,
            origin(&most)
        );
        findings.warn(
            Setting::AudioBitrate,
            what,
            format!("at most {}", most.value),
        );
    }
    if let Some(rate) = rules.sample_rate
        && b.sample_rate != rate.value
    {
        let what = format!(
            "{} Hz is not what {} takes, {} Hz{}",
            b.sample_rate,
            rules.name,
            rate.value,
            origin(&rate)
        );
        findings.warn(Setting::SampleRate, what, format!("{}", rate.value));
    }
}

fn check_ingest(rules: &Rules, b: &Broadcast, findings: &mut Findings) {
    if !b.tls {
        let origin = origin(&rules.rtmps);
        let instead = "give the rtmps:// URL that the platform shows".to_owned();
        match rules.rtmps.value {
            Rtmps::Required => {
                let what = format!("plain rtmp, but {} takes only rtmps{origin}", rules.name);
                findings.add(Grade::Problem, Setting::Server, what, instead);
            }
            Rtmps::Wanted => {
                let what = format!("plain rtmp, but {} wants rtmps{origin}", rules.name);
                findings.warn(Setting::Server, what, instead);
            }
            Rtmps::Either => {}
        }
    }
    match rules.backup.value {
        Backup::None if b.has_backup => {
            let what = format!("{} is not known to have a backup ingest", rules.name);
            findings.warn(Setting::BackupServer, what, "leave it out".to_owned());
        }
        Backup::SwitchesAndStays if b.both => {
            let what = format!(
                "{} switches to the backup and stays there{}",
                rules.name,
                origin(&rules.backup)
            );
            let instead = "enable the backup on the platform before the first data".to_owned();
            findings.warn(Setting::Mode, what, instead);
        }
        _ => {}
    }
}

fn check_limit(rules: &Rules, b: &Broadcast, findings: &mut Findings) {
    if let (Some(own), Some(limit)) = (b.limit, rules.limit)
        && own > limit.value
    {
        let what = format!(
            "{} s is longer than {} lets a session last, {} s{}",
            own.as_secs_f64(),
            rules.name,
            limit.value.as_secs(),
            origin(&limit)
        );
        let instead = format!(
            "at most {}, unless the platform changed",
            limit.value.as_secs()
        );
        findings.warn(Setting::Limit, what, instead);
    }
    match b.limit.or(rules.limit.map(|limit| limit.value)) {
        Some(limit) => {
            let margin = b.margin.unwrap_or(DEFAULT_MARGIN);
            if margin >= limit {
                let by = if b.margin.is_some() {
                    ""
                } else {
                    " by default"
                };
                let what = format!(
                    "the margin is {} s{by}, which is not shorter than the limit of {} s",
                    margin.as_secs_f64(),
                    limit.as_secs_f64()
                );
                let instead = "the session ends at the limit less the margin".to_owned();
                findings.add(Grade::Problem, Setting::Margin, what, instead);
            }
        }
        None if b.margin.is_some() => {
            let what = format!(
                "there is no limit to keep a margin from: {} sets none",
                rules.name
            );
            findings.warn(Setting::Margin, what, "give limit_s as well".to_owned());
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::rules;

    const GOOD: Broadcast = Broadcast {
        width: 1_920,
        height: 1_080,
        fps: 30.0,
        video_kbps: 5_000,
        keyframe_s: 2.0,
        audio_kbps: 128,
        sample_rate: 48_000,
        tls: true,
        has_backup: false,
        both: false,
        limit: None,
        margin: None,
    };

    fn lines(platform: &str, broadcast: Broadcast) -> Vec<String> {
        let findings = check(rules(platform).unwrap(), &broadcast);
        let line = |f: Finding| format!("{:?} {:?}: {}; {}", f.grade, f.setting, f.what, f.instead);
        findings.into_iter().map(line).collect()
    }

    #[test]
    fn one_programme_suits_every_platform() {
        for platform in crate::platform::words() {
            assert_eq!(lines(platform, GOOD), Vec::<String>::new(), "{platform}");
        }
    }

    #[test]
    fn linkedin_is_strict() {
        let broadcast = Broadcast {
            width: 1_440,
            fps: 60.0,
            video_kbps: 8_000,
            keyframe_s: 4.0,
            audio_kbps: 160,
            sample_rate: 44_100,
            ..GOOD
        };
        assert_eq!(
            lines("linkedin", broadcast),
            [
                "Warning Width: 1440×1080 is not 16:9, and LinkedIn takes nothing else (the platform's documentation); for example 1920 × 1080",
                "Warning Fps: 60 frames per second are more than LinkedIn takes, 30 (the platform's documentation); at most 30",
                "Warning VideoBitrate: 8000 kb/s is over what LinkedIn takes for this picture, 6000 kb/s (the platform's documentation); at most 6000",
                "Warning Keyframe: 4 s between keyframes is not what LinkedIn wants, 2 s (the platform's documentation); 2",
                "Warning AudioBitrate: 160 kb/s is over what LinkedIn takes, 128 kb/s (the platform's documentation); at most 128",
                "Warning SampleRate: 44100 Hz is not what LinkedIn takes, 48000 Hz (the platform's documentation); 48000",
            ]
        );
    }

    #[test]
    fn facebook_takes_only_rtmps() {
        let broadcast = Broadcast { tls: false, ..GOOD };
        assert_eq!(
            lines("facebook", broadcast),
            [
                "Problem Server: plain rtmp, but Facebook takes only rtmps (the platform's documentation); give the rtmps:// URL that the platform shows"
            ]
        );
        assert_eq!(lines("youtube", broadcast).len(), 1);
        assert_eq!(lines("custom", broadcast).len(), 0);
    }

    #[test]
    fn low_bitrates_and_tall_pictures() {
        let broadcast = Broadcast {
            video_kbps: 1_500,
            ..GOOD
        };
        assert_eq!(
            lines("custom", broadcast),
            [
                "Warning VideoBitrate: 1500 kb/s is under 2000 kb/s, where a picture falls apart (this project's rules); at least 2000, or a smaller picture"
            ]
        );
        let broadcast = Broadcast {
            width: 3_840,
            height: 2_160,
            ..GOOD
        };
        assert_eq!(
            lines("vimeo", broadcast),
            [
                "Warning Height: 2160 lines are more than the 1080 that are known to work with Vimeo (the platform's documentation); at most 1080"
            ]
        );
    }

    #[test]
    fn limit_and_margin() {
        let with = |limit: Option<u64>, margin: Option<u64>| Broadcast {
            limit: limit.map(Duration::from_secs),
            margin: margin.map(Duration::from_secs),
            ..GOOD
        };
        assert_eq!(
            lines("linkedin", with(Some(60), None)),
            [
                "Problem Margin: the margin is 120 s by default, which is not shorter than the limit of 60 s; the session ends at the limit less the margin"
            ]
        );
        assert_eq!(
            lines("linkedin", with(None, Some(14_400))),
            [
                "Problem Margin: the margin is 14400 s, which is not shorter than the limit of 14400 s; the session ends at the limit less the margin"
            ]
        );
        assert_eq!(
            lines("linkedin", with(Some(20_000), None)),
            [
                "Warning Limit: 20000 s is longer than LinkedIn lets a session last, 14400 s (the platform's documentation); at most 14400, unless the platform changed"
            ]
        );
        assert_eq!(
            lines("youtube", with(None, Some(60))),
            [
                "Warning Margin: there is no limit to keep a margin from: YouTube sets none; give limit_s as well"
            ]
        );
        assert!(lines("linkedin", with(Some(240), Some(20))).is_empty());
    }
}
