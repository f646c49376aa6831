//! One source's sound on the programme's row of samples. Pure.
//!
//! Sound is placed by its time; where none came in time, there is silence. Where pieces don't join (a loop's end, a jump, a
//! hole) the edges are rounded over a millisecond, lest they click.

use crate::engine::format::CHANNELS;
use crate::media::MediaTime;
use std::time::Duration;

/// Samples of one block and channel: an AAC-LC frame (ISO/IEC 14496-3, 4.5.1.1), which is what the encoder takes at once.
pub const BLOCK: usize = 1_024;

/// How long a block waits for its sound after its end: as long as a picture waits.
pub const PATIENCE: Duration = Duration::from_millis(40);
/// Timestamps within this of where the last samples ended are the same sound going on; what differs more is a
/// jump. Capture clocks jitter by some milliseconds.
const TOLERANCE: Duration = Duration::from_millis(8);
/// Sound that came too late for so long is heard late from then on, rather than never: a capture device's delay may be
/// longer than it tells.
const LATE_FOR_GOOD: Duration = Duration::from_millis(500);
/// And when for so long it would have come in time, it is heard at its own time again: what was late was this machine,
/// for a moment, and lips would be off for the rest of the show.
const IN_TIME_AGAIN: Duration = Duration::from_secs(2);
/// Sound farther ahead than this is a source with a broken clock.
const FARTHEST_AHEAD: Duration = Duration::from_secs(5);
/// A source whose sound ended longer ago than this is not waited for.
const FLOWS: Duration = Duration::from_millis(500);
/// Over so many samples an edge is rounded: a millisecond at 48 kHz.
const EDGE: usize = 48;

#[derive(Debug)]
pub struct AudioTrack {
    rate: u32,
    origin: MediaTime,
    /// The next sample to be taken, counted from the origin.
    next: i64,
    /// Interleaved samples from `next` on.
    ahead: Vec<f32>,
    /// Where the source's next samples belong if its sound goes on.
    expected: Option<i64>,
    /// Samples in a row that came too late to be heard.
    late: i64,
    /// How much later than stamped the source's sound is placed, because it always came too late.
    shift: i64,
    /// Since the shift was made or looked at.
    watched: Watched,
    /// The last frame that was taken, and whether it was made up.
    last: [f32; CHANNELS],
    broken: bool,
}

/// How a shifted source's sound comes.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    samples: i64,
    /// How far behind the next block's begin the latest of them belongs by its stamp.
    latest: Option<i64>,
}

/// A piece of the programme's sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Counted from the programme's first sample.
    pub number: i64,
    /// `BLOCK` samples of each channel, interleaved.
    pub samples: Vec<f32>,
}

impl AudioTrack {
    pub fn new(rate: u32, origin: MediaTime) -> Self {
        AudioTrack {
            rate,
            origin,
            next: 0,
            ahead: Vec::new(),
            expected: None,
            late: 0,
            shift: 0,
            watched: Watched::default(),
            last: [0.0; CHANNELS],
            broken: false,
        }
    }

    /// Interleaved samples whose first is to be heard at `at`.
    pub fn handle_samples(&mut self, at: MediaTime, samples: &[f32]) {
        let count = (samples.len() / CHANNELS) as i64;
        let stamped = self.position(at);
        self.watch(stamped, count);
        let tolerance = self.samples_in(TOLERANCE);
        let position = match self.expected {
            Some(expected) if (stamped + self.shift - expected).abs() <= tolerance => expected,
            _ => {
                (self.late, self.shift) = (0, 0);
                stamped
            }
        };
        self.expected = Some(position + count);
        if position + count <= self.next {
            self.late += count;
            if self.late > self.samples_in(LATE_FOR_GOOD) {
                // A block more than it takes now: how late it is varies by that, as blocks leave whole.
                let shift = self.next - position + BLOCK as i64;
                self.shift += shift;
                self.expected = Some(position + count + shift);
                self.late = 0;
                self.watched = Watched::default();
            }
            return;
        }
        self.late = 0;
        if position - self.next > self.samples_in(FARTHEST_AHEAD) {
            return;
        }
        let skipped = usize::try_from(self.next - position).unwrap_or(0) * CHANNELS;
        let from = usize::try_from(position - self.next).unwrap_or(0) * CHANNELS;
        self.join(from, &samples[skipped..count as usize * CHANNELS]);
    }

    /// Puts samples behind the first `from` of what is there. What overlaps (the source jumped back) gives way, a hole is
    /// silent.
    fn join(&mut self, from: usize, samples: &[f32]) {
        let overlap = self.ahead.split_off(from.min(self.ahead.len()));
        if self.ahead.len() < from {
            self.fade_out();
            self.ahead.resize(from, 0.0);
            self.broken = true;
        }
        let start = self.ahead.len();
        self.ahead.extend_from_slice(samples);
        let rising = |frame: usize, length: usize| (frame + 1) as f32 / (length + 1) as f32;
        let joined = &mut self.ahead[start..];
        if !overlap.is_empty() {
            let length = (overlap.len() / CHANNELS).min(EDGE);
            for (n, (new, old)) in joined
                .iter_mut()
                .zip(&overlap[..length * CHANNELS])
                .enumerate()
            {
                *new = old + (*new - old) * rising(n / CHANNELS, length);
            }
        } else if self.broken {
            for (n, new) in joined.iter_mut().take(EDGE * CHANNELS).enumerate() {
                *new *= rising(n / CHANNELS, EDGE);
            }
        }
        self.broken = false;
    }

    /// Goes down from where the sound ends.
    fn fade_out(&mut self) {
        let end = self
            .ahead
            .last_chunk::<CHANNELS>()
            .copied()
            .unwrap_or(self.last);
        if self.broken || end == [0.0; CHANNELS] {
            return;
        }
        let falling = (0..EDGE).map(|n| (EDGE - n) as f32 / (EDGE + 1) as f32);
        self.ahead
            .extend(falling.flat_map(|gain| end.map(|sample| sample * gain)));
    }

    /// Takes the shift back, or as much of it as is not needed any more: a jump in the sound, and the lips are right.
    fn watch(&mut self, stamped: i64, count: i64) {
        if self.shift == 0 {
            return;
        }
        let behind = self.next - stamped;
        let watched = &mut self.watched;
        watched.samples += count;
        let latest = watched.latest.map_or(behind, |most| most.max(behind));
        watched.latest = Some(latest);
        if watched.samples < self.samples_in(IN_TIME_AGAIN) {
            return;
        }
        self.watched = Watched::default();
        let block = BLOCK as i64;
        let needed = if latest <= self.samples_in(PATIENCE) {
            0
        } else {
            latest + block
        };
        // How late sound is varies by a block; a jump for less would be heard for nothing.
        if needed + 2 * block < self.shift || needed == 0 {
            self.expected = self.expected.map(|expected| expected - self.shift + needed);
            self.shift = needed;
        }
    }

    /// Whether the next `count` samples are there.
    pub fn has(&self, count: usize) -> bool {
        self.ahead.len() >= count * CHANNELS
    }

    /// Whether sound comes, so that it is worth waiting for.
    pub fn flows(&self) -> bool {
        self.expected
            .is_some_and(|expected| expected > self.next - self.samples_in(FLOWS))
    }

    /// The next `count` samples of each channel, interleaved; None: all of them are silence that was made up.
    pub fn take(&mut self, count: usize) -> Option<Vec<f32>> {
        let wanted = count * CHANNELS;
        if self.ahead.len() < wanted {
            self.fade_out();
            self.broken = true;
        }
        self.next += count as i64;
        if self.ahead.is_empty() {
            self.last = [0.0; CHANNELS];
            return None;
        }
        self.ahead.resize(self.ahead.len().max(wanted), 0.0);
        let rest = self.ahead.split_off(wanted);
        let taken = std::mem::replace(&mut self.ahead, rest);
        self.last = taken.last_chunk().copied().unwrap_or(self.last);
        Some(taken)
    }

    /// Goes on `count` samples later.
    pub fn skip(&mut self, count: usize) {
        self.next += count as i64;
        self.ahead.drain(..(count * CHANNELS).min(self.ahead.len()));
    }

    fn position(&self, at: MediaTime) -> i64 {
        let samples = i128::from(at.0.saturating_sub(self.origin.0)) * i128::from(self.rate);
        (samples + 500_000).div_euclid(1_000_000) as i64
    }

    fn samples_in(&self, duration: Duration) -> i64 {
        (duration.as_micros() * u128::from(self.rate) / 1_000_000) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;

    /// A track and the console's pace: whole blocks, never early, not waiting for ever.
    struct Row(AudioTrack);

    impl Row {
        fn new(rate: u32, origin: MediaTime) -> Self {
            Row(AudioTrack::new(rate, origin))
        }

        fn handle_samples(&mut self, at: MediaTime, samples: &[f32]) {
            self.0.handle_samples(at, samples);
        }

        fn poll_timeout(&self) -> MediaTime {
            at(self.0.next + BLOCK as i64) + PATIENCE
        }

        fn poll(&mut self, now: MediaTime) -> Option<Block> {
            let due = self.0.has(BLOCK) && now >= at(self.0.next);
            (due || now >= self.poll_timeout()).then(|| Block {
                number: self.0.next / BLOCK as i64,
                samples: self.0.take(BLOCK).unwrap_or(vec![0.0; BLOCK * CHANNELS]),
            })
        }
    }

    fn at(sample: i64) -> MediaTime {
        MediaTime(5_000_000 + sample * 1_000_000 / i64::from(RATE))
    }

    fn stereo(values: impl Iterator<Item = i64>) -> Vec<f32> {
        values.flat_map(|v| [v as f32, v as f32]).collect()
    }

    fn left(block: &Block) -> Vec<i64> {
        block.samples.chunks(2).map(|s| s[0] as i64).collect()
    }

    #[test]
    fn sound_that_is_there_goes_out_at_its_own_time() {
        let mut track = Row::new(RATE, at(0));
        track.handle_samples(at(0), &stereo(0..1_500));
        assert_eq!(track.poll(MediaTime(at(0).0 - 1)), None);
        let block = track.poll(at(0)).unwrap();
        assert_eq!(block.number, 0);
        assert_eq!(left(&block), (0..1_024).collect::<Vec<_>>());
        assert_eq!(track.poll(at(2_048)), None);
        assert_eq!(track.poll_timeout(), MediaTime(at(2_048).0 + 40_000));
    }

    #[test]
    fn what_is_missing_is_silence() {
        let mut track = Row::new(RATE, at(0));
        track.handle_samples(at(0), &stereo([4_900; 200].into_iter()));
        track.handle_samples(at(700), &stereo([4_900; 324].into_iter()));
        let block = track.poll(at(1_024)).unwrap();
        let heard = left(&block);
        assert_eq!(heard[198..203], [4_900, 4_900, 4_800, 4_700, 4_600]);
        assert!(heard[248..700].iter().all(|s| *s == 0));
        assert_eq!(heard[700..703], [100, 200, 300]);
        assert_eq!(heard[748..750], [4_900, 4_900]);
        let silent = track.poll(track.poll_timeout()).unwrap();
        assert_eq!(left(&silent)[..2], [4_800, 4_700]);
        assert!(silent.samples[96..].iter().all(|s| *s == 0.0));
        assert_eq!(track.0.take(BLOCK), None);
    }

    #[test]
    fn jitter_of_timestamps_cuts_nothing() {
        let mut track = Row::new(RATE, at(0));
        for (n, jitter) in [0i64, 200, -200, 90].iter().enumerate() {
            let n = n as i64 * 512;
            track.handle_samples(at(n + jitter), &stereo(n..n + 512));
        }
        let heard: Vec<i64> = std::iter::from_fn(|| track.poll(at(2_048)))
            .flat_map(|b| left(&b))
            .collect();
        assert_eq!(heard, (0..2_048).collect::<Vec<_>>());
    }

    #[test]
    fn a_loop_that_starts_before_the_last_ends_replaces_its_tail() {
        let mut track = Row::new(RATE, at(0));
        track.handle_samples(at(0), &stereo(0..2_048));
        track.handle_samples(at(500), &stereo([49_500; 2_000].into_iter()));
        let block = track.poll(at(0)).unwrap();
        let heard = left(&block);
        assert_eq!(heard[498..500], [498, 499]);
        // From the old to the new over a millisecond.
        assert!(
            heard[499..550]
                .windows(2)
                .all(|w| (1..=1_002).contains(&(w[1] - w[0])) || w[1] == 49_500)
        );
        assert_eq!(heard[548..550], [49_500, 49_500]);
    }

    #[test]
    fn sound_that_always_comes_late_is_heard_late() {
        let mut track = Row::new(RATE, at(0));
        let mut heard = Vec::new();
        // 200 ms from each sample to its delivery: more than a block waits.
        for n in 0..200 {
            let now = at(n * 480 + 9_600);
            heard.extend(std::iter::from_fn(|| track.poll(now)).flat_map(|b| left(&b)));
            track.handle_samples(at(n * 480), &stereo(n * 480 + 1..n * 480 + 481));
            heard.extend(std::iter::from_fn(|| track.poll(now)).flat_map(|b| left(&b)));
        }
        let first = heard.iter().position(|s| *s != 0).unwrap();
        assert!(first < 48_000);
        // Past its rounded beginning.
        let tail = &heard[first + EDGE..];
        assert!(tail.windows(2).all(|w| w[1] == w[0] + 1));
    }

    /// Delivers sound whose samples tell their number, `delay(n)` samples after each piece's time. Gives what was heard
    /// as (place, sample), but for silence.
    fn heard(pieces: i64, delay: impl Fn(i64) -> i64) -> Vec<(i64, i64)> {
        const PIECE: i64 = 480;
        let mut track = Row::new(RATE, at(0));
        let mut heard = Vec::new();
        let mut hear = |block: Block| {
            let first = block.number * BLOCK as i64;
            let all = left(&block).into_iter().enumerate();
            heard.extend(all.map(|(n, s)| (first + n as i64, s)).filter(|h| h.1 != 0));
        };
        let mut n = 0;
        for now in (0..pieces * PIECE).step_by(120) {
            while n * PIECE + delay(n) <= now {
                let from = n * PIECE;
                track.handle_samples(at(from), &stereo(from..from + PIECE));
                n += 1;
            }
            while let Some(block) = track.poll(at(now)) {
                hear(block);
            }
        }
        heard
    }

    fn lateness(heard: &[(i64, i64)]) -> i64 {
        heard.last().map_or(0, |(place, sample)| place - sample)
    }

    #[test]
    fn after_a_moment_of_lateness_the_lips_are_right_again() {
        // A second each of 10 ms (as cameras have), of 700 ms (the machine was busy), and then 10 ms again.
        let busy = |n: i64| if (100..300).contains(&n) { 33_600 } else { 480 };
        let during = heard(290, busy);
        assert!(lateness(&during) > 30_000, "{}", lateness(&during));
        assert_eq!(lateness(&heard(800, busy)), 0);
        // And it stays so.
        assert_eq!(lateness(&heard(3_000, busy)), 0);
    }

    #[test]
    fn of_a_lateness_only_what_is_needed_is_kept() {
        let busy = |n: i64| {
            if (100..300).contains(&n) {
                33_600
            } else {
                9_600
            }
        };
        let late = lateness(&heard(1_500, busy));
        assert!((9_600..9_600 + 4 * BLOCK as i64).contains(&late), "{late}");
        let after = heard(3_000, busy);
        let tail = &after[after.len() - 48_000..];
        assert!(
            tail.windows(2).all(|w| w[1].1 == w[0].1 + 1),
            "no more jumps"
        );
    }
}
