//! What a platform's rules have against a destination and the programme it gets, as problems with their places.

use super::reader::Table;
use super::settings::{IngestUrl, Mode, Programme};
use crate::platform::{self, Broadcast, Grade, Overrides, Rules};
use std::time::Duration;

/// What of a destination the rules look at. It is checked even when another part of the destination is of no use,
/// so that one `check` shows everything.
pub(super) struct Outlet<'a> {
    pub server: Option<&'a IngestUrl>,
    pub backup_server: Option<&'a IngestUrl>,
    pub mode: Mode,
    pub limit: Option<Duration>,
    pub margin: Option<Duration>,
}

/// A rule about the programme is reported for each destination that has it, because each may want another value.
pub(super) fn check(table: &Table<'_>, rules: &Rules, programme: &Programme, outlet: &Outlet<'_>) {
    let broadcast = Broadcast {
        width: programme.width,
        height: programme.height,
        fps: programme.fps.as_f64(),
        video_kbps: programme.video.bitrate_kbps,
        keyframe_s: programme.video.keyframe_s,
        audio_kbps: programme.audio.bitrate_kbps,
        sample_rate: programme.audio.sample_rate,
        // A server that could not be read has been reported: nothing more is said of it.
        tls: outlet.server.is_none_or(|server| server.tls),
        has_backup: outlet.backup_server.is_some(),
        both: outlet.mode == Mode::Both,
        limit: outlet.limit,
        margin: outlet.margin,
    };
    let report = table.report();
    for finding in platform::check(rules, &broadcast) {
        let at = match finding.setting.path() {
            (key, true) => table.at(key),
            (path, false) => report.at_path(path),
        };
        match finding.grade {
            Grade::Problem => report.problem(&at, finding.what, finding.instead),
            Grade::Warning => report.warning(&at, finding.what, finding.instead),
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// `[destination.rules]`: the operator's own in place of the platform's.
pub(super) fn overrides(destination: &Table<'_>) -> Overrides {
    let table = destination.table("rules");
    let kbps = |key| table.whole(key, 8..=200_000, " kb/s");
    let keyframe = |key| {
        let fits = |seconds: &f64| (0.1..=20.0).contains(seconds);
        let seconds = table.number(key)?;
        if !fits(&seconds) {
            let what = format!("must be from 0.1 to 20 s, not {seconds}");
            table.problem(key, what, "platforms want 2");
            return None;
        }
        Some(seconds)
    };
    let overrides = Overrides {
        archive_limit: table.duration("archive_limit_s", Duration::from_secs(60)..=31 * DAY),
        grace: table.duration("grace_s", Duration::ZERO..=DAY),
        min_video_kbps: kbps("min_video_kbps"),
        max_video_kbps: kbps("max_video_kbps"),
        max_audio_kbps: kbps("max_audio_kbps"),
        sample_rate: table.whole("sample_rate", 8_000..=192_000, " Hz"),
        keyframe_s: keyframe("keyframe_s"),
        max_keyframe_s: keyframe("max_keyframe_s"),
        single_use_key: table.boolean("single_use_key"),
        event_closes: table.boolean("event_closes"),
    };
    if let (Some(least), Some(most)) = (overrides.min_video_kbps, overrides.max_video_kbps)
        && least > most
    {
        let what = format!("the floor of {least} kb/s is over max_video_kbps, {most} kb/s");
        table.problem("min_video_kbps", what, "lower the one or raise the other");
    }
    if let (Some(wanted), Some(most)) = (overrides.keyframe_s, overrides.max_keyframe_s)
        && wanted > most
    {
        let what = format!("{wanted} s is over max_keyframe_s, {most} s");
        table.problem("keyframe_s", what, "lower the one or raise the other");
    }
    table.finish();
    overrides
}
