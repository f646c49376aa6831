//! What the reader says of `[session]` and `[destination.rules]`.

use crate::machine::Machine;
use crate::{GOOD, lines, loaded, says};
use std::time::Duration;

const PANEL: &str = "[panel]";
const RECORDING: &str = "[[recording]]";

fn with(before: &str, more: &str) -> String {
    format!("{more}\n{before}")
}

#[test]
fn the_session() {
    let session = loaded(GOOD).settings.session;
    assert_eq!(session.closing_scene, None);
    assert_eq!(session.closing, Duration::from_secs(10));
    assert_eq!(session.resume_within, Duration::from_secs(300));
    says(
        PANEL,
        &with(
            PANEL,
            "[session]\nclosing_scene = \"wide\"\nclosing_s = 5\nresume_within_s = \"2m\"",
        ),
        &[],
    );
    says(
        PANEL,
        &with(PANEL, "[session]\nclosing_scene = \"wied\""),
        &["44:17: session.closing_scene: there is no scene \"wied\"; did you mean \"wide\"?"],
    );
    says(
        PANEL,
        &with(PANEL, "[session]\nclosing_scen = \"wide\""),
        &["44:1: session.closing_scen: unknown key; did you mean \"closing_scene\"?"],
    );
    let text = GOOD
        .replace(
            "platform = \"youtube\"",
            "platform = \"linkedin\"\nmargin_s = 60",
        )
        .replace(PANEL, "[session]\nclosing_s = 60\n[panel]");
    assert_eq!(
        lines(&text, &Machine::venue()),
        [
            "45:13: session.closing_s: the closing scene of 60 s does not fit into the margin of destination \"show\", 60 s; shorten it, or give a longer margin_s"
        ]
    );
}

#[test]
fn rules_of_ones_own() {
    let rules = |lines: &str| with(RECORDING, &format!("[destination.rules]\n{lines}"));
    says(
        RECORDING,
        &rules("max_video_kbps = 20000\ngrace_s = 5"),
        &[],
    );
    says(
        RECORDING,
        &rules("max_video_kbps = 2500"),
        &[
            "7:16: warning: programme.video.bitrate_kbps: 3000 kb/s is over what YouTube takes for this picture, 2500 kb/s (this configuration); at most 2500",
        ],
    );
    says(
        RECORDING,
        &rules("min_video_kbps = 3000\nmax_video_kbps = 2900"),
        &[
            "7:16: warning: programme.video.bitrate_kbps: 3000 kb/s is over what YouTube takes for this picture, 2900 kb/s (this configuration); at most 2900",
            "39:18: destination \"show\".rules.min_video_kbps: the floor of 3000 kb/s is over max_video_kbps, 2900 kb/s; lower the one or raise the other",
        ],
    );
    says(
        RECORDING,
        &rules("keyframe_s = 3\nmax_keyframe_s = 2"),
        &[
            "9:14: warning: programme.video.keyframe_s: 2 s between keyframes is not what YouTube wants, 3 s (this configuration); 3",
            "39:14: destination \"show\".rules.keyframe_s: 3 s is over max_keyframe_s, 2 s; lower the one or raise the other",
        ],
    );
    says(
        RECORDING,
        &rules("grace = 5"),
        &[
            "39:1: destination \"show\".rules.grace: unknown key; known here: archive_limit_s, grace_s, min_video_kbps, max_video_kbps, max_audio_kbps, sample_rate, keyframe_s, max_keyframe_s, single_use_key, event_closes",
        ],
    );
}
