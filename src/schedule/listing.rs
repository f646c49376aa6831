//! Shows and their next times as people see them. Pure.

use super::shelf::{Entry, Origin};
use crate::calendar::{Occurrence, Oddity};
use crate::config::Show;
use crate::config::show::millis;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A show, as far as a list needs it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    pub id: String,
    pub name: Option<String>,
    pub origin: Origin,
    pub zone: String,
    pub repeat: Option<String>,
    pub length_s: f64,
    /// The next occurrence's name, and when it goes live; None: it has been.
    pub occurrence: Option<String>,
    pub next_ms: Option<i64>,
    /// The same for people, with the venue's zone.
    pub next: Option<String>,
    /// Why it will not run; None: it will.
    pub problem: Option<String>,
}

/// An occurrence that is to come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upcoming {
    pub show: String,
    pub name: Option<String>,
    pub occurrence: String,
    pub start_ms: i64,
    pub end_ms: i64,
    /// With the venue's zone.
    pub at: String,
    pub zone: String,
    /// What the zone's clocks make of it, if anything.
    pub note: Option<String>,
}

impl Listed {
    /// `next` is its next occurrence; `show` is it, or why it can't be used.
    pub(super) fn of(
        id: &str,
        origin: Origin,
        show: Result<&Show, &String>,
        zone: &TimeZone,
        next: Option<&Occurrence>,
    ) -> Self {
        let problem = show.err().cloned();
        let show = show.ok();
        let next = next.filter(|_| show.is_some());
        Listed {
            id: id.to_owned(),
            name: show.and_then(|show| show.name.clone()),
            origin,
            zone: show.map(|show| show.zone.clone()).unwrap_or_default(),
            repeat: show
                .and_then(|show| show.recurrence.rule.as_ref())
                .map(ToString::to_string),
            length_s: show.map_or(0.0, |show| show.length.as_secs_f64()),
            occurrence: next.zip(show).map(|(next, show)| show.occurrence_id(next)),
            next_ms: next.map(|next| next.at.as_millisecond()),
            next: next.map(|next| at_text(next.at, zone)),
            problem,
        }
    }
}

/// The first `most` occurrences of all shows that begin before the horizon, in their order.
pub(super) fn upcoming<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    horizon: Timestamp,
    most: usize,
) -> Vec<Upcoming> {
    let mut soonest: Vec<(&Occurrence, &Show, &Entry)> = entries
        .filter_map(|entry| Some((entry.next()?, entry.show.as_ref().ok()?, entry)))
        .filter(|(next, ..)| next.at < horizon)
        .collect();
    // Whatever is not among the first by its next time is not by a later one.
    soonest.sort_by_key(|(next, ..)| next.at);
    soonest.truncate(most);
    let mut found: Vec<Upcoming> = Vec::new();
    for (next, show, entry) in soonest {
        let times = show
            .recurrence
            .occurrences(&entry.zone, next.at, horizon, most);
        found.extend(times.iter().map(|time| Upcoming::of(show, entry, time)));
    }
    found.sort_by_key(|one| one.start_ms);
    found.truncate(most);
    found
}

impl Upcoming {
    fn of(show: &Show, entry: &Entry, occurrence: &Occurrence) -> Self {
        let start_ms = occurrence.at.as_millisecond();
        Upcoming {
            show: show.id.clone(),
            name: show.name.clone(),
            occurrence: show.occurrence_id(occurrence),
            start_ms,
            end_ms: start_ms.saturating_add(millis(show.length)),
            at: at_text(occurrence.at, &entry.zone),
            zone: show.zone.clone(),
            note: occurrence
                .oddity
                .map(|oddity| oddity_text(oddity).to_owned()),
        }
    }
}

pub(super) fn oddity_text(oddity: Oddity) -> &'static str {
    match oddity {
        Oddity::InGap => "the clocks skip its time that day: it is later by as much",
        Oddity::Doubled => "its time comes twice that day: the first counts",
    }
}

/// With the zone's own word, so that nobody takes it for another's.
pub(super) fn at_text(at: Timestamp, zone: &TimeZone) -> String {
    let name = zone.iana_name().unwrap_or("UTC").to_owned();
    let zoned = at.to_zoned(zone.clone());
    format!("{} ({name})", zoned.strftime("%a %Y-%m-%d %H:%M:%S %Z"))
}
