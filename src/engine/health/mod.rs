//! How sources and programme do, told once a second. Shell: the gauges that the capturing threads and the mix write to, and
//! the thread that reads them. `vitals`, `eye` and `alarms` judge.
//!
//! A gauge is a lock that is held for a few microseconds by two threads that meet once a second; nothing waits under it.

pub mod alarms;
mod eye;
mod vitals;

use super::clock::Clock;
use super::format::{Format, I420Layout};
use super::out::Out;
use super::stop::Stop;
use crate::bridge::protocol::EngineEvent;
use crate::bridge::report::SourceHealth;
use crate::config::{Alarms, Source, SourceKind};
use crate::media::MediaTime;
use alarms::{Expect, ProgrammeWatch};
use eye::LumaSample;
use gstreamer as gst;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use vitals::Vitals;

const REPORTS: Duration = Duration::from_secs(1);

/// Where the threads that capture one source note what comes.
#[derive(Clone)]
pub struct Gauge {
    id: String,
    still: bool,
    layout: I420Layout,
    clock: Clock,
    vitals: Arc<Mutex<Vitals>>,
}

impl Gauge {
    pub fn new(source: &Source, format: &Format, clock: &Clock) -> Self {
        Gauge {
            id: source.id.clone(),
            still: matches!(source.kind, SourceKind::Image { .. }),
            layout: format.layout(),
            clock: clock.clone(),
            vitals: Arc::default(),
        }
    }

    /// A picture that is due at `at`.
    pub fn picture(&self, at: MediaTime, frame: &gst::Buffer) {
        let now = self.clock.now();
        let wanted = self.vitals().handle_picture(now, at);
        if wanted && let Some(sample) = luma_of(frame, &self.layout) {
            self.vitals().handle_luma(now, sample);
        }
    }

    pub fn sound(&self, samples: &[f32]) {
        let peak = peak_of(samples);
        self.vitals().handle_sound(self.clock.now(), peak);
    }

    /// What the source gives before it is normalised.
    pub fn format(&self, caps: &gst::CapsRef) {
        let Some(structure) = caps.structure(0) else {
            return;
        };
        if structure.name().starts_with("video/") {
            self.vitals()
                .handle_picture_format(picture_format(structure));
        } else {
            self.vitals().handle_sound_format(sound_format(structure));
        }
    }

    pub fn live(&self) {
        self.vitals().handle_live();
    }

    fn report(&self) -> SourceHealth {
        self.vitals().report(self.clock.now(), &self.id, self.still)
    }

    fn vitals(&self) -> MutexGuard<'_, Vitals> {
        self.vitals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the mix and the desk note what the programme is.
#[derive(Clone)]
pub struct ProgrammeGauge {
    layout: I420Layout,
    watch: Arc<Mutex<ProgrammeWatch>>,
}

impl ProgrammeGauge {
    pub fn new(format: &Format, limits: Alarms) -> Self {
        ProgrammeGauge {
            layout: format.layout(),
            watch: Arc::new(Mutex::new(ProgrammeWatch::new(limits))),
        }
    }

    /// The picture on air at `at`, and what of it is meant.
    pub fn picture(&self, at: MediaTime, frame: &gst::Buffer, expect: Expect) {
        let wanted = self.watch().wants_picture(at);
        if wanted && let Some(sample) = luma_of(frame, &self.layout) {
            self.watch().handle_picture(at, sample, expect);
        }
    }

    /// Sound of the programme up to `at`.
    pub fn sound(&self, at: MediaTime, samples: &[f32]) {
        let peak = peak_of(samples);
        self.watch().handle_sound(at, peak);
    }

    fn watch(&self) -> MutexGuard<'_, ProgrammeWatch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells how all of it does, until the engine stops.
pub struct Reporter {
    pub clock: Clock,
    pub stop: Stop,
    pub out: SyncSender<Out>,
    pub sources: Vec<Gauge>,
    pub programme: ProgrammeGauge,
}

impl Reporter {
    pub fn run(self) {
        while !self.stop.wait(REPORTS) {
            let health = EngineEvent::Health {
                sources: self.sources.iter().map(Gauge::report).collect(),
            };
            let changes = self.programme.watch().poll(self.clock.now());
            let alarms = changes
                .into_iter()
                .map(|(alarm, on)| EngineEvent::Alarm { alarm, on });
            for event in std::iter::once(health).chain(alarms) {
                // A writer that is gone means that the engine is ending.
                if self.out.send(Out::Event(event)).is_err() {
                    return;
                }
            }
        }
    }
}

fn luma_of(frame: &gst::Buffer, layout: &I420Layout) -> Option<LumaSample> {
    let map = frame.map_readable().ok()?;
    LumaSample::of(&map, layout.width, layout.height, layout.stride[0])
}

fn peak_of(samples: &[f32]) -> f32 {
    samples
        .iter()
        .fold(0.0, |peak, sample| sample.abs().max(peak))
}

fn picture_format(caps: &gst::StructureRef) -> String {
    let number = |field: &str| caps.get::<i32>(field).unwrap_or(0);
    let mut text = format!("{}x{}", number("width"), number("height"));
    if let Ok(fps) = caps.get::<gst::Fraction>("framerate") {
        text += &if fps.numer() == 0 {
            " variable rate".to_owned()
        } else if fps.denom() == 1 {
            format!(" {} fps", fps.numer())
        } else {
            format!(
                " {:.2} fps",
                f64::from(fps.numer()) / f64::from(fps.denom())
            )
        };
    }
    let interlaced = caps
        .get::<&str>("interlace-mode")
        .is_ok_and(|mode| mode != "progressive");
    if interlaced {
        text += " interlaced";
    }
    text
}

fn sound_format(caps: &gst::StructureRef) -> String {
    let number = |field: &str| caps.get::<i32>(field).unwrap_or(0);
    let channels = match number("channels") {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        6 => "5.1".to_owned(),
        n => format!("{n} channels"),
    };
    format!("{} Hz {channels}", number("rate"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    #[test]
    fn formats_read_well() {
        gst::init().unwrap();
        let text = |caps: &str| {
            let caps = gst::Caps::from_str(caps).unwrap();
            let structure = caps.structure(0).unwrap();
            if structure.name().starts_with("video") {
                picture_format(structure)
            } else {
                sound_format(structure)
            }
        };
        assert_eq!(
            text(
                "video/x-raw,width=1920,height=1080,framerate=24000/1001,interlace-mode=interleaved"
            ),
            "1920x1080 23.98 fps interlaced"
        );
        assert_eq!(
            text("video/x-raw,width=320,height=240,framerate=0/1,interlace-mode=progressive"),
            "320x240 variable rate"
        );
        assert_eq!(text("audio/x-raw,rate=44100,channels=1"), "44100 Hz mono");
        assert_eq!(text("audio/x-raw,rate=48000,channels=6"), "48000 Hz 5.1");
    }
}
