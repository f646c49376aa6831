//! What of a title is in a frame while it comes, stands and goes. Pure.

use super::look::{Detail, Look, Strip};
use super::place::{even, slid};
use super::presence::{Seen, eased};
use super::{Canvas, Drawing, Rect, ticker};
use crate::config::AppearKind;
use crate::media::MediaTime;

/// Of a lower third's time, until its accent has grown; the panel starts to come out before.
const ACCENT_GROWS: f32 = 0.4;
const PANEL_STARTS: f32 = 0.15;

/// Lowest first. `began` is when this text was first shown.
pub fn drawings(
    look: &Look,
    canvas: &Canvas,
    seen: Seen,
    began: MediaTime,
    at: MediaTime,
) -> Vec<Drawing> {
    if seen.share <= 0.0 {
        return Vec::new();
    }
    let is_moving = seen.share < 1.0;
    let whole = Drawing {
        raster: look.raster.clone(),
        x: look.place.x,
        y: look.place.y,
        opacity: 1.0,
        clip: None,
    };
    let mut drawings = match (seen.how, &look.detail) {
        (AppearKind::Slide, Detail::LowerThird { panel }) if is_moving => {
            lower_third(look, *panel, seen.share)
        }
        (AppearKind::Slide, _) if is_moving => {
            let (dx, dy) = slid(look.from, look.place, canvas, eased(seen.share));
            vec![Drawing {
                x: whole.x + dx,
                y: whole.y + dy,
                ..whole
            }]
        }
        (AppearKind::Fade, _) => vec![Drawing {
            opacity: seen.share,
            ..whole
        }],
        _ => vec![whole],
    };
    if let (Detail::Ticker(strip), Some(band)) = (&look.detail, drawings.first()) {
        let moved = (band.x - look.place.x, band.y - look.place.y);
        let run = ticker::run(canvas, began, at);
        let text = ticker(strip, moved, run, band.opacity);
        drawings.extend(text);
    }
    drawings
}

/// The accent grows out of its middle, and the panel comes out from behind it.
fn lower_third(look: &Look, panel: i32, share: f32) -> Vec<Drawing> {
    let place = look.place;
    let part = |whole: i32, share: f32| even((whole as f32 * share).round() as i32);
    let grown = part(place.height, eased(share / ACCENT_GROWS));
    let accent = Rect {
        y: place.y + even((place.height - grown) / 2),
        width: panel - place.x,
        height: grown,
        ..place
    };
    let window = Rect {
        x: panel,
        width: place.x + place.width - panel,
        ..place
    };
    let out = eased((share - PANEL_STARTS) / (1.0 - PANEL_STARTS));
    let hidden = part(window.width, 1.0 - out);
    let drawing = |x: i32, clip: Rect| Drawing {
        raster: look.raster.clone(),
        x,
        y: place.y,
        opacity: 1.0,
        clip: Some(clip),
    };
    let mut drawings = Vec::new();
    if accent.height > 0 {
        drawings.push(drawing(place.x, accent));
    }
    if hidden < window.width {
        drawings.push(drawing(place.x - hidden, window));
    }
    drawings
}

fn ticker(strip: &Strip, (dx, dy): (i32, i32), run: i64, opacity: f32) -> Vec<Drawing> {
    let window = strip.window;
    let right = window.x + window.width;
    let clip = Rect {
        x: window.x + dx,
        y: window.y + dy,
        ..window
    };
    let mut drawings = Vec::new();
    for start in ticker::copies(window, strip.length, run) {
        for (left, piece) in &strip.pieces {
            let x = start + left;
            if x < right && x + piece.width as i32 > window.x {
                drawings.push(Drawing {
                    raster: piece.clone(),
                    x: x + dx,
                    y: window.y + dy,
                    opacity,
                    clip: Some(clip),
                });
            }
        }
    }
    drawings
}
