//! What can't be planned, and too much of what can.

use crate::rig::Box;
use regia::config::{Environment, Look, parse};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

struct Nothing;

impl Environment for Nothing {
    fn look(&self, path: &Path) -> Look {
        match path.starts_with("/bin") {
            true => Look::File {
                mode: 0o755,
                readable: true,
            },
            false => Look::Directory { writable: true },
        }
    }
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("no such file".into())
    }
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn interfaces(&self) -> Option<Vec<String>> {
        None
    }
    fn video_devices(&self) -> Vec<PathBuf> {
        Vec::new()
    }
    fn memory_bytes(&self) -> Option<u64> {
        None
    }
}

const BASE: &str = "[[source]]\nid = \"main\"\nkind = \"test\"\n[[scene]]\nid = \"wide\"\nlayers = [{ source = \"main\" }]\n\
    [[destination]]\nid = \"own\"\nplatform = \"custom\"\nserver = \"rtmps://localhost:1/live\"\nkey = \"abcdefgh\"\n";

/// What is said of this, without place and path.
fn said(config: &str) -> Vec<String> {
    match parse(&format!("{BASE}{config}"), "regia.toml", &Nothing) {
        Ok(_) => Vec::new(),
        Err(errors) => {
            let problems = errors.problems.iter();
            problems
                .map(|p| {
                    format!(
                        "{}: {}{}{}",
                        p.path,
                        p.what,
                        if p.instead.is_empty() { "" } else { "; " },
                        p.instead
                    )
                })
                .collect()
        }
    }
}

fn show(keys: &str) -> String {
    format!("[[show]]\nid = \"talk\"\n{keys}")
}

const GOOD: &str = "start = \"2030-08-04T10:00\"\nzone = \"Europe/Rome\"\nlength_s = \"1h\"\n";

#[test]
fn each_has_its_text() {
    assert_eq!(said(&show(GOOD)), Vec::<String>::new());
    assert_eq!(
        said(&show("start = 2030-08-04T10:00:00\nlength_s = 60\n")),
        Vec::<String>::new()
    );
    for (keys, text) in [
        (
            "start = \"2030-02-30T10:00\"\nlength_s = 60\n",
            "show \"talk\".start: \"2030-02-30T10:00\" is no date with a time of the venue; for example \"2026-08-02T10:00\"",
        ),
        (
            "start = \"2030-08-04T10:00Z\"\nlength_s = 60\n",
            "show \"talk\".start: \"2030-08-04T10:00Z\" is no date with a time of the venue; for example \"2026-08-02T10:00\"",
        ),
        (
            "start = \"2030-08-04T10:00\"\nlength_s = 60\nzone = \"Europe/Roma\"\n",
            "show \"talk\".zone: there is no time zone \"Europe/Roma\"; did you mean \"Europe/Rome\"?",
        ),
        (
            "start = \"2030-08-04T10:00\"\nlength_s = 0\n",
            "show \"talk\".length_s: must be from 5 to 604800 s, not 0 s",
        ),
        (
            "start = \"2030-08-04T10:00\"\n",
            "show \"talk\".length_s: is missing; how long it is planned to be, for example length_s = \"90m\"",
        ),
        (
            &format!("{GOOD}repeat = \"FREQ=SECONDLY\"\n"),
            "show \"talk\".repeat: a show can't recur more often than each day: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY, and BYHOUR names several times of a day",
        ),
        (
            &format!("{GOOD}repeat = \"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30\"\n"),
            "show \"talk\".repeat: the rule has no time at all: such a day does not exist",
        ),
        (
            &format!("{GOOD}repeat = \"FREQ=WEEKLY\"\nexcept = [\"2030-08-05T10:00\"]\n"),
            "show \"talk\".except: 2030-08-05T10:00:00 is none of the show's times",
        ),
        (
            &format!("{GOOD}destinations = [\"onw\"]\n"),
            "show \"talk\".destinations[1]: there is no destination \"onw\"; did you mean \"own\"?",
        ),
        (
            &format!(
                "{GOOD}[[show.step]]\nat = \"+05:00\"\ndo = \"mark\"\n[[show.step]]\nat = \"+02:00\"\ndo = \"mark\"\n"
            ),
            "show \"talk\".step[2].at: +02:00 stands behind +05:00: steps are done in their order; put them in the order of their times",
        ),
        (
            &format!("{GOOD}[[show.step]]\nat = \"+61:00\"\ndo = \"mark\"\n"),
            "show \"talk\".step[1].at: +1:01:00 is behind the show's end, +1:00:00; make it earlier, or length_s longer",
        ),
        (
            &format!("{GOOD}[[show.step]]\nat = \"ten past\"\ndo = \"mark\"\n"),
            "show \"talk\".step[1].at: \"ten past\" is no time from the start on; for example \"-10:00\", \"+02:00\" or \"+1:30:00\"",
        ),
        (
            &format!("{GOOD}[[show.step]]\nat = \"+02:00\"\ndo = \"scene\"\nscene = \"wied\"\n"),
            "show \"talk\".step[1].scene: there is no scene \"wied\"; did you mean \"wide\"?",
        ),
        (&format!("{GOOD}colour = \"red\"\n"), "unknown key"),
        (
            &format!(
                "{GOOD}[[show]]\nid = \"other\"\nstart = \"2030-08-04T10:30\"\nzone = \"Europe/Rome\"\nlength_s = \"1h\"\n"
            ),
            "\"other\" on Sun 2030-08-04 10:30 CEST is in the way of \"talk\", which has the box from Sun 2030-08-04 10:00 CEST to Sun 2030-08-04 11:00 CEST",
        ),
        (
            &format!("{GOOD}repeat = \"FREQ=DAILY;BYHOUR=10;BYMINUTE=0,30\"\n"),
            "\"talk\" is in its own way: it begins at Sun 2030-08-04 10:30 CEST and would not be over from the time before until Sun 2030-08-04 11:00 CEST",
        ),
    ] {
        let said = said(&show(keys));
        // Two that are planned for 2030 are looked at only from two years before on.
        let far = text.contains("2030-08-04 10:") && said.is_empty();
        assert!(
            far || said.iter().any(|line| line.contains(text)),
            "{keys}\n{text}\n{said:#?}"
        );
    }
    // In each other's way soon.
    let soon = jiff::Zoned::now()
        .with_time_zone(jiff::tz::TimeZone::UTC)
        .datetime()
        .date()
        .tomorrow()
        .unwrap();
    let two = format!(
        "[[show]]\nid = \"a\"\nstart = \"{soon}T10:00\"\nzone = \"UTC\"\nlength_s = \"1h\"\nrepeat = \"FREQ=WEEKLY\"\n\
         [[show]]\nid = \"b\"\nstart = \"{soon}T10:59\"\nzone = \"UTC\"\nlength_s = \"1h\"\n"
    );
    let said = said(&two);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("\"b\" on ") && said[0].contains("in the way of \"a\""),
        "{said:?}"
    );
}

#[test]
fn alerts_and_hooks() {
    for (config, text) in [
        (
            "[[hook]]\nid = \"a\"\non = [\"on_ari\"]\ncommand = [\"/bin/true\"]\n",
            "there is no event \"on_ari\"; did you mean \"on_air\"?",
        ),
        (
            "[[hook]]\nid = \"a\"\non = [\"on_air\"]\ncommand = [\"true\"]\n",
            "\"true\" is no path",
        ),
        (
            "[[hook]]\nid = \"a\"\non = [\"on_air\"]\ncommand = [\"/none\"]\n",
            "there is no program /none",
        ),
        (
            "[[alert]]\nid = \"a\"\nkind = \"webhook\"\nurl = \"http://example.org/\"\n",
            "http:// shows what is told",
        ),
        (
            "[[alert]]\nid = \"a\"\nkind = \"webhook\"\nform = \"matrix\"\nurl = \"https://example.org\"\n",
            "alert \"a\".room: is missing",
        ),
        (
            "[[alert]]\nid = \"a\"\nkind = \"email\"\nserver = \"mail\"\nfrom = \"a@b.org\"\nto = [\"c@d.org\"]\n",
            "is no mail server's address",
        ),
        (
            "[[alert]]\nid = \"a\"\nkind = \"email\"\nserver = \"smtp+plain://mail.example.org\"\nfrom = \"a@b.org\"\nto = [\"c@d.org\"]\n",
            "for a server on this machine alone",
        ),
        (
            "[[alert]]\nid = \"a\"\nkind = \"email\"\nserver = \"smtps://m.org\"\nfrom = \"a b\"\nto = [\"c@d.org\"]\n",
            "\"a b\" is no e-mail address",
        ),
    ] {
        let said = said(config);
        assert!(
            said.iter().any(|line| line.contains(text)),
            "{config}\n{said:#?}"
        );
    }
}

/// More than any box has; bench.sh measures what is promised, on a machine that does nothing else.
#[test]
fn ten_thousand_shows() {
    let mut regia = Box::new("");
    regia.start(&[]);
    regia.wait_state("STANDBY");
    let mut calendar = "BEGIN:VCALENDAR\nVERSION:2.0\n".to_owned();
    let first: jiff::civil::DateTime = "2027-01-01T00:00:00".parse().unwrap();
    for n in 0..10_000i64 {
        let start = first + jiff::Span::new().minutes(n * 60);
        calendar.push_str(&format!(
            "BEGIN:VEVENT\nUID:{n}\nSUMMARY:Show {n}\nDESCRIPTION:{}\nDTSTART:{}Z\nDURATION:PT30M\nEND:VEVENT\n",
            "Calendars say more of an event than a show needs.",
            start.strftime("%Y%m%dT%H%M%S")
        ));
    }
    assert!(
        calendar.len() > 1024 * 1024,
        "larger than other requests may be"
    );
    calendar.push_str("END:VCALENDAR\n");
    let file = regia.path().join("many.ics");
    std::fs::write(&file, calendar).unwrap();
    let began = Instant::now();
    let imported = regia.cli(&["show", "import", &file.display().to_string()]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    println!("imported in {:?}", began.elapsed());
    let began = Instant::now();
    let listed = regia.cli(&["show", "list", "--json"]);
    let took = began.elapsed();
    println!("listed in {took:?}, the command's own start and 5 MB of JSON with it");
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed["shows"].as_array().unwrap().len(), 10_000);
    assert!(took < Duration::from_secs(20), "{took:?}");
    // They are there after a restart, and one more that is in the way of one is refused with both named.
    regia.end();
    regia.start(&[]);
    regia.wait_state("STANDBY");
    let file = regia.path().join("one.toml");
    std::fs::write(
        &file,
        "id = \"one\"\nstart = \"2027-02-01T10:15\"\nzone = \"UTC\"\nlength_s = \"30m\"\n",
    )
    .unwrap();
    let refused = regia.cli(&["show", "add", &file.display().to_string()]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("\"one\" on Mon 2027-02-01 10:15 UTC is in the way of \"show-754\", which has the box from Mon 2027-02-01 10:00 UTC to Mon 2027-02-01 10:30 UTC"),
        "{}",
        refused.stderr
    );
    regia.end();
}
