//! The video encoders Regia knows, and how each is told the same thing: constant bitrate with a bounded
//! buffer, closed GOPs of an exact length, B-frames or none.

use crate::config::{EncoderChoice, Tune, Video};
use crate::engine::elements::set;
use crate::media::FrameRate;
use gstreamer as gst;

/// The rate controller's buffer: how much the encoder may borrow from the second to come.
const VBV_MS: u32 = 1_000;
const B_FRAMES: u32 = 2;
/// x264 delays a frame for each thread beyond the first. Four carry 1080p60 at the usual presets; more would cost
/// latency on machines with many cores for nothing.
const MOST_THREADS: usize = 4;

#[derive(Debug)]
pub struct Candidate {
    pub factory: &'static str,
    pub choice: EncoderChoice,
    pub hardware: bool,
    /// The property that holds the target bitrate, and how many of its units make a kb/s.
    rate: Option<(&'static str, u32)>,
    /// The same for the peak, where an encoder has one apart from the target.
    peak: Option<(&'static str, u32)>,
    configure: fn(&gst::Element, &Video, FrameRate),
}

/// In the order of preference. Hardware first: it costs no core.
pub static CANDIDATES: &[Candidate] = &[
    Candidate {
        factory: "nvh264enc",
        choice: EncoderChoice::Nvenc,
        hardware: true,
        rate: Some(("bitrate", 1)),
        peak: Some(("max-bitrate", 1)),
        configure: nvenc,
    },
    Candidate {
        factory: "vah264enc",
        choice: EncoderChoice::Vaapi,
        hardware: true,
        rate: Some(("bitrate", 1)),
        peak: None,
        configure: va,
    },
    Candidate {
        factory: "vaapih264enc",
        choice: EncoderChoice::Vaapi,
        hardware: true,
        rate: Some(("bitrate", 1)),
        peak: None,
        configure: vaapi,
    },
    Candidate {
        factory: "qsvh264enc",
        choice: EncoderChoice::Qsv,
        hardware: true,
        rate: Some(("bitrate", 1)),
        peak: Some(("max-bitrate", 1)),
        configure: qsv,
    },
    Candidate {
        factory: "v4l2h264enc",
        choice: EncoderChoice::V4l2,
        hardware: true,
        rate: None,
        peak: None,
        configure: v4l2,
    },
    Candidate {
        factory: "x264enc",
        choice: EncoderChoice::X264,
        hardware: false,
        rate: Some(("bitrate", 1)),
        peak: None,
        configure: x264,
    },
    Candidate {
        factory: "openh264enc",
        choice: EncoderChoice::Openh264,
        hardware: false,
        rate: Some(("bitrate", 1_000)),
        peak: Some(("max-bitrate", 1_000)),
        configure: openh264,
    },
];

/// Those to try for `choice`, best first. A choice that fails is followed by the software encoders: to be on
/// air matters more than by what.
pub fn in_order(choice: EncoderChoice) -> Vec<&'static Candidate> {
    let chosen = CANDIDATES
        .iter()
        .filter(|c| choice == EncoderChoice::Auto || c.choice == choice);
    let fallback = CANDIDATES
        .iter()
        .filter(|c| choice != EncoderChoice::Auto && c.choice != choice && !c.hardware);
    chosen.chain(fallback).collect()
}

/// Frames of one GOP.
pub fn gop_length(video: &Video, fps: FrameRate) -> u32 {
    (video.keyframe_s * fps.as_f64()).round().max(1.0) as u32
}

impl Candidate {
    pub fn apply(&self, element: &gst::Element, video: &Video, fps: FrameRate) {
        (self.configure)(element, video, fps);
        self.set_bitrate(element, video.bitrate_kbps);
    }

    /// Also in flight. False: this encoder can't.
    pub fn set_bitrate(&self, element: &gst::Element, kbps: u32) -> bool {
        if let Some((property, unit)) = self.peak {
            set(element, property, &kbps.saturating_mul(unit).to_string());
        }
        self.rate.is_some_and(|(property, unit)| {
            set(element, property, &kbps.saturating_mul(unit).to_string())
        })
    }

    /// x264enc writes avcC itself; of the others some know only byte-stream.
    pub fn needs_parser(&self) -> bool {
        self.choice != EncoderChoice::X264
    }
}

fn set_all(element: &gst::Element, values: &[(&str, &str)]) {
    for (property, value) in values {
        if !set(element, property, value) {
            tracing::debug!(element = %gst::prelude::GstObjectExt::name(element), property, value, "this version has no such setting");
        }
    }
}

fn x264(element: &gst::Element, video: &Video, fps: FrameRate) {
    let gop = gop_length(video, fps).to_string();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let threads = (cores + cores / 2).clamp(1, MOST_THREADS).to_string();
    set_all(
        element,
        &[
            ("pass", "cbr"),
            ("speed-preset", &video.preset),
            ("vbv-buf-capacity", &VBV_MS.to_string()),
            ("key-int-max", &gop),
            ("aud", "false"),
            ("threads", &threads),
            // Without scene cuts every GOP has its full length; an IDR at each keyframe closes it.
            ("option-string", "scenecut=0:open-gop=0"),
        ],
    );
    match video.tune {
        Tune::Quality => set_all(element, &[("bframes", &B_FRAMES.to_string())]),
        // Frame threads stay: slices instead of them cost bits, and two threads more are 66 ms at 30 fps.
        Tune::Latency => set_all(
            element,
            &[
                ("bframes", "0"),
                ("rc-lookahead", "0"),
                ("sync-lookahead", "0"),
                ("mb-tree", "false"),
                ("threads", &cores.clamp(1, 3).to_string()),
            ],
        ),
    }
}

fn openh264(element: &gst::Element, video: &Video, fps: FrameRate) {
    set_all(
        element,
        &[
            ("rate-control", "bitrate"),
            ("gop-size", &gop_length(video, fps).to_string()),
            ("scene-change-detection", "false"),
            ("enable-frame-skip", "false"),
        ],
    );
}

fn nvenc(element: &gst::Element, video: &Video, fps: FrameRate) {
    let b_frames = b_frames(video);
    set_all(
        element,
        &[
            ("rc-mode", "cbr"),
            ("gop-size", &gop_length(video, fps).to_string()),
            ("strict-gop", "true"),
            ("vbv-buffer-size", &video.bitrate_kbps.to_string()),
            ("bframes", &b_frames),
            ("aud", "false"),
            (
                "zerolatency",
                if video.tune == Tune::Latency {
                    "true"
                } else {
                    "false"
                },
            ),
        ],
    );
}

fn va(element: &gst::Element, video: &Video, fps: FrameRate) {
    set_all(
        element,
        &[
            ("rate-control", "cbr"),
            ("key-int-max", &gop_length(video, fps).to_string()),
            ("b-frames", &b_frames(video)),
            ("cpb-size", &video.bitrate_kbps.to_string()),
            ("aud", "false"),
        ],
    );
}

fn vaapi(element: &gst::Element, video: &Video, fps: FrameRate) {
    set_all(
        element,
        &[
            ("rate-control", "cbr"),
            ("keyframe-period", &gop_length(video, fps).to_string()),
            ("max-bframes", &b_frames(video)),
            ("cpb-length", &VBV_MS.to_string()),
            ("aud", "false"),
        ],
    );
}

fn qsv(element: &gst::Element, video: &Video, fps: FrameRate) {
    set_all(
        element,
        &[
            ("rate-control", "cbr"),
            ("gop-size", &gop_length(video, fps).to_string()),
            ("idr-interval", "0"),
            ("b-frames", &b_frames(video)),
            (
                "low-latency",
                if video.tune == Tune::Latency {
                    "true"
                } else {
                    "false"
                },
            ),
        ],
    );
}

/// The kernel's stateful encoders are steered by V4L2 controls, which GStreamer passes on only at start.
fn v4l2(element: &gst::Element, video: &Video, fps: FrameRate) {
    let controls = format!(
        "controls,video_bitrate_mode=1,video_bitrate={},video_gop_size={},h264_i_frame_period={gop},repeat_sequence_header=0;",
        u64::from(video.bitrate_kbps) * 1_000,
        gop_length(video, fps),
        gop = gop_length(video, fps),
    );
    set_all(element, &[("extra-controls", &controls)]);
}

fn b_frames(video: &Video) -> String {
    match video.tune {
        Tune::Quality => B_FRAMES.to_string(),
        Tune::Latency => "0".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(choice: EncoderChoice) -> Vec<&'static str> {
        in_order(choice).iter().map(|c| c.factory).collect()
    }

    #[test]
    fn software_follows_what_was_chosen() {
        assert_eq!(
            names(EncoderChoice::Nvenc),
            ["nvh264enc", "x264enc", "openh264enc"]
        );
        assert_eq!(names(EncoderChoice::Openh264), ["openh264enc", "x264enc"]);
        assert_eq!(names(EncoderChoice::Auto).len(), CANDIDATES.len());
        assert_eq!(names(EncoderChoice::Auto)[5], "x264enc");
    }

    #[test]
    fn gops_are_whole_frames() {
        let video = |keyframe_s| Video {
            encoder: EncoderChoice::Auto,
            preset: "veryfast".into(),
            tune: Tune::Quality,
            bitrate_kbps: 6_000,
            min_bitrate_kbps: 2_000,
            keyframe_s,
        };
        let ntsc = FrameRate {
            num: 30_000,
            den: 1_001,
        };
        assert_eq!(gop_length(&video(2.0), FrameRate { num: 30, den: 1 }), 60);
        assert_eq!(gop_length(&video(2.0), ntsc), 60);
        assert_eq!(gop_length(&video(0.001), ntsc), 1);
    }
}
