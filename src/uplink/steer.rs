//! Which bitrate can this destination's way carry? Pure: samples in, advice out.
//!
//! Growth of the backlog while the socket is full is the sign of a way that is too narrow, and what was acknowledged meanwhile
//! is its measure. After an outage the backlog is large but shrinks, and that lowers nothing; nor does the outage itself, during
//! which nothing can be measured; nor an encoder that falls behind and then gives much at once, with room in the socket.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Goodput and growth are judged over this long.
const SPAN: Duration = Duration::from_secs(2);
/// A way that is a few per cent too narrow shows only over this long.
const LONG_SPAN: Duration = Duration::from_secs(10);
/// Half a per cent of that: left alone, it would fill the hold in an hour or two.
const CREEP: Duration = Duration::from_millis(50);
/// A way that carries nothing at all for this long is an outage, and the failover's affair; a narrow one always carries something.
const SILENCE: Duration = Duration::from_millis(500);
/// A backlog under this is the round trip and the interleaving of sound and picture.
const NOTICEABLE: Duration = Duration::from_millis(1200);
const GROWTH: Duration = Duration::from_millis(250);
/// The encoder and the queue need this long to show what the last change did.
const SETTLE: Duration = Duration::from_secs(3);
/// What is left of the measured goodput for the programme, so that the backlog drains too.
const SHARE: f64 = 0.85;
const CLIMB: f64 = 1.10;
/// Calm needed before a step up; doubled each time the step turns out too high, until a bitrate as high as that has held.
const CALM: Duration = Duration::from_secs(6);
/// Trying costs a second or two of the hold.
const CALM_MAX: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Age of the oldest unit that is not acknowledged.
    pub backlog: Duration,
    /// Running total of the connection.
    pub acknowledged_bytes: u64,
    /// Whether the socket takes no more now.
    pub full: bool,
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
    /// When the acknowledged bytes last grew.
    moved: Option<Instant>,
    changed: Option<Instant>,
    calm_since: Option<Instant>,
    calm_needed: Duration,
    climbed: bool,
    /// The bitrate that turned out too high last.
    too_high: Option<u32>,
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
            moved: None,
            changed: None,
            calm_since: None,
            calm_needed: CALM,
            climbed: false,
            too_high: None,
        }
    }

    pub fn current(&self) -> u32 {
        self.current
    }

    /// The connection ended or stalled: what was measured on it says nothing about the next.
    pub fn reset(&mut self) {
        self.samples.clear();
        self.moved = None;
        self.calm_since = None;
    }

    pub fn sample(&mut self, now: Instant, sample: Sample) -> Option<Advice> {
        let before = self.samples.back().map(|(_, last)| last.acknowledged_bytes);
        if before.is_some_and(|before| sample.acknowledged_bytes < before) {
            self.reset();
        }
        if before.is_none_or(|before| sample.acknowledged_bytes != before) {
            self.moved = Some(now);
        }
        if self
            .moved
            .is_some_and(|at| now.duration_since(at) >= SILENCE)
        {
            self.reset();
            return None;
        }
        self.samples.push_back((now, sample));
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= LONG_SPAN)
        {
            self.samples.pop_front();
        }
        let (lately, span) = self.since(now, SPAN)?;
        if self
            .changed
            .is_some_and(|at| now.duration_since(at) < SETTLE)
        {
            return None;
        }
        let goodput = (sample.acknowledged_bytes - lately.acknowledged_bytes) as f64 * 8.0
            / 1000.0
            / span.as_secs_f64();
        let grows = |than: Sample, by: Duration| sample.backlog > than.backlog + by;
        let creeps = self
            .since(now, LONG_SPAN)
            .is_some_and(|(earlier, _)| grows(earlier, CREEP) && grows(lately, Duration::ZERO));
        let jumps = grows(
            lately,
            GROWTH.mul_f64(span.as_secs_f64() / SPAN.as_secs_f64()),
        );
        if sample.full && sample.backlog > NOTICEABLE && (jumps || creeps) {
            return self.lower(now, goodput, sample.backlog);
        }
        self.climb(now, sample.backlog)
    }

    /// The newest sample that is at least `span` old, and how old it is.
    fn since(&self, now: Instant, span: Duration) -> Option<(Sample, Duration)> {
        let aged = self.samples.iter().rev();
        aged.map(|(at, sample)| (*sample, now.duration_since(*at)))
            .find(|(_, age)| *age >= span)
    }

    fn lower(&mut self, now: Instant, goodput: f64, backlog: Duration) -> Option<Advice> {
        self.calm_since = None;
        if self.climbed {
            self.calm_needed = (self.calm_needed * 2).min(CALM_MAX);
            self.climbed = false;
            self.too_high = Some(self.current);
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
        if calm >= CALM && self.too_high.is_some_and(|it| self.current >= it) {
            self.too_high = None;
            self.calm_needed = CALM;
        }
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
        // What was measured before was another programme.
        self.samples.clear();
        Advice { video_kbps, reason }
    }
}

#[cfg(test)]
mod tests;
