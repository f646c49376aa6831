//! Titles at work, with a real studio: what is drawn when.

use super::golden_tests::{canvas, fonts, logo, title};
use super::{Canvas, Drawing, Studio, TitleRun};
use crate::config::{Appear, AppearKind, Title, TitleKind};
use crate::media::MediaTime;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

fn small() -> Canvas {
    canvas(640, 360)
}

fn studio() -> Studio {
    Studio::start_with(fonts).unwrap()
}

fn run(studio: &Studio, title: &Title) -> TitleRun {
    TitleRun::new(title, small(), studio, TimeZone::UTC)
}

fn frame(n: i64) -> MediaTime {
    small().fps.frame_time(n)
}

fn wall(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    wall("2026-07-01T12:00:00Z")
}

/// Draws the same frame until the studio is done and `done` holds.
fn until(
    run: &mut TitleRun,
    at: MediaTime,
    wall: Timestamp,
    done: impl Fn(&[Drawing]) -> bool,
) -> Vec<Drawing> {
    let start = Instant::now();
    loop {
        let drawings = run.draw(at, wall);
        if done(&drawings) {
            return drawings;
        }
        assert!(start.elapsed() < PATIENCE, "not drawn: {drawings:?}");
        std::thread::yield_now();
    }
}

fn cut(kind: TitleKind, lines: &[&str]) -> Title {
    let at_once = Appear {
        how: AppearKind::Cut,
        ms: 0,
    };
    Title {
        appear: at_once,
        vanish: at_once,
        ..title(kind, lines)
    }
}

fn lines(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

#[test]
fn it_comes_in_from_the_first_frame_in_which_it_is_drawn() {
    let studio = studio();
    let mut run = run(&studio, &title(TitleKind::Text, &["Hello"]));
    assert!(run.draw(frame(1), noon()).is_empty());
    run.show(frame(2));
    assert!(run.is_shown());
    // However long the studio took, the way in is whole: half a second, from wherever it began.
    let begun = (3..).find(|n| {
        std::thread::yield_now();
        !run.draw(frame(*n), noon()).is_empty()
    });
    let begun = begun.unwrap();
    let stands = run.draw(frame(begun + 20), noon());
    assert_eq!(
        (stands.len(), stands[0].opacity, stands[0].clip),
        (1, 1.0, None)
    );
    let coming = run.draw(frame(begun + 2), noon());
    assert!(coming[0].y > stands[0].y);
    run.hide(frame(begun + 200));
    assert!(!run.is_shown());
    let going = run.draw(frame(begun + 203), noon());
    assert!(
        (going[0].opacity - 2.0 / 3.0).abs() < 0.01,
        "{}",
        going[0].opacity
    );
    assert!(run.draw(frame(begun + 209), noon()).is_empty());
}

#[test]
fn an_unchanged_title_is_handed_out_and_not_drawn() {
    let studio = studio();
    let mut run = run(
        &studio,
        &cut(TitleKind::LowerThird, &["Anna Rossi", "Mayor"]),
    );
    run.show(frame(0));
    let first = until(&mut run, frame(1), noon(), |drawings| !drawings.is_empty());
    let later = run.draw(frame(500), noon());
    assert!(Arc::ptr_eq(&first[0].raster, &later[0].raster));
}

#[test]
fn new_text_replaces_the_old_in_one_frame_and_never_leaves_a_gap() {
    let studio = studio();
    let mut run = run(&studio, &cut(TitleKind::Text, &["One"]));
    run.show(frame(0));
    let first = until(&mut run, frame(1), noon(), |drawings| !drawings.is_empty());
    run.set_lines(lines("Two, which is longer"), MediaTime::ZERO);
    assert_eq!(run.lines(), ["Two, which is longer"]);
    let mut frames = 3..;
    let start = Instant::now();
    let swapped = loop {
        let drawings = run.draw(frame(frames.next().unwrap()), noon());
        assert_eq!(drawings.len(), 1);
        if !Arc::ptr_eq(&drawings[0].raster, &first[0].raster) {
            break drawings;
        }
        assert!(start.elapsed() < PATIENCE);
        std::thread::yield_now();
    };
    assert!(swapped[0].raster.width > first[0].raster.width);
    // Texts that come faster than they are drawn: the last one is what stays.
    for n in 0..50 {
        run.set_lines(lines(&format!("{n}")), MediaTime::ZERO);
    }
    run.set_lines(lines("One"), MediaTime::ZERO);
    until(&mut run, frame(100), noon(), |drawings| {
        drawings[0].raster == first[0].raster
    });
}

#[test]
fn text_that_is_set_ahead_is_drawn_ahead_and_comes_at_its_time() {
    let studio = studio();
    let mut run = run(&studio, &cut(TitleKind::Text, &["One"]));
    run.show(frame(0));
    let one = until(&mut run, frame(1), noon(), |drawings| !drawings.is_empty());
    let is_one = |drawings: &[Drawing]| Arc::ptr_eq(&drawings[0].raster, &one[0].raster);
    run.set_lines(lines("Two, which is longer"), frame(10));
    let start = Instant::now();
    while !run.has_next() {
        assert!(is_one(&run.draw(frame(2), noon())));
        assert!(start.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    assert!(is_one(&run.draw(frame(9), noon())));
    assert!(!is_one(&run.draw(frame(10), noon())));
    // Hidden, it is the same: what is shown at that very time comes with it.
    run.hide(frame(11));
    run.set_lines(lines("One"), frame(20));
    while !run.has_next() {
        run.draw(frame(12), noon());
        assert!(start.elapsed() < PATIENCE);
    }
    run.show(frame(20));
    let shown = run.draw(frame(20), noon());
    assert_eq!(shown[0].raster, one[0].raster);
}

#[test]
fn text_set_while_it_is_hidden_is_what_is_shown() {
    let studio = studio();
    let mut run = run(&studio, &cut(TitleKind::Text, &["One"]));
    run.show(frame(0));
    let one = until(&mut run, frame(1), noon(), |drawings| !drawings.is_empty());
    run.hide(frame(2));
    assert!(run.draw(frame(2), noon()).is_empty());
    run.set_lines(lines("1"), MediaTime::ZERO);
    run.set_lines(lines("Two, which is longer"), MediaTime::ZERO);
    run.show(frame(4));
    let shown = until(&mut run, frame(4), noon(), |drawings| !drawings.is_empty());
    assert!(shown[0].raster.width > one[0].raster.width);
    // Without text there is nothing.
    run.set_lines(lines(" \u{7} "), MediaTime::ZERO);
    until(&mut run, frame(6), noon(), |drawings| drawings.is_empty());
}

#[test]
fn it_goes_by_itself() {
    let studio = studio();
    let title = Title {
        auto_off: Some(Duration::from_secs(8)),
        ..cut(TitleKind::Text, &["One"])
    };
    let mut run = run(&studio, &title);
    run.show(frame(0));
    until(&mut run, frame(30), noon(), |drawings| !drawings.is_empty());
    let end = frame(30) + Duration::from_secs(8);
    assert!(!run.is_over(frame(269)) && run.is_over(end));
    assert_eq!(run.draw(frame(269), noon()).len(), 1);
    assert!(run.draw(end, noon()).is_empty());
    assert!(run.is_over(frame(400)) && !run.is_shown());
    run.show(frame(500));
    assert!(!run.is_over(frame(501)));
    assert_eq!(run.draw(frame(501), noon()).len(), 1);
}

#[test]
fn a_clock_turns_exactly_and_never_shows_a_time_of_long_ago() {
    let studio = studio();
    let mut run = run(&studio, &cut(TitleKind::Clock, &["HH:MM:SS"]));
    run.show(frame(0));
    let first = until(&mut run, frame(1), noon(), |drawings| !drawings.is_empty());
    // The next second is drawn ahead: once it is, the change lands on its frame.
    let before = wall("2026-07-01T12:00:00.999Z");
    let turned = until(
        &mut run,
        frame(30),
        wall("2026-07-01T12:00:01Z"),
        |drawings| !Arc::ptr_eq(&drawings[0].raster, &first[0].raster),
    );
    assert!(!Arc::ptr_eq(
        &run.draw(frame(29), before)[0].raster,
        &first[0].raster
    ));
    assert_eq!(turned[0].raster.width, first[0].raster.width);
    run.hide(frame(40));
    assert!(run.draw(frame(40), noon()).is_empty());
    run.show(frame(10_000));
    let later = wall("2026-07-01T12:10:00Z");
    let shown = until(&mut run, frame(10_000), later, |drawings| {
        !drawings.is_empty()
    });
    assert!(shown[0].raster != turned[0].raster && shown[0].raster != first[0].raster);
}

#[test]
fn a_clock_is_there_in_the_frame_in_which_it_is_shown() {
    let studio = studio();
    let mut run = run(&studio, &cut(TitleKind::Clock, &[]));
    let start = Instant::now();
    while !run.is_ready() {
        assert!(start.elapsed() < PATIENCE);
        assert!(run.draw(frame(0), noon()).is_empty());
        std::thread::yield_now();
    }
    run.show(frame(1));
    assert_eq!(run.draw(frame(1), noon()).len(), 1);
}

#[test]
fn a_ticker_moves_by_the_same_in_every_frame() {
    let studio = studio();
    let mut run = run(&studio, &cut(TitleKind::Ticker, &["One", "Two"]));
    run.show(frame(0));
    until(&mut run, frame(0), noon(), |drawings| !drawings.is_empty());
    let places: Vec<i32> = (10..60).map(|n| run.draw(frame(n), noon())[1].x).collect();
    assert!(
        places.windows(2).all(|pair| pair[0] - pair[1] == 2),
        "{places:?}"
    );
}

#[test]
fn trouble_is_told_once_and_what_can_be_shown_is() {
    let studio = studio();
    let files = tempfile::tempdir().unwrap();
    let title = Title {
        font: "Comic Sans MS".to_owned(),
        image: Some(files.path().join("none.png")),
        ..cut(TitleKind::LowerThird, &["One"])
    };
    let mut run = run(&studio, &title);
    run.show(frame(0));
    until(&mut run, frame(1), noon(), |drawings| !drawings.is_empty());
    run.set_lines(lines("Two, which is longer"), MediaTime::ZERO);
    let missing = format!(
        "{}: there is no such file",
        files.path().join("none.png").display()
    );
    assert_eq!(
        run.take_notices(),
        [
            "the font \"Comic Sans MS\" is not installed; \"Open Sans\" is used (fc-list : family lists what there is)",
            &missing,
        ]
    );
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        run.draw(frame(3), noon());
        std::thread::yield_now();
    }
    assert!(run.take_notices().is_empty());
}

/// A picture of the hall, not cut off, and not an odd number of pixels anywhere.
#[test]
fn all_kinds_keep_to_even_pixels_on_any_canvas() {
    let studio = studio();
    let files = tempfile::tempdir().unwrap();
    let image = Some(logo(files.path()));
    for (width, height) in [(128, 128), (640, 360), (1_080, 1_920)] {
        for kind in [
            TitleKind::LowerThird,
            TitleKind::Logo,
            TitleKind::Clock,
            TitleKind::Ticker,
            TitleKind::Slide,
            TitleKind::Text,
        ] {
            let title = Title {
                image: image.clone(),
                ..title(kind, &["Anna Rossi", "Mayor of Trento"])
            };
            let mut run = TitleRun::new(&title, canvas(width, height), &studio, TimeZone::UTC);
            run.show(frame(0));
            let start = Instant::now();
            let begun = (0..).find(|n| {
                assert!(start.elapsed() < PATIENCE, "{kind:?} is not drawn");
                std::thread::yield_now();
                !run.draw(frame(*n), noon()).is_empty()
            });
            let begun = begun.unwrap();
            for n in [0, 1, 3, 7, 12, 40] {
                for drawing in run.draw(frame(begun + n), noon()) {
                    let (x, y) = (drawing.x, drawing.y);
                    assert!(x % 2 == 0 && y % 2 == 0, "{kind:?} {n}");
                    let even = |clip: super::Rect| [clip.x, clip.y, clip.width, clip.height];
                    let clip = drawing.clip.map(even).into_iter().flatten();
                    assert!(clip.into_iter().all(|side| side % 2 == 0), "{kind:?} {n}");
                    if n == 40 && kind != TitleKind::Ticker {
                        assert!(
                            x >= 0 && x as usize + drawing.raster.width <= width,
                            "{kind:?}"
                        );
                        assert!(
                            y >= 0 && y as usize + drawing.raster.height <= height,
                            "{kind:?}"
                        );
                    }
                }
            }
        }
    }
}
