//! The judge on made-up streams whose truth is known.

use super::*;
use crate::stamp::Stamp;
use std::time::Duration;

const EPOCH_US: u64 = 1_700_000_000_000_000;
/// High 4.0, 1920×1080, as x264 writes it.
const AVCC: [u8; 35] = [
    1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 27, 0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02,
    0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60,
    0xc6, 0x58,
];

/// 30 fps with a keyframe each 2 s and one AAC frame of 1024/48000 s at a time; arrives 80 ms after capture.
struct Publisher {
    judge: Judge,
    start: Instant,
}

impl Publisher {
    fn new(platform: Platform) -> Self {
        let key = StreamKey::new("live", "abcd-efgh-ijkl-x7Qd");
        Publisher {
            judge: Judge::new(platform, "live", &key),
            start: Instant::now(),
        }
    }

    fn arrival(&self, us: u64) -> Arrival {
        Arrival {
            at: self.start + Duration::from_micros(us + 80_000),
            wall_us: EPOCH_US + us + 80_000,
        }
    }

    /// Publishes at `at_frame`, with all that comes before the first frame.
    fn begin(&mut self, at_frame: u64) {
        let at = self.arrival(at_frame * 100_000 / 3).at;
        self.judge.begin_publish(at);
        self.judge.metadata(&Amf0Value::ecma_array([
            ("framerate", Amf0Value::Number(30.0)),
            ("encoder", Amf0Value::string("Test 1.0")),
        ]));
        self.judge.video.set_header(&AVCC);
        self.judge.audio.set_header(&[0x11, 0x90]);
    }

    /// Frame `n` with what sound belongs to it, on a timeline that began at frame `zero`.
    fn frame(&mut self, n: u64, zero: u64) {
        self.video(n, zero, n.is_multiple_of(60));
        let audio_of = |frame: u64| frame * 8 / 5 + u64::from(!(frame * 8).is_multiple_of(5));
        for a in audio_of(n)..audio_of(n + 1) {
            let at_ms = ((a - audio_of(zero)) * 1_024 + 24) / 48;
            let arrival = self.arrival(n * 100_000 / 3);
            self.judge.audio(arrival, at_ms, &[0; 341]);
        }
    }

    fn video(&mut self, n: u64, zero: u64, keyframe: bool) {
        let us = n * 100_000 / 3;
        let slice = [[0, 0, 0x61, 0x68].as_slice(), &[0x65; 24_936]].concat();
        let data = crate::stamp::insert(
            &slice,
            Stamp {
                frame: n,
                captured_us: EPOCH_US + us,
            },
        );
        let arrival = self.arrival(us);
        self.judge.video(
            arrival,
            VideoFrame {
                dts_ms: ((n - zero) * 100 + 1) / 3,
                composition_ms: 0,
                keyframe,
                data: &data,
            },
        );
    }

    fn end(&mut self, at_frame: u64, end: End) {
        let at = self.arrival(at_frame * 100_000 / 3).at;
        self.judge.end_publish(at, end);
    }

    fn report(&self) -> StreamReport {
        self.judge.report(self.start + Duration::from_secs(3_600))
    }
}

#[test]
fn a_perfect_stream_is_ok() {
    let mut p = Publisher::new(Platform::LinkedIn);
    p.begin(0);
    for n in 0..900 {
        p.frame(n, 0);
    }
    p.end(900, End::Deleted);
    let report = p.report();
    assert_eq!(report.verdict.findings, [""; 0]);
    assert_eq!(report.verdict.notes, [""; 0]);
    assert!(report.verdict.ok && !report.verdict.lost);
    assert_eq!(
        (
            report.key.as_str(),
            report.video.frames,
            report.audio.frames
        ),
        ("…x7Qd", 900, 1440)
    );
    assert_eq!(report.encoder.as_deref(), Some("Test 1.0"));
    let gop = report.video.gop.unwrap();
    assert_eq!((gop.complete, gop.min_frames, gop.exact), (14, 60, true));
    assert_eq!((gop.min_ms, gop.max_ms), (2_000, 2_000));
    let video = report.video.bitrate;
    assert!((video.mean_kbps - 6_000.0).abs() < 30.0, "{video:?}");
    assert!(
        video.max_10s_kbps.unwrap() - video.min_10s_kbps.unwrap() < 1.0,
        "{video:?}"
    );
    let latency = report.latency.unwrap();
    assert_eq!((latency.min_ms, latency.max_ms), (80.0, 80.0));
    assert_eq!(report.sync.worst_start_ms, Some(0));
    let codec = report.video.codec.unwrap();
    assert_eq!((codec.width, codec.height), (1920, 1080));
}

#[test]
fn loss_doubling_and_a_bad_gop_are_found() {
    let mut p = Publisher::new(Platform::YouTube);
    p.begin(0);
    for n in 0..400u64 {
        match n {
            100..=102 => {}
            150 => {
                p.video(n, 0, false);
                p.video(n, 0, false);
            }
            // Two keyframes are missing: 6 s without one.
            180 | 240 => p.video(n, 0, false),
            _ => p.video(n, 0, n.is_multiple_of(60)),
        }
    }
    p.end(400, End::Unpublished);
    let report = p.report();
    assert_eq!(
        report.verdict.findings,
        [
            "3 frames were lost (numbers 100–102).",
            "1 frame arrived twice within one publish.",
            "Keyframes are up to 6.0 s apart; the platform wants one every 4 s at least.",
        ]
    );
    assert_eq!(
        report.verdict.notes,
        [
            "GOPs differ in length: 57 to 181 frames, 2.00 to 6.00 s.",
            "No audio arrived."
        ]
    );
    assert!(report.verdict.lost);
}

#[test]
fn a_reconnect_goes_on_counting() {
    let mut p = Publisher::new(Platform::Custom);
    p.begin(0);
    for n in 0..150 {
        p.frame(n, 0);
    }
    p.end(150, End::Lost);
    p.begin(240);
    for n in 120..300 {
        p.frame(n, 120);
    }
    p.end(300, End::Deleted);
    let report = p.report();
    assert_eq!(report.verdict.findings, [""; 0]);
    assert_eq!(
        report.verdict.notes,
        [
            "30 frames arrived again in a later publish: a replay.",
            "The connection ended without FCUnpublish or deleteStream 1 time.",
            "Between two publishes up to 3.0 s passed.",
        ]
    );
    assert_eq!((report.stamps.lost, report.stamps.repeated), (0, 30));
    assert_eq!(report.video.timestamps.went_back, 0);
    assert_eq!(report.publishes.len(), 2);
    assert_eq!(report.publishes[1].began_s, 8.0);
}

#[test]
fn frames_lost_across_a_reconnect_are_lost() {
    let mut p = Publisher::new(Platform::LinkedIn);
    p.begin(0);
    for n in 0..150 {
        p.frame(n, 0);
    }
    p.end(150, End::Lost);
    p.begin(180);
    for n in 180..300 {
        p.frame(n, 180);
    }
    let report = p.report();
    assert_eq!(
        report.verdict.findings,
        [
            "30 frames were lost (numbers 150–179).",
            "The connection ended without FCUnpublish or deleteStream 1 time. The platform closes \
             the event with that: the audience is lost.",
        ]
    );
    assert_eq!(report.publishes[1].ended, None);
}

#[test]
fn bent_times_and_times_that_go_back_are_found() {
    let mut p = Publisher::new(Platform::Custom);
    p.begin(0);
    for (n, (dts_ms, composition_ms)) in [(0, 67), (33, 134), (67, 40), (60, 0), (133, -5)]
        .into_iter()
        .enumerate()
    {
        let arrival = p.arrival(n as u64 * 33_333);
        p.judge.video(
            arrival,
            VideoFrame {
                dts_ms,
                composition_ms,
                keyframe: n == 0,
                data: &[0, 0, 0, 1, 0x65],
            },
        );
    }
    let report = p.report();
    assert_eq!(
        report.verdict.findings,
        [
            "1 frame with a negative composition time: to be shown before it can be decoded.",
            "Video timestamps went back 1 time, at most by 7 ms.",
            "3 frames shown off the 30 fps grid by more than 1 ms, at worst by -7.0 ms.",
        ]
    );
    assert_eq!(
        report.verdict.notes[0],
        "The frames carry no stamps: whether any was lost or doubled, and the latency, can't be \
         told."
    );
}

#[test]
fn sound_that_is_missing_or_late_is_found() {
    let mut p = Publisher::new(Platform::Custom);
    p.begin(0);
    let arrival = p.arrival(0);
    p.judge.audio(arrival, 60, &[0; 300]);
    p.judge.audio(arrival, 81, &[0; 300]);
    p.judge.audio(arrival, 145, &[0; 300]);
    for n in 0..60 {
        p.video(n, 0, n == 0);
    }
    let report = p.report();
    assert_eq!(
        report.verdict.findings,
        [
            "The audio has 1 hole in its timestamps, 43 ms together.",
            "Audio and video of one moment arrive up to 1.8 s apart: audio is behind.",
        ]
    );
    assert_eq!(report.verdict.notes, ["Audio starts 60 ms after video."]);
    assert!(report.verdict.lost);
}

#[test]
fn nothing_before_the_sequence_header_and_no_other_codec() {
    let mut p = Publisher::new(Platform::Custom);
    p.judge.begin_publish(p.start);
    p.video(1, 0, false);
    let arrival = p.arrival(0);
    for _ in 0..2 {
        let mp3 = Bytes::from_static(&[0x2f, 0]);
        p.judge.tag(arrival, Track::Audio, 0, &mp3);
    }
    let report = p.report();
    assert_eq!(
        report.verdict.findings,
        [
            "The video has no H.264 sequence header that can be read.",
            "1 frame came before the sequence header.",
            "1 publish began with a picture that is no keyframe.",
            "2 tags of audio can't be judged: the audio codec is number 2, and Regia takes AAC (10): \
             choose AAC in the sending encoder.",
        ]
    );
}

#[test]
fn a_summary_tells_the_last_second() {
    let mut p = Publisher::new(Platform::Custom);
    assert_eq!(p.judge.summary(p.start), None);
    p.begin(0);
    for n in 0..30 {
        p.frame(n, 0);
    }
    let now = p.arrival(1_000_000).at;
    let summary = p.judge.summary(now).unwrap();
    assert_eq!(
        summary.to_string(),
        "…x7Qd 00:00:01  30 fps  video 5996 kb/s  audio 131 kb/s  latency 80 ms (max 80)  30 \
         frames, 0 lost"
    );
    let later = p.arrival(2_000_000).at;
    let quiet = p.judge.summary(later).unwrap();
    assert_eq!((quiet.fps, quiet.frames, quiet.latency_ms), (0.0, 30, None));
}

#[test]
fn a_senders_clock_ahead_of_ours_is_told() {
    let mut p = Publisher::new(Platform::Custom);
    p.begin(0);
    let data = crate::stamp::insert(
        &[0, 0, 0, 1, 0x65],
        Stamp {
            frame: 1,
            captured_us: EPOCH_US + 5_000_000,
        },
    );
    let arrival = p.arrival(0);
    p.judge.video(
        arrival,
        VideoFrame {
            dts_ms: 0,
            composition_ms: 0,
            keyframe: true,
            data: &data,
        },
    );
    let report = p.report();
    assert_eq!(report.latency.unwrap().min_ms, -4_920.0);
    assert!(report.verdict.notes[0].starts_with("Frames arrived before they were captured"));
}

#[test]
fn tags_are_taken_apart() {
    let mut p = Publisher::new(Platform::Custom);
    p.judge.begin_publish(p.start);
    let header = [&[0x17, 0, 0, 0, 0], AVCC.as_slice()].concat();
    let tags: [(Track, u64, Vec<u8>); 6] = [
        (Track::Video, 0, header),
        (Track::Audio, 0, vec![0xaf, 0, 0x11, 0x90]),
        (Track::Video, 0, vec![0x17, 1, 0, 0, 67, 0, 0, 0, 1, 0x65]),
        (Track::Audio, 5, vec![0xaf, 1, 0x21]),
        (Track::Video, 33, vec![0x27, 1, 0, 0, 67, 0, 0, 0, 1, 0x61]),
        (Track::Video, 40, vec![0x57, 0]),
    ];
    let arrival = p.arrival(0);
    for (kind, at_ms, body) in tags {
        p.judge.tag(arrival, kind, at_ms, &body.into());
    }
    let report = p.report();
    assert_eq!(report.verdict.findings, [""; 0]);
    assert_eq!((report.video.frames, report.video.keyframes), (2, 1));
    assert_eq!(report.audio.frames, 1);
    assert_eq!(report.sync.worst_start_ms, Some(-62));
    assert_eq!(report.audio.codec.unwrap().sample_rate, 48_000);
}

#[test]
fn a_publishers_words_are_short_and_harmless() {
    assert_eq!(printable("Lavf\u{1b}[2J\n60"), "Lavf[2J60");
    assert_eq!(printable(&"x".repeat(500)).len(), MAX_TEXT);
}
