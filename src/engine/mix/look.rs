//! Pictures for people: of each source, programme and preview, and of all of it together. Made in a thread of its own from frames
//! that the mix hands over, and only while somebody looks; what it has no time for is left out. Shell.

use super::geometry::{Outline, Rect, Size};
use super::jpeg::Jpeg;
use super::lookers::Wanted;
use super::multiview::{Tiles, lit, tiles};
use super::painter::{Image, Images, PaintError, Painter};
use super::plan::Layers;
use super::screen::Shown as OnScreen;
use crate::bridge::mix::{Thumbnail, View};
use crate::bridge::report::Levels;
use crate::config::{Border, Colour, Layer, Place, Screen};
use crate::engine::capture::picture::{Area, Canvas, Colour as Paint, WHITE, text_width};
use crate::engine::desk::LatestLevels;
use crate::engine::format::{Format, Frame, I420Layout};
use crate::engine::out::Out;
use crate::engine::titles::Drawing;
use gstreamer as gst;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, SyncSender};

/// Of thumbnails, in pixels.
const THUMBNAIL_WIDTH: usize = 320;
const MULTIVIEW_WIDTH: usize = 1_280;
/// On air, and in preview.
const RED: Colour = Colour::opaque(220, 30, 30);
const GREEN: Colour = Colour::opaque(30, 180, 60);

/// What there is at one moment.
pub struct Snapshot {
    pub programme: gst::Buffer,
    /// Of each source, or its slate.
    pub sources: Vec<(String, Frame)>,
    pub preview: Option<Ready>,
    /// Sources that are seen on air, and in preview.
    pub on_air: BTreeSet<String>,
    pub ready: BTreeSet<String>,
    pub wanted: Wanted,
    pub scene: String,
}

/// The scene in preview.
pub struct Ready {
    pub scene: String,
    pub layers: Layers,
    /// What its titles show, by their layers.
    pub drawings: BTreeMap<String, (Vec<Drawing>, Outline)>,
}

pub struct Looks {
    pub format: Format,
    pub snapshots: Receiver<Snapshot>,
    pub levels: LatestLevels,
    /// Where the multiview is shown on the box itself.
    pub screen: Option<Screen>,
    pub out: SyncSender<Out>,
}

impl Looks {
    /// Until the mix is gone.
    pub fn run(self) {
        // Nothing is set up for nobody.
        let mut studio = None;
        let screen = self.screen.clone().and_then(|screen| {
            let started = OnScreen::start(screen, multiview_size(&self.format));
            let told = |error| tracing::error!("no thread for the box's screen: {error}");
            started.map_err(told).ok()
        });
        while let Ok(snapshot) = self.snapshots.recv() {
            let made = match &mut studio {
                Some(studio) => Ok(studio),
                None => Studio::new(&self.format).map(|made| studio.insert(made)),
            };
            let pictures =
                made.and_then(|studio| studio.draw(&snapshot, self.levels.get(), screen.as_ref()));
            match pictures {
                Ok(pictures) => {
                    for (of, jpeg) in pictures {
                        let thumbnail = Thumbnail { of, jpeg };
                        // A writer that is gone means that the engine is ending.
                        let _ = self.out.send(Out::Thumbnail(thumbnail));
                    }
                }
                Err(error) => tracing::warn!("no pictures for whoever looks: {error}"),
            }
        }
    }
}

/// The frame's shape with another width.
fn scaled(format: &Format, width: usize) -> Size {
    let layout = format.layout();
    Size {
        width,
        height: (width * layout.height / layout.width / 2 * 2).max(2),
    }
}

fn multiview_size(format: &Format) -> Size {
    scaled(format, MULTIVIEW_WIDTH)
}

struct Studio {
    size: Size,
    painter: Painter,
    wide: Size,
    wide_painter: Painter,
    small: Jpeg,
    big: Jpeg,
}

impl Studio {
    fn new(format: &Format) -> Result<Self, PaintError> {
        let layout = format.layout();
        let size = Size {
            width: layout.width,
            height: layout.height,
        };
        let wide = multiview_size(format);
        Ok(Studio {
            size,
            painter: Painter::new(&layout)?,
            wide,
            wide_painter: Painter::new(&I420Layout::new(wide.width, wide.height))?,
            small: Jpeg::new(size, scaled(format, THUMBNAIL_WIDTH))?,
            big: Jpeg::new(wide, wide)?,
        })
    }

    fn draw(
        &mut self,
        snapshot: &Snapshot,
        levels: Option<Levels>,
        screen: Option<&OnScreen>,
    ) -> Result<Vec<(View, bytes::Bytes)>, PaintError> {
        let mut pictures = Vec::new();
        let wanted = snapshot.wanted;
        let screen = screen.filter(|screen| wanted.screen && screen.is_there());
        if !wanted.thumbnails && screen.is_none() {
            return Ok(pictures);
        }
        if wanted.thumbnails {
            for (id, frame) in &snapshot.sources {
                pictures.push((View::Source(id.clone()), self.small.encode(&frame.buffer)?));
            }
            let programme = self.small.encode(&snapshot.programme)?;
            pictures.push((View::Programme, programme));
        }
        let there = There {
            snapshot,
            size: self.size,
        };
        let preview = match &snapshot.preview {
            Some(ready) => Some(self.painter.compose(&ready.layers, &there)?),
            None => None,
        };
        if let Some(preview) = preview.as_ref().filter(|_| wanted.thumbnails) {
            pictures.push((View::Preview, self.small.encode(preview)?));
        }
        if wanted.multiview || screen.is_some() {
            let picture = self.multiview(snapshot, preview, levels)?;
            if wanted.multiview {
                pictures.push((View::Multiview, self.big.encode(&picture)?));
            }
            if let Some(screen) = screen {
                screen.show(picture);
            }
        }
        Ok(pictures)
    }

    fn multiview(
        &mut self,
        snapshot: &Snapshot,
        preview: Option<gst::Buffer>,
        levels: Option<Levels>,
    ) -> Result<gst::Buffer, PaintError> {
        let Tiles {
            preview: ready_tile,
            programme: air_tile,
            sources: source_tiles,
        } = tiles(self.wide, snapshot.sources.len());
        let mut shown = Shown {
            size: self.size,
            frames: Vec::new(),
        };
        let mut layers = Vec::new();
        let mut put = |tile: Rect, tally: Option<Colour>, frame: Option<&gst::Buffer>| {
            let number = shown.frames.len().to_string();
            shown.frames.extend(frame.cloned());
            if frame.is_some() {
                layers.push(tile_layer(&number, tile, self.wide, tally));
            }
        };
        put(air_tile, Some(RED), Some(&snapshot.programme));
        put(ready_tile, Some(GREEN), preview.as_ref());
        for ((id, frame), tile) in snapshot.sources.iter().zip(&source_tiles) {
            let tally = if snapshot.on_air.contains(id) {
                Some(RED)
            } else {
                snapshot.ready.contains(id).then_some(GREEN)
            };
            put(*tile, tally, Some(&frame.buffer));
        }
        let mut picture = self.wide_painter.compose(&layers, &shown)?;
        let layout = I420Layout::new(self.wide.width, self.wide.height);
        let used = || PaintError("the multiview's frame is in use".into());
        let unreadable = |_| PaintError("the multiview's frame can't be written".into());
        let buffer = picture.get_mut().ok_or_else(used)?;
        let mut map = buffer.map_writable().map_err(unreadable)?;
        let mut canvas = Canvas {
            layout: &layout,
            bytes: &mut map,
        };
        let ready = snapshot.preview.as_ref().map(|ready| ready.scene.as_str());
        label(&mut canvas, ready_tile, ready.unwrap_or("no preview"), 4);
        label(&mut canvas, air_tile, &snapshot.scene, 4);
        for ((id, _), tile) in snapshot.sources.iter().zip(&source_tiles) {
            label(&mut canvas, *tile, id, 2);
        }
        if let Some(levels) = levels {
            meter(&mut canvas, air_tile, levels.programme.peak_db);
            for ((id, _), tile) in snapshot.sources.iter().zip(&source_tiles) {
                if let Some(input) = levels.inputs.iter().find(|input| input.id == *id) {
                    meter(&mut canvas, *tile, input.peak_db);
                }
            }
        }
        drop(map);
        Ok(picture)
    }
}

/// A tile as a layer of the multiview.
fn tile_layer(number: &str, tile: Rect, frame: Size, tally: Option<Colour>) -> Layer {
    let part = |value: usize, whole: usize| value as f64 / whole as f64;
    let colour = tally.unwrap_or(Colour::opaque(60, 60, 60));
    Layer {
        place: Place {
            x: part(tile.x, frame.width),
            y: part(tile.y, frame.height),
            width: part(tile.width, frame.width),
            height: part(tile.height, frame.height),
        },
        border: Some(Border {
            width: 0.006,
            colour,
        }),
        ..Layer::full(number)
    }
}

/// A name at the foot of its tile.
fn label(canvas: &mut Canvas, tile: Rect, text: &str, dot: usize) {
    let most = (tile.width / (6 * dot)).saturating_sub(1);
    let text: String = text.chars().take(most).collect();
    let (width, height) = (text_width(&text, dot) + 4 * dot, 11 * dot);
    let top = tile.y + tile.height - height.min(tile.height);
    let box_of = Area {
        x: tile.x,
        y: top,
        width: width.min(tile.width),
        height,
    };
    canvas.fill(
        box_of,
        Paint {
            y: 30,
            u: 128,
            v: 128,
        },
    );
    canvas.text(tile.x + 2 * dot, top + 2 * dot, dot, &text, WHITE);
}

/// Left and right at the right edge of a tile: green, yellow from −18 dBFS, red from −6.
fn meter(canvas: &mut Canvas, tile: Rect, peak_db: [Option<f32>; 2]) {
    const PARTS: [(f32, Paint); 3] = [
        (
            -18.0,
            Paint {
                y: 130,
                u: 70,
                v: 60,
            },
        ),
        (
            -6.0,
            Paint {
                y: 180,
                u: 40,
                v: 140,
            },
        ),
        (
            0.0,
            Paint {
                y: 80,
                u: 100,
                v: 220,
            },
        ),
    ];
    let bar = (tile.width / 80).max(2) / 2 * 2;
    let height = tile.height as f32;
    for (side, peak_db) in peak_db.into_iter().enumerate() {
        let x = tile.x + tile.width - (2 - side) * (bar + 2);
        let back = Area {
            x,
            y: tile.y,
            width: bar,
            height: tile.height,
        };
        canvas.fill(
            back,
            Paint {
                y: 24,
                u: 128,
                v: 128,
            },
        );
        let mut from = 0.0;
        for (upto_db, colour) in PARTS {
            let upto = lit(upto_db).min(peak_db.map_or(0.0, lit));
            if upto > from {
                let top = tile.y + (height * (1.0 - upto)) as usize;
                let part = Area {
                    x,
                    y: top,
                    width: bar,
                    height: (height * (upto - from)) as usize,
                };
                canvas.fill(part, colour);
                from = upto;
            }
        }
    }
}

/// What the scene in preview shows.
struct There<'a> {
    snapshot: &'a Snapshot,
    size: Size,
}

impl Images for There<'_> {
    fn image(&self, layer: &Layer) -> Option<Image> {
        let id = layer.content.source()?;
        let found = self.snapshot.sources.iter().find(|(known, _)| known == id);
        found.map(|(_, frame)| Image {
            frame: frame.clone(),
            size: self.size,
        })
    }

    fn drawings(&self, layer: &Layer, _: Option<&str>) -> (&[Drawing], Outline) {
        let ready = self.snapshot.preview.as_ref();
        let found = ready.and_then(|ready| ready.drawings.get(&layer.id));
        match found {
            Some((drawings, outline)) => (drawings, *outline),
            None => (&[], Outline::default()),
        }
    }
}

/// The frames of a multiview, by their numbers.
struct Shown {
    size: Size,
    frames: Vec<gst::Buffer>,
}

impl Images for Shown {
    fn image(&self, layer: &Layer) -> Option<Image> {
        let number: usize = layer.content.source()?.parse().ok()?;
        let frame = self.frames.get(number)?.clone();
        Some(Image {
            // A page is shown as it is, on black where it paints nothing.
            frame: Frame::opaque(frame),
            size: self.size,
        })
    }

    fn drawings(&self, _: &Layer, _: Option<&str>) -> (&[Drawing], Outline) {
        (&[], Outline::default())
    }
}
