//! What a platform's rules have against a destination and the programme it gets, as problems with their places.

use super::reader::Table;
use super::settings::{IngestUrl, Mode, Programme};
use crate::platform::{self, Broadcast, Grade, Rules};
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
