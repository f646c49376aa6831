//! The vision mixer's decisions: which scene is on air and in preview, how one becomes the other, which keys lie over it.
//! Pure: commands and grid points in; a plan for each frame, effects for others, and the state out.
//!
//! A take lands on the next frame, or on the first that is not before the time it was given (`turn` says when it is to be handled
//! for that: what a clip or a new text needs ahead is counted in). Of a transition of N frames the first shows a part of the way already, and the last is the new
//! scene alone: so the frame before it and the last frame are exactly the two scenes.

use super::keys::{Fade, KeyState};
use super::plan::{Base, Layers, Plan, Step, Way, moved};
use crate::bridge::mix::{ClipState, MixAnswer, MixCommand, MixState, OverlayState, Running};
use crate::config::{
    EngineSpec, Layer, Scene, Source, SourceAudio, SourceKind, Transition, TransitionKind,
};
use crate::media::{FrameRate, MediaTime};
use regia_paint::WHOLE;
use std::collections::BTreeMap;
use std::time::Duration;

/// A clip is started so long after its take arrives, that the desk has its first sound in time. A title's text is drawn by then.
const CLIP_LEAD: Duration = Duration::from_millis(60);
/// Of a title's text.
const MOST_LINES: usize = 20;
const LONGEST_LINE: usize = 500;

/// What others have to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The sound follows the picture: from `at` on these are seen, fully after `over`.
    Scene {
        at: MediaTime,
        visible: Vec<usize>,
        over: Duration,
    },
    Audio {
        source: usize,
        audio: SourceAudio,
    },
    ResetLoudness,
    /// The clip's first frame is on air at `at`.
    Start {
        source: usize,
        at: MediaTime,
    },
    /// The clip is made ready for its next time.
    Ready {
        source: usize,
    },
    /// A title's text is another from `at` on.
    Title {
        id: String,
        lines: Vec<String>,
        at: MediaTime,
    },
    /// A title's overlay comes or goes by its own way.
    Switch {
        overlay: String,
        on: bool,
        at: MediaTime,
    },
    Look {
        thumbnails_per_s: u32,
        multiview: bool,
    },
}

pub struct Switcher {
    fps: FrameRate,
    scenes: Vec<Scene>,
    /// Of each scene, lowest first.
    layers: Vec<Layers>,
    sources: Vec<Source>,
    /// The scene on air, or that comes on air in the take that runs.
    programme: usize,
    preview: Option<usize>,
    take: Option<Take>,
    black: Fade,
    keys: Vec<KeyState>,
    titles: BTreeMap<String, Vec<String>>,
    clip: Option<Clip>,
    /// Clips that another took the place of, until nothing of them is seen.
    left: Vec<usize>,
    /// How long the clips of these sources are, as far as that is known.
    lengths: BTreeMap<usize, Duration>,
    effects: Vec<Effect>,
    changed: bool,
}

/// A transition that runs, or begins at a point to come.
struct Take {
    from: usize,
    transition: Transition,
    first: i64,
    frames: i64,
}

impl Take {
    /// How many frames of the way are made at a point.
    fn done(&self, point: i64) -> i64 {
        (point - self.first + 1).clamp(0, self.frames.max(1))
    }

    fn is_over(&self, point: i64) -> bool {
        self.done(point) >= self.frames.max(1)
    }
}

/// A clip on air.
struct Clip {
    scene: usize,
    source: usize,
    first: i64,
}

impl Switcher {
    /// None: there is no scene. With `left` it goes on where an engine before it ended.
    pub fn new(spec: &EngineSpec, left: Option<&MixState>) -> Option<Self> {
        let find = |id: &String| spec.scenes.iter().position(|scene| scene.id == *id);
        if spec.scenes.is_empty() {
            return None;
        }
        let left_scene = left.and_then(|left| find(&left.scene));
        let programme = left_scene.unwrap_or(0);
        // What was played when the engine died is over.
        let then = |scene: usize| spec.scenes[scene].then.as_ref().and_then(find);
        let programme = left_scene.and_then(then).unwrap_or(programme);
        let mut sources = spec.sources.clone();
        let mut titles: BTreeMap<String, Vec<String>> = spec
            .titles
            .iter()
            .map(|title| (title.id.clone(), title.lines.clone()))
            .collect();
        for (id, lines) in left.iter().flat_map(|left| &left.titles) {
            if let Some(text) = titles.get_mut(id) {
                text.clone_from(lines);
            }
        }
        for source in &mut sources {
            if let Some(audio) = left.and_then(|left| left.audio.get(&source.id)) {
                source.audio = audio.clone();
            }
        }
        let keys = spec.overlays.iter().map(|overlay| {
            let was = left.and_then(|left| left.overlays.iter().find(|was| was.id == overlay.id));
            KeyState::new(overlay, &spec.titles, was.map_or(overlay.on, |was| was.on))
        });
        let black = left.is_some_and(|left| left.black);
        Some(Switcher {
            fps: spec.programme.fps,
            layers: spec
                .scenes
                .iter()
                .map(|scene| layers_of(scene, &spec.sources))
                .collect(),
            keys: keys.collect(),
            programme,
            preview: left.and_then(|left| find(left.preview.as_ref()?)),
            take: None,
            black: Fade::still(if black { WHOLE } else { 0 }),
            titles,
            clip: None,
            left: Vec::new(),
            lengths: BTreeMap::new(),
            effects: Vec::new(),
            changed: true,
            scenes: spec.scenes.clone(),
            sources,
        })
    }

    /// The point at whose turn a command must be handled so that it shows from `at` on.
    pub fn turn(&self, command: &MixCommand, at: MediaTime) -> i64 {
        let target = self.fps.frame_from(at);
        let scene = match command {
            MixCommand::Take { scene: None, .. } => self.preview,
            MixCommand::Take {
                scene: Some(id), ..
            } => self.scene(id).ok(),
            _ => None,
        };
        let is_clip = scene.is_some_and(|scene| self.clip_of(scene).is_some());
        if is_clip || matches!(command, MixCommand::Title { .. }) {
            // Twice: a point may be given out later than its time by more than a frame.
            target - self.frames(CLIP_LEAD * 2)
        } else {
            target
        }
    }

    /// Obeys. It shows from the grid point `next` on, which is that given out next, or one to come; now it is `now`. `is_ready` tells
    /// of a clip whether its first frame can be shown. The error is for the operator.
    pub fn handle(
        &mut self,
        command: MixCommand,
        next: i64,
        now: MediaTime,
        is_ready: impl Fn(usize) -> bool,
    ) -> Result<MixAnswer, String> {
        let fps = self.fps;
        let done = |ran| MixAnswer {
            ran,
            at: fps.frame_time(next),
            note: String::new(),
        };
        match command {
            MixCommand::Preview { scene } => {
                self.preview = Some(self.scene(&scene)?);
                self.changed = true;
                Ok(done(Transition::CUT))
            }
            MixCommand::Take { scene, transition } => {
                let to = match scene {
                    Some(id) => self.scene(&id)?,
                    None => self.preview.ok_or(
                        "no scene is in preview: name the scene to take, or put one in preview first",
                    )?,
                };
                self.take(to, transition, next, now, is_ready)
            }
            MixCommand::Black { on, ms } => {
                let transition = Transition {
                    kind: TransitionKind::Fade,
                    ms,
                    ..Transition::CUT
                };
                check(&transition)?;
                let frames = self.frames(transition.length());
                self.black.go(if on { WHOLE } else { 0 }, next, frames);
                self.sound(next, frames);
                Ok(done(transition))
            }
            MixCommand::Overlay { id, on } => {
                let overlays = self.keys.iter().map(|key| key.overlay.id.as_str());
                let unknown = unknown("overlay", &id, overlays);
                let key = self.keys.iter_mut().find(|key| key.overlay.id == id);
                let key = key.ok_or(unknown)?;
                let frames = key.switch(on, next, fps);
                if key.is_title {
                    let at = fps.frame_time(next);
                    let overlay = id;
                    self.effects.push(Effect::Switch { overlay, on, at });
                }
                self.sound(next, frames);
                Ok(done(Transition::CUT))
            }
            MixCommand::Title { id, lines } => {
                if lines.len() > MOST_LINES {
                    return Err(format!(
                        "a title has up to {MOST_LINES} lines, not {}",
                        lines.len()
                    ));
                }
                if lines.iter().any(|line| line.chars().count() > LONGEST_LINE) {
                    return Err(format!(
                        "a title's line has up to {LONGEST_LINE} characters"
                    ));
                }
                let unknown = unknown("title", &id, self.titles.keys().map(String::as_str));
                self.titles.get_mut(&id).ok_or(unknown)?.clone_from(&lines);
                let at = fps.frame_time(next);
                self.effects.push(Effect::Title { id, lines, at });
                self.changed = true;
                Ok(done(Transition::CUT))
            }
            MixCommand::Audio { source, change } => {
                let sources = self.sources.iter().map(|source| source.id.as_str());
                let unknown = unknown("source", &source, sources);
                let index = self.sources.iter().position(|known| known.id == source);
                let index = index.ok_or(unknown)?;
                let audio = self.sources[index].audio.changed(&change);
                let audio = audio.map_err(|error| error.to_string())?;
                self.sources[index].audio = audio.clone();
                self.effects.push(Effect::Audio {
                    source: index,
                    audio,
                });
                self.changed = true;
                Ok(done(Transition::CUT))
            }
            MixCommand::ResetLoudness => {
                self.effects.push(Effect::ResetLoudness);
                Ok(done(Transition::CUT))
            }
            MixCommand::Look {
                thumbnails_per_s,
                multiview,
            } => {
                self.effects.push(Effect::Look {
                    thumbnails_per_s,
                    multiview,
                });
                Ok(done(Transition::CUT))
            }
        }
    }

    /// How long a clip is: as its file tells when it is opened, and exactly when its end is decoded.
    pub fn handle_length(&mut self, source: usize, length: Option<Duration>) {
        match length {
            Some(length) => self.lengths.insert(source, length),
            None => self.lengths.remove(&source),
        };
    }

    /// A title's overlay goes by itself from `next` on.
    pub fn handle_gone(&mut self, overlay: &str, next: i64) {
        let fps = self.fps;
        let is = |key: &&mut KeyState| key.overlay.id == overlay && key.on;
        if let Some(key) = self.keys.iter_mut().find(is) {
            key.switch(false, next, fps);
            self.changed = true;
        }
    }

    /// What is shown at a point. Points come in order.
    pub fn plan(&mut self, point: i64) -> Plan {
        self.return_in_time(point);
        let base = self.base(point);
        if self.take.as_ref().is_some_and(|take| take.is_over(point)) {
            self.take = None;
            self.changed = true;
        }
        for key in &mut self.keys {
            // What has gone is waited for no more.
            self.changed |= key.fade.settle(point);
        }
        if self.take.is_none() {
            if let Some(clip) = self.clip.take_if(|clip| clip.scene != self.programme) {
                self.left.push(clip.source);
                self.changed = true;
            }
            let left = self.left.drain(..);
            self.effects
                .extend(left.map(|source| Effect::Ready { source }));
        }
        Plan {
            base,
            keys: self.keys.iter().filter_map(|key| key.at(point)).collect(),
            black: self.black.at(point),
        }
    }

    fn base(&self, point: i64) -> Base {
        let to = &self.layers[self.programme];
        let one = |layers: &Layers, dark| Base::One {
            layers: layers.clone(),
            dark,
        };
        let Some(take) = &self.take else {
            return one(to, 0);
        };
        let from = &self.layers[take.from];
        let (done, of) = (take.done(point), take.frames.max(1));
        if done <= 0 {
            return one(from, 0);
        }
        if done >= of {
            return one(to, 0);
        }
        let weight = |done: i64, of: i64| (i64::from(WHOLE) * done / of.max(1)) as u16;
        let step = Step {
            from: take.transition.from,
            done,
            of,
        };
        let two = |way| Base::Two {
            from: from.clone(),
            to: to.clone(),
            way,
        };
        match take.transition.kind {
            TransitionKind::Cut => one(to, 0),
            TransitionKind::Fade => {
                let (from, to) = moved(from, to, done as f64 / of as f64);
                let way = Way::Mix(weight(done, of));
                Base::Two { from, to, way }
            }
            // One frame in the middle is black.
            TransitionKind::Dip => {
                let middle = of / 2;
                if done <= middle {
                    one(from, weight(done, middle))
                } else {
                    one(to, WHOLE - weight(done - middle, of - middle))
                }
            }
            TransitionKind::Slide => two(Way::Slide(step)),
            TransitionKind::Push => two(Way::Push(step)),
            TransitionKind::Wipe => two(Way::Wipe(step)),
        }
    }

    fn take(
        &mut self,
        to: usize,
        transition: Option<Transition>,
        next: i64,
        now: MediaTime,
        is_ready: impl Fn(usize) -> bool,
    ) -> Result<MixAnswer, String> {
        let transition = transition.unwrap_or(self.scenes[to].transition);
        check(&transition)?;
        let clip = self.clip_of(to);
        let mut notes = Vec::new();
        if to == self.programme && (clip.is_none() || self.clip.is_some()) {
            if self.black.to == 0 {
                return Ok(MixAnswer {
                    ran: Transition::CUT,
                    at: self.fps.frame_time(next),
                    note: format!("{:?} is on air already", self.scenes[to].id),
                });
            }
            // It comes back out of black.
            let frames = self.frames(transition.length());
            self.black.go(0, next, frames);
            self.sound(next, frames);
            return Ok(MixAnswer {
                ran: transition,
                at: self.fps.frame_time(next),
                note: String::new(),
            });
        }
        if self.take.as_ref().is_some_and(|take| take.frames > 0) {
            notes.push("the transition before was still running and ended at once".to_owned());
        }
        let mut first = next;
        if let Some(source) = clip {
            first = first.max(self.fps.frame_at(now + CLIP_LEAD));
            if !is_ready(source) {
                let id = &self.sources[source].id;
                notes.push(format!("the clip {id:?} was not ready and starts late"));
            }
        }
        let preview = Some(self.programme);
        let ran = self.begin(to, transition, first, next);
        self.preview = preview.filter(|preview| *preview != to);
        Ok(MixAnswer {
            ran,
            at: self.fps.frame_time(first),
            note: notes.join("; "),
        })
    }

    /// The take itself, from point `first` on, which is `next` or after it. Gives what runs.
    fn begin(&mut self, to: usize, transition: Transition, first: i64, next: i64) -> Transition {
        let frames = self.frames(transition.length());
        let from = self.programme;
        self.programme = to;
        let is_black = self.black.at(next) > 0 || self.black.to > 0;
        let kind = if is_black {
            // There is nothing to be seen of the scene before.
            TransitionKind::Cut
        } else {
            transition.kind
        };
        if is_black {
            self.black.go(0, first, frames);
        }
        self.take = Some(Take {
            from,
            transition: Transition { kind, ..transition },
            first,
            frames: if kind == TransitionKind::Cut {
                0
            } else {
                frames
            },
        });
        if let Some(source) = self.clip_of(to) {
            let before = self.clip.replace(Clip {
                scene: to,
                source,
                first,
            });
            self.left.extend(before.map(|clip| clip.source));
            // One that still plays, or has, begins anew.
            if self.left.contains(&source) {
                self.left.retain(|left| *left != source);
                self.effects.push(Effect::Ready { source });
            }
            let at = self.fps.frame_time(first);
            self.effects.push(Effect::Start { source, at });
        }
        self.sound(first, frames);
        if frames == 0 {
            Transition::CUT
        } else if is_black {
            Transition {
                kind: TransitionKind::Fade,
                ..transition
            }
        } else {
            transition
        }
    }

    /// A clip's scene ends so that the transition to the next ends with the clip.
    fn return_in_time(&mut self, point: i64) {
        let Some(clip) = self
            .clip
            .as_ref()
            .filter(|clip| clip.scene == self.programme)
        else {
            return;
        };
        let Some(length) = self.lengths.get(&clip.source) else {
            return;
        };
        let end = clip.first + self.frames(*length);
        let over = self
            .next_scene(clip.scene)
            .map_or(0, |then| self.frames(self.scenes[then].transition.length()));
        if point >= (end - over).max(clip.first + 1) {
            self.go_on(point);
        }
        let second = (self.fps.as_f64().round() as i64).max(1);
        // Its place is told once a second.
        if let Some(clip) = &self.clip
            && (point - clip.first) % second == 0
        {
            self.changed = true;
        }
    }

    /// From a clip's scene to the one that follows it. What is in preview stays, if it is not that.
    fn go_on(&mut self, first: i64) {
        let Some(then) = self.next_scene(self.programme) else {
            return;
        };
        let before = self.programme;
        self.begin(then, self.scenes[then].transition, first, first);
        if self.preview == Some(then) {
            self.preview = Some(before);
        }
    }

    fn next_scene(&self, scene: usize) -> Option<usize> {
        let then = self.scenes[scene].then.as_ref()?;
        self.scenes.iter().position(|scene| scene.id == *then)
    }

    /// The source that a scene plays once from its take on.
    pub fn clip_of(&self, scene: usize) -> Option<usize> {
        clip_source(&self.scenes[scene], &self.sources)
    }

    fn scene(&self, id: &str) -> Result<usize, String> {
        let ids = self.scenes.iter().map(|scene| scene.id.as_str());
        let found = self.scenes.iter().position(|scene| scene.id == id);
        found.ok_or_else(|| unknown("scene", id, ids))
    }

    fn frames(&self, length: Duration) -> i64 {
        let frames = (length.as_secs_f64() * self.fps.as_f64()).round() as i64;
        frames.max(i64::from(!length.is_zero()))
    }

    /// The sound is told what is seen from a point on.
    fn sound(&mut self, first: i64, frames: i64) {
        self.changed = true;
        let at = self.fps.frame_time(first);
        let over = self.fps.frame_time(frames).since(MediaTime::ZERO);
        let visible = self.heard();
        self.effects.push(Effect::Scene { at, visible, over });
    }

    /// The sources whose sound belongs to what is seen.
    pub fn heard(&self) -> Vec<usize> {
        if self.black.to > 0 {
            return Vec::new();
        }
        let scene = self.scenes[self.programme].sources();
        let keys = self
            .keys
            .iter()
            .filter(|key| key.on)
            .filter_map(|key| key.layer.content.source());
        let index = |id: &str| self.sources.iter().position(|source| source.id == id);
        let mut heard: Vec<usize> = scene.chain(keys).filter_map(index).collect();
        heard.sort_unstable();
        heard.dedup();
        heard
    }

    /// The sources whose pictures the next frame may show.
    pub fn seen(&self) -> Vec<usize> {
        let from = self.take.iter().map(|take| &self.layers[take.from]);
        let scenes = from.chain([&self.layers[self.programme]]);
        let layers = scenes.flat_map(|layers| layers.iter());
        let gone = |key: &&KeyState| key.on || key.fade.to != key.fade.from;
        let keys = self.keys.iter().filter(gone).map(|key| &*key.layer);
        let ids = layers.chain(keys).flat_map(|layer| {
            layer
                .content
                .source()
                .into_iter()
                .chain(layer.or.as_deref())
        });
        let index = |id: &str| self.sources.iter().position(|source| source.id == id);
        let mut seen: Vec<usize> = ids.filter_map(index).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    /// The source whose slate stands for the whole programme's.
    pub fn face(&self) -> usize {
        self.seen().first().copied().unwrap_or(0)
    }

    /// Whether the scene on air is meant to be still.
    pub fn is_still(&self) -> bool {
        self.scenes[self.programme].still
    }

    pub fn programme(&self) -> &Scene {
        &self.scenes[self.programme]
    }

    pub fn programme_layers(&self) -> &Layers {
        &self.layers[self.programme]
    }

    pub fn preview(&self) -> Option<(&Scene, &Layers)> {
        let index = self.preview?;
        Some((&self.scenes[index], &self.layers[index]))
    }

    /// Each source with its settings now.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    pub fn titles(&self) -> &BTreeMap<String, Vec<String>> {
        &self.titles
    }

    /// The overlays that are there.
    pub fn overlays_on(&self) -> Vec<String> {
        let on = self.keys.iter().filter(|key| key.on);
        on.map(|key| key.overlay.id.clone()).collect()
    }

    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The state, if it is another than when it was asked last.
    pub fn take_state(&mut self, point: i64) -> Option<MixState> {
        std::mem::take(&mut self.changed).then(|| self.state(point))
    }

    fn state(&self, point: i64) -> MixState {
        let id = |index: usize| self.scenes[index].id.clone();
        let over = |take: &&Take| take.frames > 0;
        let clip = self
            .clip
            .as_ref()
            .filter(|clip| clip.scene == self.programme);
        MixState {
            scene: id(self.programme),
            preview: self.preview.map(id),
            transition: self.take.as_ref().filter(over).map(|take| Running {
                from: id(take.from),
                to: id(self.programme),
                kind: take.transition.kind,
                ms: take.transition.ms,
            }),
            black: self.black.to > 0,
            overlays: self
                .keys
                .iter()
                .map(|key| OverlayState {
                    id: key.overlay.id.clone(),
                    on: key.on,
                })
                .collect(),
            titles: self.titles.clone(),
            clip: clip.map(|clip| ClipState {
                scene: id(clip.scene),
                source: self.sources[clip.source].id.clone(),
                position_s: (point - clip.first).max(0) as f64 / self.fps.as_f64(),
                length_s: self.lengths.get(&clip.source).map(Duration::as_secs_f64),
            }),
            audio: self
                .sources
                .iter()
                .map(|source| (source.id.clone(), source.audio.clone()))
                .collect(),
        }
    }
}

/// Those with a picture, lowest first; those alike stay in the file's order. A scene that is only heard shows its first source's
/// slate.
fn layers_of(scene: &Scene, sources: &[Source]) -> Layers {
    let is_seen = |layer: &&Layer| {
        let is = |source: &&Source| Some(source.id.as_str()) == layer.content.source();
        let source = sources.iter().find(is);
        source.is_none_or(|source| !source.kind.is_only_sound())
    };
    let mut layers: Vec<Layer> = scene.layers.iter().filter(is_seen).cloned().collect();
    if layers.is_empty() {
        layers.extend(scene.layers.first().cloned());
    }
    layers.sort_by_key(|layer| layer.z);
    layers.into()
}

/// It decides what is on air or in preview.
pub fn is_of_scenes(command: &MixCommand) -> bool {
    matches!(
        command,
        MixCommand::Take { .. } | MixCommand::Preview { .. } | MixCommand::Black { .. }
    )
}

/// The file that plays once from the take of a scene on.
pub fn clip_source(scene: &Scene, sources: &[Source]) -> Option<usize> {
    scene.then.as_ref()?;
    let file = |id: &str| {
        let is =
            |source: &Source| source.id == id && matches!(source.kind, SourceKind::File { .. });
        sources.iter().position(is)
    };
    scene.sources().find_map(file)
}

fn check(transition: &Transition) -> Result<(), String> {
    if transition.ms <= Transition::LONGEST_MS {
        return Ok(());
    }
    Err(format!(
        "a transition takes up to {} ms, not {}",
        Transition::LONGEST_MS,
        transition.ms
    ))
}

fn unknown<'a>(kind: &str, id: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    if known.is_empty() {
        return format!("there is no {kind} {id:?}: the configuration has none");
    }
    format!("there is no {kind} {id:?}; there are {}", known.join(", "))
}

#[cfg(test)]
#[path = "switcher_tests.rs"]
mod tests;
