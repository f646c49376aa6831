//! Where a layer's picture comes to lie, in pixels. Pure.
//!
//! Everything lies on even pixels, as chroma does. A picture keeps its shape: it is fitted into its place, in the middle of it.

use crate::config::{Crop, Place};

/// In pixels, on even coordinates; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rect {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    pub width: usize,
    pub height: usize,
}

impl Size {
    pub fn whole(self) -> Rect {
        Rect {
            x: 0,
            y: 0,
            width: self.width,
            height: self.height,
        }
    }
}

/// What of a picture is seen, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Of the picture.
    pub from: Rect,
    /// Of the frame.
    pub to: Rect,
    /// The place of the whole picture, of which parts may lie outside the frame: for its border.
    pub outline: Outline,
}

/// As `Rect`, but it may begin outside of the frame, and be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Outline {
    pub x: i64,
    pub y: i64,
    pub width: i64,
    pub height: i64,
}

impl Outline {
    /// What of it lies in the frame.
    pub fn within(self, frame: Size) -> Option<Rect> {
        let clamp = |at: i64, most: usize| at.clamp(0, most as i64) as usize;
        let (left, right) = (
            clamp(self.x, frame.width),
            clamp(self.x + self.width, frame.width),
        );
        let (top, bottom) = (
            clamp(self.y, frame.height),
            clamp(self.y + self.height, frame.height),
        );
        (left < right && top < bottom).then(|| Rect {
            x: left,
            y: top,
            width: right - left,
            height: bottom - top,
        })
    }

    /// What lies in both.
    pub fn meet(self, other: Outline) -> Option<Outline> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let width = (self.x + self.width).min(other.x + other.width) - x;
        let height = (self.y + self.height).min(other.y + other.height) - y;
        (width > 0 && height > 0).then_some(Outline {
            x,
            y,
            width,
            height,
        })
    }

    /// `by` pixels more on each side.
    pub fn grown(self, by: i64) -> Self {
        Outline {
            x: self.x - by,
            y: self.y - by,
            width: self.width + 2 * by,
            height: self.height + 2 * by,
        }
    }
}

/// The nearest even number.
pub fn even(value: f64) -> i64 {
    (value / 2.0).round() as i64 * 2
}

/// None: nothing of it is in the frame. `moved` is added to its place, in pixels.
pub fn tile(
    frame: Size,
    picture: Size,
    place: &Place,
    crop: &Crop,
    moved: (i64, i64),
) -> Option<Tile> {
    let (width, height) = (picture.width as f64, picture.height as f64);
    let left = even(crop.left * width).clamp(0, picture.width as i64 - 2);
    let right = even((1.0 - crop.right) * width).clamp(left + 2, picture.width as i64);
    let top = even(crop.top * height).clamp(0, picture.height as i64 - 2);
    let bottom = even((1.0 - crop.bottom) * height).clamp(top + 2, picture.height as i64);
    let (from_width, from_height) = ((right - left) as f64, (bottom - top) as f64);

    let (frame_width, frame_height) = (frame.width as f64, frame.height as f64);
    let place_width = place.width * frame_width;
    let place_height = place.height * frame_height;
    let scale = (place_width / from_width).min(place_height / from_height);
    // Half a pixel of rounding is no other shape: what fits but for that fills its place.
    let fit = |fitted: f64, given: f64| if given - fitted < 2.0 { given } else { fitted };
    let (to_width, to_height) = (
        fit(scale * from_width, place_width),
        fit(scale * from_height, place_height),
    );
    let x = place.x * frame_width + (place_width - to_width) / 2.0;
    let y = place.y * frame_height + (place_height - to_height) / 2.0;
    let outline = Outline {
        x: even(x) + moved.0,
        y: even(y) + moved.1,
        width: (even(x + to_width) - even(x)).max(2),
        height: (even(y + to_height) - even(y)).max(2),
    };
    let to = outline.within(frame)?;
    // What is cut off of the place is cut off of the picture alike.
    let cut = |cut: i64, whole: i64, of: i64| even(cut as f64 / whole as f64 * of as f64);
    let from_x = cut(to.x as i64 - outline.x, outline.width, right - left);
    let from_y = cut(to.y as i64 - outline.y, outline.height, bottom - top);
    let seen_width = cut(to.width as i64, outline.width, right - left).max(2);
    let seen_height = cut(to.height as i64, outline.height, bottom - top).max(2);
    let from_x = from_x.min(right - left - 2);
    let from_y = from_y.min(bottom - top - 2);
    Some(Tile {
        from: Rect {
            x: (left + from_x) as usize,
            y: (top + from_y) as usize,
            width: seen_width.min(right - left - from_x) as usize,
            height: seen_height.min(bottom - top - from_y) as usize,
        },
        to,
        outline,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: Size = Size {
        width: 1280,
        height: 720,
    };

    fn at(place: [f64; 4], crop: [f64; 4]) -> Option<[usize; 8]> {
        let [x, y, width, height] = place;
        let place = Place {
            x,
            y,
            width,
            height,
        };
        let [left, top, right, bottom] = crop;
        let crop = Crop {
            left,
            top,
            right,
            bottom,
        };
        tile(FRAME, FRAME, &place, &crop, (0, 0)).map(|Tile { from, to, .. }| {
            [
                from.x,
                from.y,
                from.width,
                from.height,
                to.x,
                to.y,
                to.width,
                to.height,
            ]
        })
    }

    #[test]
    fn places_are_where_one_expects() {
        let none = [0.0; 4];
        assert_eq!(
            at([0.0, 0.0, 1.0, 1.0], none),
            Some([0, 0, 1280, 720, 0, 0, 1280, 720])
        );
        assert_eq!(
            at([0.5, 0.5, 0.5, 0.5], none),
            Some([0, 0, 1280, 720, 640, 360, 640, 360])
        );
        // Fitted, in the middle.
        assert_eq!(
            at([0.0, 0.0, 0.5, 1.0], none),
            Some([0, 0, 1280, 720, 0, 180, 640, 360])
        );
        // Cropped to the place's shape it fills it.
        assert_eq!(
            at([0.5, 0.0, 0.5, 1.0], [0.25, 0.0, 0.25, 0.0]),
            Some([320, 0, 640, 720, 640, 0, 640, 720])
        );
        // Half of it is outside.
        assert_eq!(
            at([-0.25, 0.75, 0.5, 0.5], none),
            Some([640, 0, 640, 360, 0, 540, 320, 180])
        );
        assert_eq!(at([1.0, 0.0, 0.5, 0.5], none), None);
        assert_eq!(at([-0.5, 0.0, 0.5, 0.5], none), None);
    }

    proptest! {
        /// Wherever a layer is put, both of its rectangles lie where there are pixels, on even ones.
        #[test]
        fn nothing_lies_outside(
            place in prop::array::uniform4(-3.0f64..3.0),
            crop in prop::array::uniform4(0.0f64..1.0),
            moved in (-2_000i64..2_000, -2_000i64..2_000),
        ) {
            let [x, y, width, height] = place;
            let place = Place { x, y, width: width.abs(), height: height.abs() };
            let [left, top, right, bottom] = crop;
            let crop = Crop { left, top, right, bottom };
            let picture = Size { width: 640, height: 480 };
            let moved = (moved.0 * 2, moved.1 * 2);
            if let Some(Tile { from, to, .. }) = tile(FRAME, picture, &place, &crop, moved) {
                for (rect, size) in [(from, picture), (to, FRAME)] {
                    prop_assert!(rect.width > 0 && rect.x + rect.width <= size.width);
                    prop_assert!(rect.height > 0 && rect.y + rect.height <= size.height);
                    for value in [rect.x, rect.y, rect.width, rect.height] {
                        prop_assert_eq!(value % 2, 0);
                    }
                }
            }
        }
    }
}
