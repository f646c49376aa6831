//! The whole desk: every source's sound in, one unbroken row of blocks out. Pure: time comes in as an argument.
//!
//! A block leaves as soon as all inputs that flow have given their part of it, or when patience is over; never earlier than
//! its own time. The limiter looks ahead, so inputs are taken that much ahead of what leaves: what is heard keeps its
//! exact place. One input that nothing is set for passes through unchanged.

use super::limiter::Limiter;
use super::meter::{Meter, shown, tenths};
use super::ramp::to_db;
use super::strip::Strip;
use super::track::{AudioTrack, BLOCK, Block, PATIENCE};
use crate::bridge::report::{InputLevel, Levels};
use crate::config::{Audio, SourceAudio};
use crate::engine::format::CHANNELS;
use crate::media::MediaTime;
use std::time::Duration;

/// As for the picture: farther behind than this (the machine slept) is skipped.
const FORGIVEN: Duration = Duration::from_secs(2);
const LEVELS_PER_SECOND: u32 = 10;

/// One source as the desk is to begin with it.
#[derive(Clone, Debug)]
pub struct Channel {
    pub id: String,
    pub audio: SourceAudio,
    /// The scene on air has it.
    pub visible: bool,
}

pub struct Console {
    rate: u32,
    origin: MediaTime,
    inputs: Vec<Input>,
    /// None: the programme is not limited.
    limiter: Option<Limiter>,
    meter: Meter,
    /// The next block to leave.
    number: i64,
    /// The next sample to be taken from the inputs: `latency` ahead of what leaves.
    next: i64,
    /// Samples since levels were given.
    unmetered: u32,
    /// The limiter has got what it is ahead by.
    primed: bool,
}

struct Input {
    id: String,
    track: AudioTrack,
    strip: Strip,
    /// Those it gives way to.
    under: Vec<usize>,
}

impl Console {
    /// Indices of channels are those of the sources. `origin` is when the first sample is heard.
    pub fn new(origin: MediaTime, programme: &Audio, channels: Vec<Channel>) -> Self {
        let rate = programme.sample_rate;
        let ids: Vec<String> = channels.iter().map(|channel| channel.id.clone()).collect();
        let index = |id: &String| ids.iter().position(|other| other == id);
        let inputs = channels.into_iter().map(|channel| Input {
            under: channel
                .audio
                .duck
                .iter()
                .flat_map(|duck| &duck.under)
                .filter_map(index)
                .collect(),
            id: channel.id,
            track: AudioTrack::new(rate, origin),
            strip: Strip::new(channel.audio, channel.visible, rate),
        });
        Console {
            rate,
            origin,
            inputs: inputs.collect(),
            limiter: programme.limiter_db.map(|db| Limiter::new(db, rate)),
            meter: Meter::new(rate),
            number: 0,
            next: 0,
            unmetered: 0,
            primed: false,
        }
    }

    /// Interleaved stereo of a source, whose first sample is to be heard at `at`.
    pub fn handle_samples(&mut self, source: usize, at: MediaTime, samples: &[f32]) {
        if let Some(input) = self.inputs.get_mut(source) {
            input.track.handle_samples(at, samples);
        }
    }

    /// From `at` on the picture shows these sources, fully after `over`: what follows the picture follows.
    pub fn handle_scene(&mut self, at: MediaTime, visible: &[usize], over: Duration) {
        let wait = usize::try_from(self.position(at) - self.next).unwrap_or(0);
        let length = (over.as_micros() * u128::from(self.rate) / 1_000_000) as usize;
        for (index, input) in self.inputs.iter_mut().enumerate() {
            input
                .strip
                .set_visible(visible.contains(&index), length, wait);
        }
    }

    /// An input has new settings.
    pub fn handle_audio(&mut self, source: usize, audio: SourceAudio) {
        if let Some(input) = self.inputs.get_mut(source) {
            input.strip.set(audio);
        }
    }

    /// Integrated loudness and true peak count from here.
    pub fn reset_loudness(&mut self) {
        self.meter.reset();
    }

    pub fn poll(&mut self, now: MediaTime) -> Option<Block> {
        let block = BLOCK as i64;
        let first = self.number * block;
        if now.since(self.time(first)) > FORGIVEN {
            let blocks = (self.position(now) - first).div_euclid(block);
            let skipped = usize::try_from(blocks).unwrap_or(0) * BLOCK;
            self.number += blocks;
            self.next += skipped as i64;
            for input in &mut self.inputs {
                input.track.skip(skipped);
            }
            return self.poll(now);
        }
        let complete = self.is_complete() && now >= self.time(first);
        if !complete && now < self.deadline() {
            return None;
        }
        let mut samples = self.mix(self.wanted());
        // What the limiter held at first is from before the origin.
        samples.drain(..samples.len() - BLOCK * CHANNELS);
        self.primed = true;
        self.meter.handle_samples(&samples);
        self.unmetered += BLOCK as u32;
        let number = self.number;
        self.number += 1;
        Some(Block { number, samples })
    }

    /// When to poll again if nothing comes before.
    pub fn poll_timeout(&self) -> MediaTime {
        if self.is_complete() {
            self.time(self.number * BLOCK as i64)
        } else {
            self.deadline()
        }
    }

    /// The levels, when it is time for them.
    pub fn poll_levels(&mut self) -> Option<Levels> {
        let every = self.rate / LEVELS_PER_SECOND;
        self.unmetered = self.unmetered.checked_sub(every)?;
        let limited_db = self
            .limiter
            .as_mut()
            .map_or(0.0, Limiter::take_reduction_db);
        let inputs = self.inputs.iter_mut().map(|input| InputLevel {
            id: input.id.clone(),
            peak_db: input.strip.take_peak().map(|peak| shown(to_db(peak))),
            open: input.strip.is_open(),
            reduced_db: tenths(input.strip.take_reduction_db()),
            ducked_db: tenths(input.strip.ducked_db()),
        });
        let inputs = inputs.collect();
        Some(Levels {
            programme: self.meter.take(limited_db),
            inputs,
        })
    }

    /// Whether everything that flows has given its part of the next block.
    fn is_complete(&self) -> bool {
        let mut flowing = self
            .inputs
            .iter()
            .filter(|input| input.track.flows())
            .peekable();
        flowing.peek().is_some() && flowing.all(|input| input.track.has(self.wanted()))
    }

    /// How much is taken from the inputs for the next block.
    fn wanted(&self) -> usize {
        if self.primed {
            BLOCK
        } else {
            BLOCK + self.limiter.as_ref().map_or(0, Limiter::latency)
        }
    }

    /// Mixes the next `count` samples; gives as many, from `latency` before.
    fn mix(&mut self, count: usize) -> Vec<f32> {
        self.next += count as i64;
        let mut pieces: Vec<Option<Vec<f32>>> = self
            .inputs
            .iter_mut()
            .map(|input| input.piece(count))
            .collect();
        for index in 0..self.inputs.len() {
            let key = self.inputs[index]
                .under
                .iter()
                .filter_map(|key| pieces[*key].as_deref());
            let key = key
                .flatten()
                .fold(0.0f32, |peak, sample| sample.abs().max(peak));
            if let Some(piece) = &mut pieces[index] {
                self.inputs[index].strip.duck(piece, key);
            }
        }
        let mixed = pieces.into_iter().flatten().reduce(|mut sum, piece| {
            sum.iter_mut()
                .zip(piece)
                .for_each(|(sum, sample)| *sum += sample);
            sum
        });
        let mixed = mixed.unwrap_or_else(|| vec![0.0; count * CHANNELS]);
        match &mut self.limiter {
            Some(limiter) => limiter.process(mixed),
            None => mixed,
        }
    }

    fn deadline(&self) -> MediaTime {
        self.time(self.next + self.wanted() as i64) + PATIENCE
    }

    fn time(&self, position: i64) -> MediaTime {
        let us = i128::from(position) * 1_000_000;
        MediaTime(self.origin.0 + us.div_euclid(i128::from(self.rate)) as i64)
    }

    fn position(&self, at: MediaTime) -> i64 {
        let samples = i128::from(at.0.saturating_sub(self.origin.0)) * i128::from(self.rate);
        (samples + 500_000).div_euclid(1_000_000) as i64
    }
}

impl Input {
    /// The next `count` samples, processed; None: nothing of them can be heard.
    fn piece(&mut self, count: usize) -> Option<Vec<f32>> {
        // A delay or a filter still gives what it holds when nothing comes in any more.
        let mut samples = match self.track.take(count) {
            Some(samples) => samples,
            None if self.strip.rings() => vec![0.0; count * CHANNELS],
            None => return None,
        };
        let heard = self.strip.is_heard();
        self.strip.process(&mut samples);
        (heard || self.strip.is_heard()).then_some(samples)
    }
}

#[cfg(test)]
#[path = "console_tests.rs"]
mod tests;
