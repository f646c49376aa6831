//! Shows as a calendar. Pure.
//!
//! Written by hand: the crate that reads calendars puts a UID into every component, time zones too, which they may not have.

use super::vtimezone;
use crate::calendar::zones;
use crate::config::Show;
use crate::config::show::millis;
use jiff::Timestamp;
use jiff::civil::DateTime;
use std::collections::BTreeMap;

/// Longer lines are folded (RFC 5545, 3.1), in bytes.
const LINE: usize = 75;

/// Content lines, folded and ended as the standard has it.
#[derive(Default)]
pub(super) struct Lines(String);

impl Lines {
    pub fn push(&mut self, line: &str) {
        let mut room = LINE;
        for c in line.chars() {
            if c.len_utf8() > room {
                self.0.push_str("\r\n ");
                room = LINE - 1;
            }
            self.0.push(c);
            room -= c.len_utf8();
        }
        self.0.push_str("\r\n");
    }

    pub fn text(&mut self, key: &str, text: &str) {
        let mut line = format!("{key}:");
        for c in text.chars() {
            match c {
                '\n' => line.push_str("\\n"),
                '\\' | ';' | ',' => line.extend(['\\', c]),
                c if c.is_control() => {}
                c => line.push(c),
            }
        }
        self.push(&line);
    }
}

/// `host` makes the events' ids the box's own.
pub fn export(shows: &[Show], host: &str, now: Timestamp) -> String {
    let mut out = Lines::default();
    out.push("BEGIN:VCALENDAR");
    out.push("VERSION:2.0");
    out.push(concat!(
        "PRODID:-//Regia//",
        env!("CARGO_PKG_VERSION"),
        "//EN"
    ));
    out.push("CALSCALE:GREGORIAN");
    out.push("METHOD:PUBLISH");
    out.text("X-WR-CALNAME", &format!("Shows on {host}"));
    // How often a phone asks again: both spellings are in use.
    out.push("REFRESH-INTERVAL;VALUE=DURATION:PT1H");
    out.push("X-PUBLISHED-TTL:PT1H");
    let mut since: BTreeMap<&str, DateTime> = BTreeMap::new();
    for show in shows.iter().filter(|show| show.zone != "UTC") {
        let start = since.entry(&show.zone).or_insert(show.recurrence.start);
        *start = show.recurrence.start.min(*start);
    }
    for (name, start) in since {
        if let Some(zone) = zones::find(name) {
            vtimezone::write(&mut out, name, &zone, start, now);
        }
    }
    for show in shows {
        write_show(&mut out, show, host, now);
    }
    out.push("END:VCALENDAR");
    out.0
}

fn write_show(out: &mut Lines, show: &Show, host: &str, now: Timestamp) {
    let recurrence = &show.recurrence;
    begin(out, show, host, now, recurrence.start);
    if let Some(rule) = &recurrence.rule {
        out.push(&format!("RRULE:{rule}"));
    }
    for time in &recurrence.except {
        out.push(&local("EXDATE", *time, &show.zone));
    }
    for time in &recurrence.added {
        out.push(&local("RDATE", *time, &show.zone));
    }
    out.push("END:VEVENT");
    for moved in &recurrence.moved {
        begin(out, show, host, now, moved.to);
        out.push(&local("RECURRENCE-ID", moved.from, &show.zone));
        out.push("END:VEVENT");
    }
}

fn begin(out: &mut Lines, show: &Show, host: &str, now: Timestamp, start: DateTime) {
    out.push("BEGIN:VEVENT");
    out.text("UID", &format!("{}@{host}", show.id));
    out.push(&format!("DTSTAMP:{}", now.strftime("%Y%m%dT%H%M%SZ")));
    out.push(&local("DTSTART", start, &show.zone));
    out.push(&format!("DURATION:PT{}S", millis(show.length) / 1_000));
    out.text("SUMMARY", show.title());
    let places = match show.destinations.as_slice() {
        [] => "every destination".to_owned(),
        some => some.join(", "),
    };
    out.text(
        "DESCRIPTION",
        &format!("Live to {places}. Times of {}.", show.zone),
    );
    // What another Regia takes it up by.
    out.text("X-REGIA-ID", &show.id);
}

fn local(key: &str, time: DateTime, zone: &str) -> String {
    let text = time.strftime("%Y%m%dT%H%M%S");
    match zone {
        "UTC" => format!("{key}:{text}Z"),
        zone => format!("{key};TZID={zone}:{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded_between_letters() {
        let mut out = Lines::default();
        out.text("SUMMARY", &"è, ".repeat(60));
        for line in out.0.split("\r\n") {
            assert!(line.len() <= LINE, "{line:?}");
        }
        let unfolded = out.0.replace("\r\n ", "");
        assert_eq!(unfolded, format!("SUMMARY:{}\r\n", "è\\, ".repeat(60)));
    }
}
