//! The verdict: what was measured, in sentences. Pure.

use super::Judge;
use super::report::{StreamReport, Verdict};
use super::track::Unreadable;

/// Sound and picture of one moment further apart than this on the wire: a player that starts with either
/// waits as long for the other.
const MOST_APART_MS: i64 = 1_000;
/// The project's own bound for where sound and picture begin.
const MOST_START_MS: i64 = 50;
/// A pause in the arrivals that viewers with a small buffer notice.
const QUIET_MS: f64 = 1_000.0;

impl Judge {
    pub(super) fn verdict(&self, report: &StreamReport) -> Verdict {
        let mut findings = Vec::new();
        let mut notes = Vec::new();
        self.judge_stamps(report, &mut findings, &mut notes);
        self.judge_video(report, &mut findings, &mut notes);
        self.judge_audio(report, &mut findings, &mut notes);
        judge_sync(report, &mut findings, &mut notes);
        self.judge_publishes(report, &mut findings, &mut notes);
        Verdict {
            ok: findings.is_empty(),
            lost: report.stamps.lost > 0 || report.audio.holes > 0 || report.video.frames == 0,
            findings,
            notes,
        }
    }

    fn judge_stamps(
        &self,
        report: &StreamReport,
        findings: &mut Vec<String>,
        notes: &mut Vec<String>,
    ) {
        let stamps = &report.stamps;
        if stamps.stamped == 0 {
            notes.push(
                "The frames carry no stamps: whether any was lost or doubled, and the latency, \
                 can't be told."
                    .into(),
            );
            return;
        }
        if stamps.lost > 0 {
            let mut ranges: Vec<String> = stamps
                .lost_ranges
                .iter()
                .take(4)
                .map(|(from, to)| match from == to {
                    true => from.to_string(),
                    false => format!("{from}–{to}"),
                })
                .collect();
            if stamps.lost_ranges.len() > ranges.len() {
                ranges.push("…".into());
            }
            findings.push(format!(
                "{} were lost (numbers {}).",
                frames(stamps.lost),
                ranges.join(", ")
            ));
        }
        if stamps.doubled > 0 {
            findings.push(format!(
                "{} arrived twice within one publish.",
                frames(stamps.doubled)
            ));
        }
        if stamps.repeated > 0 {
            notes.push(format!(
                "{} arrived again in a later publish: a replay.",
                frames(stamps.repeated)
            ));
        }
        if stamps.unstamped > 0 {
            notes.push(format!(
                "{} carried no stamp beside those that did.",
                frames(stamps.unstamped)
            ));
        }
        if stamps.engine_runs > 1 {
            notes.push(format!(
                "The sender's engine ran {} times: what was not captured in between isn't \
                 counted as lost.",
                stamps.engine_runs
            ));
        }
        if report.latency.as_ref().is_some_and(|l| l.min_ms < 0.0) {
            notes.push(
                "Frames arrived before they were captured: the sender's clock is ahead of this \
                 machine's, and the latency is worth nothing."
                    .into(),
            );
        }
    }

    fn judge_video(
        &self,
        report: &StreamReport,
        findings: &mut Vec<String>,
        notes: &mut Vec<String>,
    ) {
        let video = &report.video;
        if video.frames == 0 {
            findings.push("No video arrived.".into());
        } else if video.codec.is_none() {
            findings.push("The video has no H.264 sequence header that can be read.".into());
        }
        unreadable("video", &self.video.unreadable, findings);
        if self.video.before_header > 0 {
            findings.push(format!(
                "{} came before the sequence header.",
                frames(self.video.before_header)
            ));
        }
        if self.video.began_without_keyframe > 0 {
            findings.push(format!(
                "{} began with a picture that is no keyframe.",
                count(self.video.began_without_keyframe, "publish", "publishes")
            ));
        }
        if self.video.presented_before_decoded > 0 {
            findings.push(format!(
                "{} with a negative composition time: to be shown before it can be decoded.",
                frames(self.video.presented_before_decoded)
            ));
        }
        went_back("Video", &video.timestamps, findings);
        if let Some(grid) = video.grid.filter(|grid| grid.bent > 0) {
            findings.push(format!(
                "{} shown off the {} fps grid by more than 1 ms, at worst by {:+.1} ms.",
                frames(grid.bent),
                video.fps.unwrap_or(0.0),
                grid.worst_ms
            ));
        }
        if video.grid.is_none() && video.frames > 0 {
            notes.push(
                "The metadata tell no frame rate: whether presentation times keep to a grid can't \
                 be told."
                    .into(),
            );
        }
        // With stamps it is known whether these are losses.
        if video.holes > 0 && report.stamps.stamped == 0 {
            notes.push(format!(
                "The video's timestamps have {}, {:.0} ms together: frames that were lost, or never \
                 made.",
                count(video.holes, "hole", "holes"),
                video.holes_ms
            ));
        }
        if video.codec_changes > 0 {
            notes.push(format!(
                "The video's sequence header changed {}.",
                count(video.codec_changes, "time", "times")
            ));
        }
        if let Some(gop) = video.gop {
            let frame_ms = video.fps.map_or(0.0, |fps| 1_000.0 / fps);
            if let Some(most_s) = self.platform.longest_gop_s()
                && gop.max_ms as f64 > most_s * 1_000.0 + frame_ms
            {
                findings.push(format!(
                    "Keyframes are up to {:.1} s apart; the platform wants one every {most_s} s at \
                     least.",
                    gop.max_ms as f64 / 1e3
                ));
            }
            if !gop.exact {
                notes.push(format!(
                    "GOPs differ in length: {} to {} frames, {:.2} to {:.2} s.",
                    gop.min_frames,
                    gop.max_frames,
                    gop.min_ms as f64 / 1e3,
                    gop.max_ms as f64 / 1e3
                ));
            }
        }
        quiet("video", video.largest_arrival_gap_ms, notes);
    }

    fn judge_audio(
        &self,
        report: &StreamReport,
        findings: &mut Vec<String>,
        notes: &mut Vec<String>,
    ) {
        let audio = &report.audio;
        if audio.frames == 0 {
            notes.push("No audio arrived.".into());
        } else if audio.codec.is_none() {
            findings.push("The audio has no AAC sequence header that can be read.".into());
        }
        unreadable("audio", &self.audio.unreadable, findings);
        if self.audio.before_header > 0 {
            findings.push(format!(
                "{} of audio came before the sequence header.",
                frames(self.audio.before_header)
            ));
        }
        went_back("Audio", &audio.timestamps, findings);
        if audio.holes > 0 {
            findings.push(format!(
                "The audio has {} in its timestamps, {:.0} ms together.",
                count(audio.holes, "hole", "holes"),
                audio.holes_ms
            ));
        }
        if audio.codec_changes > 0 {
            notes.push(format!(
                "The audio's sequence header changed {}.",
                count(audio.codec_changes, "time", "times")
            ));
        }
        quiet("audio", audio.largest_arrival_gap_ms, notes);
    }

    fn judge_publishes(
        &self,
        report: &StreamReport,
        findings: &mut Vec<String>,
        notes: &mut Vec<String>,
    ) {
        if report.interruptions > 0 {
            let text = format!(
                "The connection ended without FCUnpublish or deleteStream {}.",
                count(report.interruptions, "time", "times")
            );
            if self.platform.interruption_is_final() {
                findings.push(format!(
                    "{text} The platform closes the event with that: the audience is lost."
                ));
            } else {
                notes.push(text);
            }
        }
        if let Some(denial) = &self.denial {
            findings.push(format!("A publish was refused: {denial}"));
        }
        if let Some(pause) = report.longest_pause_s {
            notes.push(format!("Between two publishes up to {pause:.1} s passed."));
        }
    }
}

fn judge_sync(report: &StreamReport, findings: &mut Vec<String>, notes: &mut Vec<String>) {
    let sync = &report.sync;
    if let Some(start) = sync
        .worst_start_ms
        .filter(|start| start.abs() >= MOST_START_MS)
    {
        notes.push(format!(
            "Audio starts {} ms {} video.",
            start.abs(),
            if start < 0 { "before" } else { "after" }
        ));
    }
    let worst = [sync.running_min_ms, sync.running_max_ms]
        .into_iter()
        .flatten()
        .max_by_key(|ms| ms.abs());
    if let Some(apart) = worst.filter(|apart| apart.abs() > MOST_APART_MS) {
        findings.push(format!(
            "Audio and video of one moment arrive up to {:.1} s apart: audio is {}.",
            apart.abs() as f64 / 1e3,
            if apart < 0 { "behind" } else { "ahead" }
        ));
    }
}

fn went_back(track: &str, timestamps: &super::report::TimestampReport, findings: &mut Vec<String>) {
    if timestamps.went_back > 0 {
        findings.push(format!(
            "{track} timestamps went back {}, at most by {} ms.",
            count(timestamps.went_back, "time", "times"),
            timestamps.most_back_ms
        ));
    }
}

fn unreadable(track: &str, tags: &Unreadable, findings: &mut Vec<String>) {
    if let Some(first) = &tags.first {
        findings.push(format!(
            "{} of {track} can't be judged: {first}.",
            count(tags.count, "tag", "tags")
        ));
    }
}

fn quiet(track: &str, gap_ms: f64, notes: &mut Vec<String>) {
    if gap_ms > QUIET_MS {
        notes.push(format!(
            "For {:.1} s no {track} arrived while the connection was up.",
            gap_ms / 1e3
        ));
    }
}

fn frames(n: u64) -> String {
    count(n, "frame", "frames")
}

fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
