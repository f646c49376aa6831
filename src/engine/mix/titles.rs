//! The titles and images of layers and overlays at work: each has a run of its own, which draws in its own thread and says what
//! of it is in a frame. Shell.

use super::geometry::{Outline, even};
use super::plan::Plan;
use crate::config::{
    Appear, AppearKind, Colour, Content, EngineSpec, Layer, Overlay, Title, TitleKind, TitlePlace,
};
use crate::engine::format::Format;
use crate::engine::titles::{Canvas, Drawing, Studio, TitleRun};
use crate::media::MediaTime;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::io;

const AT_ONCE: Appear = Appear {
    how: AppearKind::Cut,
    ms: 0,
};

pub struct Titles {
    runs: Vec<Run>,
    /// The text of each, for the runs that come.
    titles: Vec<Title>,
    studio: Studio,
    format: Format,
    /// When the programme began.
    since: MediaTime,
}

struct Run {
    key: Key,
    run: TitleRun,
    drawn: Vec<Drawing>,
}

/// A title that two layers show in one size is drawn once; an overlay's comes and goes by itself.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    content: Content,
    /// The overlay's id.
    overlay: Option<String>,
    width: usize,
    height: usize,
}

/// Where a layer's canvas lies.
pub fn outline(format: &Format, layer: &Layer) -> Outline {
    let (width, height) = (f64::from(format.width), f64::from(format.height));
    let place = &layer.place;
    Outline {
        x: even(place.x * width),
        y: even(place.y * height),
        width: even(place.width * width).max(2),
        height: even(place.height * height).max(2),
    }
}

impl Titles {
    /// `texts` are those that the titles have now.
    pub fn new(
        spec: &EngineSpec,
        texts: &BTreeMap<String, Vec<String>>,
        format: &Format,
        since: MediaTime,
    ) -> io::Result<Self> {
        let with_text = |title: &Title| Title {
            lines: texts.get(&title.id).unwrap_or(&title.lines).clone(),
            ..title.clone()
        };
        let mut titles = Titles {
            runs: Vec::new(),
            titles: spec.titles.iter().map(with_text).collect(),
            studio: Studio::start()?,
            format: format.clone(),
            since,
        };
        for Overlay {
            id,
            layer,
            appear,
            vanish,
            ..
        } in &spec.overlays
        {
            if let Some(title) = titles.title(&layer.content) {
                let title = Title {
                    appear: appear.unwrap_or(title.appear),
                    vanish: vanish.unwrap_or(title.vanish),
                    ..title
                };
                titles.begin(layer, Some(id), &title);
            }
        }
        // Drawn before they are wanted.
        for layer in spec.scenes.iter().flat_map(|scene| &scene.layers) {
            titles.of_layer(layer);
        }
        Ok(titles)
    }

    fn key(&self, layer: &Layer, overlay: Option<&str>) -> Key {
        let outline = outline(&self.format, layer);
        Key {
            content: layer.content.clone(),
            overlay: overlay.map(str::to_owned),
            width: usize::try_from(outline.width).unwrap_or(2),
            height: usize::try_from(outline.height).unwrap_or(2),
        }
    }

    /// What is drawn for a layer; None: it is a source.
    fn title(&self, content: &Content) -> Option<Title> {
        match content {
            Content::Source(_) => None,
            Content::Title(id) => self.titles.iter().find(|title| title.id == *id).cloned(),
            Content::Image(path) => Some(Title {
                id: String::new(),
                kind: TitleKind::Slide,
                lines: Vec::new(),
                image: Some(path.clone()),
                page: 1,
                colour: Colour::WHITE,
                background: Colour {
                    alpha: 0,
                    ..Colour::BLACK
                },
                accent: Colour::WHITE,
                font: String::new(),
                size: 1.0,
                at: TitlePlace::Usual,
                to: None,
                appear: AT_ONCE,
                vanish: AT_ONCE,
                auto_off: None,
            }),
        }
    }

    fn begin(&mut self, layer: &Layer, overlay: Option<&str>, title: &Title) -> usize {
        let key = self.key(layer, overlay);
        let canvas = Canvas {
            width: key.width,
            height: key.height,
            fps: self.format.fps,
        };
        let run = TitleRun::new(title, canvas, &self.studio, TimeZone::system());
        self.runs.push(Run {
            key,
            run,
            drawn: Vec::new(),
        });
        self.runs.len() - 1
    }

    /// The run of a scene's layer, which is there for as long as its scene is.
    fn of_layer(&mut self, layer: &Layer) -> Option<usize> {
        let key = self.key(layer, None);
        if let Some(found) = self.runs.iter().position(|run| run.key == key) {
            return Some(found);
        }
        let title = Title {
            appear: AT_ONCE,
            vanish: AT_ONCE,
            auto_off: None,
            ..self.title(&layer.content)?
        };
        let index = self.begin(layer, None, &title);
        self.runs[index].run.show(self.since);
        Some(index)
    }

    /// Another text, from the frame at `from` on.
    pub fn set(&mut self, id: &str, lines: &[String], from: MediaTime) {
        let of = Content::Title(id.to_owned());
        for run in self.runs.iter_mut().filter(|run| run.key.content == of) {
            run.run.set_lines(lines.to_vec(), from);
        }
        if let Some(title) = self.titles.iter_mut().find(|title| title.id == id) {
            title.lines = lines.to_vec();
        }
    }

    /// An overlay comes or goes from the frame at `at` on.
    pub fn switch(&mut self, overlay: &str, on: bool, at: MediaTime) {
        let is = |run: &&mut Run| run.key.overlay.as_deref() == Some(overlay);
        for run in self.runs.iter_mut().filter(is) {
            if on {
                run.run.show(at);
            } else {
                run.run.hide(at);
            }
        }
    }

    /// Draws what a plan shows at `at`. Gives the overlays that have gone by themselves.
    pub fn draw(&mut self, plan: &Plan, at: MediaTime, wall: Timestamp) -> Vec<String> {
        let mut over = Vec::new();
        for key in &plan.keys {
            let is = |run: &&mut Run| run.key.overlay.as_deref() == Some(key.overlay.as_str());
            for run in self.runs.iter_mut().filter(is) {
                run.drawn = run.run.draw(at, wall);
                if run.run.is_over(at) {
                    over.push(key.overlay.clone());
                }
            }
        }
        let mut done = Vec::new();
        for layer in plan.scene_layers() {
            let of_title = layer.content.source().is_none();
            if let Some(index) = of_title.then(|| self.of_layer(layer)).flatten()
                && !done.contains(&index)
            {
                done.push(index);
                let run = &mut self.runs[index];
                run.drawn = run.run.draw(at, wall);
            }
        }
        // What is not shown has its text ready when it is: clocks go on, new texts are fetched.
        let shown_key = |overlay: &String| plan.keys.iter().any(|key| key.overlay == *overlay);
        for (index, run) in self.runs.iter_mut().enumerate() {
            let overlay = run.key.overlay.as_ref();
            if !done.contains(&index) && !overlay.is_some_and(shown_key) {
                run.run.draw(at, wall);
            }
        }
        for run in &mut self.runs {
            for notice in run.run.take_notices() {
                match &run.key.content {
                    Content::Title(id) => tracing::warn!(title = id, "{notice}"),
                    Content::Image(_) | Content::Source(_) => tracing::warn!("a layer's {notice}"),
                }
            }
        }
        over
    }

    /// What was drawn last for a layer, or for an overlay's.
    pub fn drawn(&self, layer: &Layer, overlay: Option<&str>) -> &[Drawing] {
        let key = self.key(layer, overlay);
        let run = self.runs.iter().find(|run| run.key == key);
        run.map_or(&[], |run| &run.drawn)
    }
}
