//! VTIMEZONE: a zone's rules inside a calendar, for programs that know no zone of that name; and which zone such rules mean. Pure, with
//! the zones that there are.

use super::export::Lines;
use crate::calendar::{Rule, zones};
use icalendar::parser::Component;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeMap;

/// Transitions are written for so long from now on.
const YEARS: i64 = 12;

/// One way in which clocks change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    from: Offset,
    to: Offset,
    name: String,
    daylight: bool,
}

pub(super) fn write(out: &mut Lines, name: &str, zone: &TimeZone, since: DateTime, now: Timestamp) {
    out.push("BEGIN:VTIMEZONE");
    out.push(&format!("TZID:{name}"));
    let since = zone
        .to_ambiguous_timestamp(since)
        .compatible()
        .unwrap_or(now);
    let first = zone.preceding(since).next();
    let from = first
        .as_ref()
        .map_or(since, |transition| transition.timestamp());
    let until = now.checked_add((YEARS * 366 * 24).hours()).unwrap_or(now);
    let mut changes: BTreeMap<Change, Vec<DateTime>> = BTreeMap::new();
    let just_before = |at: Timestamp| at.checked_sub(1.second()).unwrap_or(at);
    for transition in zone
        .following(just_before(from))
        .take_while(|one| one.timestamp() < until)
    {
        let at = transition.timestamp();
        let before = zone.to_offset(just_before(at));
        let change = Change {
            from: before,
            to: transition.offset(),
            name: transition.abbreviation().to_owned(),
            daylight: transition.dst().is_dst(),
        };
        changes
            .entry(change)
            .or_default()
            .push(before.to_datetime(at));
    }
    if first.is_none() {
        let info = zone.to_offset_info(since);
        let change = Change {
            from: info.offset(),
            to: info.offset(),
            name: info.abbreviation().to_owned(),
            daylight: false,
        };
        changes
            .entry(change)
            .or_default()
            .insert(0, Date::constant(1970, 1, 1).at(0, 0, 0, 0));
    }
    for (change, onsets) in changes {
        let kind = if change.daylight {
            "DAYLIGHT"
        } else {
            "STANDARD"
        };
        out.push(&format!("BEGIN:{kind}"));
        let Some((start, later)) = onsets.split_first() else {
            continue;
        };
        out.push(&format!("DTSTART:{}", start.strftime("%Y%m%dT%H%M%S")));
        out.push(&format!("TZOFFSETFROM:{}", offset_text(change.from)));
        out.push(&format!("TZOFFSETTO:{}", offset_text(change.to)));
        out.text("TZNAME", &change.name);
        match yearly(&onsets) {
            Some(rule) => out.push(&format!("RRULE:{rule}")),
            None => {
                for onset in later {
                    out.push(&format!("RDATE:{}", onset.strftime("%Y%m%dT%H%M%S")));
                }
            }
        }
        out.push(&format!("END:{kind}"));
    }
    out.push("END:VTIMEZONE");
}

fn offset_text(offset: Offset) -> String {
    let s = offset.seconds();
    let (sign, all) = (if s < 0 { '-' } else { '+' }, s.abs());
    let seconds = if all % 60 == 0 {
        String::new()
    } else {
        format!("{:02}", all % 60)
    };
    format!("{sign}{:02}{:02}{seconds}", all / 3_600, all / 60 % 60)
}

/// The rule that gives just these, if they are one a year and alike.
fn yearly(onsets: &[DateTime]) -> Option<String> {
    let start = onsets.first().filter(|_| onsets.len() > 2)?;
    let day = match start.date().weekday() {
        jiff::civil::Weekday::Monday => "MO",
        jiff::civil::Weekday::Tuesday => "TU",
        jiff::civil::Weekday::Wednesday => "WE",
        jiff::civil::Weekday::Thursday => "TH",
        jiff::civil::Weekday::Friday => "FR",
        jiff::civil::Weekday::Saturday => "SA",
        jiff::civil::Weekday::Sunday => "SU",
    };
    let nth = (start.day() - 1) / 7 + 1;
    [-1, nth].into_iter().find_map(|nth| {
        let text = format!("FREQ=YEARLY;BYMONTH={};BYDAY={nth}{day}", start.month());
        let rule = Rule::parse(&text, *start).ok()?;
        let same = rule
            .times(*start, *start, &TimeZone::UTC)
            .take(onsets.len())
            .eq(onsets.iter().copied());
        same.then_some(text)
    })
}

/// What a calendar's VTIMEZONE does.
struct Observance {
    start: DateTime,
    to: i32,
    rule: Option<Rule>,
    dates: Vec<DateTime>,
}

/// The zone that a VTIMEZONE means by what it does from `since` on; `here` is taken before others that do the same.
pub(super) fn recognise(component: &Component<'_>, since: DateTime, here: &str) -> Option<String> {
    let observances: Vec<Observance> = component.components.iter().filter_map(observance).collect();
    if observances.is_empty() {
        return None;
    }
    let samples: Vec<DateTime> = (0..48)
        .filter_map(|n| {
            let month = i32::from(since.month()) - 1 + n;
            let year = i16::try_from(i32::from(since.year()) + month / 12).ok()?;
            Date::new(year, i8::try_from(month % 12 + 1).ok()?, 15).ok()
        })
        .map(|date| date.at(12, 0, 0, 0))
        .collect();
    let wanted: Option<Vec<i32>> = samples
        .iter()
        .map(|time| offset_at(&observances, *time))
        .collect();
    let wanted = wanted?;
    let does_the_same = |name: &&String| {
        let Some(zone) = zones::find(name) else {
            return false;
        };
        samples.iter().zip(&wanted).all(|(time, wanted)| {
            let at = zone.to_ambiguous_timestamp(*time).compatible();
            at.is_ok_and(|at| zone.to_offset(at).seconds() == *wanted)
        })
    };
    let own = [here.to_owned()];
    let all = zones::names();
    let (usual, others): (Vec<&String>, Vec<&String>) =
        all.iter().partition(|name| zones::is_usual(name));
    own.iter()
        .chain(usual)
        .chain(others)
        .find(does_the_same)
        .cloned()
}

fn observance(component: &Component<'_>) -> Option<Observance> {
    if !matches!(component.name.as_str(), "STANDARD" | "DAYLIGHT") {
        return None;
    }
    let value = |key: &str| {
        component
            .find_prop(key)
            .map(|property| property.val.as_str().to_owned())
    };
    let start = DateTime::strptime("%Y%m%dT%H%M%S", value("DTSTART")?).ok()?;
    let rule = value("RRULE").and_then(|text| Rule::parse(&text, start).ok());
    let dates = component
        .properties
        .iter()
        .filter(|property| property.name.as_str() == "RDATE");
    Some(Observance {
        start,
        to: parse_offset(&value("TZOFFSETTO")?)?,
        rule,
        dates: dates
            .filter_map(|property| DateTime::strptime("%Y%m%dT%H%M%S", property.val.as_str()).ok())
            .collect(),
    })
}

fn parse_offset(text: &str) -> Option<i32> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.trim_start_matches(['+', '-']);
    if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let pair = |at: usize| {
        digits
            .get(at..at + 2)
            .map_or(Some(0), |pair| pair.parse::<i32>().ok())
    };
    Some(sign * (pair(0)? * 3_600 + pair(2)? * 60 + pair(4)?))
}

/// Of the change that was the last before that time.
fn offset_at(observances: &[Observance], time: DateTime) -> Option<i32> {
    let year_before = time.checked_sub(400.days()).unwrap_or(DateTime::MIN);
    let latest = |one: &Observance| {
        let by_rule = one.rule.as_ref().map(|rule| {
            let from = year_before.max(one.start);
            // Microsoft's zones have begun in 1601: what is before is not counted through.
            let start = if one.start < from {
                nearer(one.start, from)
            } else {
                one.start
            };
            rule.times(start, from, &TimeZone::UTC)
                .take_while(|at| *at <= time)
                .last()
        });
        let dates = one
            .dates
            .iter()
            .copied()
            .chain([one.start])
            .filter(|at| *at <= time)
            .max();
        by_rule.flatten().max(dates)
    };
    let with_times = observances
        .iter()
        .filter_map(|one| Some((latest(one)?, one.to)));
    with_times.max().map(|(_, to)| to)
}

/// The same day of a year shortly before: yearly rules count from January.
fn nearer(start: DateTime, from: DateTime) -> DateTime {
    let date = Date::new(from.year() - 1, start.month(), start.day().min(28));
    date.map_or(start, |date| date.to_datetime(start.time()))
}
