//! A recurrence rule of RFC 5545, over civil time: which days, at which time of the day, whatever the zone. Pure.
//!
//! The rrule crate expands it in a zone without changes; what a zone makes of the times is for `recurrence`. So zone data is the
//! machine's and can be updated, and not what the crate was built with.

use chrono::{Datelike, NaiveDate, TimeZone as _, Timelike};
use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rrule::{Frequency, RRule, RRuleSet, Tz, Unvalidated};
use std::fmt;

/// Longer than any rule that people or calendars write.
const LONGEST: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("{0:?} is no recurrence rule; for example \"FREQ=WEEKLY;BYDAY=SU\"")]
    NoRule(String),
    #[error(
        "a show can't recur more often than each day: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY, and BYHOUR names several times of a day"
    )]
    TooOften,
    #[error("the rule is not right: {0}")]
    Wrong(String),
    #[error("UNTIL={0} is no date; for example UNTIL=20271231T225959Z")]
    BadUntil(String),
    #[error("the rule has both COUNT and UNTIL: give one of them")]
    TwoEnds,
}

/// When it ends, this moment included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Instant(Timestamp),
    /// In the show's own zone.
    Civil(DateTime),
}

#[derive(Clone, Debug)]
pub struct Rule {
    /// As it was written, without "RRULE:".
    text: String,
    rule: RRule<Unvalidated>,
    until: Option<Until>,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Rule {
    /// Reads "FREQ=WEEKLY;BYDAY=SU", with or without "RRULE:" before it, for a show that first is at `start`.
    pub fn parse(text: &str, start: DateTime) -> Result<Rule, RuleError> {
        let text = text.trim();
        let text = text
            .strip_prefix("RRULE:")
            .unwrap_or(text)
            .to_ascii_uppercase();
        if text.is_empty() || text.len() > LONGEST || text.contains(['\n', '\r']) {
            return Err(RuleError::NoRule(text.chars().take(40).collect()));
        }
        let is_until = |part: &&str| part.starts_with("UNTIL=");
        let parts = || text.split(';').filter(|part| !part.is_empty());
        let until = match parts().filter(is_until).collect::<Vec<_>>().as_slice() {
            [] => None,
            [one] => Some(parse_until(&one["UNTIL=".len()..])?),
            _ => return Err(RuleError::Wrong("it has UNTIL twice".to_owned())),
        };
        let rest: Vec<&str> = parts().filter(|part| !is_until(part)).collect();
        if until.is_some() && rest.iter().any(|part| part.starts_with("COUNT=")) {
            return Err(RuleError::TwoEnds);
        }
        if !rest.iter().any(|part| part.starts_with("FREQ=")) {
            return Err(RuleError::NoRule(text));
        }
        let rule: RRule<Unvalidated> = rest
            .join(";")
            .parse()
            .map_err(|error: rrule::RRuleError| RuleError::Wrong(error.to_string()))?;
        let freq = rule.get_freq();
        if matches!(
            freq,
            Frequency::Hourly | Frequency::Minutely | Frequency::Secondly
        ) {
            return Err(RuleError::TooOften);
        }
        if rule.get_interval() == 0 {
            return Err(RuleError::Wrong("INTERVAL is 1 or more".to_owned()));
        }
        if rule.get_count() == Some(0) {
            return Err(RuleError::Wrong("COUNT is 1 or more".to_owned()));
        }
        let rule = Rule { text, rule, until };
        rule.set(start)
            .map_err(|error| RuleError::Wrong(error.to_string()))?;
        Ok(rule)
    }

    fn set(&self, start: DateTime) -> Result<RRuleSet, rrule::RRuleError> {
        let start = to_chrono(start);
        let valid = self.rule.clone().validate(start)?;
        Ok(RRuleSet::new(start).rrule(valid).limit())
    }

    /// The rule's times from `from` on, in their order, of a show that first is at `start`. It is bounded: a rule that finds nothing in
    /// some hundred years ends.
    pub fn times(&self, start: DateTime, from: DateTime, zone: &TimeZone) -> Times {
        let set = self.set(self.nearer(start, from));
        let until = self.until;
        let zone = zone.clone();
        let within = move |time: &DateTime| match until {
            None => true,
            Some(Until::Civil(last)) => *time <= last,
            Some(Until::Instant(last)) => zone
                .to_ambiguous_timestamp(*time)
                .compatible()
                .is_ok_and(|instant| instant <= last),
        };
        let times = set.into_iter().flat_map(|set| {
            // The set is owned by nobody else, and the crate iterates over borrowed ones only.
            let iter = (&set).into_iter();
            iter
        });
        let times = times
            .map_while(|time| from_chrono(&time))
            .skip_while(move |time| *time < from)
            .take_while(within);
        Times(Box::new(times))
    }

    /// A later start that gives the same times from `from` on, so that those of past years need not be counted through.
    fn nearer(&self, start: DateTime, from: DateTime) -> DateTime {
        let step = match (self.rule.get_freq(), self.rule.get_count()) {
            (Frequency::Daily, None) => 1,
            (Frequency::Weekly, None) => 7,
            // Months and years are few, and a start on the 31st or on leap day means that very day.
            _ => return start,
        };
        let step = step * i64::from(self.rule.get_interval());
        let days = i64::from(from.date().duration_since(start.date()).as_hours() as i32 / 24);
        let steps = (days / step - 1).max(0);
        let shift = Span::new().try_days(steps * step);
        shift
            .and_then(|shift| start.checked_add(shift))
            .unwrap_or(start)
    }
}

/// A rule's times.
pub struct Times(Box<dyn Iterator<Item = DateTime>>);

impl Iterator for Times {
    type Item = DateTime;

    fn next(&mut self) -> Option<DateTime> {
        self.0.next()
    }
}

/// `20271231`, `20271231T225959` or `20271231T225959Z`.
fn parse_until(text: &str) -> Result<Until, RuleError> {
    let bad = || RuleError::BadUntil(text.chars().take(40).collect());
    let (civil, utc) = match text.strip_suffix('Z') {
        Some(civil) => (civil, true),
        None => (text, false),
    };
    let (date, time) = civil.split_once('T').unwrap_or((civil, ""));
    let date = civil::Date::strptime("%Y%m%d", date).map_err(|_| bad())?;
    if date.strftime("%Y%m%d").to_string() != civil[..civil.find('T').unwrap_or(civil.len())] {
        return Err(bad());
    }
    if time.is_empty() {
        // A date alone means the whole day.
        return Ok(Until::Civil(date.at(23, 59, 59, 0)));
    }
    let time = civil::Time::strptime("%H%M%S", time).map_err(|_| bad())?;
    let last = date.to_datetime(time);
    if utc {
        let instant = last.to_zoned(TimeZone::UTC).map_err(|_| bad())?;
        return Ok(Until::Instant(instant.timestamp()));
    }
    Ok(Until::Civil(last))
}

/// In the crate's UTC, which has no gaps: only the civil time counts.
fn to_chrono(time: DateTime) -> chrono::DateTime<Tz> {
    let part = |n: i8| u32::try_from(n).unwrap_or(1);
    let date =
        NaiveDate::from_ymd_opt(i32::from(time.year()), part(time.month()), part(time.day()));
    let naive = date
        .and_then(|date| {
            date.and_hms_opt(part(time.hour()), part(time.minute()), part(time.second()))
        })
        .unwrap_or_default();
    Tz::UTC.from_utc_datetime(&naive)
}

fn from_chrono(time: &chrono::DateTime<Tz>) -> Option<DateTime> {
    let small = |n: u32| i8::try_from(n).ok();
    DateTime::new(
        i16::try_from(time.year()).ok()?,
        small(time.month())?,
        small(time.day())?,
        small(time.hour())?,
        small(time.minute())?,
        small(time.second())?,
        0,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    fn first(rule: &str, start: &str, from: &str, count: usize) -> Vec<String> {
        let rule = Rule::parse(rule, at(start)).unwrap();
        let times = rule.times(at(start), at(from), &TimeZone::UTC);
        times.take(count).map(|time| time.to_string()).collect()
    }

    #[test]
    fn years_that_have_passed_change_nothing() {
        for rule in [
            "FREQ=WEEKLY;BYDAY=SU",
            "FREQ=WEEKLY;INTERVAL=3;BYDAY=TU,SU;WKST=SU",
            "FREQ=WEEKLY;INTERVAL=2;WKST=MO;BYDAY=MO,SU",
            "FREQ=DAILY;INTERVAL=5",
            "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29",
        ] {
            let start = at("2020-02-04T10:00");
            let parsed = Rule::parse(rule, start).unwrap();
            let from = at("2026-07-30T09:00");
            let whole = parsed.set(start).unwrap();
            let slow: Vec<_> = (&whole)
                .into_iter()
                .map_while(|t| from_chrono(&t))
                .skip_while(|t| *t < from)
                .take(20)
                .collect();
            let fast: Vec<_> = parsed.times(start, from, &TimeZone::UTC).take(20).collect();
            assert_eq!(slow, fast, "{rule}");
        }
    }

    #[test]
    fn leap_day_is_a_day() {
        assert_eq!(
            first("FREQ=YEARLY", "2024-02-29T10:00", "2024-03-01T00:00", 2),
            ["2028-02-29T10:00:00", "2032-02-29T10:00:00"]
        );
    }

    #[test]
    fn ends() {
        let sundays = |rule: &str| first(rule, "2026-08-02T10:00", "2026-08-01T00:00", 9).len();
        assert_eq!(sundays("FREQ=WEEKLY;COUNT=3"), 3);
        assert_eq!(sundays("FREQ=WEEKLY;UNTIL=20260816"), 3);
        assert_eq!(sundays("FREQ=WEEKLY;UNTIL=20260816T100000"), 3);
        assert_eq!(sundays("RRULE:FREQ=WEEKLY;UNTIL=20260816T095959Z"), 2);
        assert_eq!(sundays("FREQ=WEEKLY"), 9);
    }

    #[test]
    fn what_is_no_rule() {
        let start = at("2026-08-02T10:00");
        let said = |rule: &str| Rule::parse(rule, start).unwrap_err().to_string();
        assert_eq!(
            said("FREQ=SECONDLY"),
            "a show can't recur more often than each day: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY, and BYHOUR names several times of a day"
        );
        assert_eq!(
            said("each sunday"),
            "\"EACH SUNDAY\" is no recurrence rule; for example \"FREQ=WEEKLY;BYDAY=SU\""
        );
        assert_eq!(
            said("FREQ=WEEKLY;UNTIL=20260230"),
            "UNTIL=20260230 is no date; for example UNTIL=20271231T225959Z"
        );
        assert_eq!(
            said("FREQ=WEEKLY;UNTIL=20270101;COUNT=3"),
            "the rule has both COUNT and UNTIL: give one of them"
        );
        for bad in [
            "FREQ=WEEKLY;INTERVAL=0",
            "FREQ=WEEKLY;COUNT=0",
            "FREQ=FORTNIGHTLY",
            "FREQ=WEEKLY;BYDAY=XX",
            "FREQ=MONTHLY;BYMONTHDAY=32",
            "FREQ=DAILY;BYHOUR=25",
            "FREQ=WEEKLY;UNTIL=2026é101",
            &"FREQ=WEEKLY;".repeat(200),
        ] {
            assert!(Rule::parse(bad, start).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_never_happens_ends() {
        let rule = "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30";
        assert_eq!(
            first(rule, "2026-08-02T10:00", "2026-08-01T00:00", 1),
            Vec::<String>::new()
        );
    }
}
