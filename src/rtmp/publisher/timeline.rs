//! Programme time → the timestamps of one RTMP session.

use crate::media::MediaTime;

#[derive(Clone, Copy)]
pub(super) struct Timeline {
    /// The programme time that has timestamp `start_ms`.
    pub base: MediaTime,
    pub start_ms: u64,
}

impl Timeline {
    /// Where `time` lies on the session's timeline; may be before its start, or below zero.
    pub(super) fn place_ms(self, time: MediaTime) -> i64 {
        // Short of the end of the number's range, so that rounding up stays within it.
        let since_base = time.0.saturating_sub(self.base.0).min(i64::MAX - 500);
        MediaTime(since_base)
            .round_millis()
            .saturating_add_unsigned(self.start_ms)
    }

    /// What to send: nothing is before the start. Sound that precedes the first keyframe by a little is put there.
    pub(super) fn timestamp_ms(self, time: MediaTime) -> u64 {
        u64::try_from(self.place_ms(time))
            .unwrap_or(0)
            .max(self.start_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_has_a_place() {
        let timeline = Timeline {
            base: MediaTime(1_000_000),
            start_ms: 7,
        };
        assert_eq!(timeline.timestamp_ms(MediaTime(1_033_333)), 40);
        assert_eq!(timeline.timestamp_ms(MediaTime(0)), 7);
        assert_eq!(timeline.place_ms(MediaTime(0)), -993);
        assert_eq!(timeline.timestamp_ms(MediaTime(i64::MIN)), 7);
        assert!(timeline.timestamp_ms(MediaTime(i64::MAX)) > 1 << 50);
    }
}
