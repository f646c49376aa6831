//! Is a picture black, and does it move? Judged by a few luma samples of it, some times a second, so that it costs
//! nothing that could be measured. Pure.

use crate::media::MediaTime;
use std::time::Duration;

/// Rows that are looked at, and places in each: 1024 bytes of each picture that is judged.
const ROWS: usize = 16;
const COLUMNS: usize = 64;
/// Pictures nearer together than this are not all judged.
const EVERY: Duration = Duration::from_millis(180);
/// At video range 16 is black; cameras with the lid on have noise, and codecs ring.
const BLACK_BELOW: u8 = 30;
/// A few bright samples are a fault of the line, or a cursor.
const BRIGHT_PER_MILLE: usize = 20;
/// Mean difference of the samples, in hundredths, above which a picture has moved. The noise of a camera is above, what
/// a codec makes of a frozen one is below.
const MOVED_MEAN: u32 = 40;
/// Or this many samples that differ by so much: a small thing that moves before a still background.
const MOVED_SAMPLES: usize = 2;
const MOVED_BY: u8 = 12;

/// The places of a picture that are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LumaSample(Vec<u8>);

impl LumaSample {
    /// Of a plane of 8-bit luma. None: the plane is smaller than it should be.
    pub fn of(plane: &[u8], width: usize, height: usize, stride: usize) -> Option<Self> {
        let (rows, columns) = (ROWS.min(height), COLUMNS.min(width));
        let mut sample = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            // The middle of each of so many equal parts.
            let y = (2 * row + 1) * height / (2 * rows);
            let line = plane.get(y * stride..y * stride + width)?;
            // Shifted from row to row, lest a pattern of columns falls between the places.
            let shift = row * width / (columns * rows).max(1);
            let places = (0..columns).map(|column| (column * width / columns + shift) % width);
            sample.extend(places.map(|x| line[x]));
        }
        (!sample.is_empty()).then_some(LumaSample(sample))
    }

    fn is_black(&self) -> bool {
        let bright = self.0.iter().filter(|y| **y > BLACK_BELOW).count();
        bright * 1_000 <= self.0.len() * BRIGHT_PER_MILLE
    }

    fn has_moved_from(&self, earlier: &LumaSample) -> bool {
        if self.0.len() != earlier.0.len() {
            return true;
        }
        let differences = || self.0.iter().zip(&earlier.0).map(|(a, b)| a.abs_diff(*b));
        let sum: u32 = differences().map(u32::from).sum();
        let large = differences().filter(|by| *by > MOVED_BY).count();
        sum * 100 > MOVED_MEAN * self.0.len() as u32 || large >= MOVED_SAMPLES
    }
}

/// Watches one row of pictures.
#[derive(Debug, Default)]
pub struct Eye {
    judged: Option<MediaTime>,
    /// The picture to which the later ones are compared, and since when it has been shown. Not the one before: a
    /// fade that takes a minute moves too.
    reference: Option<(MediaTime, LumaSample)>,
    black_since: Option<MediaTime>,
}

impl Eye {
    /// Whether the picture at `at` should be given to `handle_picture`.
    pub fn wants(&self, at: MediaTime) -> bool {
        self.judged
            .is_none_or(|judged| at < judged || at.since(judged) >= EVERY)
    }

    pub fn handle_picture(&mut self, at: MediaTime, sample: LumaSample) {
        self.judged = Some(at);
        if sample.is_black() {
            self.black_since.get_or_insert(at);
        } else {
            self.black_since = None;
        }
        let still = |(_, reference): &(MediaTime, LumaSample)| !sample.has_moved_from(reference);
        if !self.reference.as_ref().is_some_and(still) {
            self.reference = Some((at, sample));
        }
    }

    /// For how long the picture has been the same at `now`.
    pub fn frozen_for(&self, now: MediaTime) -> Duration {
        let since = self.reference.as_ref().map_or(now, |(since, _)| *since);
        moment(now.since(since))
    }

    pub fn black_for(&self, now: MediaTime) -> Duration {
        self.black_since
            .map_or(Duration::ZERO, |since| now.since(since))
    }

    /// Forgets what was seen: the picture is not the same one any more.
    pub fn reset(&mut self) {
        *self = Eye::default();
    }
}

/// Between two pictures that are judged nothing moves; that is not called frozen.
fn moment(duration: Duration) -> Duration {
    if duration < 3 * EVERY {
        Duration::ZERO
    } else {
        duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WIDTH: usize = 640;
    const HEIGHT: usize = 360;

    fn plane(luma: impl Fn(usize, usize) -> u8) -> LumaSample {
        let plane: Vec<u8> = (0..HEIGHT)
            .flat_map(|y| (0..WIDTH).map(move |x| (x, y)))
            .map(|(x, y)| luma(x, y))
            .collect();
        LumaSample::of(&plane, WIDTH, HEIGHT, WIDTH).unwrap()
    }

    fn ms(ms: i64) -> MediaTime {
        MediaTime::from_millis(ms)
    }

    /// Shows a picture every 40 ms for a second; the eye takes what it wants.
    fn show(eye: &mut Eye, from_ms: i64, picture: impl Fn(i64) -> LumaSample) {
        for n in 0..25 {
            let at = ms(from_ms + n * 40);
            if eye.wants(at) {
                eye.handle_picture(at, picture(n));
            }
        }
    }

    #[test]
    fn black_is_told_from_dark() {
        let mut eye = Eye::default();
        show(&mut eye, 0, |n| {
            plane(|x, y| 16 + ((x * 7 + y * 3 + n as usize) % 9) as u8)
        });
        assert_eq!(eye.black_for(ms(1_000)).as_millis(), 1_000);
        show(&mut eye, 1_000, |_| plane(|_, _| 40));
        assert_eq!(eye.black_for(ms(2_000)), Duration::ZERO);
    }

    #[test]
    fn a_cursor_on_black_is_black() {
        assert!(plane(|x, y| if x < 20 && y < 20 { 235 } else { 16 }).is_black());
    }

    #[test]
    fn a_picture_that_stays_is_frozen_and_noise_is_not() {
        let mut eye = Eye::default();
        show(&mut eye, 0, |_| plane(|x, _| x as u8));
        show(&mut eye, 1_000, |_| plane(|x, _| x as u8));
        assert_eq!(eye.frozen_for(ms(2_000)).as_millis(), 2_000);
        let noise =
            |n: i64, x: usize, y: usize| ((x * 31 + y * 17 + n as usize / 5 * 13) % 5) as u8;
        show(&mut eye, 2_000, |n| plane(|x, y| 100 + noise(n, x, y)));
        assert_eq!(eye.frozen_for(ms(3_000)), Duration::ZERO);
    }

    #[test]
    fn a_slow_fade_and_a_small_thing_move() {
        let mut eye = Eye::default();
        for second in 0..10 {
            show(&mut eye, second * 1_000, |_| {
                plane(|_, _| 50 + second as u8)
            });
        }
        assert!(eye.frozen_for(ms(10_000)) <= Duration::from_secs(1));
        let at = |second: usize| {
            plane(move |x, y| {
                if x / 40 == second && y / 40 == 4 {
                    200
                } else {
                    60
                }
            })
        };
        let mut eye = Eye::default();
        for second in 0..10 {
            show(&mut eye, second as i64 * 1_000, |_| at(second));
        }
        assert!(eye.frozen_for(ms(10_000)) <= Duration::from_secs(1));
    }

    #[test]
    fn it_looks_five_times_a_second() {
        let mut eye = Eye::default();
        let mut looks = 0;
        for n in 0..60 {
            let at = ms(n * 1_000 / 60);
            if eye.wants(at) {
                looks += 1;
                eye.handle_picture(at, plane(|_, _| 16));
            }
        }
        assert!((5..=6).contains(&looks), "{looks}");
    }

    proptest! {
        #[test]
        fn any_plane_can_be_sampled(
            width in 1usize..200, height in 1usize..200, padding in 0usize..9, bytes in 0usize..60_000,
        ) {
            let plane = vec![7u8; bytes];
            let stride = width + padding;
            let sample = LumaSample::of(&plane, width, height, stride);
            if bytes >= stride * height {
                prop_assert_eq!(sample.unwrap().0.len(), width.min(64) * height.min(16));
            }
        }
    }
}
