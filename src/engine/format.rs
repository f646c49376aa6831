//! The programme's raw format, to which every source is normalised: I420 at the programme's size, BT.709 at
//! video range, and 48 kHz stereo as interleaved 32-bit floats.

use crate::config::Programme;
use crate::media::FrameRate;
use gstreamer as gst;
use gstreamer_video::VideoFormat;

pub const CHANNELS: usize = 2;

/// How a picture's pixels lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels {
    I420,
    /// With a plane of alpha behind the others: of a source that is transparent in parts.
    A420,
}

impl Pixels {
    pub fn video_format(self) -> VideoFormat {
        match self {
            Pixels::I420 => VideoFormat::I420,
            Pixels::A420 => VideoFormat::A420,
        }
    }
}

/// A source's picture, at the programme's size.
#[derive(Clone, Debug)]
pub struct Frame {
    pub buffer: gst::Buffer,
    pub pixels: Pixels,
}

impl Frame {
    pub fn opaque(buffer: gst::Buffer) -> Self {
        Frame {
            buffer,
            pixels: Pixels::I420,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    pub width: u32,
    pub height: u32,
    pub fps: FrameRate,
    pub sample_rate: u32,
}

impl Format {
    pub fn of(programme: &Programme) -> Self {
        Format {
            width: programme.width,
            height: programme.height,
            fps: programme.fps,
            sample_rate: programme.audio.sample_rate,
        }
    }

    /// What a source must yield: its frame rate is its own, the mix puts frames onto the programme's grid.
    pub fn source_video_caps(&self) -> gst::Caps {
        self.video_caps().build()
    }

    pub fn programme_video_caps(&self) -> gst::Caps {
        let (num, den) = (self.fps.num, self.fps.den);
        // Validated settings keep both far below i32::MAX.
        let rate = gst::Fraction::new(
            i32::try_from(num).unwrap_or(i32::MAX),
            i32::try_from(den).unwrap_or(i32::MAX),
        );
        self.video_caps().field("framerate", rate).build()
    }

    pub fn audio_caps(&self) -> gst::Caps {
        gst::Caps::builder("audio/x-raw")
            .field("format", "F32LE")
            .field("layout", "interleaved")
            .field("rate", i32::try_from(self.sample_rate).unwrap_or(i32::MAX))
            .field("channels", CHANNELS as i32)
            .field("channel-mask", gst::Bitmask::new(0x3))
            .build()
    }

    pub fn layout(&self) -> I420Layout {
        I420Layout::new(self.width as usize, self.height as usize)
    }

    fn video_caps(&self) -> gst::caps::Builder<gst::caps::NoFeature> {
        gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .field("width", i32::try_from(self.width).unwrap_or(i32::MAX))
            .field("height", i32::try_from(self.height).unwrap_or(i32::MAX))
            .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
            .field("interlace-mode", "progressive")
            .field("colorimetry", "bt709")
    }
}

/// Where the planes of an I420 frame lie in memory, as GStreamer lays them out by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I420Layout {
    pub width: usize,
    pub height: usize,
    pub stride: [usize; 3],
    pub offset: [usize; 3],
    pub size: usize,
}

impl I420Layout {
    /// Of a whole frame. The plane of alpha of A420 has `size` as its offset, and the luma's stride.
    pub fn size_of(&self, pixels: Pixels) -> usize {
        match pixels {
            Pixels::I420 => self.size,
            Pixels::A420 => self.size + self.stride[0] * self.height.next_multiple_of(2),
        }
    }

    pub fn new(width: usize, height: usize) -> Self {
        let luma = width.next_multiple_of(4);
        let chroma = width.next_multiple_of(2).div_ceil(2).next_multiple_of(4);
        let rows = height.next_multiple_of(2);
        let u = luma * rows;
        let v = u + chroma * (rows / 2);
        I420Layout {
            width,
            height,
            stride: [luma, chroma, chroma],
            offset: [0, u, v],
            size: v + chroma * (rows / 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gstreamer_video as gst_video;

    #[test]
    fn planes_lie_where_gstreamer_has_them() {
        gst::init().unwrap();
        for (width, height) in [
            (1920, 1080),
            (1280, 720),
            (854, 480),
            (426, 240),
            (322, 182),
        ] {
            let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height)
                .build()
                .unwrap();
            let ours = I420Layout::new(width as usize, height as usize);
            assert_eq!(ours.size, info.size());
            assert_eq!(ours.offset.as_slice(), info.offset());
            assert_eq!(ours.stride.map(|s| s as i32).as_slice(), info.stride());
            let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::A420, width, height)
                .build()
                .unwrap();
            assert_eq!(ours.size_of(Pixels::A420), info.size());
            assert_eq!(ours.size, info.offset()[3]);
            assert_eq!(ours.stride[0] as i32, info.stride()[3]);
        }
    }
}
