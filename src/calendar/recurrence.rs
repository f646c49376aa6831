//! A show's times: a start, a rule, exceptions, moved and added ones, in civil time; and when that is in a zone. Pure.
//!
//! Where a zone's clocks change, RFC 5545 (3.3.5) holds. A time that the clocks skip is read with the offset before the gap: a
//! show at 02:30 is at 03:30 that night, as long after 01:30 as ever. A time that comes twice means the first. Either way an
//! occurrence happens once.

use super::rule::{Rule, RuleError};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};

/// A day more on either side than any zone is from UTC.
const MARGIN_DAYS: i64 = 2;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecurrenceError {
    #[error(transparent)]
    Rule(#[from] RuleError),
    #[error("the start, {start}, is not one of the rule's times; the first of them is {first}")]
    StartNotInRule { start: DateTime, first: DateTime },
    #[error("the rule has no time at all: such a day does not exist")]
    Never,
    #[error("{0} is none of the show's times")]
    NotATime(DateTime),
    #[error("{0} is excepted and moved: say one of them")]
    ExceptedAndMoved(DateTime),
}

/// One time that is at another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub from: DateTime,
    pub to: DateTime,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Recurrence {
    /// The first time, in the show's zone.
    pub start: DateTime,
    /// None: once.
    pub rule: Option<Rule>,
    pub except: Vec<DateTime>,
    pub moved: Vec<Moved>,
    pub added: Vec<DateTime>,
}

/// What a zone made of an occurrence's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// The clocks skip it: it is later by the gap.
    InGap,
    /// It comes twice: the first counts.
    Doubled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Names it, also when it is moved: its time by the rule.
    pub original: DateTime,
    pub at: Timestamp,
    pub oddity: Option<Oddity>,
}

impl Recurrence {
    pub fn once(start: DateTime) -> Self {
        Recurrence {
            start,
            rule: None,
            except: Vec::new(),
            moved: Vec::new(),
            added: Vec::new(),
        }
    }

    /// That exceptions and moves are about times that there are, and that there are any.
    pub fn check(&self, zone: &TimeZone) -> Result<(), RecurrenceError> {
        if let Some(rule) = &self.rule {
            let first = rule.times(self.start, self.start, zone).next();
            let first = first.ok_or(RecurrenceError::Never)?;
            if first != self.start {
                let start = self.start;
                return Err(RecurrenceError::StartNotInRule { start, first });
            }
        }
        let moved = self.moved.iter().map(|moved| moved.from);
        for time in self.except.iter().copied().chain(moved) {
            let of_rule = match &self.rule {
                Some(rule) => rule.times(self.start, time, zone).next() == Some(time),
                None => self.start == time,
            };
            if !of_rule && !self.added.contains(&time) {
                return Err(RecurrenceError::NotATime(time));
            }
        }
        let both = self
            .moved
            .iter()
            .find(|moved| self.except.contains(&moved.from));
        match both {
            Some(moved) => Err(RecurrenceError::ExceptedAndMoved(moved.from)),
            None => Ok(()),
        }
    }

    /// At most `most` occurrences that begin at `from` or later and before `to`, in their order.
    pub fn occurrences(
        &self,
        zone: &TimeZone,
        from: Timestamp,
        to: Timestamp,
        most: usize,
    ) -> Vec<Occurrence> {
        let margin = Span::new().days(MARGIN_DAYS);
        let civil = |instant: Timestamp| zone.to_datetime(instant);
        let first = civil(from).checked_sub(margin).unwrap_or(DateTime::MIN);
        let last = civil(to).checked_add(margin).unwrap_or(DateTime::MAX);
        let plain = |time: &DateTime| {
            !self.except.contains(time) && !self.moved.iter().any(|moved| moved.from == *time)
        };
        let by_rule: Box<dyn Iterator<Item = DateTime>> = match &self.rule {
            Some(rule) => Box::new(rule.times(self.start, first.max(self.start), zone)),
            None => Box::new(std::iter::once(self.start)),
        };
        let added = self
            .added
            .iter()
            .copied()
            .filter(|time| *time != self.start || self.rule.is_some());
        let moved = self.moved.iter().map(|moved| (moved.from, moved.to));
        // Of the rule's, those before `from` by their civil time do not count towards `most`: they are few.
        let by_rule = by_rule
            .take_while(|time| *time < last)
            .filter(plain)
            .map(|time| place(zone, time, time))
            .filter(|found| found.as_ref().is_none_or(|found| found.at >= from))
            .take(most);
        let others = added
            .filter(plain)
            .map(|time| (time, time))
            .chain(moved)
            .map(|(original, time)| place(zone, original, time));
        let mut found: Vec<Occurrence> = by_rule
            .chain(others)
            .flatten()
            .filter(|found| found.at >= from && found.at < to)
            .collect();
        found.sort_by_key(|found| (found.at, found.original));
        found.dedup();
        found.truncate(most);
        found
    }

    /// The first at `from` or later, within the century.
    pub fn next(&self, zone: &TimeZone, from: Timestamp) -> Option<Occurrence> {
        let century = from.checked_add((100 * 366 * 24).hours());
        let to = century.unwrap_or(Timestamp::MAX);
        self.occurrences(zone, from, to, 1).pop()
    }

    /// The one that is named by its original time.
    pub fn occurrence(&self, zone: &TimeZone, original: DateTime) -> Option<Occurrence> {
        if self.except.contains(&original) {
            return None;
        }
        if let Some(moved) = self.moved.iter().find(|moved| moved.from == original) {
            return place(zone, original, moved.to);
        }
        let of_rule = match &self.rule {
            Some(rule) => rule.times(self.start, original, zone).next() == Some(original),
            None => self.start == original,
        };
        let there = of_rule || self.added.contains(&original);
        there.then(|| place(zone, original, original)).flatten()
    }
}

fn place(zone: &TimeZone, original: DateTime, time: DateTime) -> Option<Occurrence> {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    let oddity = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => Some(Oddity::InGap),
        AmbiguousOffset::Fold { .. } => Some(Oddity::Doubled),
    };
    // An instant beyond the calendar's end is none.
    let at = ambiguous.compatible().ok()?;
    Some(Occurrence {
        original,
        at,
        oddity,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::zones;

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    fn weekly(start: &str) -> Recurrence {
        let start = at(start);
        Recurrence {
            rule: Some(Rule::parse("FREQ=WEEKLY", start).unwrap()),
            ..Recurrence::once(start)
        }
    }

    fn instant(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn clocks_that_change() {
        let rome = zones::find("Europe/Rome").unwrap();
        // 2026-03-29: 02:00 becomes 03:00; 2026-10-25: 03:00 becomes 02:00.
        let show = weekly("2026-03-22T02:30");
        let found = show.occurrences(
            &rome,
            instant("2026-03-20T00:00Z"),
            instant("2026-04-06T00:00Z"),
            9,
        );
        let said: Vec<_> = found.iter().map(|o| (o.at.to_string(), o.oddity)).collect();
        assert_eq!(
            said,
            [
                ("2026-03-22T01:30:00Z".to_owned(), None),
                ("2026-03-29T01:30:00Z".to_owned(), Some(Oddity::InGap)),
                ("2026-04-05T00:30:00Z".to_owned(), None),
            ]
        );
        let doubled = show.next(&rome, instant("2026-10-20T00:00Z")).unwrap();
        assert_eq!(doubled.at, instant("2026-10-25T00:30Z"));
        assert_eq!(doubled.oddity, Some(Oddity::Doubled));
    }

    #[test]
    fn exceptions_moves_and_additions() {
        let mut show = weekly("2026-08-02T10:00");
        show.except = vec![at("2026-08-09T10:00")];
        show.moved = vec![Moved {
            from: at("2026-08-16T10:00"),
            to: at("2026-08-15T18:00"),
        }];
        show.added = vec![at("2026-08-12T20:00")];
        show.check(&TimeZone::UTC).unwrap();
        let found = show.occurrences(
            &TimeZone::UTC,
            instant("2026-08-01T00:00Z"),
            instant("2026-08-24T00:00Z"),
            9,
        );
        let said: Vec<_> = found
            .iter()
            .map(|o| format!("{} at {}", o.original, o.at))
            .collect();
        assert_eq!(
            said,
            [
                "2026-08-02T10:00:00 at 2026-08-02T10:00:00Z",
                "2026-08-12T20:00:00 at 2026-08-12T20:00:00Z",
                "2026-08-16T10:00:00 at 2026-08-15T18:00:00Z",
                "2026-08-23T10:00:00 at 2026-08-23T10:00:00Z",
            ]
        );
        let named = show
            .occurrence(&TimeZone::UTC, at("2026-08-16T10:00"))
            .unwrap();
        assert_eq!(named.at, instant("2026-08-15T18:00Z"));
        assert_eq!(
            show.occurrence(&TimeZone::UTC, at("2026-08-09T10:00")),
            None
        );
        assert_eq!(
            show.occurrence(&TimeZone::UTC, at("2026-08-10T10:00")),
            None
        );
        show.except.push(at("2026-08-10T10:00"));
        assert_eq!(
            show.check(&TimeZone::UTC).unwrap_err().to_string(),
            "2026-08-10T10:00:00 is none of the show's times"
        );
    }

    #[test]
    fn a_start_beside_its_rule() {
        let start = at("2026-08-03T10:00");
        let show = Recurrence {
            rule: Some(Rule::parse("FREQ=WEEKLY;BYDAY=SU", start).unwrap()),
            ..Recurrence::once(start)
        };
        assert_eq!(
            show.check(&TimeZone::UTC).unwrap_err().to_string(),
            "the start, 2026-08-03T10:00:00, is not one of the rule's times; the first of them is 2026-08-09T10:00:00"
        );
    }
}
