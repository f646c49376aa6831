//! Curves and bars over a broadcast's time, as SVG. Pure.
//!
//! Colours are classes (`c0` … `c3`, `bad`), which the page's style sheet gives for light and dark. A crate for plots would
//! bring fonts and rasters for what are two shapes here.

use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 28.0;
const INNER: f64 = WIDTH - LEFT - RIGHT;
const TOP: f64 = 8.0;
const PLOT_HEIGHT: f64 = 120.0;
/// Room for the times below.
const BELOW: f64 = 22.0;
const BAR_HEIGHT: f64 = 26.0;
/// Samples farther apart than so many times their usual distance are not joined.
const GAP: f64 = 4.0;
const Y_TICKS: f64 = 4.0;
const X_TICKS: f64 = 8.0;
/// Steps that a clock is divided by, seconds.
const CLOCK_STEPS: [f64; 17] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0,
    10_800.0, 21_600.0, 43_200.0,
];

/// One curve: times in seconds, rising, and values.
pub struct Curve {
    pub label: &'static str,
    pub points: Vec<(f64, f64)>,
}

/// A part of the time that is laid under the curves, or a piece of a bar.
pub struct Span {
    pub from_s: f64,
    pub until_s: f64,
    pub class: String,
    /// Shown when pointed at; already escaped.
    pub tip: String,
}

/// Where the y axis begins.
#[derive(Clone, Copy)]
pub enum Base {
    Zero,
    /// So that this much is shown at least, with the values in its middle.
    Around(f64),
}

/// Curves over `until_s` seconds. `name` is for who can't see it. Empty when no curve has two points.
pub fn curves(name: &str, until_s: f64, curves: &[Curve], under: &[Span], base: Base) -> String {
    let values = || {
        curves
            .iter()
            .flat_map(|curve| &curve.points)
            .map(|(_, y)| *y)
    };
    if curves.iter().all(|curve| curve.points.len() < 2) {
        return String::new();
    }
    let most = values().fold(f64::MIN, f64::max);
    let least = values().fold(f64::MAX, f64::min);
    let (from, until) = match base {
        Base::Zero => (0.0f64.min(least), most),
        Base::Around(span) => {
            let more = (span - (most - least)).max(0.0) / 2.0;
            (least - more, most + more)
        }
    };
    let step = nice((until - from).max(1e-3) / Y_TICKS);
    let (low, high) = ((from / step).floor() * step, (until / step).ceil() * step);
    let high = high.max(low + step);
    let x = |at_s: f64| LEFT + INNER * (at_s / until_s.max(1e-3)).clamp(0.0, 1.0);
    let y = |value: f64| TOP + PLOT_HEIGHT * (1.0 - (value - low) / (high - low));
    let mut svg = open(name, TOP + PLOT_HEIGHT + BELOW);
    spans(&mut svg, under, &x, TOP, PLOT_HEIGHT);
    let ticks = ((high - low) / step).round() as u32;
    for tick in 0..=ticks {
        let value = low + step * f64::from(tick);
        let at = y(value);
        put(
            &mut svg,
            format_args!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT + INNER,
                LEFT - 6.0,
                at + 4.0,
                number(value, step)
            ),
        );
    }
    times(&mut svg, until_s, &x, TOP + PLOT_HEIGHT);
    for (n, curve) in curves.iter().enumerate() {
        let columns = columns(&curve.points, &x);
        for piece in pieces(&columns, &curve.points, &x) {
            draw(&mut svg, n, piece, &y);
        }
    }
    svg.push_str("</svg>");
    svg
}

/// One bar, divided into pieces, some of which may lie over others.
pub fn bar(name: &str, until_s: f64, pieces: &[Span]) -> String {
    let x = |at_s: f64| LEFT + INNER * (at_s / until_s.max(1e-3)).clamp(0.0, 1.0);
    let mut svg = open(name, TOP + BAR_HEIGHT + BELOW);
    put(
        &mut svg,
        format_args!(
            "<rect class=\"none\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{INNER}\" height=\"{BAR_HEIGHT}\" rx=\"3\"/>"
        ),
    );
    spans(&mut svg, pieces, &x, TOP, BAR_HEIGHT);
    times(&mut svg, until_s, &x, TOP + BAR_HEIGHT);
    svg.push_str("</svg>");
    svg
}

fn open(name: &str, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">",
        super::html::escaped(name)
    )
}

/// Appends; writing to a String does not fail.
fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = svg.write_fmt(text);
}

fn spans(svg: &mut String, spans: &[Span], x: &impl Fn(f64) -> f64, top: f64, height: f64) {
    for span in spans {
        let (from, until) = (x(span.from_s), x(span.until_s));
        // A second of four hours would be a fifteenth of a pixel: what happened must be seen.
        let width = (until - from).max(2.0).min(LEFT + INNER - from).max(0.0);
        put(
            svg,
            format_args!(
                "<rect class=\"{}\" x=\"{from:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{height}\"><title>{}</title></rect>",
                span.class, span.tip
            ),
        );
    }
}

fn times(svg: &mut String, until_s: f64, x: &impl Fn(f64) -> f64, bottom: f64) {
    let wanted = until_s / X_TICKS;
    let step = CLOCK_STEPS.into_iter().find(|step| *step >= wanted);
    let step = step.unwrap_or_else(|| (wanted / 86_400.0).ceil() * 86_400.0);
    let ticks = (until_s / step).floor() as u32;
    for tick in 0..=ticks {
        let at_s = step * f64::from(tick);
        let at = x(at_s);
        put(
            svg,
            format_args!(
                "<line class=\"tick\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom}\" y2=\"{}\"/>\
             <text class=\"x\" x=\"{at:.1}\" y=\"{}\">{}</text>",
                bottom + 4.0,
                bottom + 17.0,
                super::text::clock(at_s)
            ),
        );
    }
}

/// The samples of one column of pixels.
struct Column {
    x: f64,
    least: f64,
    most: f64,
    mean: f64,
}

/// No more columns than pixels: of the samples in each, the extent and the mean.
fn columns(points: &[(f64, f64)], x: &impl Fn(f64) -> f64) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let mut counted = 0u32;
    for (at_s, value) in points {
        let at = x(*at_s);
        match columns.last_mut() {
            Some(column) if at - column.x < 1.0 => {
                counted += 1;
                column.least = column.least.min(*value);
                column.most = column.most.max(*value);
                column.mean += (value - column.mean) / f64::from(counted);
            }
            _ => {
                counted = 1;
                columns.push(Column {
                    x: at,
                    least: *value,
                    most: *value,
                    mean: *value,
                });
            }
        }
    }
    columns
}

/// The columns, parted where samples are missing.
fn pieces<'a>(
    columns: &'a [Column],
    points: &[(f64, f64)],
    x: &impl Fn(f64) -> f64,
) -> Vec<&'a [Column]> {
    let mut steps: Vec<f64> = points.windows(2).map(|two| two[1].0 - two[0].0).collect();
    steps.sort_by(f64::total_cmp);
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(0.0);
    let apart = (x(usual * GAP) - x(0.0)).max(GAP);
    columns
        .chunk_by(|before, after| after.x - before.x <= apart)
        .collect()
}

fn draw(svg: &mut String, number: usize, piece: &[Column], y: &impl Fn(f64) -> f64) {
    let path = |of: &mut dyn Iterator<Item = (f64, f64)>| {
        let mut path = String::new();
        for (n, (x, value)) in of.enumerate() {
            let letter = if n == 0 { 'M' } else { 'L' };
            put(&mut path, format_args!("{letter}{x:.1} {:.1}", y(value)));
        }
        path
    };
    if piece.iter().any(|column| column.most > column.least) {
        let there = piece.iter().map(|column| (column.x, column.most));
        let back = piece.iter().rev().map(|column| (column.x, column.least));
        let outline = path(&mut there.chain(back));
        put(
            svg,
            format_args!("<path class=\"extent c{number}\" d=\"{outline}Z\"/>"),
        );
    }
    let mean = match piece {
        // A line of one point would not be seen.
        [one] => path(&mut [(one.x - 0.5, one.mean), (one.x + 0.5, one.mean)].into_iter()),
        piece => path(&mut piece.iter().map(|column| (column.x, column.mean))),
    };
    put(
        svg,
        format_args!("<path class=\"line c{number}\" d=\"{mean}\"/>"),
    );
}

/// The next of 1, 2, 2.5, 5, 10, … at or above `step`.
fn nice(step: f64) -> f64 {
    let scale = 10f64.powf(step.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    let found = steps.into_iter().find(|nice| nice * scale >= step * 0.999);
    found.unwrap_or(10.0) * scale
}

fn number(value: f64, step: f64) -> String {
    let value = if value.abs() < step * 1e-6 {
        0.0
    } else {
        value
    };
    let places = if step >= 1.0 && step.fract() == 0.0 {
        0
    } else if step >= 0.1 {
        1
    } else {
        2
    };
    format!("{value:.places$}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn straight(n: usize) -> Curve {
        Curve {
            label: "line",
            points: (0..n).map(|n| (n as f64, n as f64)).collect(),
        }
    }

    #[test]
    fn steps_are_round() {
        let cases = [
            (0.3, 0.5),
            (1.0, 1.0),
            (1.3, 2.0),
            (2.4, 2.5),
            (7.0, 10.0),
            (1_400.0, 2_000.0),
        ];
        for (step, round) in cases {
            assert!((nice(step) - round).abs() < 1e-9, "{step}: {}", nice(step));
        }
        assert_eq!(number(-23.0, 1.0), "−23");
        assert_eq!(number(0.25, 0.05), "0.25");
        assert_eq!(number(-1e-12, 0.5), "0.0");
    }

    #[test]
    fn a_short_curve_is_drawn_point_by_point() {
        let svg = curves("rate", 2.0, &[straight(3)], &[], Base::Zero);
        assert!(svg.starts_with("<svg viewBox=\"0 0 960 150\" role=\"img\" aria-label=\"rate\">"));
        assert!(
            svg.contains("<path class=\"line c0\" d=\"M52.0 128.0L492.0 68.0L932.0 8.0\"/>"),
            "{svg}"
        );
        assert!(!svg.contains("extent"));
        assert!(svg.contains(">0:00:02</text>"));
        assert_eq!(curves("rate", 2.0, &[straight(1)], &[], Base::Zero), "");
    }

    #[test]
    fn a_long_one_takes_no_more_than_its_pixels() {
        let svg = curves("rate", 100_000.0, &[straight(100_000)], &[], Base::Zero);
        assert!(svg.len() < 60_000, "{}", svg.len());
        assert!(svg.contains("extent c0"));
    }

    #[test]
    fn what_is_missing_is_not_joined() {
        let mut curve = straight(100);
        curve
            .points
            .retain(|(at_s, _)| !(40.0..60.0).contains(at_s));
        let svg = curves("rate", 100.0, &[curve], &[], Base::Zero);
        assert_eq!(svg.matches("class=\"line c0\"").count(), 2);
    }

    #[test]
    fn a_second_of_four_hours_is_seen() {
        let outage = Span {
            from_s: 7_200.0,
            until_s: 7_201.0,
            class: "bad".into(),
            tip: "1 s".into(),
        };
        let svg = bar("ways", 14_400.0, &[outage]);
        assert!(
            svg.contains("class=\"bad\" x=\"492.0\" y=\"8\" width=\"2.0\""),
            "{svg}"
        );
        assert_eq!(svg.matches("class=\"x\"").count(), 9);
    }

    proptest! {
        /// Whatever a log holds, the drawing stays inside its frame and has no number that is none.
        #[test]
        fn it_stays_inside(
            points in prop::collection::vec((0f64..20_000.0, -200f64..1e6), 0..300),
            until_s in 0f64..20_000.0,
        ) {
            let mut points = points;
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let svg = curves("x", until_s, &[Curve { label: "x", points }], &[], Base::Around(6.0));
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"));
            for d in svg.split(" d=\"").skip(1) {
                let d = d.split('"').next().unwrap();
                for pair in d.trim_end_matches('Z').split(['M', 'L']).skip(1) {
                    let (x, y) = pair.split_once(' ').unwrap();
                    let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                    prop_assert!((LEFT - 0.6..=WIDTH).contains(&x) && (TOP - 0.1..=TOP + PLOT_HEIGHT + 0.1).contains(&y), "{x} {y}");
                }
            }
        }
    }
}
