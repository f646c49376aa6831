//! The `test` source: a moving picture with a clock and the frame's number burnt in, a tone, and a flash and a
//! beep in sync each second. Drawn here, because no combination of GStreamer's test sources flashes and beeps
//! together; and drawn onto a copy of what stays, because that costs least.

use super::picture::{Moment, TestPicture};
use super::tone;
use super::{Capture, End};
use crate::engine::format::Frame;
use crate::media::MediaTime;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::time::Duration;

/// A frame is drawn so long before its time, so that it is there at its time on a busy machine too.
const AHEAD: Duration = Duration::from_millis(60);
/// Farther behind than this (the machine slept), what is past is left out.
const FORGIVEN: Duration = Duration::from_millis(500);

pub fn run(capture: &Capture) -> End {
    match play(capture) {
        Ok(end) | Err(end) => end,
    }
}

fn play(capture: &Capture) -> Result<End, End> {
    let format = &capture.format;
    let layout = format.layout();
    let picture = TestPicture::new(layout);
    let pool = pool(&format.source_video_caps(), layout.size)?;
    let mut frame = format.fps.frame_at(capture.clock.now()) + 1;
    capture.report_live();
    loop {
        let at = format.fps.frame_time(frame);
        let now = capture.clock.now();
        if capture.stop.wait((at - AHEAD).since(now)) {
            return Ok(End::Stopped);
        }
        if now.since(at) > FORGIVEN {
            frame = format.fps.frame_at(now) + 1;
            continue;
        }
        if capture.feed.sound {
            let first = tone::sample_position(format.sample_rate, at);
            let samples = tone::sound(format.fps, format.sample_rate, frame);
            capture
                .feed
                .audio(sample_time(first, format.sample_rate), samples)?;
        }
        if capture.feed.picture {
            let clock = clock_text(capture.clock.wall_us(at));
            let moment = Moment {
                frame,
                us: at.0,
                clock: &clock,
                flash: tone::is_flash(format.fps, frame),
            };
            let frame = draw(&pool, &picture, &moment)?;
            capture.feed.video(at, Frame::opaque(frame))?;
        }
        frame += 1;
    }
}

fn pool(caps: &gst::Caps, size: usize) -> Result<gst::BufferPool, End> {
    let failed = |_| End::Failed("no memory for its frames".into());
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    config.set_params(Some(caps), u32::try_from(size).unwrap_or(u32::MAX), 2, 0);
    pool.set_config(config).map_err(failed)?;
    pool.set_active(true).map_err(failed)?;
    Ok(pool)
}

fn draw(
    pool: &gst::BufferPool,
    picture: &TestPicture,
    moment: &Moment,
) -> Result<gst::Buffer, End> {
    let failed = || End::Failed("no memory for its frames".into());
    let mut frame = pool.acquire_buffer(None).map_err(|_| failed())?;
    let buffer = frame.get_mut().ok_or_else(failed)?;
    picture.draw(&mut buffer.map_writable().map_err(|_| failed())?, moment);
    Ok(frame)
}

fn sample_time(sample: i64, rate: u32) -> MediaTime {
    let us = i128::from(sample) * 1_000_000 / i128::from(rate);
    MediaTime(us as i64)
}

/// The time of day, UTC.
fn clock_text(wall_us: u64) -> String {
    let ms = wall_us / 1_000;
    let (s, ms) = (ms / 1_000, ms % 1_000);
    let (h, m, s) = (s / 3_600 % 24, s / 60 % 60, s % 60);
    format!("{h:02}:{m:02}:{s:02}.{ms:03} UTC")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clock_reads_as_clocks_do() {
        assert_eq!(super::clock_text(1_700_000_000_123_456), "22:13:20.123 UTC");
    }
}
