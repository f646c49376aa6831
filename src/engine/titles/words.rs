//! What is written on a title: lines made fit to be drawn, and what clocks and countdowns say. Pure.

use crate::config::CountdownTo;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// More of a line is never legible on a frame; drawing it would only take time.
const LONGEST_LINE: usize = 600;

/// The lines that have something to show, each as one line: control characters are gone (a pasted text carries some), breaks and
/// tabs are spaces, and what no frame could hold is cut.
pub fn clean(lines: &[String]) -> Vec<String> {
    clean_to(lines, LONGEST_LINE)
}

/// As `clean`, for lines of up to `longest` characters.
pub fn clean_to(lines: &[String], longest: usize) -> Vec<String> {
    let one = |line: &String| {
        let mut text = String::new();
        let mut characters = 0;
        for c in line.trim_start().chars() {
            let c = if is_space(c) { ' ' } else { c };
            if is_hidden(c) || (c == ' ' && text.ends_with(' ')) {
                continue;
            }
            if characters == longest {
                text.push('…');
                break;
            }
            text.push(c);
            characters += 1;
        }
        text.truncate(text.trim_end().len());
        text
    };
    lines
        .iter()
        .map(one)
        .filter(|text| !text.is_empty())
        .collect()
}

fn is_space(c: char) -> bool {
    // The no-break space keeps a number and its unit together.
    c.is_whitespace() && c != '\u{a0}' && c != '\u{202f}'
}

/// Not drawn, and harmful where it is acted upon: controls, overrides of the direction, and places for objects.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fff9}'..='\u{fffc}' | '\u{feff}')
}

/// How a clock's or countdown's lines are understood: the line that is a pattern of the time gives its form, the others
/// stand over the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Face {
    pub labels: Vec<String>,
    pub seconds: bool,
}

impl Face {
    pub fn of(lines: &[String]) -> Self {
        let mut face = Face {
            labels: Vec::new(),
            seconds: false,
        };
        for line in clean(lines) {
            match line.as_str() {
                "HH:MM" => face.seconds = false,
                "HH:MM:SS" => face.seconds = true,
                _ => face.labels.push(line),
            }
        }
        face
    }
}

/// "09:05" or "09:05:30".
pub fn clock(now: &Zoned, seconds: bool) -> String {
    let (h, m, s) = (now.hour(), now.minute(), now.second());
    if seconds {
        format!("{h:02}:{m:02}:{s:02}")
    } else {
        format!("{h:02}:{m:02}")
    }
}

/// What is left until `to`: "1:02:03", "2:03", and "0:00" from then on. It turns to 0:00 at the time itself, so a started
/// second counts as whole.
pub fn countdown(to: CountdownTo, now: Timestamp, zone: &TimeZone) -> String {
    let ms = until(to, now, zone).max(0);
    let s = (ms + 999) / 1_000;
    let (h, m, s) = (s / 3_600, s / 60 % 60, s % 60);
    if h > 0 {
        format!("{h}:{m:02}:{s:02}")
    } else {
        format!("{m}:{s:02}")
    }
}

/// Milliseconds. A time of day is the one nearest to now: 00:10 counted down to before midnight is the next day's, and at 10:05
/// a countdown to 10:00 is over rather than a day long.
fn until(to: CountdownTo, now: Timestamp, zone: &TimeZone) -> i64 {
    let left = |to: Timestamp| to.as_millisecond().saturating_sub(now.as_millisecond());
    match to {
        CountdownTo::At(time) => left(time),
        CountdownTo::OfDay(time) => {
            let today = now.to_zoned(zone.clone()).date();
            let days = [today.yesterday().ok(), Some(today), today.tomorrow().ok()];
            let times = days.into_iter().flatten().filter_map(|day| {
                let there = day.to_datetime(time).to_zoned(zone.clone()).ok()?;
                Some(left(there.timestamp()))
            });
            times.min_by_key(|ms| ms.abs()).unwrap_or(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn lines_are_made_fit() {
        let given = lines(&[
            "  Ana\tRossi \r\n",
            "",
            " \u{7}\u{1b}[31m",
            "a\u{202e}b\u{feff}c",
            "10\u{a0}%",
        ]);
        assert_eq!(clean(&given), ["Ana Rossi", "[31m", "abc", "10\u{a0}%"]);
        let long = clean(&["x".repeat(10_000)]);
        assert_eq!(long[0].chars().count(), LONGEST_LINE + 1);
        assert!(long[0].ends_with('…'));
    }

    #[test]
    fn a_clocks_lines_give_its_form() {
        let face = Face::of(&lines(&["Trento", "HH:MM:SS"]));
        assert!(face.seconds);
        assert_eq!(face.labels, ["Trento"]);
        assert!(!Face::of(&[]).seconds);
    }

    #[test]
    fn a_clock_says_the_zones_time() {
        let zone = TimeZone::get("Europe/Rome").unwrap();
        let now: Timestamp = "2026-07-01T07:05:09Z".parse().unwrap();
        assert_eq!(clock(&now.to_zoned(zone.clone()), false), "09:05");
        assert_eq!(clock(&now.to_zoned(zone), true), "09:05:09");
    }

    #[test]
    fn a_countdown_is_exact_at_its_end() {
        let to = CountdownTo::parse("2026-07-01T10:00:00Z").unwrap();
        let at = |time: &str| countdown(to, time.parse().unwrap(), &TimeZone::UTC);
        for (time, text) in [
            ("2026-07-01T08:57:57Z", "1:02:03"),
            ("2026-07-01T09:00:00Z", "1:00:00"),
            ("2026-07-01T09:00:00.001Z", "1:00:00"),
            ("2026-07-01T09:00:01Z", "59:59"),
            ("2026-07-01T09:59:59Z", "0:01"),
            ("2026-07-01T09:59:59.999Z", "0:01"),
            ("2026-07-01T10:00:00Z", "0:00"),
            ("2026-07-02T10:00:00Z", "0:00"),
        ] {
            assert_eq!(at(time), text, "{time}");
        }
    }

    #[test]
    fn a_time_of_day_is_the_nearest() {
        let zone = TimeZone::get("Europe/Rome").unwrap();
        let at = |to: &str, now: &str| {
            let to = CountdownTo::parse(to).unwrap();
            countdown(to, now.parse().unwrap(), &zone)
        };
        // Rome is two hours ahead in summer.
        assert_eq!(at("10:00", "2026-07-01T07:30:00Z"), "30:00");
        assert_eq!(at("10:00", "2026-07-01T08:05:00Z"), "0:00");
        assert_eq!(at("00:10", "2026-07-01T21:50:00Z"), "20:00");
        // The night the clocks go forward at 2:00 is an hour shorter.
        assert_eq!(at("04:00", "2026-03-29T00:30:00Z"), "1:30:00");
    }
}
