//! GStreamer elements by name, and the Debian package that brings each.

use super::error::EngineError;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

/// What Regia uses always, or for one kind of source: (element, Debian package, what for).
pub const NEEDED: &[(&str, &str, &str)] = &[
    ("appsrc", "gstreamer1.0-plugins-base", "everything"),
    ("appsink", "gstreamer1.0-plugins-base", "everything"),
    (
        "videoconvertscale",
        "gstreamer1.0-plugins-base",
        "every picture",
    ),
    ("audioconvert", "gstreamer1.0-plugins-base", "every sound"),
    ("audioresample", "gstreamer1.0-plugins-base", "every sound"),
    (
        "uridecodebin",
        "gstreamer1.0-plugins-base",
        "file and rtsp sources",
    ),
    (
        "decodebin",
        "gstreamer1.0-plugins-base",
        "pictures and v4l2 sources",
    ),
    (
        "deinterlace",
        "gstreamer1.0-plugins-good",
        "interlaced pictures",
    ),
    ("x264enc", "gstreamer1.0-plugins-ugly", "encoding H.264"),
    (
        "openh264enc",
        "gstreamer1.0-plugins-bad",
        "encoding H.264 without x264",
    ),
    (
        "h264parse",
        "gstreamer1.0-plugins-bad",
        "encoders other than x264",
    ),
    ("avenc_aac", "gstreamer1.0-libav", "encoding AAC"),
    (
        "voaacenc",
        "gstreamer1.0-plugins-bad",
        "encoding AAC without libav",
    ),
    ("avdec_h264", "gstreamer1.0-libav", "most files and cameras"),
    ("avdec_aac", "gstreamer1.0-libav", "most files and cameras"),
    ("qtdemux", "gstreamer1.0-plugins-good", "MP4 and MOV files"),
    ("v4l2src", "gstreamer1.0-plugins-good", "v4l2 sources"),
    (
        "jpegdec",
        "gstreamer1.0-plugins-good",
        "pictures and v4l2 sources",
    ),
    ("pngdec", "gstreamer1.0-plugins-good", "pictures"),
    ("jpegenc", "gstreamer1.0-plugins-good", "thumbnails"),
    ("alsasrc", "gstreamer1.0-alsa", "alsa sources"),
    ("pulsesrc", "gstreamer1.0-plugins-good", "pulse sources"),
    ("pipewiresrc", "gstreamer1.0-pipewire", "pipewire sources"),
    ("rtspsrc", "gstreamer1.0-plugins-good", "rtsp sources"),
    ("ximagesrc", "gstreamer1.0-plugins-good", "screen sources"),
    (
        "decklinkvideosrc",
        "gstreamer1.0-plugins-bad",
        "decklink sources",
    ),
    (
        "decklinkaudiosrc",
        "gstreamer1.0-plugins-bad",
        "decklink sources",
    ),
    ("wpevideosrc", "gstreamer1.0-wpe", "html sources"),
    (
        "kmssink",
        "gstreamer1.0-plugins-bad",
        "the multiview on the box's screen",
    ),
    (
        "ximagesink",
        "gstreamer1.0-x",
        "the multiview on an X display",
    ),
    ("aacparse", "gstreamer1.0-plugins-good", "rtmp sources"),
    ("srtsrc", "gstreamer1.0-plugins-bad", "srt sources"),
    ("tsdemux", "gstreamer1.0-plugins-bad", "srt sources"),
];

/// A new element. The name must be in `NEEDED` for the error to name a package.
pub fn make(name: &'static str) -> Result<gst::Element, EngineError> {
    gst::ElementFactory::make(name)
        .build()
        .map_err(|_| EngineError::MissingElement {
            element: name,
            package: NEEDED
                .iter()
                .find(|(element, ..)| *element == name)
                .map_or("gstreamer1.0-plugins-base", |(_, package, _)| package),
        })
}

/// Sets a property from its text. False: the element has no such property, or no such value of it, as other versions
/// of a plugin may.
pub fn set(element: &gst::Element, property: &str, value: &str) -> bool {
    let Some(spec) = element.find_property(property) else {
        return false;
    };
    match glib::Value::deserialize_with_pspec(value, &spec) {
        Ok(value) if in_range(&spec, &value) => {
            element.set_property_from_value(property, &value);
            true
        }
        _ => false,
    }
}

/// Setting a number out of its range is a panic in the bindings.
fn in_range(spec: &glib::ParamSpec, value: &glib::Value) -> bool {
    let unsigned = spec
        .downcast_ref::<glib::ParamSpecUInt>()
        .map(|spec| spec.minimum()..=spec.maximum());
    let signed = spec
        .downcast_ref::<glib::ParamSpecInt>()
        .map(|spec| spec.minimum()..=spec.maximum());
    unsigned.is_none_or(|range| value.get().is_ok_and(|v: u32| range.contains(&v)))
        && signed.is_none_or(|range| value.get().is_ok_and(|v: i32| range.contains(&v)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        gst::init().unwrap();
        let x264 = make("x264enc").unwrap();
        assert!(set(&x264, "bitrate", "2500"));
        assert_eq!(x264.property::<u32>("bitrate"), 2_500);
        assert!(!set(&x264, "bitrate", "0"));
        assert!(!set(&x264, "bitrate", "many"));
        assert!(!set(&x264, "rc-lookahead", "-3"));
        assert!(!set(&x264, "speed-preset", "warp"));
        assert!(!set(&x264, "no-such-thing", "1"));
        assert!(set(&x264, "speed-preset", "veryfast"));
    }

    #[test]
    fn a_missing_element_names_its_package() {
        gst::init().unwrap();
        let error = make("no-such-element").unwrap_err().to_string();
        assert_eq!(
            error,
            "the GStreamer element no-such-element is missing: install the Debian package \
             gstreamer1.0-plugins-base, or run `regia doctor`"
        );
    }
}
