//! What of an occurrence is due when: pre-flight a day and half an hour ahead, the run itself, and what becomes of one whose time has
//! passed. Pure.

use crate::config::show::{Missed, shifted};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

const DAY_MS: i64 = 24 * 3_600_000;
const HALF_HOUR_MS: i64 = 30 * 60_000;
/// A day's look that could not be had in time is still of use until so long before.
const DAY_UNTIL_MS: i64 = 3_600_000;
/// A run is begun so long before its first step: its intent is on the disk by then.
const LEAD_MS: i64 = 3_000;
/// A start that is later than this is a missed one.
const ON_TIME: SignedDuration = SignedDuration::from_secs(10);

/// Looks ahead, by the word under which it is remembered that people were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ahead {
    Day,
    HalfHour,
}

impl Ahead {
    pub const ALL: [Ahead; 2] = [Ahead::Day, Ahead::HalfHour];

    pub fn word(self) -> &'static str {
        match self {
            Ahead::Day => "a day ahead",
            Ahead::HalfHour => "half an hour ahead",
        }
    }

    /// From when until when it is due for a start at `at`.
    fn window(self, at: Timestamp, begins: Timestamp) -> (Timestamp, Timestamp) {
        match self {
            Ahead::Day => (shifted(at, -DAY_MS), shifted(at, -DAY_UNTIL_MS)),
            Ahead::HalfHour => (shifted(at, -HALF_HOUR_MS), begins),
        }
    }
}

/// When the run of an occurrence begins whose first step is `first_step_ms` before its start.
pub fn begins(at: Timestamp, first_step_ms: i64) -> Timestamp {
    shifted(at, -(first_step_ms + LEAD_MS))
}

/// The looks that are due, and when something is to be done next.
pub fn due(
    at: Timestamp,
    first_step_ms: i64,
    told: impl Fn(Ahead) -> bool,
    now: Timestamp,
) -> (Vec<Ahead>, Timestamp) {
    let begins = begins(at, first_step_ms);
    let mut looks = Vec::new();
    let mut next = begins;
    for ahead in Ahead::ALL {
        let (from, until) = ahead.window(at, begins);
        if now < from {
            next = next.min(from);
        } else if now < until && !told(ahead) {
            looks.push(ahead);
        }
    }
    (looks, next)
}

/// What is done about a run whose beginning has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    OnTime,
    /// The whole run is put off to now.
    Late,
    Missed,
}

pub fn start(at: Timestamp, missed: Missed, now: Timestamp) -> Start {
    let late = now.duration_since(at);
    match missed {
        _ if late <= ON_TIME => Start::OnTime,
        Missed::Late { within }
            if late <= SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX) =>
        {
            Start::Late
        }
        Missed::Late { .. } | Missed::Skip => Start::Missed,
    }
}

/// How far back occurrences are looked for that nobody ran.
pub fn looks_back(missed: Missed) -> Duration {
    let day = Duration::from_secs(24 * 3_600);
    match missed {
        Missed::Skip => day,
        Missed::Late { within } => within.max(day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn looks_ahead() {
        let start = at("2026-08-02T08:00:00Z");
        let first = 600_000;
        let begins = at("2026-08-02T07:49:57Z");
        let nobody = |_| false;
        assert_eq!(
            due(start, first, nobody, at("2026-07-30T00:00:00Z")),
            (vec![], at("2026-08-01T08:00:00Z"))
        );
        assert_eq!(
            due(start, first, nobody, at("2026-08-01T09:00:00Z")),
            (vec![Ahead::Day], at("2026-08-02T07:30:00Z"))
        );
        let day = |ahead| ahead == Ahead::Day;
        assert_eq!(
            due(start, first, day, at("2026-08-01T09:00:00Z")),
            (vec![], at("2026-08-02T07:30:00Z"))
        );
        // Too late for a look a day ahead.
        assert_eq!(
            due(start, first, nobody, at("2026-08-02T07:10:00Z")),
            (vec![], at("2026-08-02T07:30:00Z"))
        );
        assert_eq!(
            due(start, first, day, at("2026-08-02T07:40:00Z")),
            (vec![Ahead::HalfHour], begins)
        );
        assert_eq!(due(start, first, day, begins), (vec![], begins));
    }

    #[test]
    fn starts() {
        let planned = at("2026-08-02T08:00:00Z");
        let late = Missed::Late {
            within: Duration::from_secs(900),
        };
        assert_eq!(
            start(planned, late, at("2026-08-02T07:49:57Z")),
            Start::OnTime
        );
        assert_eq!(
            start(planned, Missed::Skip, at("2026-08-02T08:00:09Z")),
            Start::OnTime
        );
        assert_eq!(
            start(planned, Missed::Skip, at("2026-08-02T08:00:11Z")),
            Start::Missed
        );
        assert_eq!(
            start(planned, late, at("2026-08-02T08:15:00Z")),
            Start::Late
        );
        assert_eq!(
            start(planned, late, at("2026-08-02T08:15:01Z")),
            Start::Missed
        );
    }
}
