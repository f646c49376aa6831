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

/// Takes as much off each luma sample as `less` says, down to black.
pub fn darken(out: &mut [u8], from: &[u8], less: &[u8]) {
    for ((out, from), less) in out.iter_mut().zip(from).zip(less) {
        *out = from.saturating_sub(*less).max(16.min(*from));
    }
}

/// What near a colour is transparent, and what of it has spilled onto the rest, by the place in the chroma plane.
pub struct ChromaTable {
    alpha: Vec<u8>,
    clean: Vec<Clean>,
}

/// A chroma sample without the spill, and what its luma loses with it.
#[derive(Clone, Copy)]
struct Clean {
    u: u8,
    v: u8,
    less: u8,
}

/// Shares of red, green and blue in luma (BT.709).
const SHARES: [f64; 3] = [0.2126, 0.7152, 0.0722];
/// Red and blue less luma, at their most, by which V and U are scaled to 224 steps.
const RED_RANGE: f64 = 1.5748;
const BLUE_RANGE: f64 = 1.8556;

impl ChromaTable {
    /// `u` and `v` as in a picture. A distance of 1 is that from grey to the purest colour; up to `similarity` all is gone, and
    /// from there it comes back over `smoothness`. What is half gone loses its spill; the screen's light is on more than that, so
    /// what is farther away loses ever less of it, and from grey on nothing.
    pub fn new(u: u8, v: u8, similarity: f64, smoothness: f64) -> Self {
        const UNIT: f64 = 112.0;
        let beyond = |at: usize, from: f64, over: f64| {
            let du = (at >> 8) as f64 - f64::from(u);
            let dv = (at & 255) as f64 - f64::from(v);
            ((du.hypot(dv) / UNIT - from) / over.max(1e-6)).clamp(0.0, 1.0)
        };
        let alpha = |at: usize| (beyond(at, similarity, smoothness) * 255.0).round() as u8;
        let (whole, grey) = (similarity + smoothness, radius(u, v) / UNIT);
        let key = colours(u, v);
        let channel = (0..3).max_by(|a, b| key[*a].total_cmp(&key[*b]));
        let clean = |at: usize| {
            let amount = 1.0 - beyond(at, whole, grey - whole);
            without_spill(
                (at >> 8) as u8,
                (at & 255) as u8,
                channel.unwrap_or(1),
                amount,
            )
        };
        ChromaTable {
            alpha: (0..1 << 16).map(alpha).collect(),
            clean: (0..1 << 16).map(clean).collect(),
        }
    }

    /// A row's alpha, for each chroma sample.
    pub fn alpha(&self, out: &mut [u8], u: &[u8], v: &[u8]) {
        for ((out, u), v) in out.iter_mut().zip(u).zip(v) {
            *out = self.alpha.get(place(*u, *v)).copied().unwrap_or(255);
        }
    }

    /// A row of chroma without the spill, and what its luma loses with it.
    pub fn clean(&self, out: [&mut [u8]; 3], u: &[u8], v: &[u8]) {
        let [out_u, out_v, less] = out;
        let outs = out_u.iter_mut().zip(out_v).zip(less);
        for (((out_u, out_v), less), (u, v)) in outs.zip(u.iter().zip(v)) {
            if let Some(clean) = self.clean.get(place(*u, *v)) {
                (*out_u, *out_v, *less) = (clean.u, clean.v, clean.less);
            }
        }
    }
}

/// How far a chroma sample is from grey, in its own steps.
fn radius(u: u8, v: u8) -> f64 {
    (f64::from(u) - 128.0).hypot(f64::from(v) - 128.0)
}

#[inline]
fn place(u: u8, v: u8) -> usize {
    usize::from(u) << 8 | usize::from(v)
}

/// Red, green and blue of a chroma sample, each less its luma, at a range of 1.
fn colours(u: u8, v: u8) -> [f64; 3] {
    let red = (f64::from(v) - 128.0) / 224.0 * RED_RANGE;
    let blue = (f64::from(u) - 128.0) / 224.0 * BLUE_RANGE;
    let green = -(SHARES[0] * red + SHARES[2] * blue) / SHARES[1];
    [red, green, blue]
}

/// The key's channel is no greater than the greater of the others, or not by as much.
fn without_spill(u: u8, v: u8, channel: usize, amount: f64) -> Clean {
    let mut rgb = colours(u, v);
    let others = (0..3).filter(|other| *other != channel).map(|n| rgb[n]);
    let spill = (rgb[channel] - others.fold(f64::MIN, f64::max)).max(0.0) * amount;
    if spill == 0.0 {
        return Clean { u, v, less: 0 };
    }
    rgb[channel] -= spill;
    let less = SHARES[channel] * spill;
    let step = |value: f64, range: f64| {
        (128.0 + (value + less) / range * 224.0)
            .round()
            .clamp(0.0, 255.0) as u8
    };
    Clean {
        u: step(rgb[2], BLUE_RANGE),
        v: step(rgb[0], RED_RANGE),
        less: (less * 219.0).round().clamp(0.0, 255.0) as u8,
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

    fn cleaned(table: &ChromaTable, u: u8, v: u8) -> [u8; 3] {
        let (mut out_u, mut out_v, mut less) = ([0], [0], [0]);
        table.clean([&mut out_u, &mut out_v, &mut less], &[u], &[v]);
        [out_u[0], out_v[0], less[0]]
    }

    #[test]
    fn spill_goes_from_what_is_half_keyed_and_from_nothing_else() {
        let over = |u: u8, v: u8, channel: usize| {
            let rgb = colours(u, v);
            let others = (0..3).filter(|n| *n != channel).map(|n| rgb[n]);
            rgb[channel] - others.fold(f64::MIN, f64::max)
        };
        // Green and blue screens of BT.709, each with hair in front of it: half of it is the screen.
        for (u, v, channel) in [(42, 26, 1), (240, 118, 2)] {
            let table = ChromaTable::new(u, v, 0.3, 0.1);
            let toward_grey = |distance: f64| {
                let way = distance * 112.0 / radius(u, v);
                let step =
                    |key: u8| (f64::from(key) + (128.0 - f64::from(key)) * way).round() as u8;
                (step(u), step(v))
            };
            for distance in [0.31, 0.35, 0.39] {
                let (u, v) = toward_grey(distance);
                let [clean_u, clean_v, less] = cleaned(&table, u, v);
                assert!(over(u, v, channel) > 0.3 && less > 0);
                // But for rounding.
                assert!(
                    over(clean_u, clean_v, channel) < 0.02,
                    "{clean_u} {clean_v}"
                );
            }
            // And farther away less of it is taken, down to nothing.
            let mut left = 0.0;
            for distance in [0.4, 0.6, 0.8, 0.9] {
                let (u, v) = toward_grey(distance);
                let [clean_u, clean_v, _] = cleaned(&table, u, v);
                let kept = over(clean_u, clean_v, channel) / over(u, v, channel);
                assert!((left - 0.05..=1.05).contains(&kept), "{kept} after {left}");
                left = kept;
            }
            assert!(left > 0.5, "{left}");
            // Skin, grey, and a shirt of red: as they were.
            for (u, v) in [(110, 150), (128, 128), (102, 240)] {
                assert_eq!(cleaned(&table, u, v), [u, v, 0]);
            }
        }
    }

    #[test]
    fn darkening_ends_at_black() {
        let mut row = [0; 4];
        darken(&mut row, &[100, 20, 16, 7], &[30, 30, 0, 30]);
        assert_eq!(row, [70, 16, 16, 7]);
    }
}
