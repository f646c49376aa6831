//! The clocks the engine reads. Everything is timed by CLOCK_MONOTONIC, which the director shares; the wall
//! clock is read once, so that a step of NTP changes nothing in the stream.

use crate::media::MediaTime;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::time::{SystemTime, UNIX_EPOCH};

/// CLOCK_MONOTONIC as GStreamer gives it, and what the wall showed when the engine started.
#[derive(Clone, Debug)]
pub struct Clock {
    system: gst::Clock,
    wall_less_monotonic: i64,
}

impl Clock {
    /// GStreamer must be initialised.
    pub fn start() -> Self {
        let system = gst::SystemClock::obtain();
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(0));
        let monotonic = to_media_time(system.time());
        Clock {
            system,
            wall_less_monotonic: wall - monotonic.0,
        }
    }

    pub fn now(&self) -> MediaTime {
        to_media_time(self.system.time())
    }

    /// Microseconds since the Unix epoch at the monotonic time `at`.
    pub fn wall_us(&self, at: MediaTime) -> u64 {
        u64::try_from(at.0 + self.wall_less_monotonic).unwrap_or(0)
    }

    /// The clock that every pipeline must use.
    pub fn system(&self) -> &gst::Clock {
        &self.system
    }
}

/// Rounded to the nearest microsecond.
pub fn to_media_time(time: gst::ClockTime) -> MediaTime {
    MediaTime(i64::try_from(time.nseconds().saturating_add(500) / 1_000).unwrap_or(i64::MAX))
}

/// Times before zero, which no caller has, become zero.
pub fn to_clock_time(time: MediaTime) -> gst::ClockTime {
    gst::ClockTime::from_useconds(u64::try_from(time.0).unwrap_or(0))
}
