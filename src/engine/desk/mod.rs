//! The sound half of the mix, in a thread of its own, so that no picture that takes long to compose is heard. It
//! begins when the mix does and shares its grid; nothing else joins the two.

pub mod track;

use super::clock::Clock;
use super::encode::AudioInput;
use super::health::ProgrammeGauge;
use crate::media::MediaTime;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use track::AudioTrack;

/// What the desk is told.
#[derive(Debug)]
pub enum Sound {
    /// The programme's first frame is shown at `origin`: so its first sample is heard then. Once.
    Begin { origin: MediaTime },
    /// Interleaved stereo of a source, whose first sample is to be heard at `at`.
    Samples {
        /// Index into `EngineSpec::sources`.
        source: usize,
        at: MediaTime,
        samples: Vec<f32>,
    },
}

pub struct Desk {
    pub clock: Clock,
    pub rate: u32,
    pub inputs: Receiver<Sound>,
    pub encoder: AudioInput,
    pub gauge: ProgrammeGauge,
}

impl Desk {
    /// Runs until every sender of sounds is gone, or the encoder takes no more.
    pub fn run(mut self) {
        // What comes before the mix begins may be due after it has.
        let mut early = Vec::new();
        let origin = loop {
            match self.inputs.recv() {
                Ok(Sound::Begin { origin }) => break origin,
                Ok(Sound::Samples { at, samples, .. }) => early.push((at, samples)),
                Err(_) => return,
            }
        };
        self.encoder.begin(origin);
        let mut track = AudioTrack::new(self.rate, origin);
        for (at, samples) in early {
            track.handle_samples(at, &samples);
        }
        loop {
            while let Some(block) = track.poll(self.clock.now()) {
                self.gauge.sound(self.clock.now(), &block.samples);
                if self.encoder.push(block).is_err() {
                    return;
                }
            }
            let wake = track.poll_timeout().since(self.clock.now());
            match self.inputs.recv_timeout(wake) {
                Ok(Sound::Samples { at, samples, .. }) => track.handle_samples(at, &samples),
                Ok(Sound::Begin { .. }) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}
