//! Draws a title of each kind: what of it is where.

use super::artwork::Artwork;
use super::pen::{Block, Flush, Pen, Style};
use super::place::{From, comes_from, even, room, stand};
use super::words::{Face, clean, clean_to};
use super::{Canvas, Raster, Rect};
use crate::config::{Colour, Title, TitleKind};
use std::sync::Arc;
use tiny_skia::{FillRule, Paint, Path, PathBuilder, Pixmap, PixmapPaint, Transform};

/// What a title looks like with the text it has.
#[derive(Clone, Debug)]
pub struct Look {
    pub place: Rect,
    pub raster: Arc<Raster>,
    /// From which side it slides in.
    pub from: From,
    pub detail: Detail,
}

#[derive(Clone, Debug)]
pub enum Detail {
    Plain,
    /// The left edge of the panel, which comes out from behind the accent.
    LowerThird {
        panel: i32,
    },
    Ticker(Strip),
}

/// The text of a ticker, in pieces.
#[derive(Clone, Debug)]
pub struct Strip {
    /// Left edge within the strip, and what is there.
    pub pieces: Vec<(i32, Arc<Raster>)>,
    pub length: i32,
    /// Where in the canvas it runs.
    pub window: Rect,
}

/// A piece of a ticker, in pixels: small enough to be drawn in one go, large enough that a frame shows few.
const PIECE: i32 = 1_024;
/// Of a ticker's text, drawn.
const MOST_STRIP_BYTES: i32 = 48 << 20;
const LONGEST_TICKER: usize = 10_000;
const BOLD: u16 = 700;
const SEMI_BOLD: u16 = 600;
const REGULAR: u16 = 400;

/// Draws titles onto one canvas.
pub struct Drawer<'a> {
    pub pen: &'a mut Pen,
    pub artwork: &'a mut Artwork,
    pub canvas: Canvas,
    /// What the operator should know.
    pub notices: Vec<String>,
}

impl Drawer<'_> {
    /// None: there is nothing to see, for want of text or image. `face` is what a clock or countdown says now.
    pub fn draw(&mut self, title: &Title, face: Option<&str>) -> Option<Look> {
        let family = self.family(title);
        let face = face.unwrap_or_default();
        match title.kind {
            TitleKind::LowerThird => self.lower_third(title, &family),
            TitleKind::Logo => self.image(title, self.logo_room(title)),
            TitleKind::Slide => self.slide(title),
            TitleKind::Clock => self.clock(title, &family, face, Flush::Start),
            TitleKind::Countdown => self.clock(title, &family, face, Flush::Middle),
            TitleKind::Ticker => self.ticker(title, &family),
            TitleKind::Text => self.text(title, &family),
        }
    }

    fn family(&mut self, title: &Title) -> String {
        if matches!(title.kind, TitleKind::Logo | TitleKind::Slide) {
            return String::new();
        }
        let family = self.pen.family_for(&title.font);
        if self.pen.has_no_fonts() {
            let text = "this machine has no fonts: install fonts-open-sans";
            self.notices.push(text.to_owned());
        } else if !family.eq_ignore_ascii_case(&title.font) {
            let text = format!(
                "the font {:?} is not installed; {family:?} is used (fc-list : family lists what there is)",
                title.font
            );
            self.notices.push(text);
        }
        family
    }

    /// The size of text, in pixels.
    fn size(&self, title: &Title) -> f32 {
        (title.size * self.canvas.height as f64).max(1.0) as f32
    }

    fn pixmap(&self, width: f32, height: f32) -> Option<Pixmap> {
        let side = |side: f32, most: usize| {
            let most = most.next_multiple_of(2).max(2) as u32;
            (side.ceil().max(1.0) as u32).next_multiple_of(2).min(most)
        };
        Pixmap::new(
            side(width, self.canvas.width),
            side(height, self.canvas.height),
        )
    }

    fn look(&self, title: &Title, pixmap: &Pixmap, detail: Detail) -> Look {
        let raster = rastered(pixmap);
        let (width, height) = (raster.width, raster.height);
        let (x, y) = stand(title.kind, title.at, (width, height), &self.canvas);
        let place = Rect {
            x,
            y,
            width: width as i32,
            height: height as i32,
        };
        let from = comes_from(title.kind, place, &self.canvas);
        let detail = match detail {
            Detail::LowerThird { panel } => Detail::LowerThird { panel: x + panel },
            other => other,
        };
        Look {
            place,
            raster,
            from,
            detail,
        }
    }

    /// Two lines beside an accent, and a logo if there is one.
    fn lower_third(&mut self, title: &Title, family: &str) -> Option<Look> {
        let lines = clean(&title.lines);
        let (name, role) = match lines.as_slice() {
            [] => return None,
            [name] => (name, None),
            // More than two can only come live: the rest joins the second.
            [name, rest @ ..] => (name, Some(rest.join(" · "))),
        };
        let size = self.size(title);
        let (widest, _) = room(&self.canvas);
        let accent = even((size * 0.16).round() as i32).max(4) as f32;
        let (side, above) = (size * 0.52, size * 0.30);
        let logo_side = size * if role.is_some() { 1.92 } else { 1.25 };
        let logo = title.image.as_ref().and_then(|path| {
            // A wide logo keeps its breadth, within reason.
            let fit = ((logo_side * 2.5) as u32, logo_side as u32);
            self.artwork
                .read(path, title.page, fit)
                .map_err(|text| self.notices.push(text))
                .ok()
        });
        let before_text = accent + side + logo.as_ref().map_or(0.0, |l| l.width() as f32 + side);
        let for_text = widest as f32 - before_text - side;
        let style = |weight, size| Style {
            family,
            weight,
            size,
        };
        let name = self.pen.line(name, style(BOLD, size), for_text);
        let role = role.map(|role| self.pen.line(&role, style(REGULAR, size * 0.62), for_text));
        let role_height = role.as_ref().map_or(0.0, |role| role.height);
        let text_height = name.height + role_height;
        let text_width = role.as_ref().map_or(0.0, |role| role.width).max(name.width);
        let height = (text_height + 2.0 * above).max(
            logo.as_ref()
                .map_or(0.0, |l| l.height() as f32 + 2.0 * above),
        );
        // Short names keep a panel that looks like one.
        let width = (before_text + text_width + side * 1.15).max(size * 5.0);
        let mut pixmap = self.pixmap(width.min(widest as f32), height)?;
        let (wide, high) = (pixmap.width() as f32, pixmap.height() as f32);
        fill(
            &mut pixmap,
            rounded(accent, 0.0, wide - accent, high, [0.0, size * 0.09]),
            title.background,
        );
        fill(
            &mut pixmap,
            rounded(0.0, 0.0, accent, high, [0.0, 0.0]),
            title.accent,
        );
        if let Some(logo) = &logo {
            let y = ((high - logo.height() as f32) / 2.0).round();
            paste(&mut pixmap, logo, (accent + side).round() as i32, y as i32);
        }
        let top = (high - text_height) / 2.0;
        self.write(
            &mut pixmap,
            &name,
            (before_text, top),
            text_width,
            title.colour,
        );
        if let Some(role) = &role {
            let softer = faded(title.colour, 0.86);
            self.write(
                &mut pixmap,
                role,
                (before_text, top + name.height),
                text_width,
                softer,
            );
        }
        let panel = accent as i32;
        Some(self.look(title, &pixmap, Detail::LowerThird { panel }))
    }

    /// Writes a block into a column, at the side where its script begins.
    fn write(
        &mut self,
        pixmap: &mut Pixmap,
        block: &Block,
        (x, y): (f32, f32),
        width: f32,
        colour: Colour,
    ) {
        let x = if block.is_right_to_left() {
            x + width - block.width
        } else {
            x
        };
        self.pen.draw(pixmap, block, (x.round(), y.round()), colour);
    }

    fn logo_room(&self, title: &Title) -> (u32, u32) {
        // As high as its size says; a very wide one takes a third of the frame's breadth at most.
        let (widest, highest) = room(&self.canvas);
        let height = self.size(title).min(highest as f32);
        ((widest as f32 / 3.0).max(1.0) as u32, height as u32)
    }

    fn image(&mut self, title: &Title, fit: (u32, u32)) -> Option<Look> {
        let path = title.image.as_ref()?;
        let image = self
            .artwork
            .read(path, title.page, fit)
            .map_err(|text| self.notices.push(text))
            .ok()?;
        Some(self.look(title, &image, Detail::Plain))
    }

    /// The whole canvas, with the background beside an image of another aspect.
    fn slide(&mut self, title: &Title) -> Option<Look> {
        let path = title.image.as_ref()?;
        let (wide, high) = (self.canvas.width as u32, self.canvas.height as u32);
        let image = self
            .artwork
            .read(path, title.page, (wide, high))
            .map_err(|text| self.notices.push(text))
            .ok()?;
        let mut pixmap = Pixmap::new(wide, high)?;
        pixmap.fill(colour(title.background));
        let (x, y) = ((wide - image.width()) / 2, (high - image.height()) / 2);
        paste(&mut pixmap, &image, x as i32, y as i32);
        Some(self.look(title, &pixmap, Detail::Plain))
    }

    /// A time, as wide whatever it says, under its labels.
    fn clock(&mut self, title: &Title, family: &str, face: &str, flush: Flush) -> Option<Look> {
        let size = self.size(title);
        let (widest, highest) = room(&self.canvas);
        let side = size * 0.42;
        let for_text = widest as f32 - 2.0 * side;
        let style = |weight, size| Style {
            family,
            weight,
            size,
        };
        let labels = Face::of(&title.lines).labels;
        // A label of a large countdown is not as large.
        let label_size = (size * 0.5).min(self.canvas.height as f32 * 0.045).max(8.0);
        let labels: Vec<Block> = labels
            .iter()
            .take(4)
            .map(|label| self.pen.line(label, style(SEMI_BOLD, label_size), for_text))
            .collect();
        // As wide as the widest figures, so that the panel stands still.
        let widest_face: String = face
            .chars()
            .map(|c| if c.is_ascii_digit() { '8' } else { c })
            .collect();
        let time = self
            .pen
            .line(&widest_face, style(SEMI_BOLD, size), for_text);
        let face_width = time.width;
        let time = self.pen.line(face, style(SEMI_BOLD, size), for_text);
        let text_width = labels.iter().map(|l| l.width).fold(face_width, f32::max);
        let label_height: f32 = labels.iter().map(|label| label.height).sum();
        let above = size * 0.14
            + if labels.is_empty() {
                0.0
            } else {
                label_size * 0.25
            };
        // Figures have no descenders; under labels, the panel would look too high.
        let under = if labels.is_empty() { 0.0 } else { size * 0.1 };
        let height = time.height + label_height + 2.0 * above - under;
        let mut pixmap = self.pixmap(text_width + 2.0 * side, height.min(highest as f32))?;
        let (wide, high) = (pixmap.width() as f32, pixmap.height() as f32);
        fill(
            &mut pixmap,
            rounded(0.0, 0.0, wide, high, [size.min(label_size * 3.0) * 0.16; 2]),
            title.background,
        );
        let left = |width: f32| match flush {
            Flush::Start if labels.is_empty() => (wide - face_width) / 2.0,
            Flush::Start => side,
            Flush::Middle => (wide - width) / 2.0,
        };
        let mut y = above;
        for label in &labels {
            let softer = faded(title.colour, 0.86);
            self.pen.draw(
                &mut pixmap,
                label,
                (left(label.width).round(), y.round()),
                softer,
            );
            y += label.height;
        }
        self.pen.draw(
            &mut pixmap,
            &time,
            (left(face_width).round(), y.round()),
            title.colour,
        );
        Some(self.look(title, &pixmap, Detail::Plain))
    }

    /// Lines of any number, broken to fit.
    fn text(&mut self, title: &Title, family: &str) -> Option<Look> {
        let lines = clean(&title.lines);
        if lines.is_empty() {
            return None;
        }
        let size = self.size(title);
        let (widest, highest) = room(&self.canvas);
        let (side, above) = (size * 0.62, size * 0.42);
        let fit = (
            widest as f32 * 0.86 - 2.0 * side,
            highest as f32 * 0.9 - 2.0 * above,
        );
        let style = Style {
            family,
            weight: SEMI_BOLD,
            size,
        };
        let block = self
            .pen
            .paragraphs(&lines.join("\n"), style, fit, Flush::Start);
        self.note_cut(&block, title);
        let mut pixmap = self.pixmap(block.width + 2.0 * side, block.height + 2.0 * above)?;
        let (wide, high) = (pixmap.width() as f32, pixmap.height() as f32);
        fill(
            &mut pixmap,
            rounded(0.0, 0.0, wide, high, [size * 0.16; 2]),
            title.background,
        );
        self.pen.draw(
            &mut pixmap,
            &block,
            (side.round(), above.round()),
            title.colour,
        );
        Some(self.look(title, &pixmap, Detail::Plain))
    }

    fn note_cut(&mut self, block: &Block, title: &Title) {
        if block.is_cut {
            let text = format!(
                "the text of {:?} is too long for the frame; its end is left out",
                title.id
            );
            self.notices.push(text);
        }
    }

    /// A band as wide as the frame, and the text that runs in it.
    fn ticker(&mut self, title: &Title, family: &str) -> Option<Look> {
        let lines = clean_to(&title.lines, LONGEST_TICKER);
        if lines.is_empty() {
            return None;
        }
        let size = self.size(title);
        let rule = even((size * 0.09).round() as i32).max(2) as f32;
        let mut band = self.pixmap(self.canvas.width as f32, size * 1.75 + rule)?;
        let (wide, high) = (band.width() as f32, band.height() as f32);
        fill(
            &mut band,
            rounded(0.0, 0.0, wide, high, [0.0; 2]),
            title.background,
        );
        fill(
            &mut band,
            rounded(0.0, 0.0, wide, rule, [0.0; 2]),
            title.accent,
        );
        let look = self.look(title, &band, Detail::Plain);
        let window = Rect {
            y: look.place.y + rule as i32,
            height: look.place.height - rule as i32,
            ..look.place
        };
        let strip = self.strip(title, family, &lines, window)?;
        Some(Look {
            detail: Detail::Ticker(strip),
            ..look
        })
    }

    fn strip(
        &mut self,
        title: &Title,
        family: &str,
        lines: &[String],
        window: Rect,
    ) -> Option<Strip> {
        let style = Style {
            family,
            weight: SEMI_BOLD,
            size: self.size(title),
        };
        let gap = style.size * 0.85;
        let dot = style.size * 0.11;
        let most = MOST_STRIP_BYTES * 2 / 5 / window.height.max(2);
        let mut texts = Vec::new();
        let mut x = 0.0f32;
        for line in lines {
            let block = self.pen.strip(line, style);
            let width = block.width;
            texts.push((x, block));
            x += width + 2.0 * gap + 2.0 * dot;
            if x > most as f32 {
                let text = format!(
                    "the text of {:?} is too long for a ticker; its end is left out",
                    title.id
                );
                self.notices.push(text);
                break;
            }
        }
        let length = even(x.ceil() as i32 + 1).clamp(2, most.max(2));
        let mut pieces = Vec::new();
        for left in (0..length).step_by(PIECE as usize) {
            let width = PIECE.min(length - left);
            let mut pixmap = Pixmap::new(width as u32, window.height as u32)?;
            for (start, block) in &texts {
                let x = start - left as f32;
                let y = ((window.height as f32 - block.height) / 2.0).round();
                self.pen.draw(&mut pixmap, block, (x, y), title.colour);
                let middle = (x + block.width + gap + dot, window.height as f32 / 2.0);
                fill(
                    &mut pixmap,
                    PathBuilder::from_circle(middle.0, middle.1, dot),
                    title.accent,
                );
            }
            pieces.push((left, rastered(&pixmap)));
        }
        Some(Strip {
            pieces,
            length,
            window,
        })
    }
}

fn rastered(pixmap: &Pixmap) -> Arc<Raster> {
    let (width, height) = (pixmap.width() as usize, pixmap.height() as usize);
    Arc::new(Raster::from_premultiplied(width, height, pixmap.data()))
}

fn colour(colour: Colour) -> tiny_skia::Color {
    tiny_skia::Color::from_rgba8(colour.red, colour.green, colour.blue, colour.alpha)
}

fn faded(colour: Colour, by: f32) -> Colour {
    let alpha = (f32::from(colour.alpha) * by).round() as u8;
    Colour { alpha, ..colour }
}

/// A rectangle whose left and right corners have these radii, in pixels.
fn rounded(x: f32, y: f32, width: f32, height: f32, [left, right]: [f32; 2]) -> Option<Path> {
    let most = width.min(height) / 2.0;
    let (left, right) = (left.min(most), right.min(most));
    // The share of a radius at which a cubic's handle makes a quarter of a circle.
    let handle = |radius: f32| radius * (1.0 - 0.552_285);
    let (end, bottom) = (x + width, y + height);
    let mut path = PathBuilder::new();
    path.move_to(x + left, y);
    path.line_to(end - right, y);
    path.cubic_to(
        end - handle(right),
        y,
        end,
        y + handle(right),
        end,
        y + right,
    );
    path.line_to(end, bottom - right);
    path.cubic_to(
        end,
        bottom - handle(right),
        end - handle(right),
        bottom,
        end - right,
        bottom,
    );
    path.line_to(x + left, bottom);
    path.cubic_to(
        x + handle(left),
        bottom,
        x,
        bottom - handle(left),
        x,
        bottom - left,
    );
    path.line_to(x, y + left);
    path.cubic_to(x, y + handle(left), x + handle(left), y, x + left, y);
    path.close();
    path.finish()
}

fn fill(pixmap: &mut Pixmap, path: Option<Path>, with: Colour) {
    let mut paint = Paint {
        anti_alias: true,
        ..Paint::default()
    };
    paint.set_color(colour(with));
    if let Some(path) = path {
        pixmap.fill_path(
            &path,
            &paint,
            FillRule::Winding,
            Transform::identity(),
            None,
        );
    }
}

fn paste(pixmap: &mut Pixmap, image: &Pixmap, x: i32, y: i32) {
    let paint = PixmapPaint::default();
    pixmap.draw_pixmap(x, y, image.as_ref(), &paint, Transform::identity(), None);
}
