//! Calendars: ours as other libraries read it, and others' as we do.

use crate::python;
use crate::rig::Box;
use jiff::Timestamp;
use regia::schedule::ical::import;
use regia_testkit::ports;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/schedule/fixtures")
        .join(name)
}

fn read(name: &str) -> regia::schedule::ical::Imported {
    let text = std::fs::read_to_string(fixture(name)).unwrap();
    import(&text, None, "Europe/Rome").unwrap()
}

#[test]
fn google() {
    let calendar = read("google.ics");
    assert_eq!(
        calendar.shows,
        [
            json!({
                "id": "sunday-mass-main-altar",
                "name": "Sunday mass, main altar",
                "start": "2027-01-03T10:00:00",
                "zone": "Europe/Rome",
                "length_s": 5_400,
                "repeat": "FREQ=WEEKLY;WKST=MO;UNTIL=20281231T225959Z;BYDAY=SU",
                "except": ["2027-03-28T10:00:00"],
                "moved": [{ "from": "2027-04-04T10:00:00", "to": "2027-04-04T18:00:00" }],
            }),
            // Written in UTC; the calendar's own zone is the venue's.
            json!({
                "id": "concert",
                "name": "Concert",
                "start": "2027-06-01T20:00:00",
                "zone": "Europe/Rome",
                "length_s": 3_600,
            }),
        ]
    );
    assert_eq!(calendar.notes, ["Feast: it is of whole days, and left out"]);
}

#[test]
fn apple() {
    let calendar = read("apple.ics");
    assert_eq!(
        calendar.shows,
        [json!({
            "id": "town-hall-questions-and-answers",
            "name": "Town hall: questions and answers that go on for longer than a line has room for",
            "start": "2027-01-07T19:00:00",
            "zone": "America/New_York",
            "length_s": 5_400,
            "repeat": "FREQ=MONTHLY;INTERVAL=1;BYDAY=1TH,3TH;COUNT=24",
            "except": ["2027-01-21T19:00:00", "2027-02-18T19:00:00"],
        })]
    );
    assert!(calendar.notes.is_empty());
}

#[test]
fn outlook() {
    let calendar = read("outlook.ics");
    assert_eq!(
        calendar.shows[0],
        json!({
            "id": "council",
            "name": "Council",
            "start": "2027-02-11T19:00:00",
            "zone": "Europe/Berlin",
            "length_s": 7_200,
            "repeat": "FREQ=WEEKLY;UNTIL=20271216T180000Z;INTERVAL=2;BYDAY=TH;WKST=MO",
            "except": ["2027-03-11T19:00:00"],
        })
    );
    // A zone of no name that means anything, known by what it does: the first of those that do the same.
    assert_eq!(calendar.shows[1]["zone"], "Australia/Hobart");
    assert_eq!(
        calendar.notes,
        [
            "the zone \"Customized Time Zone\" does what Australia/Hobart does, which is taken for it"
        ]
    );
}

fn get(port: u16, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn ours_as_others_read_it() {
    let port = ports::free();
    let mut regia = Box::new(&format!("[panel]\nlisten = \"127.0.0.1:{port}\"\n"));
    regia.start(&[]);
    regia.wait_state("STANDBY");
    for name in ["google.ics", "apple.ics", "outlook.ics"] {
        let file = fixture(name).display().to_string();
        let added = regia.cli(&["show", "import", &file]);
        assert_eq!(added.code, Some(0), "{}", added.stderr);
    }
    let exported = regia.cli(&["show", "export"]);
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let Some(answer) = python::run(
        "our calendar read by icalendar",
        "read_calendar.py",
        &exported.stdout,
        &[],
    ) else {
        return;
    };
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let events = answer["events"].as_array().unwrap();
    // Five shows' worth, and one occurrence that was moved.
    assert_eq!(events.len(), 6, "{answer}");
    let second = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
    let find = |name: &str, moved: bool| {
        let fits = |event: &&Value| {
            event["summary"].as_str().unwrap().starts_with(name)
                && event["moved_from"].is_null() != moved
        };
        events
            .iter()
            .find(fits)
            .unwrap_or_else(|| panic!("no {name}: {answer}"))
    };
    let mass = find("Sunday mass, main altar", false);
    assert_eq!(mass["start"], second("2027-01-03T09:00:00Z"));
    assert_eq!(
        (&mass["zone"], &mass["length"]),
        (&json!("Europe/Rome"), &json!(5_400))
    );
    assert_eq!(mass["except"], json!([second("2027-03-28T08:00:00Z")]));
    let moved = find("Sunday mass", true);
    assert_eq!(moved["start"], second("2027-04-04T16:00:00Z"));
    assert_eq!(moved["moved_from"], second("2027-04-04T08:00:00Z"));
    assert_eq!(
        find("Lecture", false)["start"],
        second("2027-02-28T22:30:00Z")
    );
    for event in events {
        assert_eq!(event["errors"], json!([]), "{event}");
    }
    // The zones as the calendar itself describes them are right on each day of five years.
    let zones = answer["zones"].as_object().unwrap();
    assert_eq!(zones.len(), 4, "{zones:?}");
    for (name, wrong) in zones {
        assert_eq!(*wrong, json!([]), "{name}");
    }
    // And read again by ourselves, it is the same.
    let again = import(&exported.stdout, None, "UTC").unwrap();
    assert_eq!(again.shows.len(), 5);
    assert_eq!(
        again
            .shows
            .iter()
            .find(|show| show["id"] == "council")
            .unwrap()["except"],
        json!(["2027-03-11T19:00:00"])
    );

    // The feed, as a phone asks for it.
    let said = regia.cli(&["show", "feed", "--json"]);
    let feed: Value = serde_json::from_str(&said.stdout).unwrap();
    let path = feed["path"].as_str().unwrap();
    let (head, body) = get(port, path);
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("text/calendar"),
        "{head}"
    );
    assert!(body.contains("BEGIN:VCALENDAR"));
    for wrong in [
        "/calendar.ics",
        "/calendar.ics?token=",
        "/calendar.ics?token=AAAA",
    ] {
        let (head, body) = get(port, wrong);
        assert!(
            head.starts_with("HTTP/1.1 401") && !body.contains("VCALENDAR"),
            "{wrong}: {head}"
        );
    }
    // The token opens nothing else.
    let token = feed["token"].as_str().unwrap();
    let (head, _) = get(port, &format!("/api/v1/shows?token={token}"));
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    // A new one ends the old one.
    regia.cli(&["show", "feed"]);
    assert!(get(port, path).0.starts_with("HTTP/1.1 401"));
    regia.end();

    khal(&exported.stdout);
}

/// khal, a calendar program, lists it.
fn khal(calendar: &str) {
    let Some(khal) = python::program("our calendar read by khal", "khal") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().display().to_string();
    let config = dir.path().join("khal.conf");
    std::fs::write(
        &config,
        format!(
            "[calendars]\n[[shows]]\npath = {home}/shows\n[locale]\nlocal_timezone = Europe/Rome\ndefault_timezone = Europe/Rome\n\
             timeformat = %H:%M\ndateformat = %Y-%m-%d\nlongdateformat = %Y-%m-%d\ndatetimeformat = %Y-%m-%d %H:%M\nlongdatetimeformat = %Y-%m-%d %H:%M\n\
             [sqlite]\npath = {home}/khal.db\n"
        ),
    )
    .unwrap();
    std::fs::create_dir(dir.path().join("shows")).unwrap();
    let file = dir.path().join("ours.ics");
    std::fs::write(&file, calendar).unwrap();
    let khal = |args: &[&str]| {
        let done = Command::new(&khal)
            .arg("-c")
            .arg(&config)
            .args(args)
            .env("HOME", &home)
            .output()
            .unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        assert!(done.status.success(), "{text}");
        text
    };
    khal(&["import", "--batch", &file.display().to_string()]);
    let listed = khal(&["list", "--format", "{start} {title}", "2027-03-20", "30d"]);
    println!("{listed}");
    for wanted in [
        "2027-03-21 10:00 Sunday mass",
        "2027-04-04 18:00 Sunday mass",
        "2027-04-11 10:00 Sunday mass",
    ] {
        assert!(listed.contains(wanted), "{wanted}: {listed}");
    }
    // Excepted, and moved away.
    assert!(
        !listed.contains("2027-03-28 10:00") && !listed.contains("2027-04-04 10:00"),
        "{listed}"
    );
}

#[test]
fn what_is_no_calendar() {
    let said = |text: &str| import(text, None, "UTC").unwrap_err().to_string();
    assert!(
        said("hello").starts_with("this is no calendar in iCalendar's form"),
        "{}",
        said("hello")
    );
    let event = |lines: &str| {
        format!(
            "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:a\nSUMMARY:Talk\n{lines}END:VEVENT\nEND:VCALENDAR\n"
        )
    };
    for (lines, text) in [
        (
            "DTSTART:20270230T100000Z\nDURATION:PT1H\n",
            "Talk: DTSTART \"20270230T100000Z\" is no date",
        ),
        (
            "DTSTART:20270203T100000Z\n",
            "Talk: it has no length: say one with --length",
        ),
        ("DURATION:PT1H\n", "Talk: it has no start"),
        (
            "DTSTART;TZID=Mars/Base:20270203T100000\nDURATION:PT1H\n",
            "Talk: its time zone \"Mars/Base\" is not known, and its rules are those of no zone",
        ),
        (
            "DTSTART:20270203T100000Z\nDURATION:PT1H\nRRULE:FREQ=SECONDLY\n",
            "Talk: a show can't recur more often than each day: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY, and BYHOUR names several times of a day",
        ),
        (
            "DTSTART;VALUE=DATE:20270203\n",
            "the calendar has no event that could be a show: Talk: it is of whole days, and left out",
        ),
    ] {
        assert_eq!(said(&event(lines)), text, "{lines}");
    }
}
