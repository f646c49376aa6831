//! Writes text into a pixmap: shaping, and fonts that stand in for what one lacks, are cosmic-text's. Files are opened only for
//! the fonts.

use crate::config::Colour;
use cosmic_text::{
    Align, Attrs, Buffer, CacheKeyFlags, Family, FontSystem, LayoutGlyph, LayoutRun, Metrics,
    Shaping, SwashCache, SwashContent, Weight, Wrap, fontdb,
};
use tiny_skia::{Pixmap, PremultipliedColorU8};
use unicode_segmentation::UnicodeSegmentation;

/// What stands in for a font that isn't there, in this order.
const STAND_INS: [&str; 4] = ["Open Sans", "Noto Sans", "DejaVu Sans", "Liberation Sans"];
/// A line's height, as a multiple of its text's size.
const LINE_HEIGHT: f32 = 1.25;
/// A line that does not fit is made smaller down to this much of its size; beyond, it ends in an ellipsis.
const SMALLEST: f32 = 0.62;
/// Smaller steps are not seen, and each is shaped anew.
const STEP: f32 = 0.94;
/// A glyph lighter than asked for by more than this is drawn twice, this much of its size apart.
const LIGHTER: u16 = 150;
const EMBOLDENED: f32 = 0.025;
/// Glyphs kept drawn. Beyond (a hall of Chinese questions), they are drawn anew.
const MOST_GLYPHS: usize = 4_000;

pub struct Pen {
    fonts: FontSystem,
    glyphs: SwashCache,
}

/// How text looks.
#[derive(Clone, Copy, Debug)]
pub struct Style<'a> {
    pub family: &'a str,
    /// 400 is regular, 700 bold; the nearest that there is.
    pub weight: u16,
    /// In pixels.
    pub size: f32,
}

/// Text laid out, ready to be drawn.
pub struct Block {
    buffer: Buffer,
    /// In pixels, of what is written.
    pub width: f32,
    pub height: f32,
    /// As it came to be, after shrinking.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests look at it"))]
    pub size: f32,
    /// Some of it did not fit, and was left out.
    pub is_cut: bool,
}

impl Block {
    pub fn is_right_to_left(&self) -> bool {
        self.buffer.layout_runs().next().is_some_and(|run| run.rtl)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// At the side where its script begins.
    Start,
    Middle,
}

impl Pen {
    /// With the system's fonts. Takes as long as reading them does, some 10 to 100 ms.
    pub fn with_system_fonts() -> Self {
        let mut fonts = fontdb::Database::new();
        fonts.load_system_fonts();
        Pen::with(fonts)
    }

    /// With the fonts of these directories, and no others.
    #[cfg(test)]
    pub fn with_fonts_of(directories: &[&std::path::Path]) -> Self {
        let mut fonts = fontdb::Database::new();
        for directory in directories {
            fonts.load_fonts_dir(directory);
        }
        Pen::with(fonts)
    }

    fn with(fonts: fontdb::Database) -> Self {
        // The language decides only between the regional forms of Chinese characters.
        let language = "zh-CN".to_owned();
        Pen {
            fonts: FontSystem::new_with_locale_and_db(language, fonts),
            glyphs: SwashCache::new(),
        }
    }

    /// There is nothing to write with.
    pub fn has_no_fonts(&self) -> bool {
        self.fonts.db().is_empty()
    }

    /// The family that is written in for `family`: itself if it is installed.
    pub fn family_for(&self, family: &str) -> String {
        let named = |wanted: &str| {
            let mut faces = self.fonts.db().faces();
            faces.find_map(|face| {
                let mut names = face.families.iter();
                let (name, _) = names.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
                Some(name.clone())
            })
        };
        let first = || {
            let face = self.fonts.db().faces().next()?;
            face.families.first().map(|(name, _)| name.clone())
        };
        std::iter::once(family)
            .chain(STAND_INS)
            .find_map(named)
            .or_else(first)
            .unwrap_or_else(|| family.to_owned())
    }

    /// One line, at most `widest` pixels wide: made smaller if it must be, and ended with an ellipsis if that is not enough.
    pub fn line(&mut self, text: &str, style: Style<'_>, widest: f32) -> Block {
        let widest = widest.max(1.0);
        let whole = self.lay_out(text, style, None, Flush::Start);
        let smaller = Style {
            size: style.size * (widest / whole.width.max(1.0) * 0.995).clamp(SMALLEST, 1.0),
            ..style
        };
        let fits = |block: &Block| block.width <= widest;
        let block = if fits(&whole) {
            whole
        } else {
            self.cut_to_fit(text, fits, |pen, text| {
                pen.lay_out(text, smaller, None, Flush::Start)
            })
        };
        // A script that begins at the right begins at the right of what is written.
        let width = block.width.ceil();
        self.set_width(block, width)
    }

    /// One line, however long.
    pub fn strip(&mut self, text: &str, style: Style<'_>) -> Block {
        self.lay_out(text, style, None, Flush::Start)
    }

    /// Lines broken between words to be at most `widest` wide, and at most `highest` high together.
    pub fn paragraphs(
        &mut self,
        text: &str,
        style: Style<'_>,
        (widest, highest): (f32, f32),
        flush: Flush,
    ) -> Block {
        let (widest, highest) = (widest.max(1.0), highest.max(1.0));
        let fits = |block: &Block| block.height <= highest && block.width <= widest + 1.0;
        let mut size = style.size;
        loop {
            let smaller = Style { size, ..style };
            let block = self.lay_out(text, smaller, Some(widest), flush);
            if fits(&block) {
                return block;
            }
            size *= STEP;
            if size < style.size * SMALLEST {
                return self.cut_to_fit(text, fits, |pen, text| {
                    pen.lay_out(text, smaller, Some(widest), flush)
                });
            }
        }
    }

    /// As much of the text as fits, with an ellipsis if that is not all.
    fn cut_to_fit(
        &mut self,
        text: &str,
        fits: impl Fn(&Block) -> bool,
        mut lay_out: impl FnMut(&mut Self, &str) -> Block,
    ) -> Block {
        let whole = lay_out(self, text);
        if fits(&whole) {
            return whole;
        }
        let ends: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
        let mut cut = |pen: &mut Self, end: usize| {
            let kept = text[..end].trim_end_matches(|c: char| c.is_whitespace() || c == ',');
            let mut block = lay_out(pen, &format!("{kept}…"));
            block.is_cut = true;
            block
        };
        // Between a length that fits and one that does not; an ellipsis alone is taken whether it fits or not.
        let (mut fitting, mut over) = (0, ends.len());
        while over - fitting > 1 {
            let middle = fitting.midpoint(over);
            if fits(&cut(self, ends[middle])) {
                fitting = middle;
            } else {
                over = middle;
            }
        }
        cut(self, ends.get(fitting).copied().unwrap_or(0))
    }

    fn lay_out(&mut self, text: &str, style: Style<'_>, width: Option<f32>, flush: Flush) -> Block {
        let size = style.size.max(1.0);
        let mut buffer = Buffer::new_empty(Metrics::new(size, size * LINE_HEIGHT));
        buffer.set_wrap(if width.is_some() {
            Wrap::WordOrGlyph
        } else {
            Wrap::None
        });
        buffer.set_size(width, None);
        let attributes = Attrs::new()
            .family(Family::Name(style.family))
            .weight(self.nearest_weight(style))
            // Hinting bends letters to the pixels of a screen; a programme is scaled on the way to its viewers.
            .cache_key_flags(CacheKeyFlags::DISABLE_HINTING);
        let align = match flush {
            Flush::Start => None,
            Flush::Middle => Some(Align::Center),
        };
        buffer.set_text(text, &attributes, Shaping::Advanced, align);
        self.measured(buffer)
    }

    /// cosmic-text takes a family only at exactly the weight asked for.
    fn nearest_weight(&self, style: Style<'_>) -> Weight {
        let query = fontdb::Query {
            families: &[Family::Name(style.family)],
            weight: Weight(style.weight),
            ..fontdb::Query::default()
        };
        let fonts = self.fonts.db();
        let face = fonts.query(&query).and_then(|id| fonts.face(id));
        face.map_or(Weight(style.weight), |face| face.weight)
    }

    fn set_width(&mut self, block: Block, width: f32) -> Block {
        let mut buffer = block.buffer;
        buffer.set_size(Some(width), None);
        Block {
            is_cut: block.is_cut,
            ..self.measured(buffer)
        }
    }

    fn measured(&mut self, mut buffer: Buffer) -> Block {
        // Shaping takes for granted that there is a font.
        if !self.has_no_fonts() {
            buffer.shape_until_scroll(&mut self.fonts, false);
        }
        let mut width = 0.0f32;
        let mut height = 0.0f32;
        for run in buffer.layout_runs() {
            width = width.max(run.line_w);
            height = height.max(run.line_top + run.line_height);
        }
        Block {
            size: buffer.metrics().font_size,
            buffer,
            width,
            height,
            is_cut: false,
        }
    }

    /// Draws the block with its top left at (x, y); what lies outside the pixmap is left out.
    pub fn draw(&mut self, pixmap: &mut Pixmap, block: &Block, (x, y): (f32, f32), colour: Colour) {
        for run in block.buffer.layout_runs() {
            self.draw_run(pixmap, &run, (x, y), colour);
        }
        if self.glyphs.image_cache.len() > MOST_GLYPHS {
            self.glyphs.image_cache.clear();
        }
    }

    fn draw_run(
        &mut self,
        pixmap: &mut Pixmap,
        run: &LayoutRun<'_>,
        (x, y): (f32, f32),
        colour: Colour,
    ) {
        let (left, right) = (-x - 200.0, pixmap.width() as f32 - x + 200.0);
        for glyph in run.glyphs {
            // A strip is drawn in many pieces: what is far from this one is not looked at.
            if glyph.x + glyph.w.max(0.0) < left || glyph.x > right {
                continue;
            }
            self.draw_glyph(pixmap, glyph, (x, y + run.line_y), colour);
            if self.is_too_light(glyph) {
                let beside = x + glyph.font_size * EMBOLDENED;
                self.draw_glyph(pixmap, glyph, (beside, y + run.line_y), colour);
            }
        }
    }

    /// The font that stands in has no face as bold as was asked for (most Chinese ones have one).
    fn is_too_light(&self, glyph: &LayoutGlyph) -> bool {
        let face = self.fonts.db().face(glyph.font_id);
        face.is_some_and(|face| face.weight.0 + LIGHTER < glyph.font_weight.0)
    }

    fn draw_glyph(
        &mut self,
        pixmap: &mut Pixmap,
        glyph: &LayoutGlyph,
        place: (f32, f32),
        colour: Colour,
    ) {
        let physical = glyph.physical(place, 1.0);
        let image = self.glyphs.get_image(&mut self.fonts, physical.cache_key);
        let Some(image) = image else { return };
        let place = image.placement;
        let corner = (physical.x + place.left, physical.y - place.top);
        let size = (place.width as usize, place.height as usize);
        match image.content {
            SwashContent::Mask => blend(pixmap, corner, size, |at| {
                let seen = u16::from(*image.data.get(at)?) * u16::from(colour.alpha);
                Some(premultiplied(
                    [colour.red, colour.green, colour.blue],
                    ((seen + 127) / 255) as u8,
                ))
            }),
            SwashContent::Color => blend(pixmap, corner, size, |at| {
                let [r, g, b, a] = *image.data.get(at * 4..at * 4 + 4)?.first_chunk::<4>()?;
                Some(premultiplied([r, g, b], a))
            }),
            // Never asked for.
            SwashContent::SubpixelMask => {}
        }
    }
}

fn premultiplied(rgb: [u8; 3], alpha: u8) -> [u8; 4] {
    let [r, g, b] = rgb.map(|c| ((u16::from(c) * u16::from(alpha) + 127) / 255) as u8);
    [r, g, b, alpha]
}

/// Lays premultiplied pixels, told by their number in the glyph's image, over those that are there.
fn blend(
    pixmap: &mut Pixmap,
    (left, top): (i32, i32),
    (width, height): (usize, usize),
    pixel: impl Fn(usize) -> Option<[u8; 4]>,
) {
    let (wide, high) = (pixmap.width() as i32, pixmap.height() as i32);
    let pixels = pixmap.pixels_mut();
    for row in 0..height {
        let y = top + row as i32;
        if y < 0 || y >= high {
            continue;
        }
        for column in 0..width {
            let x = left + column as i32;
            if x < 0 || x >= wide {
                continue;
            }
            let Some(over) = pixel(row * width + column) else {
                continue;
            };
            let under = &mut pixels[(y * wide + x) as usize];
            let rest = 255 - u16::from(over[3]);
            let mixed = |over: u8, under: u8| {
                (u16::from(over) + (u16::from(under) * rest + 127) / 255).min(255) as u8
            };
            let alpha = mixed(over[3], under.alpha());
            let part = |over: u8, under: u8| mixed(over, under).min(alpha);
            let (r, g, b) = (
                part(over[0], under.red()),
                part(over[1], under.green()),
                part(over[2], under.blue()),
            );
            // Each part is no more than the opacity.
            if let Some(colour) = PremultipliedColorU8::from_rgba(r, g, b, alpha) {
                *under = colour;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden_tests::fonts;
    use super::*;
    use proptest::prelude::*;
    use std::sync::{LazyLock, Mutex};

    const STYLE: Style<'_> = Style {
        family: "Open Sans",
        weight: 600,
        size: 36.0,
    };

    static PEN: LazyLock<Mutex<Pen>> = LazyLock::new(|| Mutex::new(fonts()));

    fn seen(pen: &mut Pen, block: &Block) -> usize {
        let mut pixmap = Pixmap::new(
            block.width.ceil().max(1.0) as u32,
            block.height.ceil().max(1.0) as u32,
        )
        .unwrap();
        pen.draw(&mut pixmap, block, (0.0, 0.0), Colour::WHITE);
        pixmap.pixels().iter().filter(|p| p.alpha() > 100).count()
    }

    #[test]
    fn a_font_that_is_missing_is_stood_in_for() {
        let pen = fonts();
        assert_eq!(pen.family_for("open sans"), "Open Sans");
        assert_eq!(pen.family_for("Comic Sans MS"), "Open Sans");
        let none = Pen::with_fonts_of(&[]);
        assert!(none.has_no_fonts());
        assert_eq!(none.family_for("Open Sans"), "Open Sans");
    }

    #[test]
    fn a_line_shrinks_and_then_ends_in_an_ellipsis() {
        let mut pen = fonts();
        let whole = pen.line("Anna Rossi", STYLE, 1_000.0);
        assert!(whole.size == 36.0 && !whole.is_cut);
        let tight = pen.line("Anna Rossi", STYLE, whole.width * 0.8);
        assert!(tight.size < 30.0 && !tight.is_cut, "{}", tight.size);
        assert!(tight.width <= whole.width * 0.8);
        let cut = pen.line("Anna Rossi", STYLE, whole.width * 0.4);
        assert!(cut.is_cut && cut.width <= whole.width * 0.4);
        assert!(cut.size >= 36.0 * SMALLEST * 0.99);
    }

    #[test]
    fn chinese_is_there_in_every_weight() {
        let mut pen = fonts();
        for weight in [400, 600, 700] {
            let mut inked = |text| {
                let block = pen.line(text, Style { weight, ..STYLE }, 1_000.0);
                seen(&mut pen, &block)
            };
            // A box in place of a missing character would be the same for both.
            let (one, many) = (inked("一"), inked("龍"));
            assert!(many > one * 2, "{weight}: {one} {many}");
        }
    }

    #[test]
    fn without_a_font_nothing_is_drawn_and_nothing_breaks() {
        let mut pen = Pen::with_fonts_of(&[]);
        let block = pen.line("Anna", STYLE, 100.0);
        assert_eq!(seen(&mut pen, &block), 0);
    }

    #[test]
    fn figures_are_of_one_width() {
        let mut pen = fonts();
        let mut width = |text| pen.line(text, STYLE, 1_000.0).width;
        assert_eq!(width("11:11:11"), width("08:48:08"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        /// Whatever is written fits, and nothing panics.
        #[test]
        fn any_text_fits(text in "\\PC{0,50}", widest in 60f32..400.0, highest in 50f32..300.0) {
            let mut pen = PEN.lock().unwrap();
            let pen = &mut *pen;
            let line = pen.line(&text, STYLE, widest);
            prop_assert!(line.width <= widest.max(30.0), "{} of {widest}", line.width);
            let block = pen.paragraphs(&text, STYLE, (widest, highest), Flush::Start);
            prop_assert!(block.height <= highest && block.width <= widest + 1.0);
            seen(pen, &block);
        }
    }
}
