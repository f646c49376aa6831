//! Recurrences beside another implementation: Python's dateutil and zoneinfo.

use crate::python;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use regia::calendar::{Oddity, Recurrence, Rule, zones};
use regia_testkit::skip;
use serde_json::json;
use std::path::Path;
use std::process::Command;

const ZONES: [&str; 4] = [
    "Europe/Rome",
    "America/New_York",
    "Asia/Shanghai",
    "Australia/Lord_Howe",
];
const FROM: &str = "2026-01-01T00:00:00";
const TO: &str = "2029-01-01T00:00:00";

struct Case {
    zone: &'static str,
    start: &'static str,
    rule: String,
}

/// The occurrences as the schedule meets them: each asked for when the one before has been.
fn one_after_the_other(show: &Recurrence, zone: &TimeZone) -> Vec<(i64, Option<Oddity>)> {
    let at = |text: &str| {
        zone.to_timestamp(text.parse::<DateTime>().unwrap())
            .unwrap()
    };
    let (mut now, end) = (at(FROM), at(TO));
    let mut found = Vec::new();
    while let Some(next) = show.next(zone, now).filter(|next| next.at <= end) {
        found.push((next.at.as_second(), next.oddity));
        now = next.at + 1.second();
    }
    found
}

fn recurrence(case: &Case) -> Recurrence {
    let start: DateTime = case.start.parse().unwrap();
    Recurrence {
        rule: Some(Rule::parse(&case.rule, start).unwrap()),
        ..Recurrence::once(start)
    }
}

fn reference(test: &str, cases: &[Case], env: &[(&str, &str)]) -> Option<Vec<Vec<i64>>> {
    let lines: Vec<String> = cases
        .iter()
        .map(|case| json!({ "zone": case.zone, "start": case.start, "rule": case.rule, "from": FROM, "to": TO }).to_string())
        .collect();
    let answer = python::run(test, "reference.py", &(lines.join("\n") + "\n"), env)?;
    Some(
        answer
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

#[test]
fn three_years_of_each_zone() {
    let mut cases = Vec::new();
    for zone in ZONES {
        // The last three are inside gaps and doubled hours: Rome and New York at 2, Lord Howe by half an hour.
        for start in [
            "2026-01-04T10:00:00",
            "2026-01-04T02:30:00",
            "2026-01-04T02:15:00",
            "2026-01-04T01:45:00",
        ] {
            for rule in ["FREQ=WEEKLY", "FREQ=DAILY"] {
                cases.push(Case {
                    zone,
                    start,
                    rule: rule.into(),
                });
            }
        }
        for rule in [
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
            "FREQ=MONTHLY;BYDAY=-1SU",
            "FREQ=MONTHLY;BYDAY=1SU,3SU;BYHOUR=10,18",
            "FREQ=MONTHLY;BYMONTHDAY=-1",
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,WE;WKST=SU",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,WE;WKST=MO",
            "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
            "FREQ=YEARLY;BYYEARDAY=1,100,200,-1",
            "FREQ=DAILY;INTERVAL=3;COUNT=100",
            "FREQ=WEEKLY;UNTIL=20270630T100000",
            "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU",
            "FREQ=DAILY;BYMONTH=3,4,10,11;BYHOUR=1,2,3;BYMINUTE=0,30",
        ] {
            cases.push(Case {
                zone,
                start: "2026-01-04T10:00:00",
                rule: rule.into(),
            });
        }
    }
    let Some(expected) = reference("recurrence beside dateutil", &cases, &[]) else {
        return;
    };
    let mut compared = 0;
    for (case, expected) in cases.iter().zip(expected) {
        let zone = zones::find(case.zone).unwrap();
        let found = one_after_the_other(&recurrence(case), &zone);
        let starts: Vec<i64> = found.iter().map(|(at, _)| *at).collect();
        // Of two that are at one moment (a gap puts one upon another) the schedule runs one.
        let mut wanted = expected;
        wanted.sort_unstable();
        wanted.dedup();
        assert_eq!(
            starts, wanted,
            "{} {} from {}",
            case.zone, case.rule, case.start
        );
        compared += starts.len();
    }
    println!("{compared} occurrences compared over {} rules", cases.len());
    assert!(compared > 5_000);
    // What the comparison is about did happen.
    let odd = |zone: &'static str, start: &'static str| {
        let case = Case {
            zone,
            start,
            rule: "FREQ=WEEKLY".into(),
        };
        let found = one_after_the_other(&recurrence(&case), &zones::find(zone).unwrap());
        let count = |oddity| found.iter().filter(|(_, one)| *one == Some(oddity)).count();
        (count(Oddity::InGap), count(Oddity::Doubled))
    };
    assert_eq!(odd("Europe/Rome", "2026-01-04T02:30:00"), (3, 3));
    assert_eq!(odd("America/New_York", "2026-01-04T02:30:00"), (3, 0));
    assert_eq!(odd("America/New_York", "2026-01-04T01:45:00"), (0, 3));
    assert_eq!(odd("Australia/Lord_Howe", "2026-01-04T02:15:00"), (3, 0));
    assert_eq!(odd("Australia/Lord_Howe", "2026-01-04T01:45:00"), (0, 3));
    assert_eq!(odd("Asia/Shanghai", "2026-01-04T02:30:00"), (0, 0));
}

/// A government decides otherwise, and the machine's package brings it.
#[test]
fn a_zone_whose_data_changes() {
    let dir = tempfile::tempdir().unwrap();
    let before = "Zone Test/Venue 1:00 - CET\n";
    let after = "Zone Test/Venue 1:00 - CET 2027 Mar 28 2:00\n                   2:00 - EET\n";
    let compile = |name: &str, text: &str| {
        let source = dir.path().join(format!("{name}.txt"));
        std::fs::write(&source, text).unwrap();
        let to = dir.path().join(name);
        let zic = ["/usr/sbin/zic", "zic"].iter().find_map(|zic| {
            Command::new(zic)
                .arg("-d")
                .arg(&to)
                .arg(&source)
                .status()
                .ok()
        });
        zic.is_some_and(|status| status.success()).then_some(to)
    };
    let (Some(old), Some(new)) = (compile("old", before), compile("new", after)) else {
        skip::unavailable("a zone whose data changes", "zic (Debian package libc-bin)");
        return;
    };
    let case = || Case {
        zone: "Test/Venue",
        start: "2026-01-04T10:00:00",
        rule: "FREQ=WEEKLY".into(),
    };
    let found = |dir: &Path| {
        let data = std::fs::read(dir.join("Test/Venue")).unwrap();
        let zone = TimeZone::tzif("Test/Venue", &data).unwrap();
        let found = one_after_the_other(&recurrence(&case()), &zone);
        found.into_iter().map(|(at, _)| at).collect::<Vec<i64>>()
    };
    let (by_old, by_new) = (found(&old), found(&new));
    for (dir, found) in [(&old, &by_old), (&new, &by_new)] {
        let path = dir.display().to_string();
        let Some(expected) = reference(
            "a zone whose data changes",
            &[case()],
            &[("PYTHONTZPATH", &path)],
        ) else {
            return;
        };
        assert_eq!(*found, expected[0]);
    }
    // The same until then, an hour earlier after.
    let changes: Timestamp = "2027-03-28T01:00:00Z".parse().unwrap();
    for (old, new) in by_old.iter().zip(&by_new) {
        let hour = if *old < changes.as_second() { 0 } else { 3_600 };
        assert_eq!(old - new, hour);
    }
    assert!(by_old.iter().zip(&by_new).any(|(old, new)| old != new));
}
