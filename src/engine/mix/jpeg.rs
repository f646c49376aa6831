//! Small pictures as JPEG. Shell: a pipeline of GStreamer's jpegenc, for one size.

use super::geometry::Size;
use super::painter::{PaintError, info};
use crate::engine::elements::make;
use bytes::Bytes;
use gst_video::{VideoFormat, VideoFrameRef, VideoInfo};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

const QUALITY: i32 = 80;
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(2);

/// From pictures of one size in I420 to JPEG of another.
pub struct Jpeg {
    from: VideoInfo,
    to: VideoInfo,
    converter: gst_video::VideoConverter,
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
}

impl Jpeg {
    pub fn new(from: Size, to: Size) -> Result<Self, PaintError> {
        let from = info(VideoFormat::I420, from)?;
        // What JFIF prescribes: BT.601 at full range.
        let colorimetry = gst_video::VideoColorimetry::new(
            gst_video::VideoColorRange::Range0_255,
            gst_video::VideoColorMatrix::Bt601,
            gst_video::VideoTransferFunction::Bt709,
            gst_video::VideoColorPrimaries::Bt709,
        );
        let to = VideoInfo::builder(VideoFormat::I420, to.width as u32, to.height as u32)
            .colorimetry(&colorimetry)
            .build()?;
        let mut config = gst_video::VideoConverterConfig::new();
        config.set_resampler_method(gst_video::VideoResamplerMethod::Linear);
        config.set_dither_method(gst_video::VideoDitherMethod::None);
        let converter = gst_video::VideoConverter::new(&from, &to, Some(config))?;
        let pipeline = gst::Pipeline::new();
        let source = gst_app::AppSrc::builder()
            .caps(&to.to_caps()?)
            .format(gst::Format::Time)
            .build();
        let missing = |error: crate::engine::EngineError| PaintError(error.to_string());
        let encoder = make("jpegenc").map_err(missing)?;
        encoder.set_property("quality", QUALITY);
        let sink = gst_app::AppSink::builder().sync(false).build();
        let parts = [source.clone().upcast(), encoder, sink.clone().upcast()];
        pipeline.add_many(&parts)?;
        gst::Element::link_many(&parts)?;
        let failed = |_| PaintError("jpegenc does not start".into());
        pipeline.set_state(gst::State::Playing).map_err(failed)?;
        Ok(Jpeg {
            from,
            to,
            converter,
            pipeline,
            source,
            sink,
        })
    }

    pub fn encode(&mut self, picture: &gst::BufferRef) -> Result<Bytes, PaintError> {
        let mut small = gst::Buffer::with_size(self.to.size())?;
        if let Some(small) = small.get_mut() {
            small.set_pts(gst::ClockTime::ZERO);
            let from = VideoFrameRef::from_buffer_ref_readable(picture, &self.from)?;
            let mut to = VideoFrameRef::from_buffer_ref_writable(small, &self.to)?;
            self.converter.frame_ref(&from, &mut to);
        }
        let failed = |text: &str| PaintError(format!("jpegenc {text}"));
        self.source
            .push_buffer(small)
            .map_err(|_| failed("takes no picture"))?;
        let sample = self.sink.try_pull_sample(PATIENCE);
        let buffer = sample.and_then(|sample| sample.buffer_owned());
        let map = buffer
            .ok_or_else(|| failed("gives no picture"))?
            .into_mapped_buffer_readable()
            .map_err(|_| failed("gives a picture that can't be read"))?;
        Ok(Bytes::copy_from_slice(&map))
    }
}

impl Drop for Jpeg {
    fn drop(&mut self) {
        // It holds nothing that outlives it.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
