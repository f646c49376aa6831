//! What goes out, and when: the programme after its delay, or the slate in its place. Pure.
//!
//! Every unit of the programme goes out, in order and with its own times, `delay` after it came in; so the two chains of units
//! number them alike. What is covered (by a dump, or to close) keeps its place and time, and carries the slate: the audience
//! sees no gap, and when the delay has filled again, the programme. The clip's pictures have no B-frames, so each is
//! shown as long after its decoding as a keyframe is: on the programme's own grid.

use crate::media::{Clip, MediaTime, MediaUnit, StreamConfig, Track};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub struct Air {
    delay: Duration,
    queue: VecDeque<Waiting>,
    clip: Option<(Arc<Clip>, Arc<StreamConfig>)>,
    cover: Cover,
    /// What is given out now is covered.
    covered: bool,
    /// The next picture of the clip.
    picture: usize,
    /// Keyframes are shown so long after their decoding.
    lead: Duration,
    /// The latest presentation time given out.
    shown: Option<MediaTime>,
}

struct Waiting {
    due: Instant,
    unit: MediaUnit,
    config: Arc<StreamConfig>,
    covered: bool,
}

/// What becomes of units that come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    Off,
    /// Nothing can be shown before a keyframe, and nothing that is shown before `from` may be.
    UntilKeyframe {
        from: MediaTime,
    },
    On,
}

/// What a dump threw away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dumped {
    pub units: u64,
    /// Of programme.
    pub time: Duration,
}

/// A unit's time to go out has come.
#[derive(Debug)]
pub struct Aired {
    pub unit: MediaUnit,
    pub config: Arc<StreamConfig>,
}

impl Air {
    pub fn new(delay: Duration) -> Self {
        Air {
            delay,
            queue: VecDeque::new(),
            clip: None,
            cover: Cover::Off,
            covered: false,
            picture: 0,
            lead: Duration::ZERO,
            shown: None,
        }
    }

    /// The slate as the engine encoded it. Until there is one, what is covered is left out.
    pub fn set_clip(&mut self, clip: Clip) {
        if clip.pictures.is_empty() {
            return;
        }
        let config = Arc::new(clip.config.clone());
        self.clip = Some((Arc::new(clip), config));
    }

    pub fn push(&mut self, now: Instant, unit: MediaUnit, config: Arc<StreamConfig>) {
        if let Cover::UntilKeyframe { from } = self.cover
            && unit.keyframe
            && unit.pts >= from
        {
            self.cover = Cover::Off;
        }
        self.queue.push_back(Waiting {
            due: now + self.delay,
            unit,
            config,
            covered: self.cover != Cover::Off,
        });
    }

    /// The next unit whose time has come.
    pub fn poll(&mut self, now: Instant) -> Option<Aired> {
        let due = self.queue.front()?.due;
        if now < due {
            return None;
        }
        let Waiting {
            unit,
            config,
            covered,
            ..
        } = self.queue.pop_front()?;
        if unit.keyframe {
            self.lead = unit.pts.since(unit.dts);
        }
        if covered && !self.covered || unit.keyframe {
            self.picture = 0;
        }
        self.covered = covered;
        let aired = if covered {
            self.slate(unit, config)
        } else {
            Aired { unit, config }
        };
        if aired.unit.track == Track::Video && !aired.unit.data.is_empty() {
            self.shown = self.shown.max(Some(aired.unit.pts));
        }
        Some(aired)
    }

    /// When to poll again.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.queue.front().map(|waiting| waiting.due)
    }

    /// Whether the audience is being sent the slate.
    pub fn is_covered(&self) -> bool {
        self.covered
    }

    /// Throws away what waits, and what comes until the next keyframe that is shown at `now` of the programme or later: what
    /// happened before the dump may still be on its way through the encoder. None: there is no delay, so nothing waits.
    pub fn dump(&mut self, now: MediaTime) -> Option<Dumped> {
        if self.delay.is_zero() {
            return None;
        }
        let fresh = || self.queue.iter().filter(|waiting| !waiting.covered);
        let times = || fresh().map(|waiting| waiting.unit.dts);
        let dumped = Dumped {
            units: fresh().count() as u64,
            time: times()
                .max()
                .zip(times().min())
                .map_or(Duration::ZERO, |(last, first)| last.since(first)),
        };
        self.queue
            .iter_mut()
            .for_each(|waiting| waiting.covered = true);
        if self.cover != Cover::On {
            self.cover = Cover::UntilKeyframe { from: now };
        }
        Some(dumped)
    }

    /// Covers what comes in from now on, or lets it through again from the next keyframe on.
    pub fn cover(&mut self, on: bool) {
        self.cover = match (on, self.cover) {
            (true, _) => Cover::On,
            (false, Cover::On) => Cover::UntilKeyframe {
                from: MediaTime(i64::MIN),
            },
            (false, as_it_is) => as_it_is,
        };
    }

    fn slate(&mut self, unit: MediaUnit, config: Arc<StreamConfig>) -> Aired {
        // An empty unit keeps its place in the order and is not sent.
        let left_out = |unit: MediaUnit, config| Aired {
            unit: MediaUnit {
                keyframe: false,
                data: Bytes::new(),
                ..unit
            },
            config,
        };
        let Some((clip, config_of_clip)) = self.clip.clone() else {
            return left_out(unit, config);
        };
        if unit.track == Track::Audio {
            return Aired {
                unit: MediaUnit {
                    data: clip.sound.clone(),
                    ..unit
                },
                config: config_of_clip,
            };
        }
        let pts = unit.dts + self.lead;
        // What was decoded ahead and sent already is shown now: the slate comes after it.
        if self.shown.is_some_and(|shown| pts <= shown) {
            return left_out(unit, config);
        }
        if self.picture >= clip.pictures.len() {
            self.picture = 0;
        }
        let data = clip.pictures[self.picture].clone();
        let keyframe = self.picture == 0;
        self.picture += 1;
        Aired {
            unit: MediaUnit {
                pts,
                keyframe,
                data,
                ..unit
            },
            config: config_of_clip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameRate;
    use crate::window::tests::config;
    use proptest::prelude::*;

    const FPS: FrameRate = FrameRate { num: 30, den: 1 };
    const GOP: i64 = 12;
    /// Of the pictures of a GOP in the order of decoding: when they are shown.
    const SHOWN: [i64; GOP as usize] = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 10, 11];

    /// Done before the frame of that number comes in.
    type Deed = (i64, fn(&mut Air));

    fn clip() -> Clip {
        let mut config = (*config()).clone();
        config.video.avcc = Bytes::from_static(b"slate");
        Clip {
            config,
            pictures: (0..GOP)
                .map(|n| Bytes::from(format!("slate {n}")))
                .collect(),
            sound: Bytes::from_static(b"silence"),
        }
    }

    /// Closed GOPs of I P B B P B B …: decoded two frames ahead, with a piece of sound for each frame.
    fn programme(frames: i64) -> Vec<MediaUnit> {
        let mut units = Vec::new();
        for n in 0..frames {
            let in_gop = n % GOP;
            let shown = SHOWN[in_gop as usize];
            units.push(MediaUnit {
                track: Track::Video,
                dts: FPS.frame_time(n),
                pts: FPS.frame_time(n - in_gop + shown + 2),
                keyframe: in_gop == 0,
                data: Bytes::from(format!("frame {n}")),
            });
            units.push(MediaUnit {
                track: Track::Audio,
                dts: FPS.frame_time(n),
                pts: FPS.frame_time(n),
                keyframe: false,
                data: Bytes::from(format!("sound {n}")),
            });
        }
        units
    }

    /// Plays a programme in real time and does `deed` before the frame it names. Gives what went out, with when.
    fn play(delay_ms: u64, frames: i64, deeds: &[Deed]) -> Vec<(i64, MediaUnit)> {
        let mut air = Air::new(Duration::from_millis(delay_ms));
        air.set_clip(clip());
        let start = Instant::now();
        let mut out = Vec::new();
        let mut take = |air: &mut Air, now: Instant| {
            while let Some(aired) = air.poll(now) {
                out.push((now.duration_since(start).as_millis() as i64, aired.unit));
            }
        };
        for unit in programme(frames) {
            let now = start + unit.dts.since(MediaTime::ZERO);
            take(&mut air, now);
            if unit.track == Track::Video {
                let frame = FPS.frame_at(unit.dts);
                deeds
                    .iter()
                    .filter(|(at, _)| *at == frame)
                    .for_each(|(_, deed)| deed(&mut air));
            }
            air.push(now, unit, config());
            take(&mut air, now);
        }
        take(&mut air, start + Duration::from_secs(100_000));
        out
    }

    /// The encoder is a second behind: keyframes that were captured before the dump are thrown away with the rest.
    #[test]
    fn a_dump_reaches_what_is_still_being_encoded() {
        let deeds: [Deed; 1] = [(40, |air| {
            air.dump(FPS.frame_time(70)).unwrap();
        })];
        let pictures = texts(&play(1_000, 120, &deeds), Track::Video);
        let first = pictures.iter().rposition(|text| !text.starts_with("frame"));
        // Frames are shown two after their decoding; 72 is the first keyframe that is shown at 70 or later.
        assert_eq!(first.map(|last| last + 1), Some(72));
    }

    fn texts(out: &[(i64, MediaUnit)], track: Track) -> Vec<String> {
        out.iter()
            .filter(|(_, unit)| unit.track == track)
            .map(|(_, unit)| String::from_utf8_lossy(&unit.data).into_owned())
            .collect()
    }

    #[test]
    fn without_a_delay_everything_leaves_at_once_and_there_is_nothing_to_dump() {
        let out = play(
            0,
            30,
            &[(10, |air| assert_eq!(air.dump(MediaTime::ZERO), None))],
        );
        assert_eq!(out.len(), 60);
        assert!(out.iter().all(|(at, unit)| *at == unit.dts.as_millis()));
    }

    #[test]
    fn a_dump_goes_to_slate_until_the_delay_has_filled_again() {
        let deeds: [Deed; 1] = [(40, |air| {
            let dumped = air.dump(MediaTime::ZERO).unwrap();
            assert_eq!(dumped.units, 58);
            assert_eq!(dumped.time.as_millis(), 933);
        })];
        let out = play(1_000, 90, &deeds);
        let pictures = texts(&out, Track::Video);
        // Frames 0 to 10 left before; 11 to 47 are covered, up to the keyframe at 48.
        assert_eq!(pictures[10], "frame 10");
        assert_eq!(pictures[48], "frame 48");
        assert!(
            pictures[11..48]
                .iter()
                .all(|text| text.is_empty() || text.starts_with("slate"))
        );
        let sounds = texts(&out, Track::Audio);
        assert_eq!(
            (sounds[10].as_str(), sounds[11].as_str()),
            ("sound 10", "silence")
        );
        assert_eq!(
            (sounds[47].as_str(), sounds[48].as_str()),
            ("silence", "sound 48")
        );
        // The slate goes out at the time of what it stands for; what is left at the end of the test is taken later.
        let late = |(at, unit): &(i64, MediaUnit)| at - unit.dts.as_millis() - 1_000;
        assert!(out.iter().take(120).all(|sent| late(sent).abs() <= 34));
    }

    #[test]
    fn closing_covers_what_comes_from_then_on() {
        let deeds: [Deed; 2] = [(20, |air| air.cover(true)), (30, |air| air.cover(false))];
        let pictures = texts(&play(500, 60, &deeds), Track::Video);
        assert_eq!(pictures[19], "frame 19");
        let slate = |text: &String| text.is_empty() || text.starts_with("slate");
        assert!(pictures[20..36].iter().all(slate));
        assert_eq!(pictures[36], "frame 36");
    }

    #[test]
    fn without_a_clip_what_is_covered_is_left_out() {
        let mut air = Air::new(Duration::from_millis(10));
        let now = Instant::now();
        air.push(now, programme(1).remove(0), config());
        air.dump(MediaTime::ZERO);
        let aired = air.poll(now + Duration::from_secs(1)).unwrap();
        assert!(aired.unit.data.is_empty() && !aired.unit.keyframe);
    }

    proptest! {
        /// Whatever is covered when: as many units as came in, in order; nothing is shown twice or out of turn; the slate and
        /// the programme after it begin with a keyframe.
        #[test]
        fn what_goes_out_can_be_decoded(
            delay_ms in 1u64..2_000,
            deeds in proptest::collection::vec((0i64..120, 0u8..3), 0..6),
        ) {
            let deeds: Vec<Deed> = deeds
                .into_iter()
                .map(|(at, deed)| {
                    let deed: fn(&mut Air) = match deed {
                        0 => |air| { air.dump(MediaTime::ZERO); },
                        1 => |air| air.cover(true),
                        _ => |air| air.cover(false),
                    };
                    (at, deed)
                })
                .collect();
            let out = play(delay_ms, 120, &deeds);
            prop_assert_eq!(out.len(), 240);
            let mut shown = std::collections::BTreeSet::new();
            let mut was_slate = None;
            for (n, (_, unit)) in out.iter().filter(|(_, u)| u.track == Track::Video).enumerate() {
                prop_assert_eq!(unit.dts, FPS.frame_time(n as i64));
                prop_assert!(unit.pts >= unit.dts);
                if unit.data.is_empty() {
                    prop_assert!(!unit.keyframe);
                    continue;
                }
                let is_slate = unit.data.starts_with(b"slate");
                if was_slate != Some(is_slate) {
                    prop_assert!(unit.keyframe, "{:?} after {:?}", unit, was_slate);
                }
                was_slate = Some(is_slate);
                prop_assert!(shown.insert(unit.pts), "shown twice: {unit:?}");
                if unit.keyframe {
                    prop_assert_eq!(shown.last(), Some(&unit.pts));
                }
            }
        }
    }
}
