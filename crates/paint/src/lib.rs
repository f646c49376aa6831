//! Loops over rows of 8-bit samples: mixing, keying, fading. Pure, and a crate of its own so that they are optimised in debug
//! builds too: without, one mixed frame at 1080p takes longer than a frame lasts.
//!
//! Every function works on as many samples as the shortest of its slices has. Weights go from 0 to [`WHOLE`], at which the result
//! is exactly one of the two; alphas from 0 to 255, alike.

/// The weight of what is there alone.
pub const WHOLE: u16 = 256;

/// `a` at weight 0, `b` at [`WHOLE`].
#[inline]
fn between(a: u8, b: u8, weight: u16) -> u8 {
    ((u16::from(a) * (WHOLE - weight) + u16::from(b) * weight + 128) >> 8) as u8
}

/// `under` where `alpha` is 0, `over` where it is 255, rounded to the nearest.
#[inline]
fn keyed(under: u8, over: u8, alpha: u8) -> u8 {
    let sum = u16::from(under) * u16::from(255 - alpha) + u16::from(over) * u16::from(alpha) + 128;
    ((sum + (sum >> 8)) >> 8) as u8
}

/// Mixes two rows into a third.
pub fn mix(out: &mut [u8], a: &[u8], b: &[u8], weight: u16) {
    let weight = weight.min(WHOLE);
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = between(*a, *b, weight);
    }
}

/// Mixes a row into another.
pub fn mix_over(out: &mut [u8], over: &[u8], weight: u16) {
    let weight = weight.min(WHOLE);
    for (out, over) in out.iter_mut().zip(over) {
        *out = between(*out, *over, weight);
    }
}

/// Mixes one value into a row: a fade to black, a border that is not opaque.
pub fn tint(out: &mut [u8], value: u8, weight: u16) {
    let weight = weight.min(WHOLE);
    for out in out {
        *out = between(*out, value, weight);
    }
}

/// A row of one value into a row, mixed.
pub fn mix_to(out: &mut [u8], from: &[u8], value: u8, weight: u16) {
    let weight = weight.min(WHOLE);
    for (out, from) in out.iter_mut().zip(from) {
        *out = between(*from, value, weight);
    }
}

/// Lays a row over another through its alpha.
pub fn key_over(out: &mut [u8], over: &[u8], alpha: &[u8]) {
    for ((out, over), alpha) in out.iter_mut().zip(over).zip(alpha) {
        *out = keyed(*out, *over, *alpha);
    }
}

/// Turns an alpha down.
pub fn dim(alpha: &mut [u8], weight: u16) {
    let weight = weight.min(WHOLE);
    for alpha in alpha {
        *alpha = ((u16::from(*alpha) * weight + 128) >> 8) as u8;
    }
}

/// One alpha through another.
pub fn both(alpha: &mut [u8], other: &[u8]) {
    for (alpha, other) in alpha.iter_mut().zip(other) {
        *alpha = keyed(0, *alpha, *other);
    }
}

/// The alpha of chroma samples, each from four of luma in two rows.
pub fn halve(out: &mut [u8], upper: &[u8], lower: &[u8]) {
    let pairs = upper
        .as_chunks::<2>()
        .0
        .iter()
        .zip(lower.as_chunks::<2>().0);
    for (out, ([a, b], [c, d])) in out.iter_mut().zip(pairs) {
        let sum = u16::from(*a) + u16::from(*b) + u16::from(*c) + u16::from(*d);
        *out = ((sum + 2) >> 2) as u8;
    }
}

/// The alpha of luma samples from that of chroma, for either of its two rows.
pub fn double(out: &mut [u8], chroma: &[u8]) {
    for (pair, alpha) in out.as_chunks_mut::<2>().0.iter_mut().zip(chroma) {
        *pair = [*alpha; 2];
    }
    let (odd, pairs) = (out.len() % 2 == 1, out.len() / 2);
    if let (true, Some(last), Some(alpha)) = (odd, out.last_mut(), chroma.get(pairs)) {
        *last = *alpha;
    }
}

/// What near a colour is transparent, by its place in the chroma plane.
pub struct ChromaTable(Vec<u8>);

impl ChromaTable {
    /// `u` and `v` as in a picture. A distance of 1 is that from grey to the purest colour; up to `similarity` all is gone, and
    /// from there it comes back over `smoothness`.
    pub fn new(u: u8, v: u8, similarity: f64, smoothness: f64) -> Self {
        const UNIT: f64 = 112.0;
        let alpha = |at: usize| {
            let du = (at >> 8) as f64 - f64::from(u);
            let dv = (at & 255) as f64 - f64::from(v);
            let distance = du.hypot(dv) / UNIT;
            let kept = (distance - similarity) / smoothness.max(1e-6);
            (kept.clamp(0.0, 1.0) * 255.0).round() as u8
        };
        ChromaTable((0..1 << 16).map(alpha).collect())
    }

    /// A row's alpha, for each chroma sample.
    pub fn alpha(&self, out: &mut [u8], u: &[u8], v: &[u8]) {
        for ((out, u), v) in out.iter_mut().zip(u).zip(v) {
            let at = usize::from(*u) << 8 | usize::from(*v);
            *out = self.0.get(at).copied().unwrap_or(255);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_exact_and_the_way_is_monotone() {
        for a in 0..=255u8 {
            for b in [0, 1, 16, 127, 128, 235, 254, 255] {
                let way: Vec<u8> = (0..=WHOLE)
                    .map(|weight| {
                        let mut out = [0];
                        mix(&mut out, &[a], &[b], weight);
                        out[0]
                    })
                    .collect();
                assert_eq!((way[0], way[256]), (a, b));
                assert!(way.is_sorted_by(|x, y| if a < b { x <= y } else { x >= y }));
            }
        }
    }

    #[test]
    fn keys_are_exact_where_they_are_whole() {
        for under in 0..=255u8 {
            for over in 0..=255u8 {
                assert_eq!(keyed(under, over, 0), under);
                assert_eq!(keyed(under, over, 255), over);
            }
            assert_eq!(keyed(under, under, 77), under);
        }
        let mut row = [0, 100, 200];
        key_over(&mut row, &[200, 200, 200], &[255, 128, 0]);
        assert_eq!(row, [200, 150, 200]);
    }

    #[test]
    fn weights_over_the_whole_are_the_whole() {
        let mut row = [10, 20];
        tint(&mut row, 16, 999);
        assert_eq!(row, [16, 16]);
        let mut alpha = [255, 100];
        dim(&mut alpha, 999);
        assert_eq!(alpha, [255, 100]);
        both(&mut alpha, &[255, 0]);
        assert_eq!(alpha, [255, 0]);
    }

    #[test]
    fn alphas_change_their_size() {
        let mut half = [0; 2];
        halve(&mut half, &[0, 255, 255, 255], &[255, 0, 255, 255]);
        assert_eq!(half, [128, 255]);
        let mut whole = [0; 5];
        double(&mut whole, &[1, 2, 3]);
        assert_eq!(whole, [1, 1, 2, 2, 3]);
    }

    #[test]
    fn green_goes_and_skin_stays() {
        // BT.709: green is (42, 26), skin near (110, 150), grey in the middle.
        let table = ChromaTable::new(42, 26, 0.3, 0.1);
        let mut alpha = [9; 4];
        table.alpha(&mut alpha, &[42, 50, 110, 128], &[26, 30, 150, 128]);
        assert_eq!(alpha, [0, 0, 255, 255]);
        // Halfway between gone and kept.
        let mut alpha = [0];
        table.alpha(&mut alpha, &[42 + 39], &[26]);
        assert!((100..150).contains(&alpha[0]), "{alpha:?}");
    }
}
