//! How one source does. Pure.

use super::eye::{Eye, LumaSample};
use crate::bridge::report::SourceHealth;
use crate::media::MediaTime;
use std::time::Duration;

/// What waits for its picture waits this long (`mix/video`); after it a picture is late.
const LATE_AFTER: Duration = Duration::from_millis(40);
/// A source that has given none for so long gives none now.
const GONE_AFTER: Duration = Duration::from_secs(2);
/// −60 dBFS: below is the noise of a microphone's preamplifier, or nothing.
pub const SILENCE: f32 = 0.001;
/// Speech pauses; a shorter silence is not told.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Vitals {
    frames: u64,
    late: u64,
    last_picture: Option<MediaTime>,
    eye: Eye,
    ear: Ear,
    picture_format: String,
    sound_format: String,
    /// It has given something, and how often it did so again.
    lives: u32,
    reported: Option<(MediaTime, u64)>,
}

impl Vitals {
    /// A picture that came at `now` and is due at `at`. True: its luma is wanted as well.
    pub fn handle_picture(&mut self, now: MediaTime, at: MediaTime) -> bool {
        self.frames += 1;
        if now.since(at) > LATE_AFTER {
            self.late += 1;
        }
        self.last_picture = Some(now);
        self.eye.wants(now)
    }

    pub fn handle_luma(&mut self, now: MediaTime, sample: LumaSample) {
        self.eye.handle_picture(now, sample);
    }

    /// Sound that came at `now` and whose greatest sample is `peak`.
    pub fn handle_sound(&mut self, now: MediaTime, peak: f32) {
        self.ear.handle_sound(now, peak);
    }

    pub fn handle_picture_format(&mut self, format: String) {
        self.picture_format = format;
    }

    pub fn handle_sound_format(&mut self, format: String) {
        self.sound_format = format;
    }

    /// It gives something, at first or again.
    pub fn handle_live(&mut self) {
        self.lives += 1;
        // A picture that is the same after the break was not frozen in it.
        self.eye.reset();
        self.ear = Ear::default();
    }

    pub fn report(&mut self, now: MediaTime, id: &str, still: bool) -> SourceHealth {
        let fps = self.reported.map_or(0.0, |(at, frames)| {
            let s = now.since(at).as_secs_f32();
            if s > 0.0 {
                (self.frames - frames) as f32 / s
            } else {
                0.0
            }
        });
        self.reported = Some((now, self.frames));
        let seen = self
            .last_picture
            .is_some_and(|at| now.since(at) < GONE_AFTER);
        let formats = [&self.picture_format, &self.sound_format];
        let formats: Vec<&str> = formats
            .iter()
            .map(|f| f.as_str())
            .filter(|f| !f.is_empty())
            .collect();
        SourceHealth {
            id: id.to_owned(),
            frames: self.frames,
            late: self.late,
            fps: tenths(fps),
            frozen_s: seen.then(|| tenths(self.eye.frozen_for(now).as_secs_f32())),
            black_s: seen.then(|| tenths(self.eye.black_for(now).as_secs_f32())),
            silent_s: self
                .ear
                .silent_for(now)
                .map(|silent| tenths(silent.as_secs_f32())),
            format: formats.join(", "),
            reconnects: self.lives.saturating_sub(1),
            still,
        }
    }
}

/// Finer than that nobody reads, and it keeps the event short.
fn tenths(value: f32) -> f32 {
    (value * 10.0).round() / 10.0
}

/// Listens for silence.
#[derive(Debug, Default)]
pub struct Ear {
    last: Option<MediaTime>,
    /// Since when nothing was loud enough.
    silent_since: Option<MediaTime>,
}

impl Ear {
    pub fn handle_sound(&mut self, now: MediaTime, peak: f32) {
        self.last = Some(now);
        if peak > SILENCE {
            self.silent_since = None;
        } else {
            self.silent_since.get_or_insert(now);
        }
    }

    /// None: no sound comes, silent or not.
    pub fn silent_for(&self, now: MediaTime) -> Option<Duration> {
        self.last.filter(|last| now.since(*last) < GONE_AFTER)?;
        let silent = self
            .silent_since
            .map_or(Duration::ZERO, |since| now.since(since));
        Some(if silent < PAUSE {
            Duration::ZERO
        } else {
            silent
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> MediaTime {
        MediaTime::from_millis(ms)
    }

    #[test]
    fn a_source_that_does_well() {
        let mut vitals = Vitals::default();
        vitals.handle_live();
        vitals.handle_picture_format("1280x720 25 fps".into());
        vitals.handle_sound_format("44100 Hz mono".into());
        vitals.report(ms(0), "stage", false);
        for n in 0..50 {
            if vitals.handle_picture(ms(n * 40 + 10), ms(n * 40)) {
                let sample = LumaSample::of(&[100 + n as u8; 64], 8, 8, 8).unwrap();
                vitals.handle_luma(ms(n * 40 + 10), sample);
            }
            vitals.handle_sound(ms(n * 40), 0.2);
        }
        let wanted = SourceHealth {
            id: "stage".into(),
            frames: 50,
            late: 0,
            fps: 25.0,
            frozen_s: Some(0.0),
            black_s: Some(0.0),
            silent_s: Some(0.0),
            format: "1280x720 25 fps, 44100 Hz mono".into(),
            reconnects: 0,
            still: false,
        };
        assert_eq!(vitals.report(ms(2_000), "stage", false), wanted);
    }

    #[test]
    fn what_stays_away_is_none() {
        let mut vitals = Vitals::default();
        vitals.handle_picture(ms(0), ms(0));
        vitals.handle_sound(ms(0), 0.0);
        let health = vitals.report(ms(1_900), "cam", false);
        assert_eq!((health.frozen_s, health.silent_s), (Some(0.0), Some(1.9)));
        let health = vitals.report(ms(2_100), "cam", false);
        assert_eq!((health.frozen_s, health.silent_s), (None, None));
    }

    #[test]
    fn late_pictures_and_returns_are_counted() {
        let mut vitals = Vitals::default();
        vitals.handle_live();
        vitals.handle_live();
        vitals.handle_picture(ms(100), ms(61));
        vitals.handle_picture(ms(150), ms(101));
        let health = vitals.report(ms(200), "cam", true);
        assert_eq!((health.late, health.reconnects, health.still), (1, 1, true));
    }

    #[test]
    fn pauses_of_speech_are_no_silence() {
        let mut ear = Ear::default();
        assert_eq!(ear.silent_for(ms(0)), None);
        ear.handle_sound(ms(0), 0.1);
        ear.handle_sound(ms(100), 0.000_5);
        ear.handle_sound(ms(1_000), 0.000_5);
        assert_eq!(ear.silent_for(ms(1_000)), Some(Duration::ZERO));
        ear.handle_sound(ms(2_100), 0.000_5);
        assert_eq!(ear.silent_for(ms(2_100)).unwrap().as_millis(), 2_000);
        ear.handle_sound(ms(2_200), 0.002);
        assert_eq!(ear.silent_for(ms(2_200)), Some(Duration::ZERO));
    }
}
