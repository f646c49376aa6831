//! `[[title]]`: text and images over the programme.

use super::environment::Environment;
use super::inputs::{existing_file, ids};
use super::picture::{Appear, AppearKind, Colour, Title, TitleKind, TitlePlace};
use super::reader::Table;
use jiff::Timestamp;
use jiff::civil::Time;
use std::path::{Path, PathBuf};
use std::time::Duration;

const KINDS: [(&str, TitleKind); 7] = [
    ("lower-third", TitleKind::LowerThird),
    ("logo", TitleKind::Logo),
    ("clock", TitleKind::Clock),
    ("countdown", TitleKind::Countdown),
    ("ticker", TitleKind::Ticker),
    ("slide", TitleKind::Slide),
    ("text", TitleKind::Text),
];
const CORNERS: [(&str, TitlePlace); 4] = [
    ("top-left", TitlePlace::TopLeft),
    ("top-right", TitlePlace::TopRight),
    ("bottom-left", TitlePlace::BottomLeft),
    ("bottom-right", TitlePlace::BottomRight),
];
const WAYS: [(&str, AppearKind); 3] = [
    ("cut", AppearKind::Cut),
    ("fade", AppearKind::Fade),
    ("slide", AppearKind::Slide),
];
/// In the packages that Regia asks for; every figure of it is as wide, so that clocks stand still.
const FONT: &str = "Open Sans";
const BACKGROUND: Colour = Colour {
    red: 0x10,
    green: 0x1c,
    blue: 0x30,
    alpha: 0xe0,
};
const ACCENT: Colour = Colour::opaque(0xe0, 0xb0, 0x30);
/// Fractions of the frame's height. Under the smallest nobody reads it; over the largest no line fits.
const SMALLEST: f64 = 0.015;
const LARGEST: f64 = 0.5;
const LONGEST_MS: u32 = 5_000;
const LAST_PAGE: u32 = 9_999;

/// What a countdown counts down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountdownTo {
    /// By the venue's clock.
    OfDay(Time),
    At(Timestamp),
}

impl CountdownTo {
    /// "10:00", "10:00:30", or RFC 3339 with its offset.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(at) = text.parse::<Timestamp>() {
            return Some(CountdownTo::At(at));
        }
        let mut parts = text.split(':');
        let mut part = || {
            let digits = parts.next()?;
            let fits = matches!(digits.len(), 1 | 2) && digits.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| digits.parse::<i8>().ok()).flatten()
        };
        let (hour, minute) = (part()?, part()?);
        let second = if text.matches(':').count() == 2 {
            part()?
        } else {
            0
        };
        if parts.next().is_some() {
            return None;
        }
        Time::new(hour, minute, second, 0)
            .ok()
            .map(CountdownTo::OfDay)
    }
}

/// The titles, and the ids of all of them, whether they could be read or not.
pub(super) fn titles(
    root: &Table<'_>,
    base: &Path,
    env: &dyn Environment,
) -> (Vec<Title>, Vec<String>) {
    let tables = root.tables("title");
    let ids = ids(&tables);
    let mut titles = Vec::new();
    for (table, id) in tables.iter().zip(&ids) {
        table.missing("kind", format!("one of {}", kinds()));
        let Some(kind) = table.word("kind", &KINDS) else {
            continue; // Of a kind that was not understood no key can be called unknown.
        };
        let title = title(table, kind, base, env);
        table.finish();
        if let (Some(id), Some(title)) = (id, title) {
            let id = id.clone();
            titles.push(Title { id, ..title });
        }
    }
    (titles, ids.into_iter().flatten().collect())
}

fn kinds() -> String {
    KINDS.map(|(name, _)| name).join(", ")
}

/// Without its id. None: a key that it can't be without is missing or of no use.
fn title(table: &Table<'_>, kind: TitleKind, base: &Path, env: &dyn Environment) -> Option<Title> {
    let has_text = !matches!(kind, TitleKind::Logo | TitleKind::Slide);
    let image = image(table, kind, base, env);
    let to = countdown_to(table, kind);
    let title = Title {
        id: String::new(),
        kind,
        lines: if has_text {
            lines(table, kind)
        } else {
            Vec::new()
        },
        page: page(table, kind),
        colour: if has_text {
            colour(table, "colour", "#ffffff", Colour::WHITE)
        } else {
            Colour::WHITE
        },
        background: background(table, kind),
        accent: if matches!(kind, TitleKind::LowerThird | TitleKind::Ticker) {
            colour(table, "accent", "#e0b030", ACCENT)
        } else {
            ACCENT
        },
        font: if has_text {
            font(table)
        } else {
            FONT.to_owned()
        },
        size: size(table, kind),
        at: place(table, kind),
        appear: appear(table, kind, "in", "in_ms"),
        vanish: appear(table, kind, "out", "out_ms"),
        auto_off: table.duration(
            "auto_off_s",
            Duration::from_secs(1)..=Duration::from_secs(3_600),
        ),
        image: image.clone().flatten(),
        to: to.clone().flatten(),
    };
    (image.is_some() && to.is_some()).then_some(title)
}

/// None: it needs one, and has none of use. Some(None): it has none.
fn image(
    table: &Table<'_>,
    kind: TitleKind,
    base: &Path,
    env: &dyn Environment,
) -> Option<Option<PathBuf>> {
    let example = match kind {
        TitleKind::Logo | TitleKind::LowerThird => "logo.png",
        TitleKind::Slide => "agenda.pdf",
        _ => return Some(None),
    };
    if kind != TitleKind::LowerThird {
        table.missing("image", format!("for example image = {example:?}"));
    }
    match existing_file(table, "image", example, base, env) {
        Some(path) => Some(Some(path)),
        None if kind == TitleKind::LowerThird && !table.has("image") => Some(None),
        None => None,
    }
}

/// None: it is missing or of no use. Some(None): it is no countdown.
fn countdown_to(table: &Table<'_>, kind: TitleKind) -> Option<Option<String>> {
    if kind != TitleKind::Countdown {
        return Some(None);
    }
    let example = "for example to = \"10:00\", or to = \"2026-09-01T10:00:00+02:00\"";
    table.missing("to", example);
    let text = table.string("to", "10:00")?;
    if CountdownTo::parse(text).is_none() {
        let what = format!("{text:?} is neither a time of day nor an RFC 3339 time");
        table.problem("to", what, example);
        return None;
    }
    Some(Some(text.to_owned()))
}

fn lines(table: &Table<'_>, kind: TitleKind) -> Vec<String> {
    let lines = table.strings("lines", "Anna Rossi");
    if kind == TitleKind::LowerThird && lines.len() > 2 {
        let what = format!("a lower third has two lines, not {}", lines.len());
        table.problem("lines", what, "kind = \"text\" takes more");
    }
    lines.into_iter().map(|(text, _)| text.to_owned()).collect()
}

fn page(table: &Table<'_>, kind: TitleKind) -> u32 {
    if kind != TitleKind::Slide {
        return 1;
    }
    let page = table.whole("page", 1..=LAST_PAGE, "");
    let is_pdf = table
        .string("image", "agenda.pdf")
        .is_some_and(|path| path.to_ascii_lowercase().ends_with(".pdf"));
    if table.has("page") && table.is_string("image") && !is_pdf {
        table.problem("page", "only a PDF has pages", "leave it out");
    }
    page.unwrap_or(1)
}

fn background(table: &Table<'_>, kind: TitleKind) -> Colour {
    match kind {
        TitleKind::Logo => Colour {
            alpha: 0,
            ..Colour::BLACK
        },
        TitleKind::Slide => colour(table, "background", "#000000", Colour::BLACK),
        _ => colour(table, "background", "#101c30e0", BACKGROUND),
    }
}

fn colour(table: &Table<'_>, key: &'static str, example: &str, usual: Colour) -> Colour {
    let Some(text) = table.string(key, example) else {
        return usual;
    };
    Colour::parse(text).unwrap_or_else(|| {
        let what =
            format!("{text:?} is no colour: it must be #rrggbb, or #rrggbbaa with its opacity");
        table.problem(key, what, format!("for example {key} = {example:?}"));
        usual
    })
}

fn font(table: &Table<'_>) -> String {
    match table.string("font", FONT).map(str::trim) {
        Some("") => {
            table.problem("font", "is empty", "fc-list : family lists what there is");
            FONT.to_owned()
        }
        Some(font) => font.to_owned(),
        None => FONT.to_owned(),
    }
}

fn size(table: &Table<'_>, kind: TitleKind) -> f64 {
    let usual = match kind {
        TitleKind::LowerThird => 0.05,
        TitleKind::Logo => 0.12,
        TitleKind::Clock => 0.042,
        TitleKind::Countdown => 0.14,
        TitleKind::Ticker => 0.036,
        TitleKind::Text => 0.052,
        TitleKind::Slide => return 1.0,
    };
    let Some(size) = table.number("size") else {
        return usual;
    };
    if !(SMALLEST..=LARGEST).contains(&size) {
        let what =
            format!("must be from {SMALLEST} to {LARGEST} of the frame's height, not {size}");
        table.problem("size", what, format!("for example size = {usual}"));
        return usual;
    }
    size
}

fn place(table: &Table<'_>, kind: TitleKind) -> TitlePlace {
    if kind == TitleKind::Slide || kind == TitleKind::Ticker {
        return TitlePlace::Usual; // They are as wide as the frame.
    }
    let corner = table.word("corner", &CORNERS);
    let fraction = |key: &'static str| {
        let number = table.number(key)?;
        if !(0.0..=1.0).contains(&number) {
            let what = format!("must be from 0 to 1, as a fraction of the frame, not {number}");
            table.problem(key, what, "it is where the title's middle stands");
        }
        Some(number)
    };
    let (x, y) = (fraction("x"), fraction("y"));
    if table.has("corner") && (table.has("x") || table.has("y")) {
        table.problem(
            "corner",
            "stands beside x and y",
            "keep the one or the others",
        );
    } else if table.has("x") != table.has("y") {
        let (there, other) = if table.has("x") {
            ("x", "y")
        } else {
            ("y", "x")
        };
        table.problem(there, format!("stands without {other}"), "give both");
    }
    match (corner, x, y) {
        (Some(corner), ..) => corner,
        (None, Some(x), Some(y)) => TitlePlace::At { x, y },
        _ => TitlePlace::Usual,
    }
}

fn appear(table: &Table<'_>, kind: TitleKind, how: &'static str, ms: &'static str) -> Appear {
    let usual = match kind {
        TitleKind::LowerThird | TitleKind::Ticker => AppearKind::Slide,
        _ => AppearKind::Fade,
    };
    let how = table.word(how, &WAYS).unwrap_or(usual);
    let given = table.whole(ms, 0..=LONGEST_MS, " ms");
    let usual_ms = if how == AppearKind::Slide { 500 } else { 300 };
    Appear {
        how,
        ms: given.unwrap_or(usual_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_count_down_to() {
        let of_day = |h, m, s| Some(CountdownTo::OfDay(Time::new(h, m, s, 0).unwrap()));
        assert_eq!(CountdownTo::parse("10:00"), of_day(10, 0, 0));
        assert_eq!(CountdownTo::parse(" 9:05:30 "), of_day(9, 5, 30));
        let at = "2026-09-01T08:00:00Z".parse().unwrap();
        let with_offset = CountdownTo::parse("2026-09-01T10:00:00+02:00");
        assert_eq!(with_offset, Some(CountdownTo::At(at)));
        for bad in [
            "",
            "10",
            "24:00",
            "10:60",
            "10:00:",
            "10:00:00:00",
            "+1:00",
            "10:00 am",
            "2026-09-01T10:00:00",
            "1000000:00",
        ] {
            assert_eq!(CountdownTo::parse(bad), None, "{bad}");
        }
    }
}
