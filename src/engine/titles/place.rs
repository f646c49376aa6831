//! Where titles stand, and where they are on their way there. Pure.

use super::{Canvas, Rect};
use crate::config::{TitleKind, TitlePlace};

/// What is kept free at each side, as a fraction of it: some screens cut their edges off (SMPTE ST 2046-1's title area is 5 %).
pub const MARGIN: f64 = 0.05;
/// Where a lower third stands: its lower edge, over where a ticker runs.
const LOWER_THIRD_BOTTOM: f64 = 0.86;

/// From which side a title slides in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Left,
    Right,
    Top,
    Bottom,
}

/// The widest and highest that a title may be, in pixels.
pub fn room(canvas: &Canvas) -> (usize, usize) {
    let inner = |side: usize| side.saturating_sub(2 * margin(side)).max(2);
    (inner(canvas.width), inner(canvas.height))
}

fn margin(side: usize) -> usize {
    even((side as f64 * MARGIN) as i32).max(0) as usize
}

/// The next even number below.
pub fn even(number: i32) -> i32 {
    number & !1
}

/// Where the top left of a title of this size stands.
pub fn stand(kind: TitleKind, at: TitlePlace, size: (usize, usize), canvas: &Canvas) -> (i32, i32) {
    let (width, height) = (size.0 as i32, size.1 as i32);
    let (wide, high) = (canvas.width as i32, canvas.height as i32);
    let (side, top) = (margin(canvas.width) as i32, margin(canvas.height) as i32);
    let (right, bottom) = (wide - side - width, high - top - height);
    let middle = ((wide - width) / 2, (high - height) / 2);
    let (x, y) = match (at, kind) {
        (TitlePlace::TopLeft, _) => (side, top),
        (TitlePlace::TopRight, _) => (right, top),
        (TitlePlace::BottomLeft, _) => (side, bottom),
        (TitlePlace::BottomRight, _) => (right, bottom),
        (TitlePlace::At { x, y }, _) => {
            let place = |at: f64, whole: i32, own: i32| (at * f64::from(whole)) as i32 - own / 2;
            let (x, y) = (place(x, wide, width), place(y, high, height));
            // Never cut off, wherever its middle was put.
            (x.min(wide - width).max(0), y.min(high - height).max(0))
        }
        (TitlePlace::Usual, TitleKind::LowerThird) => {
            let lower = (f64::from(high) * LOWER_THIRD_BOTTOM) as i32 - height;
            (side, lower.max(top))
        }
        (TitlePlace::Usual, TitleKind::Logo | TitleKind::Clock) => (right, top),
        (TitlePlace::Usual, TitleKind::Ticker) => (middle.0, bottom),
        (TitlePlace::Usual, TitleKind::Countdown | TitleKind::Slide | TitleKind::Text) => middle,
    };
    (even(x), even(y))
}

/// The side that is nearest for what stands in a corner; else what suits the kind.
pub fn comes_from(kind: TitleKind, place: Rect, canvas: &Canvas) -> From {
    match kind {
        TitleKind::LowerThird => From::Left,
        TitleKind::Slide => From::Right,
        TitleKind::Ticker | TitleKind::Text | TitleKind::Countdown | TitleKind::Clock
            if place.width * 2 > canvas.width as i32 || is_central(place, canvas) =>
        {
            if place.y * 2 + place.height < canvas.height as i32 * 2 / 3 {
                From::Top
            } else {
                From::Bottom
            }
        }
        _ if place.x * 2 + place.width <= canvas.width as i32 => From::Left,
        _ => From::Right,
    }
}

fn is_central(place: Rect, canvas: &Canvas) -> bool {
    let off = (place.x * 2 + place.width - canvas.width as i32).abs();
    off * 6 < canvas.width as i32
}

/// How far from its place it is, in pixels: `way` 0 is wholly outside the canvas, 1 its place, both exactly.
pub fn slid(from: From, place: Rect, canvas: &Canvas, way: f32) -> (i32, i32) {
    let left = 1.0 - way.clamp(0.0, 1.0);
    let part = |whole: i32| even((whole as f32 * left).round() as i32);
    match from {
        From::Left => (-part(even_above(place.x + place.width)), 0),
        From::Right => (part(even_above(canvas.width as i32 - place.x)), 0),
        From::Top => (0, -part(even_above(place.y + place.height))),
        From::Bottom => (0, part(even_above(canvas.height as i32 - place.y))),
    }
}

/// The next even number above.
fn even_above(number: i32) -> i32 {
    number + (number & 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameRate;
    use proptest::prelude::*;

    const CANVAS: Canvas = Canvas {
        width: 1280,
        height: 720,
        fps: FrameRate { num: 30, den: 1 },
    };

    #[test]
    fn corners_keep_the_margin() {
        let at = |place| stand(TitleKind::Logo, place, (100, 50), &CANVAS);
        assert_eq!(at(TitlePlace::TopLeft), (64, 36));
        assert_eq!(at(TitlePlace::Usual), (1280 - 64 - 100, 36));
        assert_eq!(
            at(TitlePlace::BottomRight),
            (1280 - 64 - 100, 720 - 36 - 50)
        );
        assert_eq!(at(TitlePlace::At { x: 0.5, y: 0.5 }), (590, 334));
    }

    #[test]
    fn a_lower_third_stands_over_a_ticker() {
        let (x, y) = stand(
            TitleKind::LowerThird,
            TitlePlace::Usual,
            (500, 100),
            &CANVAS,
        );
        assert_eq!((x, y), (64, 518));
        let (_, ticker) = stand(TitleKind::Ticker, TitlePlace::Usual, (1280, 50), &CANVAS);
        assert!(ticker > y + 100, "{ticker}");
    }

    #[test]
    fn what_slides_comes_from_its_own_side() {
        let from = |kind, place| {
            let (width, height) = (200, 60);
            let (x, y) = stand(kind, place, (width as usize, height as usize), &CANVAS);
            let place = Rect {
                x,
                y,
                width,
                height,
            };
            comes_from(kind, place, &CANVAS)
        };
        assert_eq!(from(TitleKind::Logo, TitlePlace::Usual), From::Right);
        assert_eq!(from(TitleKind::Clock, TitlePlace::TopLeft), From::Left);
        assert_eq!(from(TitleKind::LowerThird, TitlePlace::Usual), From::Left);
        assert_eq!(from(TitleKind::Text, TitlePlace::Usual), From::Bottom);
    }

    proptest! {
        /// Nothing is cut off that fits, all is even, and a slide begins outside and ends in its place.
        #[test]
        fn places_are_whole(
            x in -0.5f64..1.5, y in -0.5f64..1.5, width in 1usize..640, height in 1usize..360, way in 0f32..1.0,
        ) {
            let (width, height) = (width * 2, height * 2);
            for kind in [TitleKind::LowerThird, TitleKind::Logo, TitleKind::Text, TitleKind::Slide] {
                let (left, top) = stand(kind, TitlePlace::At { x, y }, (width, height), &CANVAS);
                prop_assert!(left >= 0 && top >= 0 && left % 2 == 0 && top % 2 == 0);
                prop_assert!(left + width as i32 <= 1280 && top + height as i32 <= 720);
                let place = Rect { x: left, y: top, width: width as i32, height: height as i32 };
                let from = comes_from(kind, place, &CANVAS);
                prop_assert_eq!(slid(from, place, &CANVAS, 1.0), (0, 0));
                let (dx, dy) = slid(from, place, &CANVAS, 0.0);
                let outside = Rect { x: place.x + dx, y: place.y + dy, ..place };
                let frame = Rect { x: 0, y: 0, width: 1280, height: 720 };
                prop_assert_eq!(outside.meet(frame), None);
                let (dx, dy) = slid(from, place, &CANVAS, way);
                prop_assert!(dx % 2 == 0 && dy % 2 == 0);
            }
        }
    }
}
