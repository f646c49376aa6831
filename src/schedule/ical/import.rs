//! A calendar's events as shows. Pure, with the zones that there are.

use super::vtimezone;
use crate::calendar::{Recurrence, Rule, RuleError, zones};
use icalendar::parser::{Component, Property, read_calendar, unfold};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A calendar that is longer, in bytes, is none of shows.
const MOST: usize = 16 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Without a word of it: what was sent instead may be a secret in the wrong place.
    #[error(
        "this is no calendar in iCalendar's form (it breaks off at line {line}): export it as .ics and send that"
    )]
    NoCalendar { line: usize },
    #[error("the calendar has no event that could be a show{0}")]
    Nothing(String),
    #[error("the calendar is longer than {MOST} bytes: export the shows alone")]
    TooLong,
    #[error("{event}: {reason}")]
    Event { event: String, reason: String },
}

/// Where the reader's error is; its text repeats what was read.
fn line_of(error: &str) -> usize {
    let mut words = error.split("at line ").skip(1);
    let number = words.next().and_then(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    number.unwrap_or(1)
}

/// What a calendar gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    /// Objects of a show's keys.
    pub shows: Vec<Value>,
    /// What was read otherwise than it stands there, or left out.
    pub notes: Vec<String>,
}

/// `length`: of events that have none. `here`: the zone of times that have none.
pub fn import(text: &str, length: Option<Duration>, here: &str) -> Result<Imported, ImportError> {
    if text.len() > MOST {
        return Err(ImportError::TooLong);
    }
    let text = text
        .trim_start_matches('\u{feff}')
        .replace("\r\n", "\n")
        .replace('\n', "\r\n");
    let unfolded = unfold(&text);
    let calendar = read_calendar(&unfolded).map_err(|error| ImportError::NoCalendar {
        line: line_of(&error),
    })?;
    let default = calendar
        .properties
        .iter()
        .find(|property| property.name.as_str() == "X-WR-TIMEZONE");
    let default = default
        .map(|property| property.val.as_str().to_owned())
        .filter(|name| zones::find(name).is_some());
    let mut reader = Reader {
        zones: calendar
            .components
            .iter()
            .filter(|one| one.name.as_str() == "VTIMEZONE")
            .collect(),
        default,
        here,
        length,
        ids: BTreeSet::new(),
        known: BTreeMap::new(),
        out: Imported::default(),
    };
    let mut masters: Vec<&Component<'_>> = Vec::new();
    let mut changes: BTreeMap<String, Vec<&Component<'_>>> = BTreeMap::new();
    for event in calendar
        .components
        .iter()
        .filter(|one| one.name.as_str() == "VEVENT")
    {
        match event.find_prop("RECURRENCE-ID") {
            None => masters.push(event),
            Some(_) => changes
                .entry(value(event, "UID").unwrap_or_default())
                .or_default()
                .push(event),
        }
    }
    for event in masters {
        let changes = value(event, "UID").and_then(|uid| changes.remove(&uid));
        reader.event(event, &changes.unwrap_or_default())?;
    }
    if !changes.is_empty() {
        reader.out.notes.push(format!(
            "{} changed occurrences without their event are left out",
            changes.len()
        ));
    }
    if reader.out.shows.is_empty() {
        let notes = reader.out.notes.join("; ");
        return Err(ImportError::Nothing(if notes.is_empty() {
            notes
        } else {
            format!(": {notes}")
        }));
    }
    Ok(reader.out)
}

fn value(component: &Component<'_>, key: &str) -> Option<String> {
    component
        .find_prop(key)
        .map(|property| property.val.as_str().to_owned())
}

fn parameter(property: &Property<'_>, key: &str) -> Option<String> {
    let found = property
        .params
        .iter()
        .find(|one| one.key.as_str().eq_ignore_ascii_case(key));
    found
        .and_then(|one| one.val.as_ref())
        .map(|text| text.as_str().trim_matches('"').to_owned())
}

fn text(component: &Component<'_>, key: &str) -> Option<String> {
    let property = component.find_prop(key)?;
    let text = property.val.clone().unescape_text();
    let text: String = text
        .as_str()
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A time as it stands in a calendar.
#[derive(Clone, Debug, PartialEq)]
enum Time {
    Utc(Timestamp),
    /// In the zone of that name in the calendar; None: in whatever zone one is.
    Local(DateTime, Option<String>),
    /// A whole day.
    Day,
}

struct Reader<'a> {
    zones: Vec<&'a Component<'a>>,
    /// The calendar's own zone.
    default: Option<String>,
    here: &'a str,
    length: Option<Duration>,
    ids: BTreeSet<String>,
    /// From a calendar's name for a zone to the IANA's.
    known: BTreeMap<String, String>,
    out: Imported,
}

impl Reader<'_> {
    fn event(
        &mut self,
        event: &Component<'_>,
        changes: &[&Component<'_>],
    ) -> Result<(), ImportError> {
        let name = text(event, "SUMMARY").unwrap_or_else(|| "show".to_owned());
        let fail = |reason: String| ImportError::Event {
            event: name.clone(),
            reason,
        };
        if value(event, "STATUS").is_some_and(|status| status.eq_ignore_ascii_case("CANCELLED")) {
            self.out
                .notes
                .push(format!("{name}: it is cancelled, and left out"));
            return Ok(());
        }
        let start = event
            .find_prop("DTSTART")
            .ok_or_else(|| fail("it has no start".to_owned()))?;
        let start = time(start).map_err(fail)?;
        let (zone_name, start) = match start {
            Time::Day => {
                self.out
                    .notes
                    .push(format!("{name}: it is of whole days, and left out"));
                return Ok(());
            }
            Time::Local(start, zone) => (self.zone(zone.as_deref(), start, &name)?, start),
            // Google writes single events in UTC and the venue's zone at the top.
            Time::Utc(at) => {
                let zone = self.default.clone().unwrap_or_else(|| "UTC".to_owned());
                let found = zones::find(&zone).unwrap_or(TimeZone::UTC);
                (zone, found.to_datetime(at))
            }
        };
        let zone = zones::find(&zone_name).ok_or_else(|| {
            fail(format!(
                "there is no time zone {zone_name:?} on this machine"
            ))
        })?;
        let length = self.length_of(event, start, &zone, &name)?;
        for unsupported in ["EXRULE"] {
            if event.find_prop(unsupported).is_some() {
                return Err(fail(format!(
                    "it has {unsupported}, which no calendar writes any more: write exceptions as EXDATE"
                )));
            }
        }
        let mut recurrence = Recurrence::once(start);
        let rules: Vec<&Property<'_>> = event
            .properties
            .iter()
            .filter(|one| one.name.as_str() == "RRULE")
            .collect();
        match rules.as_slice() {
            [] => {}
            [rule] => {
                let rule = Rule::parse(rule.val.as_str(), start)
                    .map_err(|error: RuleError| fail(error.to_string()))?;
                let first = rule.times(start, start, &zone).next();
                let first = first.ok_or_else(|| fail("its rule has no time at all".to_owned()))?;
                if first != start {
                    // The standard leaves open what that means; calendars show the start as well.
                    recurrence.added.push(start);
                    recurrence.start = first;
                }
                recurrence.rule = Some(
                    Rule::parse(&rule.to_string(), recurrence.start)
                        .map_err(|error| fail(error.to_string()))?,
                );
            }
            _ => {
                return Err(fail(
                    "it has several rules: make several events of it".to_owned(),
                ));
            }
        }
        let within = |time: Time, reader: &mut Self| -> Result<Option<DateTime>, ImportError> {
            Ok(match time {
                Time::Utc(at) => Some(zone.to_datetime(at)),
                Time::Local(time, None) => Some(time),
                Time::Local(time, Some(other)) => {
                    let other = reader.zone(Some(&other), time, &name)?;
                    if other == zone_name {
                        Some(time)
                    } else {
                        let other = zones::find(&other).unwrap_or(TimeZone::UTC);
                        other
                            .to_ambiguous_timestamp(time)
                            .compatible()
                            .ok()
                            .map(|at| zone.to_datetime(at))
                    }
                }
                Time::Day => None,
            })
        };
        for property in event
            .properties
            .iter()
            .filter(|one| one.name.as_str() == "RDATE")
        {
            for one in times(property).map_err(fail)? {
                recurrence.added.extend(within(one, self)?);
            }
        }
        recurrence.added.retain(|time| *time != recurrence.start);
        recurrence.added.sort();
        recurrence.added.dedup();
        let mut except = BTreeSet::new();
        for property in event
            .properties
            .iter()
            .filter(|one| one.name.as_str() == "EXDATE")
        {
            for one in times(property).map_err(fail)? {
                except.extend(within(one, self)?);
            }
        }
        let mut moved: BTreeMap<DateTime, DateTime> = BTreeMap::new();
        for change in changes {
            let (Some(id), Some(to)) = (
                change.find_prop("RECURRENCE-ID"),
                change.find_prop("DTSTART"),
            ) else {
                continue;
            };
            let from = within(time(id).map_err(fail)?, self)?;
            let to = within(time(to).map_err(fail)?, self)?;
            let (Some(from), Some(to)) = (from, to) else {
                continue;
            };
            if value(change, "STATUS")
                .is_some_and(|status| status.eq_ignore_ascii_case("CANCELLED"))
            {
                except.insert(from);
            } else if from != to {
                moved.insert(from, to);
            }
            if let Ok(other) = self.length_of(change, to, &zone, &name)
                && other != length
            {
                self.out.notes.push(format!(
                    "{name}: on {to} it has another length; the show's is taken"
                ));
            }
        }
        let there = |time: &DateTime| recurrence.occurrence(&zone, *time).is_some();
        let lost = except.iter().filter(|time| !there(time)).count()
            + moved.keys().filter(|time| !there(time)).count();
        if lost > 0 {
            self.out.notes.push(format!(
                "{name}: {lost} exceptions are about times that there are not, and left out"
            ));
        }
        let except: Vec<DateTime> = except
            .into_iter()
            .filter(|time| there(time) && !moved.contains_key(time))
            .collect();
        moved.retain(|time, _| there(time));
        let id = self.id(event, &name);
        let mut show = json!({
            "id": id,
            "name": name,
            "start": recurrence.start.to_string(),
            "zone": zone_name,
            "length_s": length.as_secs(),
        });
        let texts = |times: &[DateTime]| -> Value {
            times.iter().map(|time| json!(time.to_string())).collect()
        };
        if let Some(rule) = &recurrence.rule {
            show["repeat"] = json!(rule.to_string());
        }
        if !except.is_empty() {
            show["except"] = texts(&except);
        }
        if !recurrence.added.is_empty() {
            show["added"] = texts(&recurrence.added);
        }
        if !moved.is_empty() {
            let moved = moved
                .iter()
                .map(|(from, to)| json!({ "from": from.to_string(), "to": to.to_string() }));
            show["moved"] = moved.collect();
        }
        self.out.shows.push(show);
        Ok(())
    }

    /// The IANA's name of a calendar's zone.
    fn zone(
        &mut self,
        name: Option<&str>,
        at: DateTime,
        event: &str,
    ) -> Result<String, ImportError> {
        let Some(name) = name else {
            return Ok(self.default.clone().unwrap_or_else(|| self.here.to_owned()));
        };
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        let component = self
            .zones
            .iter()
            .find(|one| value(one, "TZID").is_some_and(|id| id.trim_matches('"') == name));
        // Some write a path of their own before it: /freeassociation.sourceforge.net/Europe/Rome.
        let path = name.trim_start_matches('/');
        let tail = (0..path.len())
            .filter(|at| *at == 0 || path.as_bytes()[at - 1] == b'/')
            .map(|at| &path[at..]);
        let location = component.and_then(|one| value(one, "X-LIC-LOCATION"));
        let by_name = std::iter::once(name)
            .chain(tail)
            .chain(location.as_deref())
            .find(|name| zones::find(name).is_some())
            .or_else(|| zones::from_windows(name))
            .map(str::to_owned);
        let found = match by_name {
            Some(found) => found,
            None => {
                let meant = component.and_then(|one| vtimezone::recognise(one, at, self.here));
                let meant = meant.ok_or_else(|| ImportError::Event {
                    event: event.to_owned(),
                    reason: format!(
                        "its time zone {name:?} is not known, and its rules are those of no zone"
                    ),
                })?;
                self.out.notes.push(format!(
                    "the zone {name:?} does what {meant} does, which is taken for it"
                ));
                meant
            }
        };
        self.known.insert(name.to_owned(), found.clone());
        Ok(found)
    }

    fn length_of(
        &mut self,
        event: &Component<'_>,
        start: DateTime,
        zone: &TimeZone,
        name: &str,
    ) -> Result<Duration, ImportError> {
        let fail = |reason: &str| ImportError::Event {
            event: name.to_owned(),
            reason: reason.to_owned(),
        };
        let found = match (event.find_prop("DTEND"), value(event, "DURATION")) {
            (Some(end), _) => {
                let begin = zone
                    .to_ambiguous_timestamp(start)
                    .compatible()
                    .map_err(|_| fail("its start is no date"))?;
                let end = match time(end).map_err(|reason| fail(&reason))? {
                    Time::Utc(at) => Some(at),
                    Time::Local(end, other) => {
                        let zone = match other {
                            Some(other) => zones::find(&self.zone(Some(&other), end, name)?)
                                .unwrap_or(TimeZone::UTC),
                            None => zone.clone(),
                        };
                        zone.to_ambiguous_timestamp(end).compatible().ok()
                    }
                    Time::Day => None,
                };
                end.map(|end| end.duration_since(begin))
            }
            (None, Some(text)) => {
                let span: Span = text
                    .parse()
                    .map_err(|_| fail("its DURATION can't be read"))?;
                span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
            }
            (None, None) => None,
        };
        match found
            .filter(|length| *length > SignedDuration::ZERO)
            .and_then(|length| Duration::try_from(length).ok())
        {
            Some(length) => Ok(length),
            None => self
                .length
                .ok_or_else(|| fail("it has no length: say one with --length")),
        }
    }

    /// A new one, from the event's name.
    fn id(&mut self, event: &Component<'_>, name: &str) -> String {
        let own = value(event, "X-REGIA-ID").unwrap_or_else(|| name.to_owned());
        let plain: String = own
            .to_lowercase()
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '_' {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        let parts: Vec<&str> = plain.split('-').filter(|part| !part.is_empty()).collect();
        let mut id: String = parts.join("-").chars().take(32).collect();
        id = id.trim_matches(['-', '_']).to_owned();
        if id.is_empty() {
            id = "show".to_owned();
        }
        let mut unique = id.clone();
        for number in 2.. {
            if self.ids.insert(unique.clone()) {
                break;
            }
            unique = format!("{id}-{number}");
        }
        unique
    }
}

fn time(property: &Property<'_>) -> Result<Time, String> {
    let mut all = times(property)?;
    match all.len() {
        1 => Ok(all.remove(0)),
        n => Err(format!("{} has {n} times", property.name.as_str())),
    }
}

/// One or several, with commas between.
fn times(property: &Property<'_>) -> Result<Vec<Time>, String> {
    let zone = parameter(property, "TZID");
    let one = |text: &str| {
        // Of a period, its beginning.
        let text = text.split('/').next().unwrap_or(text).trim();
        let bad = || format!("{} {text:?} is no date", property.name.as_str());
        if !text.contains('T') {
            return Date::strptime("%Y%m%d", text)
                .map(|_| Time::Day)
                .map_err(|_| bad());
        }
        if let Some(utc) = text.strip_suffix('Z') {
            let civil = DateTime::strptime("%Y%m%dT%H%M%S", utc).map_err(|_| bad())?;
            let at = civil.to_zoned(TimeZone::UTC).map_err(|_| bad())?;
            return Ok(Time::Utc(at.timestamp()));
        }
        let civil = DateTime::strptime("%Y%m%dT%H%M%S", text).map_err(|_| bad())?;
        Ok(Time::Local(civil, zone.clone()))
    };
    property.val.as_str().split(',').map(one).collect()
}
