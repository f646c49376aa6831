//! The sound half of the mix, in a thread of its own, so that no picture that takes long to compose is heard. It
//! begins when the mix does and shares its grid; nothing else joins the two.

mod compressor;
pub mod console;
mod delay;
mod duck;
mod filter;
mod gating;
mod limiter;
mod meter;
mod ramp;
mod strip;
#[cfg(test)]
mod testing;
pub mod track;

use super::clock::Clock;
use super::encode::AudioInput;
use super::health::ProgrammeGauge;
use super::out::Out;
use crate::bridge::protocol::EngineEvent;
use crate::bridge::report::Levels;
use crate::config::{Audio, SourceAudio};
use crate::media::MediaTime;
use console::{Channel, Console};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
    /// From `at` on the picture shows these sources, and fully after `over`.
    Scene {
        at: MediaTime,
        visible: Vec<usize>,
        over: Duration,
    },
    /// A source's input has new settings.
    Audio { source: usize, audio: SourceAudio },
    /// The integrated loudness and the true peak count from now.
    ResetLoudness,
}

/// The levels as they are now, for whoever draws them.
#[derive(Clone, Default)]
pub struct LatestLevels(Arc<Mutex<Option<Levels>>>);

impl LatestLevels {
    pub fn get(&self) -> Option<Levels> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, levels: &Levels) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(levels.clone());
    }
}

pub struct Desk {
    pub clock: Clock,
    pub programme: Audio,
    /// One for each source.
    pub channels: Vec<Channel>,
    pub inputs: Receiver<Sound>,
    pub encoder: AudioInput,
    pub gauge: ProgrammeGauge,
    pub out: SyncSender<Out>,
    pub latest: LatestLevels,
}

impl Desk {
    /// Runs until every sender of sounds is gone, or the encoder takes no more.
    pub fn run(mut self) {
        // What comes before the mix begins may be due after it has.
        let mut early = Vec::new();
        let origin = loop {
            match self.inputs.recv() {
                Ok(Sound::Begin { origin }) => break origin,
                Ok(sound) => early.push(sound),
                Err(_) => return,
            }
        };
        self.encoder.begin(origin);
        let channels = std::mem::take(&mut self.channels);
        let mut console = Console::new(origin, &self.programme, channels);
        for sound in early {
            take(&mut console, sound);
        }
        loop {
            while let Some(block) = console.poll(self.clock.now()) {
                self.gauge.sound(self.clock.now(), &block.samples);
                if self.encoder.push(block).is_err() {
                    return;
                }
            }
            if let Some(levels) = console.poll_levels() {
                self.latest.set(&levels);
                // A writer that is gone means that the engine is ending.
                let _ = self.out.send(Out::Event(EngineEvent::Levels(levels)));
            }
            let wake = console.poll_timeout().since(self.clock.now());
            match self.inputs.recv_timeout(wake) {
                Ok(sound) => take(&mut console, sound),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

fn take(console: &mut Console, sound: Sound) {
    match sound {
        Sound::Samples {
            source,
            at,
            samples,
        } => console.handle_samples(source, at, &samples),
        Sound::Scene { at, visible, over } => console.handle_scene(at, &visible, over),
        Sound::Audio { source, audio } => console.handle_audio(source, audio),
        Sound::ResetLoudness => console.reset_loudness(),
        // It has begun.
        Sound::Begin { .. } => {}
    }
}
