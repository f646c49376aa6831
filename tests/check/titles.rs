//! What the reader says of titles.

use crate::machine::Machine;
use crate::{GOOD, lines, loaded};
use regia::config::{AppearKind, Colour, Title, TitleKind, TitlePlace, parse};
use std::path::Path;
use std::time::Duration;

/// The line of the title's first key in `with`.
const FIRST: usize = 46;

fn with(title: &str) -> String {
    format!("{GOOD}[[title]]\n{title}\n")
}

#[track_caller]
fn says(title: &str, expected: &[&str]) {
    assert_eq!(lines(&with(title), &Machine::venue()), expected, "{title}");
}

fn read(title: &str) -> Title {
    let text = with(&format!("id = \"t\"\n{title}"));
    let loaded = parse(&text, "/etc/regia/regia.toml", &Machine::with_everything()).unwrap();
    loaded.settings.titles[0].clone()
}

#[test]
fn a_title_has_what_it_needs_from_its_kind_alone() {
    let lower = read("kind = \"lower-third\"\nlines = [\"Anna Rossi\", \"Mayor of Trento\"]");
    assert_eq!(lower.kind, TitleKind::LowerThird);
    assert_eq!(lower.lines, ["Anna Rossi", "Mayor of Trento"]);
    assert_eq!((lower.colour, lower.size), (Colour::WHITE, 0.05));
    assert_eq!(lower.at, TitlePlace::Usual);
    assert_eq!(
        (lower.appear.how, lower.appear.ms),
        (AppearKind::Slide, 500)
    );
    assert_eq!((lower.image, lower.auto_off), (None, None));
    let clock = read("kind = \"clock\"");
    assert_eq!((clock.appear.how, clock.appear.ms), (AppearKind::Fade, 300));
    assert!(clock.lines.is_empty());
}

#[test]
fn every_key_is_read() {
    let title = read(
        "kind = \"lower-third\"\nlines = [\"a\"]\nimage = \"logo.png\"\ncolour = \"#ffeedd\"\nbackground = \"#10203ccc\"\n\
         accent = \"#e0b030\"\nfont = \"DejaVu Sans\"\nsize = 0.07\ncorner = \"bottom-right\"\nin = \"fade\"\nin_ms = 400\n\
         out = \"cut\"\nout_ms = 0\nauto_off_s = 8",
    );
    assert_eq!(
        title.image.as_deref(),
        Some(Path::new("/etc/regia/logo.png"))
    );
    assert_eq!(title.colour, Colour::opaque(0xff, 0xee, 0xdd));
    assert_eq!(title.background.alpha, 0xcc);
    assert_eq!((title.font.as_str(), title.size), ("DejaVu Sans", 0.07));
    assert_eq!(title.at, TitlePlace::BottomRight);
    assert_eq!((title.appear.how, title.appear.ms), (AppearKind::Fade, 400));
    assert_eq!((title.vanish.how, title.vanish.ms), (AppearKind::Cut, 0));
    assert_eq!(title.auto_off, Some(Duration::from_secs(8)));
    let slide = read("kind = \"slide\"\nimage = \"Agenda.PDF\"\npage = 3");
    assert_eq!(slide.page, 3);
    let countdown = read("kind = \"countdown\"\nto = \"10:00\"\nx = 0.5\ny = 0.25");
    assert_eq!(countdown.to.as_deref(), Some("10:00"));
    assert_eq!(countdown.at, TitlePlace::At { x: 0.5, y: 0.25 });
}

#[test]
fn kinds_and_ids() {
    says(
        "id = \"t\"",
        &[
            "45:1: title \"t\".kind: is missing; one of lower-third, logo, clock, countdown, ticker, slide, text",
        ],
    );
    says(
        "id = \"t\"\nkind = \"lowerthird\"",
        &[
            "47:8: title \"t\".kind: \"lowerthird\" is not one of lower-third, logo, clock, countdown, ticker, slide, text; did you mean \"lower-third\"?",
        ],
    );
    says(
        "kind = \"clock\"",
        &["45:1: title[1].id: is missing; for example id = \"main\""],
    );
    says(
        "id = \"t\"\nkind = \"clock\"\n[[title]]\nid = \"t\"\nkind = \"clock\"",
        &["49:6: title \"t\".id: \"t\" is used already, on line 46; take another"],
    );
    says(
        "id = \"t\"\nkind = \"logo\"\nimage = \"clips/opener.mp4\"\nto = \"10:00\"",
        &[
            "49:1: title \"t\".to: unknown key; known here: id, kind, image, size, corner, x, y, in, in_ms, out, out_ms, auto_off_s",
        ],
    );
}

#[test]
fn what_a_kind_needs() {
    says(
        "id = \"t\"\nkind = \"logo\"",
        &["45:1: title \"t\".image: is missing; for example image = \"logo.png\""],
    );
    says(
        "id = \"t\"\nkind = \"slide\"\nimage = \"agenda.pdf\"",
        &[
            "48:9: title \"t\".image: /etc/regia/agenda.pdf does not exist; a relative path starts at the configuration's directory",
        ],
    );
    says(
        "id = \"t\"\nkind = \"slide\"\nimage = \"clips/opener.mp4\"\npage = 2",
        &["49:8: title \"t\".page: only a PDF has pages; leave it out"],
    );
    says(
        "id = \"t\"\nkind = \"countdown\"",
        &[
            "45:1: title \"t\".to: is missing; for example to = \"10:00\", or to = \"2026-09-01T10:00:00+02:00\"",
        ],
    );
    says(
        "id = \"t\"\nkind = \"countdown\"\nto = \"ten\"",
        &[
            "48:6: title \"t\".to: \"ten\" is neither a time of day nor an RFC 3339 time; for example to = \"10:00\", or to = \"2026-09-01T10:00:00+02:00\"",
        ],
    );
    says(
        "id = \"t\"\nkind = \"lower-third\"\nlines = [\"a\", \"b\", \"c\"]",
        &[
            "48:9: title \"t\".lines: a lower third has two lines, not 3; kind = \"text\" takes more",
        ],
    );
}

#[test]
fn values_out_of_range() {
    for (key, said) in [
        (
            "colour = \"red\"",
            "colour: \"red\" is no colour: it must be #rrggbb, or #rrggbbaa with its opacity; for example colour = \"#ffffff\"",
        ),
        (
            "size = 5",
            "size: must be from 0.015 to 0.5 of the frame's height, not 5; for example size = 0.052",
        ),
        (
            "font = \" \"",
            "font: is empty; fc-list : family lists what there is",
        ),
        ("x = 0.5", "x: stands without y; give both"),
        (
            "in = \"wipe\"",
            "in: \"wipe\" is not one of cut, fade, slide",
        ),
        (
            "in_ms = 9000",
            "in_ms: must be a whole number from 0 to 5000 ms, not 9000",
        ),
        (
            "auto_off_s = 0",
            "auto_off_s: must be from 1 to 3600 s, not 0 s",
        ),
        (
            "lines = \"Yes\"",
            "lines: must be a list of strings, not a string; for example lines = [\"Anna Rossi\"]",
        ),
    ] {
        let column = key.find('=').unwrap() + 3;
        let expected = format!("{}:{column}: title \"t\".{said}", FIRST + 2);
        says(&format!("id = \"t\"\nkind = \"text\"\n{key}"), &[&expected]);
    }
    says(
        "id = \"t\"\nkind = \"text\"\ncorner = \"top-left\"\nx = 0.5\ny = 1.5",
        &[
            "48:10: title \"t\".corner: stands beside x and y; keep the one or the others",
            "50:5: title \"t\".y: must be from 0 to 1, as a fraction of the frame, not 1.5; it is where the title's middle stands",
        ],
    );
}

#[test]
fn no_title_is_no_trouble() {
    assert!(loaded(GOOD).settings.titles.is_empty());
}
