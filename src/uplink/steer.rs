//! Which bitrate can this destination's way carry? Pure: samples in, advice out.
//!
//! Growth of the backlog is the sign of a way that is too narrow, and what was acknowledged meanwhile is its measure. After an
//! outage the backlog is large but shrinks, and that lowers nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Goodput and growth are judged over this long.
const SPAN: Duration = Duration::from_secs(2);
/// A backlog under this is the round trip and the interleaving of sound and picture.
const NOTICEABLE: Duration = Duration::from_millis(1200);
const GROWTH: Duration = Duration::from_millis(250);
/// The encoder and the queue need this long to show what the last change did.
const SETTLE: Duration = Duration::from_secs(3);
/// What is left of the measured goodput for the programme, so that the backlog drains too.
const SHARE: f64 = 0.85;
const CLIMB: f64 = 1.10;
/// Calm needed before the first step up; doubled, up to a minute, each time a step turns out too high.
const CALM: Duration = Duration::from_secs(6);
const CALM_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Age of the oldest unit that is not acknowledged.
    pub backlog: Duration,
    /// Running total of the connection.
    pub acknowledged_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    pub video_kbps: u32,
    pub reason: String,
}

#[derive(Clone, Debug)]
pub struct Steer {
    floor: u32,
    ceiling: u32,
    /// Of the programme beside the video: audio.
    audio_kbps: u32,
    current: u32,
    samples: VecDeque<(Instant, Sample)>,
    changed: Option<Instant>,
    calm_since: Option<Instant>,
    calm_needed: Duration,
    climbed: bool,
}

impl Steer {
    /// Bitrates in kb/s; `floor` ≤ `ceiling`.
    pub fn new(floor: u32, ceiling: u32, audio_kbps: u32) -> Self {
        Steer {
            floor,
            ceiling,
            audio_kbps,
            current: ceiling,
            samples: VecDeque::new(),
            changed: None,
            calm_since: None,
            calm_needed: CALM,
            climbed: false,
        }
    }

    pub fn current(&self) -> u32 {
        self.current
    }

    /// The connection ended or stalled: what was measured on it says nothing about the next.
    pub fn reset(&mut self) {
        self.samples.clear();
        self.calm_since = None;
    }

    pub fn sample(&mut self, now: Instant, sample: Sample) -> Option<Advice> {
        if self
            .samples
            .back()
            .is_some_and(|(_, last)| sample.acknowledged_bytes < last.acknowledged_bytes)
        {
            self.reset();
        }
        self.samples.push_back((now, sample));
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= SPAN)
        {
            self.samples.pop_front();
        }
        let (from, first) = *self.samples.front()?;
        let span = now.duration_since(from);
        if span < SPAN
            || self
                .changed
                .is_some_and(|at| now.duration_since(at) < SETTLE)
        {
            return None;
        }
        let goodput = (sample.acknowledged_bytes - first.acknowledged_bytes) as f64 * 8.0
            / 1000.0
            / span.as_secs_f64();
        let growth = sample.backlog.saturating_sub(first.backlog);
        if sample.backlog > NOTICEABLE
            && growth > GROWTH.mul_f64(span.as_secs_f64() / SPAN.as_secs_f64())
        {
            return self.lower(now, goodput, sample.backlog);
        }
        self.climb(now, sample.backlog)
    }

    fn lower(&mut self, now: Instant, goodput: f64, backlog: Duration) -> Option<Advice> {
        self.calm_since = None;
        if self.climbed {
            self.calm_needed = (self.calm_needed * 2).min(CALM_MAX);
            self.climbed = false;
        }
        let target = (goodput * SHARE - f64::from(self.audio_kbps)).max(0.0) as u32;
        let target = target.clamp(self.floor, self.ceiling);
        if target >= self.current {
            return None;
        }
        let reason = format!(
            "the way carries {:.1} Mb/s and {:.1} s wait to be sent",
            goodput / 1000.0,
            backlog.as_secs_f64()
        );
        Some(self.change(now, target, reason))
    }

    fn climb(&mut self, now: Instant, backlog: Duration) -> Option<Advice> {
        if self.current >= self.ceiling || backlog > NOTICEABLE {
            self.calm_since = None;
            return None;
        }
        let since = *self.calm_since.get_or_insert(now);
        let calm = now.duration_since(since);
        if calm < self.calm_needed {
            return None;
        }
        let target =
            ((f64::from(self.current) * CLIMB) as u32).clamp(self.current + 1, self.ceiling);
        self.climbed = true;
        let reason = format!("nothing has waited for {:.0} s", calm.as_secs_f64());
        let advice = self.change(now, target, reason);
        self.calm_since = Some(now);
        Some(advice)
    }

    fn change(&mut self, now: Instant, video_kbps: u32, reason: String) -> Advice {
        self.current = video_kbps;
        self.changed = Some(now);
        Advice { video_kbps, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(250);

    /// A way of `capacity` kb/s (by second) that carries what `Steer` asks for. Gives the bitrate after each second.
    fn simulate(seconds: u64, capacity: impl Fn(u64) -> f64) -> (Vec<u32>, f64) {
        let mut steer = Steer::new(1000, 3000, 128);
        let start = Instant::now();
        let (mut queued_bits, mut acknowledged, mut worst) = (0f64, 0f64, 0f64);
        let mut per_second = Vec::new();
        for tick in 0..seconds * 4 {
            let kbps = f64::from(steer.current()) + 128.0;
            queued_bits += kbps * 1000.0 * TICK.as_secs_f64();
            let carried = queued_bits.min(capacity(tick / 4) * 1000.0 * TICK.as_secs_f64());
            queued_bits -= carried;
            acknowledged += carried / 8.0;
            let backlog = Duration::from_secs_f64(queued_bits / (kbps * 1000.0) + 0.1);
            worst = worst.max(backlog.as_secs_f64());
            let sample = Sample {
                backlog,
                acknowledged_bytes: acknowledged as u64,
            };
            steer.sample(start + TICK * tick as u32, sample);
            if tick % 4 == 3 {
                per_second.push(steer.current());
            }
        }
        (per_second, worst)
    }

    #[test]
    fn a_wide_way_changes_nothing() {
        let (bitrates, _) = simulate(120, |_| 100_000.0);
        assert!(bitrates.iter().all(|kbps| *kbps == 3000));
    }

    #[test]
    fn follows_a_narrow_way_down_and_back_up() {
        let narrow = 0.6 * 3128.0;
        let (bitrates, worst) = simulate(240, |s| {
            if (20..80).contains(&s) {
                narrow
            } else {
                100_000.0
            }
        });
        assert!(worst < 10.0, "backlog reached {worst} s");
        assert!(bitrates[30] < 1800, "{bitrates:?}");
        assert!(bitrates.iter().all(|kbps| *kbps >= 1000));
        assert_eq!(bitrates.last(), Some(&3000), "{bitrates:?}");
    }

    #[test]
    fn never_under_the_floor() {
        let (bitrates, _) = simulate(60, |_| 300.0);
        assert_eq!(bitrates.last(), Some(&1000));
    }

    #[test]
    fn a_backlog_that_shrinks_lowers_nothing() {
        let mut steer = Steer::new(1000, 3000, 128);
        let start = Instant::now();
        for tick in 0..80u32 {
            let backlog = Duration::from_secs(20).saturating_sub(TICK * tick);
            let sample = Sample {
                backlog,
                acknowledged_bytes: u64::from(tick) * 200_000,
            };
            assert_eq!(steer.sample(start + TICK * tick, sample), None);
        }
    }
}
