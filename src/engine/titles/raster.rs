//! What a title looks like, in the mix's own planes: drawn once, then only handed out. Pure.

/// Places and sizes in pixels of the frame; all are even, as chroma lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    pub x: i32,
    pub y: i32,
    pub width: i32,
    pub height: i32,
}

impl Rect {
    /// What lies in both; None: nothing does.
    #[cfg(test)]
    pub fn meet(self, other: Rect) -> Option<Rect> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let right = (self.x + self.width).min(other.x + other.width);
        let bottom = (self.y + self.height).min(other.y + other.height);
        (right > x && bottom > y).then_some(Rect {
            x,
            y,
            width: right - x,
            height: bottom - y,
        })
    }
}

/// I420 with opacity, BT.709 at video range, not premultiplied.
#[derive(Clone, PartialEq, Eq)]
pub struct Raster {
    /// In pixels, even.
    pub width: usize,
    /// In pixels, even.
    pub height: usize,
    /// width × height, 16 to 235.
    pub y: Vec<u8>,
    /// width/2 × height/2, 16 to 240; of four pixels, each counting as much as it is seen.
    pub u: Vec<u8>,
    pub v: Vec<u8>,
    /// width × height; 0: nothing of it is seen.
    pub a: Vec<u8>,
}

impl std::fmt::Debug for Raster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Raster({} × {})", self.width, self.height)
    }
}

impl Raster {
    /// From sRGB with premultiplied opacity, four bytes a pixel, `stride` pixels in a row of `rgba`. What is missing to make
    /// both sides even is transparent.
    pub fn from_premultiplied(width: usize, height: usize, rgba: &[u8]) -> Self {
        let (wide, high) = (width.next_multiple_of(2), height.next_multiple_of(2));
        let mut raster = Raster {
            width: wide,
            height: high,
            y: vec![16; wide * high],
            u: vec![128; wide * high / 4],
            v: vec![128; wide * high / 4],
            a: vec![0; wide * high],
        };
        let pixel = |x: usize, y: usize| -> [i32; 4] {
            let at = (y * width + x) * 4;
            match rgba.get(at..at + 4) {
                Some(bytes) if x < width => [0, 1, 2, 3].map(|n| i32::from(bytes[n])),
                _ => [0; 4],
            }
        };
        for row in (0..high).step_by(2) {
            for column in (0..wide).step_by(2) {
                let mut sum = [0; 4];
                for (x, y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let seen = pixel(column + x, row + y);
                    let at = (row + y) * wide + column + x;
                    if seen[3] > 0 {
                        raster.y[at] = luma(seen);
                        raster.a[at] = seen[3] as u8;
                    }
                    (0..4).for_each(|n| sum[n] += seen[n]);
                }
                if sum[3] > 0 {
                    let at = row / 2 * (wide / 2) + column / 2;
                    (raster.u[at], raster.v[at]) = chroma(sum);
                }
            }
        }
        raster
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.y.len() + self.u.len() + self.v.len() + self.a.len()
    }
}

// BT.709's weights of red and blue (green has the rest), times 65,536.
const RED: i64 = 13_933;
const BLUE: i64 = 4_732;
const GREEN: i64 = 65_536 - RED - BLUE;

/// `seen` is premultiplied, its opacity not 0.
fn luma([r, g, b, a]: [i32; 4]) -> u8 {
    let (weighted, a) = (weighted(r, g, b), i64::from(a));
    // 219 steps for 255, the opacity taken out: rounded once.
    let steps = rounded(weighted * 219, a * 65_536);
    (16 + steps).clamp(16, 235) as u8
}

fn chroma([r, g, b, a]: [i32; 4]) -> (u8, u8) {
    let (luma, a) = (weighted(r, g, b), i64::from(a));
    // A difference spans twice (1 − its weight) of 65,536, and 224 steps at both sides of 128.
    let step = |colour: i32, weight: i64| {
        let difference = i64::from(colour) * 65_536 - luma;
        let steps = rounded(difference * 224, a * 2 * (65_536 - weight));
        (128 + steps).clamp(16, 240) as u8
    };
    (step(b, BLUE), step(r, RED))
}

/// 65,536 times the luma of sums of premultiplied colours.
fn weighted(r: i32, g: i32, b: i32) -> i64 {
    i64::from(r) * RED + i64::from(g) * GREEN + i64::from(b) * BLUE
}

/// `divisor` is above 0.
fn rounded(value: i64, divisor: i64) -> i64 {
    (value + divisor / 2).div_euclid(divisor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(r: u8, g: u8, b: u8, a: u8) -> (u8, u8, u8, u8) {
        let multiplied = |c: u8| ((u32::from(c) * u32::from(a) + 127) / 255) as u8;
        let pixel = [multiplied(r), multiplied(g), multiplied(b), a];
        let raster = Raster::from_premultiplied(2, 2, &pixel.repeat(4));
        (raster.y[0], raster.u[0], raster.v[0], raster.a[0])
    }

    #[test]
    fn colours_are_those_of_bt_709() {
        // From the bars of ITU-R BT.709 at full saturation, video range.
        for (rgb, yuv) in [
            ((255, 255, 255), (235, 128, 128)),
            ((0, 0, 0), (16, 128, 128)),
            ((255, 0, 0), (63, 102, 240)),
            ((0, 255, 0), (173, 42, 26)),
            ((0, 0, 255), (32, 240, 118)),
            ((255, 255, 0), (219, 16, 138)),
        ] {
            let (y, u, v, a) = plain(rgb.0, rgb.1, rgb.2, 255);
            assert_eq!((y, u, v), yuv, "{rgb:?}");
            assert_eq!(a, 255);
        }
    }

    #[test]
    fn half_seen_has_the_same_colour() {
        let (y, u, v, a) = plain(255, 0, 0, 128);
        assert_eq!((y, u, v, a), (63, 102, 240, 128));
    }

    #[test]
    fn a_pixel_that_is_not_seen_gives_no_colour() {
        // One red pixel beside three that are transparent: its colour is not washed out.
        let rgba = [[255, 0, 0, 255], [0; 4], [0; 4], [0; 4]].concat();
        let raster = Raster::from_premultiplied(2, 2, &rgba);
        assert_eq!((raster.u[0], raster.v[0]), (102, 240));
        assert_eq!(raster.a, [255, 0, 0, 0]);
    }

    #[test]
    fn odd_sizes_are_filled_up() {
        let raster = Raster::from_premultiplied(3, 1, &[255; 12]);
        assert_eq!((raster.width, raster.height), (4, 2));
        assert_eq!(raster.a, [255, 255, 255, 0, 0, 0, 0, 0]);
        assert_eq!(raster.y, [235, 235, 235, 16, 16, 16, 16, 16]);
        assert_eq!(raster.size(), 8 + 2 + 2 + 8);
        let nothing = Raster::from_premultiplied(0, 0, &[]);
        assert_eq!((nothing.width, nothing.size()), (0, 0));
    }

    #[test]
    fn rectangles_meet() {
        let rect = |x, y, width, height| Rect {
            x,
            y,
            width,
            height,
        };
        let frame = rect(0, 0, 100, 50);
        assert_eq!(frame.meet(rect(-10, 40, 20, 20)), Some(rect(0, 40, 10, 10)));
        assert_eq!(frame.meet(rect(100, 0, 10, 10)), None);
    }

    proptest! {
        #[test]
        fn what_comes_out_is_within_the_range(bytes in prop::collection::vec(any::<u8>(), 0..300), width in 0usize..12) {
            let height = bytes.len() / 4 / width.max(1);
            let raster = Raster::from_premultiplied(width, height, &bytes);
            prop_assert!(raster.y.iter().all(|y| (16..=235).contains(y)));
            prop_assert!(raster.u.iter().chain(&raster.v).all(|c| (16..=240).contains(c)));
        }
    }
}
