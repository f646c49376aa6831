//! Where everything lies in the multiview: preview and programme above, every source below. Pure.

use super::geometry::{Rect, Size};

/// Between tiles, as a fraction of the width; the tally's colour is painted there.
const GAP: f64 = 0.004;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiles {
    pub preview: Rect,
    pub programme: Rect,
    pub sources: Vec<Rect>,
}

/// For so many sources. All tiles have the frame's shape but for rounding, and lie on even pixels.
pub fn tiles(frame: Size, sources: usize) -> Tiles {
    let columns = (4..)
        .step_by(2)
        .find(|columns| columns * columns / 2 >= sources)
        .unwrap_or(4);
    let tile = |column: usize, row: usize, of: usize, top: usize| {
        let even = |value: usize| value / 2 * 2;
        let gap = even((frame.width as f64 * GAP) as usize).max(2);
        let left = even(frame.width * column / of);
        let right = even(frame.width * (column + 1) / of);
        let upper = top + even(frame.height * row / of);
        let lower = top + even(frame.height * (row + 1) / of);
        Rect {
            x: left + gap,
            y: upper + gap,
            width: (right - left).saturating_sub(2 * gap).max(2),
            height: (lower - upper).saturating_sub(2 * gap).max(2),
        }
    };
    let half = frame.height / 4 * 2;
    Tiles {
        preview: tile(0, 0, 2, 0),
        programme: tile(1, 0, 2, 0),
        sources: (0..sources)
            .map(|n| tile(n % columns, n / columns, columns, half))
            .collect(),
    }
}

/// How much of a meter is lit: nothing at −60 dBFS, all of it at 0.
pub fn lit(peak_db: f32) -> f32 {
    (1.0 + peak_db / 60.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_have_their_place_and_none_meet() {
        let frame = Size {
            width: 1280,
            height: 720,
        };
        for count in [0, 1, 4, 8, 9, 18, 30] {
            let tiles = tiles(frame, count);
            let mut all = vec![tiles.preview, tiles.programme];
            all.extend(&tiles.sources);
            assert_eq!(all.len(), count + 2);
            for (n, tile) in all.iter().enumerate() {
                assert!(
                    tile.x + tile.width <= 1280 && tile.y + tile.height <= 720,
                    "{tile:?}"
                );
                for value in [tile.x, tile.y, tile.width, tile.height] {
                    assert_eq!(value % 2, 0);
                }
                for other in &all[n + 1..] {
                    let apart = tile.x + tile.width <= other.x
                        || other.x + other.width <= tile.x
                        || tile.y + tile.height <= other.y
                        || other.y + other.height <= tile.y;
                    assert!(apart, "{tile:?} {other:?}");
                }
            }
        }
        assert_eq!(tiles(frame, 4).sources[1].x, 324);
    }

    #[test]
    fn meters_are_lit_by_loudness() {
        assert_eq!(
            (lit(-90.0), lit(-30.0), lit(0.0), lit(3.0)),
            (0.0, 0.5, 1.0, 1.0)
        );
    }
}
