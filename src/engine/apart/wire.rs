//! What a process that runs apart says to the engine, and is told by it. Pure.
//!
//! Upwards a message is `kind: u8`, `length: u32 LE`, body; downwards comes one line of JSON, and then nothing but, for a screen, whole
//! frames of I420 of the size that was ordered: when that end is closed, the process ends.

use crate::config::Screen;
use serde::{Deserialize, Serialize};

/// The picture is as it was.
pub const SAME: u8 = 0;
/// A whole frame at the programme's size: A420 of a page, I420 of a screen.
pub const FRAME: u8 = 1;
/// What went wrong; the process ends.
pub const FAILED: u8 = 2;
/// The caps of what it captures, before the first frame.
pub const FORMAT: u8 = 3;
pub const HEAD: usize = 5;
/// A frame of 8K, and some.
const LONGEST: usize = 128 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub what: What,
    /// The programme's size: what is captured is scaled to fit into it. Of what is shown: its pictures' size.
    pub frame: (u32, u32),
    pub fps: (u32, u32),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    Page {
        /// Comes this way and not as an argument, because a page's address may carry a token.
        url: String,
        /// What it is laid out for.
        size: (u32, u32),
    },
    Screen {
        display: String,
        pointer: bool,
    },
    /// To be shown, and nothing captured.
    Show(Screen),
}

impl What {
    /// Its frames have a plane of alpha.
    pub fn is_transparent(&self) -> bool {
        matches!(self, What::Page { .. })
    }
}

pub fn head(kind: u8, length: usize) -> [u8; HEAD] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    [kind, a, b, c, d]
}

/// Kind and length; None: this is no message.
pub fn parse_head(head: [u8; HEAD]) -> Option<(u8, usize)> {
    let [kind, length @ ..] = head;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    (kind <= FORMAT && length <= LONGEST).then_some((kind, length))
}

/// Kind and body of one message; None: this is no message.
pub fn read(from: &mut impl std::io::Read) -> std::io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; HEAD];
    from.read_exact(&mut head)?;
    let Some((kind, length)) = parse_head(head) else {
        return Ok(None);
    };
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Some((kind, body)))
}

/// Web engines give colours that are multiplied by their alpha, and mixers take those that aren't. BGRA, in place.
pub fn unpremultiply(pixels: &mut [u8]) {
    for [b, g, r, a] in pixels.as_chunks_mut::<4>().0 {
        if *a == 0 || *a == 255 {
            continue;
        }
        let alpha = u32::from(*a);
        for colour in [b, g, r] {
            *colour = ((u32::from(*colour) * 255 + alpha / 2) / alpha).min(255) as u8;
        }
    }
}

/// The largest area of a page's shape in the middle of the frame, on even coordinates: x, y, width, height.
pub fn fit(page: (u32, u32), frame: (u32, u32)) -> (u32, u32, u32, u32) {
    let (page_w, page_h) = (u64::from(page.0.max(1)), u64::from(page.1.max(1)));
    let (frame_w, frame_h) = (u64::from(frame.0), u64::from(frame.1));
    let even = |value: u64, most: u64| (value.min(most) / 2 * 2).max(2) as u32;
    let (width, height) = if page_w * frame_h >= page_h * frame_w {
        (
            even(frame_w, frame_w),
            even(frame_w * page_h / page_w, frame_h),
        )
    } else {
        (
            even(frame_h * page_w / page_h, frame_w),
            even(frame_h, frame_h),
        )
    };
    let middle = |whole: u32, part: u32| whole.saturating_sub(part) / 4 * 2;
    (
        middle(frame.0, width),
        middle(frame.1, height),
        width,
        height,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_a_red_is_red() {
        let mut pixels = [0, 0, 128, 128, 9, 9, 9, 0, 1, 2, 3, 255, 200, 0, 0, 100];
        unpremultiply(&mut pixels);
        assert_eq!(
            pixels,
            [0, 0, 255, 128, 9, 9, 9, 0, 1, 2, 3, 255, 255, 0, 0, 100]
        );
    }

    #[test]
    fn pages_keep_their_shape() {
        assert_eq!(fit((1920, 1080), (1280, 720)), (0, 0, 1280, 720));
        assert_eq!(fit((640, 200), (1280, 720)), (0, 160, 1280, 400));
        assert_eq!(fit((100, 400), (1280, 720)), (550, 0, 180, 720));
    }

    #[test]
    fn heads_are_read_as_they_were_written() {
        assert_eq!(parse_head(head(FRAME, 70_000)), Some((FRAME, 70_000)));
        assert_eq!(parse_head(head(FORMAT, 0)), Some((FORMAT, 0)));
        assert_eq!(parse_head([9, 0, 0, 0, 0]), None);
        assert_eq!(parse_head(head(FRAME, usize::MAX)), None);
    }

    proptest! {
        #[test]
        fn a_page_fits_into_any_frame(
            page in (0u32..10_000, 0u32..10_000), frame in (1u32..4_000, 1u32..4_000),
        ) {
            let frame = (frame.0 * 2, frame.1 * 2);
            let (x, y, width, height) = fit(page, frame);
            prop_assert!(x + width <= frame.0 && y + height <= frame.1);
            prop_assert!([x, y, width, height].iter().all(|n| n % 2 == 0) && width > 0 && height > 0);
        }
    }
}
