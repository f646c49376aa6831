//! From the pictures that the sources give, whenever they give them, to a programme without a gap. Shell: this thread waits, and
//! hands over to the encoder. The pure `video` decides which frame of each source belongs to a point of the grid, the pure `switcher`
//! what the frame is made of, and the `painter` makes it. The sound is mixed beside it, in `desk`, and follows what is told here.

mod agenda;
pub mod geometry;
mod jpeg;
mod keys;
pub mod look;
mod lookers;
mod multiview;
pub mod painter;
pub mod plan;
mod screen;
pub mod switcher;
pub mod titles;
pub mod video;

use super::capture::Cue;
use super::clock::{Clock, to_clock_time};
use super::desk::Sound;
use super::encode::VideoInput;
use super::format::{Format, Frame};
use super::health::ProgrammeGauge;
use super::health::alarms::Expect;
use super::out::Out;
use super::titles::Drawing;
use crate::bridge::mix::MixCommand;
use crate::bridge::protocol::EngineEvent;
use crate::config::{Content, EngineSpec, Layer, SourceKind};
use crate::media::MediaTime;
use agenda::Agenda;
use geometry::{Outline, Size};
use gstreamer as gst;
use jiff::Timestamp;
use look::Snapshot;
use lookers::Lookers;
use painter::{Image, Images, PaintError, Painter};
use plan::{Layers, Plan};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::Duration;
use switcher::{Effect, Switcher, is_of_scenes};
use titles::Titles;
use video::{Grid, Point};

/// What the mix is told.
#[derive(Debug)]
pub enum Input {
    Picture(Picture),
    /// How long a clip is, as far as its file tells.
    Length {
        source: usize,
        length: Option<Duration>,
    },
    /// Answered by `EngineEvent::MixDone`.
    Command {
        request: u64,
        /// When it is to show.
        at: MediaTime,
        command: MixCommand,
    },
}

/// A picture that a source delivers: normalised, with the monotonic time at which it is to be shown.
#[derive(Debug)]
pub struct Picture {
    /// Index into `EngineSpec::sources`.
    pub source: usize,
    pub at: MediaTime,
    pub frame: Frame,
    /// Of a clip: which time it is that it plays, and `at` counts from its start.
    pub round: Option<u32>,
}

/// How long the programme waits for its sources before it starts with their slates.
const START_PATIENCE: Duration = Duration::from_secs(1);

/// A point that is so late is given the frame before: composing is slower than the programme, and must catch up.
const LATE: Duration = Duration::from_millis(250);

pub struct Mix {
    pub clock: Clock,
    pub format: Format,
    /// Of each source.
    pub slates: Vec<Frame>,
    pub spec: EngineSpec,
    pub switcher: Switcher,
    /// Of the sources that are clips.
    pub cues: BTreeMap<usize, Cue>,
    pub inputs: Receiver<Input>,
    pub encoder: VideoInput,
    /// The desk, which begins with the first picture.
    pub sound: SyncSender<Sound>,
    pub gauge: ProgrammeGauge,
    pub out: SyncSender<Out>,
    /// What is drawn for people.
    pub looks: SyncSender<Snapshot>,
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
        let texts = self.switcher.titles();
        let titles = Titles::new(&self.spec, texts, &self.format, origin);
        let titles = titles.map_err(|error| format!("titles can't be drawn: {error}"));
        let painter = Painter::new(&self.format.layout()).map_err(|error| error.to_string());
        let (painter, titles) = match painter.and_then(|painter| Ok((painter, titles?))) {
            Ok(made) => made,
            Err(text) => {
                // Whoever listens to it starts the engine anew.
                let _ = self.out.send(Out::Event(EngineEvent::Fatal { text }));
                return;
            }
        };
        let ids = self.switcher.sources().iter().enumerate();
        let mut running = Running {
            grid: Grid::new(self.format.fps, first, self.slates.len()),
            agenda: Agenda::default(),
            visible: self.switcher.seen(),
            ids: ids.map(|(n, source)| (source.id.clone(), n)).collect(),
            painter,
            titles,
            last: None,
            failing: false,
            lookers: Lookers::new(self.spec.programme.multiview.is_some()),
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
    grid: Grid<Frame>,
    agenda: Agenda<(u64, MediaTime, MixCommand)>,
    /// The sources that the next frame may show.
    visible: Vec<usize>,
    ids: BTreeMap<String, usize>,
    painter: Painter,
    titles: Titles,
    last: Option<gst::Buffer>,
    /// Frames can't be composed; told once.
    failing: bool,
    lookers: Lookers,
}

impl Running {
    fn run(&mut self, origin: MediaTime, early: Vec<Input>) -> Result<(), Ended> {
        self.mix.sound.send(Sound::Begin { origin })?;
        for overlay in self.mix.switcher.overlays_on() {
            self.titles.switch(&overlay, true, origin);
        }
        self.tell()?;
        for input in early {
            self.handle(input)?;
        }
        loop {
            // What has come goes before what is due: a mix that is late must not fall behind its sources and its operator too.
            match self.mix.inputs.try_recv() {
                Ok(input) => {
                    self.handle(input)?;
                    continue;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            self.obey()?;
            let now = self.mix.clock.now();
            if let Some(point) = self.grid.poll(now, &self.visible) {
                self.show(point, now)?;
                continue;
            }
            let wake = self.grid.poll_timeout(now).since(now);
            match self.mix.inputs.recv_timeout(wake) {
                Ok(input) => self.handle(input)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn handle(&mut self, input: Input) -> Result<(), Ended> {
        match input {
            Input::Picture(Picture {
                source,
                at,
                frame,
                round,
            }) => {
                match round {
                    Some(round) => self.grid.handle_clip(source, round, at, frame),
                    None => self.grid.handle_frame(source, at, frame),
                }
                Ok(())
            }
            Input::Length { source, length } => {
                self.mix.switcher.handle_length(source, length);
                Ok(())
            }
            Input::Command {
                request,
                at,
                command,
            } => {
                let turn = self.mix.switcher.turn(&command, at);
                // One scene after the other, as they were given: a clip's is not handled ahead of another that comes before it.
                let earlier = |(_, other, told): &(u64, MediaTime, MixCommand)| {
                    *other <= at && is_of_scenes(told) && is_of_scenes(&command)
                };
                let turn = self
                    .agenda
                    .last(earlier)
                    .map_or(turn, |last| turn.max(last));
                self.agenda.add(turn, (request, at, command));
                Ok(())
            }
        }
    }

    /// Does what it was told whose turn has come.
    fn obey(&mut self) -> Result<(), Ended> {
        while let Some((request, at, command)) = self.agenda.due(self.grid.next()) {
            let next = self.grid.next().max(self.mix.format.fps.frame_from(at));
            let now = self.mix.clock.now();
            let grid = &self.grid;
            let ready = |source| grid.is_clip_ready(source);
            let result = self.mix.switcher.handle(command, next, now, ready);
            self.carry_out()?;
            self.tell()?;
            self.event(EngineEvent::MixDone { request, result })?;
        }
        Ok(())
    }

    /// Makes the frame of a point and hands it over.
    fn show(&mut self, point: Point, now: MediaTime) -> Result<(), Ended> {
        let plan = self.mix.switcher.plan(point.number);
        if now.since(point.at) > LATE
            && let Some(last) = self.last.clone()
        {
            self.mix.encoder.repeat(point.at, &last)?;
            self.carry_out()?;
            return self.tell();
        }
        let wall = self.mix.clock.wall_us(point.at);
        let wall = Timestamp::from_microsecond(i64::try_from(wall).unwrap_or(0));
        let wall = wall.unwrap_or(Timestamp::UNIX_EPOCH);
        for overlay in self.titles.draw(&plan, point.at, wall) {
            self.mix.switcher.handle_gone(&overlay, point.number + 1);
        }
        let now = Now {
            grid: &self.grid,
            slates: &self.mix.slates,
            ids: &self.ids,
            titles: &self.titles,
            format: &self.mix.format,
            size: self.size(),
        };
        let painted = self.painter.paint(&plan, &now);
        let expect = self.expect(&plan, &now);
        let frame = self.or_the_last(painted);
        if let Some(frame) = frame {
            self.mix.gauge.picture(point.at, &frame, expect);
            self.mix.encoder.push(point.at, &frame)?;
            self.last = Some(frame.clone());
            self.look_at(point, wall, frame);
        }
        self.carry_out()?;
        self.tell()
    }

    /// Hands over what there is, when it is time for whoever looks.
    fn look_at(&mut self, point: Point, wall: Timestamp, programme: gst::Buffer) {
        let Some(wanted) = self.lookers.due(point.at) else {
            return;
        };
        let switcher = &self.mix.switcher;
        let preview = switcher.preview().map(|(scene, layers)| {
            let plan = Plan::of(layers);
            self.titles.draw(&plan, point.at, wall);
            let of_titles = layers
                .iter()
                .filter(|layer| layer.content.source().is_none());
            let drawings = of_titles.map(|layer| {
                let drawn = self.titles.drawn(layer, None).to_vec();
                let outline = titles::outline(&self.mix.format, layer);
                (layer.id.clone(), (drawn, outline))
            });
            look::Ready {
                scene: scene.id.clone(),
                drawings: drawings.collect(),
                layers: layers.clone(),
            }
        });
        let names = |layers: &Layers| {
            let ids = layers.iter().filter_map(|layer| layer.content.source());
            ids.map(str::to_owned).collect()
        };
        let frames = self.mix.slates.iter().enumerate().map(|(index, slate)| {
            let shown = self.grid.shown(index).map(|(frame, _)| frame);
            shown.unwrap_or(slate).clone()
        });
        let ids = switcher.sources().iter().map(|source| source.id.clone());
        let snapshot = Snapshot {
            programme,
            sources: ids.zip(frames).collect(),
            preview,
            on_air: names(switcher.programme_layers()),
            ready: switcher
                .preview()
                .map_or_else(Default::default, |(_, layers)| names(layers)),
            wanted,
            scene: switcher.programme().id.clone(),
        };
        // One that is still at the last leaves this one out.
        let _ = self.mix.looks.try_send(snapshot);
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
                Effect::Start { source, at } => {
                    self.grid.start_clip(source, at);
                    if let Some(cue) = self.mix.cues.get(&source) {
                        cue.start(at);
                    }
                }
                Effect::Ready { source } => {
                    if let Some(cue) = self.mix.cues.get(&source) {
                        self.grid.ready_clip(source, cue.ready());
                    }
                }
                Effect::Title { id, lines, at } => self.titles.set(&id, &lines, at),
                Effect::Switch { overlay, on, at } => self.titles.switch(&overlay, on, at),
                Effect::Look {
                    thumbnails_per_s,
                    multiview,
                } => self.lookers.handle_people(thumbnails_per_s, multiview),
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
    grid: &'a Grid<Frame>,
    slates: &'a [Frame],
    ids: &'a BTreeMap<String, usize>,
    titles: &'a Titles,
    format: &'a Format,
    size: Size,
}

impl Now<'_> {
    fn shown(&self, id: &str) -> Option<&Frame> {
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
        Some(Image {
            frame: frame.clone(),
            size: self.size,
        })
    }

    fn drawings(&self, layer: &Layer, overlay: Option<&str>) -> (&[Drawing], Outline) {
        let drawn = self.titles.drawn(layer, overlay);
        (drawn, titles::outline(self.format, layer))
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

#[cfg(test)]
mod golden_tests;
