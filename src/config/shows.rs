//! `[[show]]`: what is planned. The same keys, as a text or a JSON object of their own, are what the API takes.

use super::inputs::{ids, unknown_reference};
use super::problem::{ConfigErrors, Severity};
use super::reader::{Table, did_you_mean};
use super::report::{At, Report};
use super::settings::Settings;
use super::show::{Missed, Overrun, Show, Step};
use super::steps::{check_steps, step};
use crate::calendar::{Moved, Recurrence, Rule, Timeline, zones};
use crate::store;
use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeMap;
use std::time::Duration;
use toml::de::DeTable;

const SHORTEST: Duration = Duration::from_secs(5);
pub(super) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3_600);
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);
const LONGEST_TEXT: usize = 500;
/// Steps, exceptions and moves of one show: more than anybody writes by hand.
const MOST: usize = 2_000;
/// A show may be late by so much when nobody says.
pub const LATE_WITHIN: Duration = Duration::from_secs(15 * 60);
pub const EXTEND_BY: Duration = Duration::from_secs(15 * 60);
/// How far ahead two shows are looked at for being in each other's way, and for how many times of each.
pub const CONFLICT_DAYS: i64 = 2 * 366;
pub const CONFLICT_TIMES: usize = 2_000;

/// The ids that a show may name.
pub(super) struct Known {
    pub(super) destinations: Vec<String>,
    pub(super) scenes: Vec<String>,
    pub(super) overlays: Vec<String>,
    pub(super) titles: Vec<String>,
    pub(super) sources: Vec<String>,
    pub(super) recordings: Vec<String>,
}

impl Known {
    pub fn of(settings: &Settings) -> Self {
        let ids = |all: &mut dyn Iterator<Item = &String>| all.cloned().collect();
        Known {
            destinations: ids(&mut settings.destinations.iter().map(|one| &one.id)),
            scenes: ids(&mut settings.scenes.iter().map(|one| &one.id)),
            overlays: ids(&mut settings.overlays.iter().map(|one| &one.id)),
            titles: ids(&mut settings.titles.iter().map(|one| &one.id)),
            sources: ids(&mut settings.sources.iter().map(|one| &one.id)),
            recordings: ids(&mut settings.recordings.iter().map(|one| &one.id)),
        }
    }
}

/// A show from its own text: the keys of a `[[show]]`, with or without that line. `file` is its name in problems.
pub fn parse_show(text: &str, file: &str, settings: &Settings) -> Result<Show, ConfigErrors> {
    let report = Report::new(file, text);
    let (document, syntax) = DeTable::parse_recoverable(text);
    let root = Table::root(&report, document.get_ref());
    let known = Known::of(settings);
    let show = if root.has("show") {
        let tables = root.tables("show");
        if tables.len() > 1 {
            root.problem(
                "show",
                "there are several shows here",
                "save them one by one",
            );
        }
        let id = ids(&tables).pop().flatten();
        let show = tables.first().and_then(|table| show(table, id, &known));
        root.finish();
        show
    } else {
        let tables = [root];
        let id = ids(&tables).pop().flatten();
        show(&tables[0], id, &known)
    };
    let problems = report.finish(&syntax);
    let is_problem = problems.iter().any(|p| p.severity == Severity::Problem);
    match show {
        Some(show) if !is_problem => Ok(show),
        _ => Err(ConfigErrors { problems }),
    }
}

/// All shows of the configuration, none in another's way.
pub(super) fn shows(root: &Table<'_>, known: &Known) -> Vec<Show> {
    let tables = root.tables("show");
    let mut planned = Timeline::default();
    let now = Timestamp::now();
    let mut shows = Vec::new();
    for (table, id) in tables.iter().zip(ids(&tables)) {
        let Some(show) = show(table, id, known) else {
            continue;
        };
        if let Some(zone) = zones::find(&show.zone) {
            let horizon = now.checked_add((CONFLICT_DAYS * 24).hours());
            let to = horizon.unwrap_or(Timestamp::MAX);
            if let Err(conflict) = planned.add(show.occupied(&zone, now, to, CONFLICT_TIMES)) {
                let what = conflict_text(&conflict, &zone);
                table.problem(
                    "start",
                    what,
                    "one box makes one programme: move one of them",
                );
            }
        }
        shows.push(show);
    }
    shows
}

/// Both shows, and when.
pub fn conflict_text(conflict: &crate::calendar::Conflict, zone: &jiff::tz::TimeZone) -> String {
    let at = |instant: Timestamp| {
        instant
            .to_zoned(zone.clone())
            .strftime("%a %Y-%m-%d %H:%M %Z")
            .to_string()
    };
    let (one, other) = (&conflict.one, &conflict.other);
    if one.show == other.show {
        return format!(
            "{:?} is in its own way: it begins at {} and would not be over from the time before until {}",
            one.show,
            at(one.from.max(other.from)),
            at(one.to.min(other.to))
        );
    }
    format!(
        "{:?} on {} is in the way of {:?}, which has the box from {} to {}",
        one.show,
        at(one.from),
        other.show,
        at(other.from),
        at(other.to)
    )
}

fn show(table: &Table<'_>, id: Option<String>, known: &Known) -> Option<Show> {
    let name = text(table, "name", "Sunday service");
    let zone = zone(table);
    let recurrence = recurrence(table, zone.as_deref());
    let length = table.duration("length_s", SHORTEST..=LONGEST);
    table.missing(
        "length_s",
        "how long it is planned to be, for example length_s = \"90m\"",
    );
    let destinations = references(table, "destinations", "destination", &known.destinations);
    let scenes = references(table, "scenes", "scene", &known.scenes);
    let keys = keys(table, known, &destinations);
    let missed = missed(table);
    let overrun = overrun(table);
    let tables = table.tables("step");
    if tables.len() > MOST {
        let what = format!(
            "there are {} steps, and at most {MOST} can be",
            tables.len()
        );
        table.problem("step", what, "");
    }
    let shown = if scenes.is_empty() {
        &known.scenes
    } else {
        &scenes
    };
    let read = tables
        .iter()
        .map(|table| step(table, known, shown, !scenes.is_empty()));
    let steps: Option<Vec<Step>> = read.collect::<Vec<_>>().into_iter().collect();
    if let (Some(steps), Some(length)) = (&steps, length) {
        check_steps(&tables, steps, length);
    }
    table.finish();
    Some(Show {
        id: id?,
        name,
        destinations,
        keys,
        scenes,
        zone: zone?,
        recurrence: recurrence?,
        length: length?,
        missed,
        overrun,
        steps: steps?,
    })
}

pub(super) fn text(table: &Table<'_>, key: &'static str, example: &str) -> Option<String> {
    let text = table.string(key, example)?;
    if text.chars().count() > LONGEST_TEXT || text.chars().any(|c| c.is_control() && c != '\n') {
        let what = format!("must be text of at most {LONGEST_TEXT} characters");
        table.problem(key, what, "");
        return None;
    }
    Some(text.to_owned())
}

fn zone(table: &Table<'_>) -> Option<String> {
    let Some(name) = table.string("zone", "Europe/Rome") else {
        return (!table.has("zone")).then(zones::here);
    };
    if zones::find(name).is_some() {
        return Some(name.to_owned());
    }
    let names = zones::names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let instead = match did_you_mean(name, &names) {
        near if near.is_empty() => "for example \"Europe/Rome\"".to_owned(),
        near => near,
    };
    table.problem("zone", format!("there is no time zone {name:?}"), instead);
    None
}

fn recurrence(table: &Table<'_>, zone: Option<&str>) -> Option<Recurrence> {
    table.missing(
        "start",
        "when it first is, for example start = \"2026-08-02T10:00\"",
    );
    let start = civil(table, "start");
    let rule = match (table.string("repeat", "FREQ=WEEKLY"), start) {
        (Some(text), Some(start)) => match Rule::parse(text, start) {
            Ok(rule) => Some(rule),
            Err(error) => {
                table.problem("repeat", error.to_string(), "");
                return None;
            }
        },
        _ => None,
    };
    let except = civils(table, "except");
    let added = civils(table, "added");
    let mut moved = Vec::new();
    for table in table.tables("moved") {
        table.missing("from", "the time by the rule");
        table.missing("to", "when it is instead");
        if let (Some(from), Some(to)) = (civil(&table, "from"), civil(&table, "to")) {
            moved.push(Moved { from, to });
        }
        table.finish();
    }
    if except.len() + added.len() + moved.len() > MOST {
        let what = format!("more than {MOST} exceptions");
        table.problem("except", what, "change the rule");
        return None;
    }
    let recurrence = Recurrence {
        start: start?,
        rule,
        except,
        moved,
        added,
    };
    // Without a zone, that has been reported.
    let zone = zones::find(zone?)?;
    if let Err(error) = recurrence.check(&zone) {
        use crate::calendar::RecurrenceError::*;
        let key = match error {
            Rule(_) | Never => "repeat",
            StartNotInRule { .. } => "start",
            NotATime(_) | ExceptedAndMoved(_) if recurrence.except.is_empty() => "moved",
            NotATime(_) | ExceptedAndMoved(_) => "except",
        };
        table.problem(key, error.to_string(), "");
        return None;
    }
    Some(recurrence)
}

fn civil(table: &Table<'_>, key: &'static str) -> Option<DateTime> {
    let text = table.string_or_date(key, "2026-08-02T10:00")?;
    let time = parse_civil(&text);
    if time.is_none() {
        not_civil(table, &table.at(key), &text);
    }
    time
}

fn civils(table: &Table<'_>, key: &'static str) -> Vec<DateTime> {
    let mut times = Vec::new();
    for (text, at) in table.strings(key, "2026-08-02T10:00") {
        match parse_civil(text) {
            Some(time) => times.push(time),
            None => not_civil(table, &at, text),
        }
    }
    times
}

fn not_civil(table: &Table<'_>, at: &At, text: &str) {
    let what = format!("{text:?} is no date with a time of the venue");
    table
        .report()
        .problem(at, what, "for example \"2026-08-02T10:00\"");
}

/// To the second, without a zone: the zone has a key of its own.
fn parse_civil(text: &str) -> Option<DateTime> {
    let marked = text.ends_with(['Z', 'z', ']']) || text.get(10..)?.contains(['+', '-']);
    if marked {
        return None;
    }
    let time: DateTime = text.parse().ok()?;
    let in_reach = (1970..=2200).contains(&time.year());
    (in_reach && time.subsec_nanosecond() == 0).then_some(time)
}

fn references(table: &Table<'_>, key: &'static str, what: &str, known: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (id, at) in table.strings(key, "main") {
        if known.iter().any(|known| known == id) {
            found.push(id.to_owned());
        } else {
            unknown_reference(table.report(), &at, what, id, known);
        }
    }
    found
}

pub(super) fn reference(
    table: &Table<'_>,
    key: &'static str,
    what: &str,
    known: &[String],
) -> Option<String> {
    table.missing(key, format!("the id of a {what}"));
    let id = table.string(key, "main")?;
    if known.iter().any(|known| known == id) {
        return Some(id.to_owned());
    }
    unknown_reference(table.report(), &table.at(key), what, id, known);
    None
}

/// `keys = { youtube = "slot" }`
fn keys(table: &Table<'_>, known: &Known, chosen: &[String]) -> BTreeMap<String, String> {
    let slots = table.any_strings("keys");
    let mut keys = BTreeMap::new();
    for (destination, slot, at) in slots {
        if !known.destinations.contains(&destination) {
            unknown_reference(
                table.report(),
                &at,
                "destination",
                &destination,
                &known.destinations,
            );
        } else if store::check_name(&slot).is_err() {
            // Not quoted: a key that was pasted there looks exactly like a name.
            let what = "is not the name of a key slot";
            let instead = "letters, digits, - and _; `regia key set NAME` fills it";
            table.report().problem(&at, what, instead);
        } else if !chosen.is_empty() && !chosen.contains(&destination) {
            let what = format!("the show does not go to {destination:?}");
            table
                .report()
                .problem(&at, what, "leave the slot out, or name the destination");
        } else {
            keys.insert(destination, slot);
        }
    }
    keys
}

fn missed(table: &Table<'_>) -> Missed {
    let late = table.word("missed", &[("late", true), ("skip", false)]);
    let within = table.duration("late_within_s", Duration::from_secs(1)..=LONGEST_WAIT);
    match late {
        Some(false) => {
            if table.has("late_within_s") {
                table.problem(
                    "late_within_s",
                    "is there, and missed = \"skip\"",
                    "leave one of them out",
                );
            }
            Missed::Skip
        }
        _ => Missed::Late {
            within: within.unwrap_or(LATE_WITHIN),
        },
    }
}

fn overrun(table: &Table<'_>) -> Overrun {
    let words = [("extend", 'x'), ("end", 'e'), ("yield", 'y')];
    let word = table.word("overrun", &words);
    let by = table.duration("extend_s", Duration::from_secs(1)..=LONGEST_WAIT);
    if word.is_some_and(|word| word != 'x') && table.has("extend_s") {
        table.problem(
            "extend_s",
            "is there, and overrun is not \"extend\"",
            "leave one of them out",
        );
    }
    match word {
        Some('e') => Overrun::End,
        Some('y') => Overrun::Yield,
        _ => Overrun::Extend {
            by: by.unwrap_or(EXTEND_BY),
        },
    }
}
