//! How a ticker runs: the same whole and even number of pixels in every frame, so that it neither shivers nor blurs. Pure.

use super::place::even;
use super::{Canvas, Rect};
use crate::media::MediaTime;

/// How long a word takes across the frame, in seconds: what newsrooms run, read with ease.
const ACROSS_S: f64 = 11.0;

/// Pixels per frame.
pub fn step(canvas: &Canvas) -> i32 {
    let per_frame = canvas.width as f64 / ACROSS_S / canvas.fps.as_f64();
    even((per_frame / 2.0).round() as i32 * 2).max(2)
}

/// How far the text has run at `at` if it began at `began`, in pixels.
pub fn run(canvas: &Canvas, began: MediaTime, at: MediaTime) -> i64 {
    let frames = canvas.fps.frame_at(at) - canvas.fps.frame_at(began);
    frames.max(0) * i64::from(step(canvas))
}

/// Where the left edges of the strip's copies are, of those that are in the window. The strip enters at the window's right
/// edge; the copies follow each other without end. `length` is above 0.
pub fn copies(window: Rect, length: i32, run: i64) -> impl Iterator<Item = i32> {
    let length = i64::from(length.max(2));
    let right = i64::from(window.x + window.width);
    let left = i64::from(window.x);
    // The first copy whose right edge has not left the window.
    let gone = (run - i64::from(window.width)).max(0) / length;
    (gone..)
        .map(move |copy| right - run + copy * length)
        .take_while(move |x| *x < right)
        .filter(move |x| *x + length > left)
        .map(|x| x as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameRate;
    use proptest::prelude::*;

    fn canvas(width: usize, num: u32) -> Canvas {
        let fps = FrameRate { num, den: 1 };
        Canvas {
            width,
            height: width / 16 * 9,
            fps,
        }
    }

    const WINDOW: Rect = Rect {
        x: 0,
        y: 600,
        width: 1280,
        height: 50,
    };

    #[test]
    fn each_frame_moves_as_much() {
        assert_eq!(step(&canvas(1280, 30)), 4);
        assert_eq!(step(&canvas(1920, 30)), 6);
        assert_eq!(step(&canvas(1920, 60)), 2);
        assert_eq!(step(&canvas(320, 60)), 2);
        let canvas = canvas(1280, 30);
        let began = canvas.fps.frame_time(1_000);
        let places: Vec<i64> = (0..100)
            .map(|n| run(&canvas, began, canvas.fps.frame_time(1_000 + n)))
            .collect();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] == 4));
        assert_eq!(run(&canvas, began, MediaTime::ZERO), 0);
    }

    #[test]
    fn it_comes_in_at_the_right_and_repeats() {
        let at = |run| copies(WINDOW, 1_000, run).collect::<Vec<_>>();
        assert!(at(0).is_empty());
        assert_eq!(at(4), [1_276]);
        assert_eq!(at(1_280), [0, 1_000]);
        assert_eq!(at(2_276), [-996, 4, 1_004]);
        assert_eq!(at(2_280), [0, 1_000]);
    }

    proptest! {
        /// Once it has come in, no gap: the window is always covered, and nothing outside is drawn.
        #[test]
        fn the_window_is_covered(length in 1i32..5_000, run in 0i64..10_000_000) {
            let length = length * 2;
            let places: Vec<i32> = copies(WINDOW, length, run).collect();
            prop_assert!(places.len() <= 1_280 / length as usize + 2);
            prop_assert!(places.iter().all(|x| *x < 1_280 && x + length > 0));
            prop_assert!(places.windows(2).all(|pair| pair[1] - pair[0] == length));
            if run >= 1_280 {
                prop_assert!(places[0] <= 0 && places[places.len() - 1] + length >= 1_280);
            }
        }
    }
}
