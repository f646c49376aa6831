//! From the pictures that the sources give, whenever they give them, to a programme without a gap. Shell: this thread waits, and
//! hands over to the encoder. The pure `video` decides which frame of each source belongs to a point of the grid, the pure `switcher`
//! what the frame is made of, and the `painter` makes it. The sound is mixed beside it, in `desk`, and follows what is told here.

pub mod geometry;
pub mod painter;
pub mod plan;
pub mod switcher;
pub mod video;

use super::clock::{Clock, to_clock_time};
use super::desk::Sound;
use super::encode::VideoInput;
use super::format::Format;
use super::health::ProgrammeGauge;
use super::health::alarms::Expect;
use super::out::Out;
use crate::bridge::mix::MixCommand;
use crate::bridge::protocol::EngineEvent;
use crate::config::{Content, Layer, SourceKind};
use crate::media::MediaTime;
use geometry::Size;
use gstreamer as gst;
use painter::{Image, Images, PaintError, Painter};
use plan::Plan;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;
use switcher::{Effect, Switcher};
use video::{Grid, Point};

/// What the mix is told.
#[derive(Debug)]
pub enum Input {
    Picture(Picture),
    /// Answered by `EngineEvent::MixDone`.
    Command {
        request: u64,
        command: MixCommand,
    },
}

/// A picture that a source delivers: normalised, with the monotonic time at which it is to be shown.
#[derive(Debug)]
pub struct Picture {
    /// Index into `EngineSpec::sources`.
    pub source: usize,
    pub at: MediaTime,
    /// I420, or A420 of a source that is transparent in parts.
    pub frame: gst::Buffer,
}

/// How long the programme waits for its sources before it starts with their slates.
const START_PATIENCE: Duration = Duration::from_secs(1);

pub struct Mix {
    pub clock: Clock,
    pub format: Format,
    /// Of each source.
    pub slates: Vec<gst::Buffer>,
    pub switcher: Switcher,
    pub inputs: Receiver<Input>,
    pub encoder: VideoInput,
    /// The desk, which begins with the first picture.
    pub sound: SyncSender<Sound>,
    pub gauge: ProgrammeGauge,
    pub out: SyncSender<Out>,
}

/// Whoever the mix speaks to is gone: the engine is ending.
struct Ended;

impl<T> From<std::sync::mpsc::SendError<T>> for Ended {
    fn from(_: std::sync::mpsc::SendError<T>) -> Self {
        Ended
    }
}

impl From<super::encode::Closed> for Ended {
    fn from(_: super::encode::Closed) -> Self {
        Ended
    }
}

impl Mix {
    /// Runs until every sender of inputs is gone, or the encoder takes no more.
    pub fn run(self) {
        let early = self.wait_for_sources();
        let first = self.format.fps.frame_at(self.clock.now()) + 1;
        let origin = self.format.fps.frame_time(first);
        let painter = match Painter::new(&self.format.layout()) {
            Ok(painter) => painter,
            Err(error) => {
                let text = error.to_string();
                let _ = self.out.send(Out::Event(EngineEvent::Fatal { text }));
                return;
            }
        };
        let ids = self.switcher.sources().iter().enumerate();
        let mut running = Running {
            grid: Grid::new(self.format.fps, first, self.slates.len()),
            visible: self.switcher.seen(),
            ids: ids.map(|(n, source)| (source.id.clone(), n)).collect(),
            painter,
            last: None,
            failing: false,
            mix: self,
        };
        // Whoever ends it is ending the engine.
        let _ = running.run(origin, early);
    }

    /// Until every source that is seen has given a picture, or patience is over.
    fn wait_for_sources(&self) -> Vec<Input> {
        let mut missing = self.switcher.seen();
        missing.retain(|source| !self.switcher.sources()[*source].kind.is_only_sound());
        let deadline = self.clock.now() + START_PATIENCE;
        let mut early = Vec::new();
        while !missing.is_empty() {
            let left = deadline.since(self.clock.now());
            match self.inputs.recv_timeout(left) {
                Ok(input) => {
                    if let Input::Picture(picture) = &input {
                        missing.retain(|source| *source != picture.source);
                    }
                    early.push(input);
                }
                Err(_) => break,
            }
        }
        early
    }
}

struct Running {
    mix: Mix,
    grid: Grid<gst::Buffer>,
    /// The sources that the next frame may show.
    visible: Vec<usize>,
    ids: BTreeMap<String, usize>,
    painter: Painter,
    last: Option<gst::Buffer>,
    /// Frames can't be composed; told once.
    failing: bool,
}

impl Running {
    fn run(&mut self, origin: MediaTime, early: Vec<Input>) -> Result<(), Ended> {
        self.mix.sound.send(Sound::Begin { origin })?;
        self.tell()?;
        for input in early {
            self.handle(input)?;
        }
        loop {
            let now = self.mix.clock.now();
            while let Some(point) = self.grid.poll(now, &self.visible) {
                self.show(point)?;
            }
            let wake = self.grid.poll_timeout(now).since(self.mix.clock.now());
            match self.mix.inputs.recv_timeout(wake) {
                Ok(input) => self.handle(input)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn handle(&mut self, input: Input) -> Result<(), Ended> {
        match input {
            Input::Picture(Picture { source, at, frame }) => {
                self.grid.handle_frame(source, at, frame);
                Ok(())
            }
            Input::Command { request, command } => {
                let (next, now) = (self.grid.next(), self.mix.clock.now());
                let grid = &self.grid;
                let ready = |source| grid.is_clip_ready(source);
                let result = self.mix.switcher.handle(command, next, now, ready);
                self.carry_out()?;
                self.tell()?;
                self.event(EngineEvent::MixDone { request, result })
            }
        }
    }

    /// Makes the frame of a point and hands it over.
    fn show(&mut self, point: Point) -> Result<(), Ended> {
        let plan = self.mix.switcher.plan(point.number);
        let now = Now {
            grid: &self.grid,
            slates: &self.mix.slates,
            ids: &self.ids,
            size: self.size(),
        };
        let painted = self.painter.paint(&plan, &now);
        let expect = self.expect(&plan, &now);
        let frame = self.or_the_last(painted);
        if let Some(frame) = frame {
            self.mix.gauge.picture(point.at, &frame, expect);
            self.mix.encoder.push(point.at, &frame)?;
            self.last = Some(frame);
        }
        self.carry_out()?;
        self.tell()
    }

    fn size(&self) -> Size {
        Size {
            width: self.mix.format.width as usize,
            height: self.mix.format.height as usize,
        }
    }

    fn or_the_last(&mut self, painted: Result<gst::Buffer, PaintError>) -> Option<gst::Buffer> {
        match painted {
            Ok(frame) => {
                self.failing = false;
                Some(frame)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!("{error}; the frame before is shown again");
                }
                self.last.clone()
            }
        }
    }

    /// What of a picture is no fault.
    fn expect(&self, plan: &Plan, now: &Now) -> Expect {
        let switcher = &self.mix.switcher;
        let is_still = |layer: &Layer| match &layer.content {
            Content::Source(id) => {
                let source = self.ids.get(id).map(|index| &switcher.sources()[*index]);
                source.is_some_and(|source| matches!(source.kind, SourceKind::Image { .. }))
                    || now.is_lost(layer)
            }
            Content::Title(_) | Content::Image(_) => true,
        };
        let slates = plan.layers().all(|layer| now.is_lost(layer));
        Expect {
            still: plan.black > 0 || switcher.is_still() || plan.layers().all(is_still),
            black: plan.black > 0 || slates,
        }
    }

    fn carry_out(&mut self) -> Result<(), Ended> {
        for effect in self.mix.switcher.take_effects() {
            match effect {
                Effect::Scene { at, visible, over } => {
                    self.mix.sound.send(Sound::Scene { at, visible, over })?;
                }
                Effect::Audio { source, audio } => {
                    self.mix.sound.send(Sound::Audio { source, audio })?;
                }
                Effect::ResetLoudness => self.mix.sound.send(Sound::ResetLoudness)?,
                Effect::Start { source, at } => self.grid.start_clip(source, at),
                Effect::Ready { .. } | Effect::Title { .. } | Effect::Look { .. } => {}
            }
        }
        Ok(())
    }

    /// Tells how it stands, if that has changed.
    fn tell(&mut self) -> Result<(), Ended> {
        let next = self.grid.next();
        let Some(state) = self.mix.switcher.take_state(next) else {
            return Ok(());
        };
        self.visible = self.mix.switcher.seen();
        self.event(EngineEvent::Mix(Box::new(state)))
    }

    fn event(&self, event: EngineEvent) -> Result<(), Ended> {
        Ok(self.mix.out.send(Out::Event(event))?)
    }
}

/// What the sources show at one point.
struct Now<'a> {
    grid: &'a Grid<gst::Buffer>,
    slates: &'a [gst::Buffer],
    ids: &'a BTreeMap<String, usize>,
    size: Size,
}

impl Now<'_> {
    fn shown(&self, id: &str) -> Option<&gst::Buffer> {
        let (frame, _) = self.grid.shown(*self.ids.get(id)?)?;
        Some(frame)
    }

    /// Its slate is shown.
    fn is_lost(&self, layer: &Layer) -> bool {
        let shown = |id: &str| self.shown(id).is_some();
        layer.content.source().is_some_and(|id| !shown(id))
            && !layer.or.as_deref().is_some_and(shown)
    }
}

impl Images for Now<'_> {
    fn image(&self, layer: &Layer) -> Option<Image> {
        let id = layer.content.source()?;
        let frame = self
            .shown(id)
            .or_else(|| self.shown(layer.or.as_deref()?))
            .or_else(|| self.slates.get(*self.ids.get(id)?))?;
        // A420 has a plane of luma's size more than I420.
        let Size { width, height } = self.size;
        Some(Image {
            frame: frame.clone(),
            size: self.size,
            alpha: frame.size() >= width * height * 5 / 2,
        })
    }
}

/// `frame` with other times, sharing its memory. The parent's reference keeps a pooled frame out of its pool
/// until the encoder is done, so that the pool gets it back whole.
pub fn retimed(frame: &gst::Buffer, pts: MediaTime, duration: Duration) -> gst::Buffer {
    let mut copy = frame.copy();
    // A copy that nobody else has seen is writable; were it not, its own times would stay.
    if let Some(buffer) = copy.get_mut() {
        buffer.set_pts(to_clock_time(pts));
        buffer.set_dts(None);
        buffer.set_duration(gst::ClockTime::from_nseconds(
            u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
        ));
        gst::ParentBufferMeta::add(buffer, frame);
    }
    copy
}
