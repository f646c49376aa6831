//! Drawing into I420 frames: the test picture and the plain slate. Pure: bytes in, bytes out.

use super::glyphs;
use crate::engine::format::I420Layout;

/// A colour in BT.709 at video range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    pub y: u8,
    pub u: u8,
    pub v: u8,
}

const fn colour(y: u8, u: u8, v: u8) -> Colour {
    Colour { y, u, v }
}

pub const WHITE: Colour = colour(235, 128, 128);
const BLACK: Colour = colour(16, 128, 128);
const DARK: Colour = colour(34, 132, 124);
const SOFT: Colour = colour(150, 128, 128);
const ORANGE: Colour = colour(140, 60, 180);

/// The seven bars at 75 % (ITU-R BT.471, in BT.709's colours): white, yellow, cyan, green, magenta, red, blue.
const BARS: [Colour; 7] = [
    colour(180, 128, 128),
    colour(168, 44, 136),
    colour(145, 147, 44),
    colour(133, 63, 52),
    colour(63, 193, 204),
    colour(51, 109, 212),
    colour(28, 212, 120),
];

/// A rectangle in pixels. It is drawn on even coordinates, as chroma lies, and only where the frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// A frame to draw into. `bytes` shorter than the layout's size leave the rest undrawn.
pub struct Canvas<'a> {
    pub layout: &'a I420Layout,
    pub bytes: &'a mut [u8],
}

impl Canvas<'_> {
    pub fn fill(&mut self, area: Area, colour: Colour) {
        for (plane, (value, shift)) in [(colour.y, 0), (colour.u, 1), (colour.v, 1)]
            .into_iter()
            .enumerate()
        {
            let right = (area.x + area.width).min(self.layout.width);
            let bottom = (area.y + area.height).min(self.layout.height);
            let (left, right) = (
                area.x >> 1 << 1 >> shift,
                right.next_multiple_of(2) >> shift,
            );
            let right = right.min(self.layout.stride[plane]);
            for row in (area.y >> 1 << 1 >> shift)..(bottom.next_multiple_of(2) >> shift) {
                let start = self.layout.offset[plane] + row * self.layout.stride[plane];
                if let Some(line) = self.bytes.get_mut(start + left..start + right.max(left)) {
                    line.fill(value);
                }
            }
        }
    }

    /// Text with its top left at (x, y), each dot `dot` pixels wide and high; `dot` is even.
    pub fn text(&mut self, x: usize, y: usize, dot: usize, text: &str, colour: Colour) {
        for (place, character) in text.chars().enumerate() {
            let left = x + place * (glyphs::WIDTH + 1) * dot;
            for (row, bits) in glyphs::rows(character).into_iter().enumerate() {
                for column in
                    (0..glyphs::WIDTH).filter(|c| bits >> (glyphs::WIDTH - 1 - c) & 1 == 1)
                {
                    let area = Area {
                        x: left + column * dot,
                        y: y + row * dot,
                        width: dot,
                        height: dot,
                    };
                    self.fill(area, colour);
                }
            }
        }
    }

    fn whole(&self) -> Area {
        Area {
            x: 0,
            y: 0,
            width: self.layout.width,
            height: self.layout.height,
        }
    }
}

/// How wide `text` is drawn, in pixels.
pub fn text_width(text: &str, dot: usize) -> usize {
    (text.chars().count() * (glyphs::WIDTH + 1)).saturating_sub(1) * dot
}

/// A dark frame with the source's id in its middle.
pub fn plain_slate(layout: &I420Layout, id: &str) -> Vec<u8> {
    let mut bytes = vec![0; layout.size];
    let mut canvas = Canvas {
        layout,
        bytes: &mut bytes,
    };
    canvas.fill(canvas.whole(), DARK);
    let id: String = id.chars().take(40).collect();
    let widest = (layout.width * 3 / 4).max(1);
    let dot = (layout.height / 90..)
        .take_while(|dot| text_width(&id, *dot) <= widest && *dot <= layout.height / 45)
        .last()
        .unwrap_or(2);
    let dot = (dot / 2 * 2).max(2);
    let x = layout.width.saturating_sub(text_width(&id, dot)) / 2;
    let y = layout.height.saturating_sub(glyphs::HEIGHT * dot) / 2;
    canvas.text(x, y, dot, &id, SOFT);
    bytes
}

/// The test picture: what stays is drawn once, what moves on top of a copy.
pub struct TestPicture {
    layout: I420Layout,
    still: Vec<u8>,
    /// Luma that no encoder can predict, of which each frame shows another part: without it the picture would take
    /// a tenth of a usual bitrate, and prove nothing about the way to the platform.
    grain: Vec<u8>,
}

/// How far the grain spreads: enough for some 4 to 5 Mb/s at 1080p30, little enough to leave the rest sharp.
const GRAIN: u32 = 32;

/// What one frame of the test picture shows.
#[derive(Clone, Debug)]
pub struct Moment<'a> {
    pub frame: i64,
    /// The frame's time, in µs: what moves moves by it.
    pub us: i64,
    pub clock: &'a str,
    pub flash: bool,
}

impl TestPicture {
    pub fn new(layout: I420Layout) -> Self {
        let mut still = vec![0; layout.size];
        let mut canvas = Canvas {
            layout: &layout,
            bytes: &mut still,
        };
        canvas.fill(canvas.whole(), BLACK);
        let bars = bars_area(&layout);
        for (n, colour) in BARS.into_iter().enumerate() {
            let left = bars.width * n / BARS.len();
            let right = bars.width * (n + 1) / BARS.len();
            let area = Area {
                x: left,
                width: right - left,
                ..bars
            };
            canvas.fill(area, colour);
        }
        // A ramp from black to white, in which banding and wrong ranges show.
        let steps = 32;
        for step in 0..steps {
            let left = layout.width * step / steps;
            let area = Area {
                x: left,
                y: bars.height,
                width: layout.width * (step + 1) / steps - left,
                height: layout.height / 12,
            };
            let luma = 16 + 219 * step / (steps - 1);
            canvas.fill(area, colour(luma as u8, 128, 128));
        }
        let area = grain_area(&layout);
        // Twice the rows it shows, to begin anywhere in the first half.
        let mut random = 0x9e37_79b9_u32;
        let grain = std::iter::repeat_with(|| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (110 + (random >> 24) % GRAIN) as u8
        })
        .take(area.width * area.height * 2)
        .collect();
        TestPicture {
            layout,
            still,
            grain,
        }
    }

    /// Draws the moment into `bytes`.
    pub fn draw(&self, bytes: &mut [u8], moment: &Moment) {
        let layout = &self.layout;
        let length = bytes.len().min(self.still.len());
        bytes[..length].copy_from_slice(&self.still[..length]);
        let mut canvas = Canvas { layout, bytes };
        let bars = bars_area(layout);
        if moment.flash {
            canvas.fill(bars, WHITE);
        }
        // A block that runs to and fro once in four seconds, and one that falls in three.
        let size = layout.height / 9;
        let to_and_fro = swing(moment.us, 4_000_000, layout.width.saturating_sub(size));
        let falling = swing(moment.us, 3_000_000, bars.height.saturating_sub(size));
        let block = Area {
            x: to_and_fro,
            y: falling,
            width: size,
            height: size,
        };
        canvas.fill(block, ORANGE);
        let dot = (layout.height / 100 / 2 * 2).max(2);
        let line = layout.height / 12;
        let top = bars.height + line + (line - dot * glyphs::HEIGHT.min(line / dot)) / 2;
        let margin = layout.width / 40;
        canvas.text(margin, top, dot, moment.clock, WHITE);
        let frame = format!("FRAME {}", moment.frame);
        canvas.text(margin, top + line, dot, &frame, SOFT);
        self.draw_grain(&mut canvas, moment.frame);
    }

    fn draw_grain(&self, canvas: &mut Canvas, frame: i64) {
        let area = grain_area(&self.layout);
        let shown = area.width * area.height;
        // A step without a common divisor with usual sizes, so that no two frames near each other are alike.
        let from = frame.unsigned_abs().wrapping_mul(7_919) as usize % shown.max(1);
        let rows = self.grain[from..from + shown].chunks_exact(area.width.max(1));
        for (row, grain) in rows.enumerate() {
            let start = (area.y + row) * self.layout.stride[0] + area.x;
            if let Some(line) = canvas.bytes.get_mut(start..start + area.width) {
                line.copy_from_slice(grain);
            }
        }
    }
}

/// The upper part of the frame, which flashes.
fn bars_area(layout: &I420Layout) -> Area {
    Area {
        x: 0,
        y: 0,
        width: layout.width,
        height: layout.height * 2 / 3 / 2 * 2,
    }
}

/// The lower right corner, beside the texts.
fn grain_area(layout: &I420Layout) -> Area {
    let (x, y) = (layout.width * 5 / 8, layout.height * 5 / 6);
    Area {
        x,
        y,
        width: layout.width - x,
        height: layout.height - y,
    }
}

/// From 0 to `range` and back once in each `period_us`.
fn swing(us: i64, period_us: i64, range: usize) -> usize {
    let phase = us.rem_euclid(period_us) * 2;
    let way = if phase < period_us {
        phase
    } else {
        2 * period_us - phase
    };
    (way as u128 * range as u128 / period_us as u128) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_outside_the_frame_changes_nothing_and_breaks_nothing() {
        for (width, height) in [(64, 36), (66, 38), (65, 37), (2, 2)] {
            let layout = I420Layout::new(width, height);
            let mut bytes = vec![7; layout.size];
            let mut canvas = Canvas {
                layout: &layout,
                bytes: &mut bytes,
            };
            canvas.fill(
                Area {
                    x: width + 1,
                    y: height + 1,
                    width: 10,
                    height: 10,
                },
                WHITE,
            );
            canvas.text(width - 2, height - 2, 4, "8", WHITE);
            plain_slate(
                &layout,
                "a rather long name of a source, longer than the frame",
            );
            let moment = Moment {
                frame: -1,
                us: -5,
                clock: "12:00:00.000",
                flash: true,
            };
            TestPicture::new(layout).draw(&mut bytes, &moment);
        }
    }

    #[test]
    fn a_flash_makes_most_of_the_frame_white() {
        let layout = I420Layout::new(320, 180);
        let picture = TestPicture::new(layout);
        let white = |flash| {
            let mut bytes = vec![0; layout.size];
            let moment = Moment {
                frame: 1,
                us: 0,
                clock: "",
                flash,
            };
            picture.draw(&mut bytes, &moment);
            bytes[..320 * 180].iter().filter(|y| **y == WHITE.y).count()
        };
        assert!(white(true) > 320 * 180 / 2);
        assert!(white(false) < 320 * 180 / 20);
    }

    #[test]
    fn what_moves_turns_at_both_ends() {
        let places: Vec<usize> = (0..5).map(|n| swing(n * 500, 2_000, 100)).collect();
        assert_eq!(places, [0, 50, 100, 50, 0]);
        assert_eq!(swing(-500, 2_000, 100), 50);
    }
}
