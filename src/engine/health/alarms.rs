//! Alarms of the programme: black, frozen, silent. Pure.
//!
//! A scene may be meant to be still (a slide), and the slate is; what the show means is no fault. So each picture comes
//! with what is expected of it, and time in which stillness or black is meant does not count.

use super::eye::{Eye, LumaSample};
use super::vitals::{Ear, SILENCE};
use crate::bridge::report::Alarm;
use crate::config::Alarms;
use crate::media::MediaTime;
use std::time::Duration;

/// What is no fault of the picture now on air.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// It need not move: a slide, an image, a slate.
    pub still: bool,
    /// It may be black: everything is faded to black, or the slate is.
    pub black: bool,
}

#[derive(Debug)]
pub struct ProgrammeWatch {
    limits: Alarms,
    eye: Eye,
    ear: Ear,
    expect: Expect,
    on: [bool; 3],
}

const ALL: [Alarm; 3] = [Alarm::Black, Alarm::Frozen, Alarm::Silent];

impl ProgrammeWatch {
    pub fn new(limits: Alarms) -> Self {
        ProgrammeWatch {
            limits,
            eye: Eye::default(),
            ear: Ear::default(),
            expect: Expect::default(),
            on: [false; 3],
        }
    }

    /// Whether the programme's picture at `at` should be given to `handle_picture`.
    pub fn wants_picture(&self, at: MediaTime) -> bool {
        self.eye.wants(at)
    }

    pub fn handle_picture(&mut self, at: MediaTime, sample: LumaSample, expect: Expect) {
        if expect != self.expect {
            // Time counts from the change: what was meant until now is no fault of what follows.
            self.eye.reset();
            self.expect = expect;
        }
        self.eye.handle_picture(at, sample);
    }

    /// Sound of the programme that ends at `at`, and its greatest sample.
    pub fn handle_sound(&mut self, at: MediaTime, peak: f32) {
        self.ear.handle_sound(at, peak.max(SILENCE * 0.5));
    }

    /// What has changed at `now`.
    pub fn poll(&mut self, now: MediaTime) -> Vec<(Alarm, bool)> {
        let durations = [
            self.eye.black_for(now),
            self.eye.frozen_for(now),
            self.ear.silent_for(now).unwrap_or_default(),
        ];
        let limits = [
            self.limits.black.filter(|_| !self.expect.black),
            // A black picture is frozen as well; one alarm tells it.
            self.limits
                .frozen
                .filter(|_| !self.expect.still && durations[0].is_zero()),
            self.limits.silent,
        ];
        let over =
            |limit: Option<Duration>, lasted: Duration| limit.is_some_and(|limit| lasted >= limit);
        let mut changes = Vec::new();
        for (n, alarm) in ALL.into_iter().enumerate() {
            let on = over(limits[n], durations[n]);
            if on != self.on[n] {
                self.on[n] = on;
                changes.push((alarm, on));
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STILL: Expect = Expect {
        still: true,
        black: false,
    };

    fn s(s: i64) -> MediaTime {
        MediaTime::from_millis(s * 1_000)
    }

    fn watch() -> ProgrammeWatch {
        ProgrammeWatch::new(Alarms {
            black: Some(Duration::from_secs(3)),
            frozen: Some(Duration::from_secs(5)),
            silent: Some(Duration::from_secs(8)),
        })
    }

    fn grey(luma: u8) -> LumaSample {
        LumaSample::of(&[luma; 256], 16, 16, 16).unwrap()
    }

    /// A second at a time: luma, expectation, peak.
    fn run(show: &[(u8, Expect, f32)]) -> Vec<(i64, Alarm, bool)> {
        let mut watch = watch();
        let mut changes = Vec::new();
        for (n, (luma, expect, peak)) in (0..).zip(show) {
            assert!(watch.wants_picture(s(n)));
            watch.handle_picture(s(n), grey(*luma), *expect);
            watch.handle_sound(s(n), *peak);
            changes.extend(
                watch
                    .poll(s(n))
                    .into_iter()
                    .map(|(alarm, on)| (n, alarm, on)),
            );
        }
        changes
    }

    fn live(n: u8) -> (u8, Expect, f32) {
        (100 + n * 5, Expect::default(), 0.1)
    }

    #[test]
    fn a_programme_that_lives_raises_none() {
        let show: Vec<_> = (0..20).map(live).collect();
        assert_eq!(run(&show), []);
    }

    #[test]
    fn black_is_told_once_and_ends_with_the_picture() {
        let mut show = vec![live(0)];
        show.extend([(16, Expect::default(), 0.1); 8]);
        show.extend((1..4).map(live));
        assert_eq!(
            run(&show),
            [(4, Alarm::Black, true), (9, Alarm::Black, false)]
        );
    }

    #[test]
    fn frozen_and_silent() {
        let mut show = vec![(90, Expect::default(), 0.0); 11];
        show.push((20, Expect::default(), 0.5));
        let wanted = [
            (5, Alarm::Frozen, true),
            (8, Alarm::Silent, true),
            (11, Alarm::Frozen, false),
            (11, Alarm::Silent, false),
        ];
        assert_eq!(run(&show), wanted);
    }

    #[test]
    fn a_slide_may_stand_and_what_follows_has_its_own_time() {
        let mut show = vec![(90, STILL, 0.1); 20];
        show.extend([(90, Expect::default(), 0.1); 6]);
        assert_eq!(run(&show), [(25, Alarm::Frozen, true)]);
    }

    #[test]
    fn fade_to_black_is_meant() {
        let faded = Expect {
            still: true,
            black: true,
        };
        assert_eq!(run(&[(16, faded, 0.1); 20]), []);
    }

    #[test]
    fn what_is_off_stays_off() {
        let mut watch = ProgrammeWatch::new(Alarms {
            black: None,
            frozen: None,
            silent: None,
        });
        for n in 0..60 {
            watch.handle_picture(s(n), grey(16), Expect::default());
            watch.handle_sound(s(n), 0.0);
            assert_eq!(watch.poll(s(n)), []);
        }
    }
}
