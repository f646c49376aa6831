//! The daemon ends in the middle of a show, and another goes on.

use crate::PATIENCE;
use crate::colours::{colours, picture};
use crate::rig::{Box, Ingest, address, of_kind, sleep};
use crate::show::{add, in_seconds, schedule, steps, wait_step};
use std::time::Duration;

const LENGTH_S: i64 = 24;

#[test]
fn goes_on_at_the_right_step_and_does_none_twice() {
    let addr = address();
    let mut regia = Box::new(&format!(
        "[[destination]]\nid = \"own\"\nplatform = \"rehearsal\"\nserver = \"rtmp://{addr}/live\"\nkey = \"abcdefgh\"\n"
    ));
    let mut ingest = Ingest::listen(regia.path(), addr, &[]);
    regia.start(&[]);
    regia.wait_state("STANDBY");
    let mut text = format!(
        "id = \"talk\"\nstart = \"{}\"\nzone = \"UTC\"\nlength_s = {LENGTH_S}\noverrun = \"end\"\n",
        in_seconds(12)
    );
    // A mark each second, half a second off the kills'.
    text.push_str("[[step]]\nat = \"00:00\"\ndo = \"live\"\n");
    for s in 1..LENGTH_S {
        text.push_str(&format!(
            "[[step]]\nat = \"+00:{s:02}\"\ndo = \"mark\"\ntext = \"second {s}\"\n"
        ));
    }
    add(&regia, &text);
    regia.wait_state("REHEARSAL");
    for _ in 0..3 {
        sleep(Duration::from_millis(3_210));
        regia.kill();
        regia.start(&[]);
    }
    let over = regia_testkit::wait::until(PATIENCE, || {
        let schedule = schedule(&regia)?;
        schedule["running"].is_null().then_some(())
    });
    assert!(over.is_some(), "the run never ended");
    regia.wait("the end", |status| status["session"].is_null());
    regia.end();
    let log = regia.log();
    let done = steps(&log);
    println!("{done:?}");
    // Each step once or never, in their order, and each of those that were left out is told.
    let numbers: Vec<u64> = done.iter().map(|(step, ..)| *step).collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(
        numbers, sorted,
        "a step was done twice, or out of its order"
    );
    let marks: Vec<&str> = of_kind(&log, "marker")
        .iter()
        .map(|entry| entry["text"].as_str().unwrap())
        .collect();
    let mut unique = marks.clone();
    unique.dedup();
    assert_eq!(marks, unique, "a mark was set twice");
    assert!(marks.len() >= 5, "too few marks: {marks:?}");
    // It was on air before and after, in one session, and ended when it was planned to.
    assert_eq!(of_kind(&log, "started").len(), 1);
    assert_eq!(of_kind(&log, "resumed").len(), 3);
    assert_eq!(of_kind(&log, "ended").len(), 1);
    assert_eq!(of_kind(&log, "show_over").len(), 1);
    assert!(
        numbers.contains(&(LENGTH_S as u64 + 1)),
        "the end was not a step: {numbers:?}"
    );
    ingest.report();
}

/// Ends it without a word, when the log of what was done has had time to come to the disk.
fn kill_soon(regia: &mut Box) {
    sleep(Duration::from_secs(2));
    regia.kill();
}

const KEY: &str = "sunday-key-Xq7vT2mNzR4w";

/// What the steps had made of the programme is there again, from the first frame on, and it is published with the show's own key.
#[test]
fn the_programme_and_the_key_are_there_again() {
    let addr = address();
    let mut regia = Box::new(&format!(
        "[[source]]\nid = \"red\"\nkind = \"image\"\npath = \"red.png\"\n\
         [[source]]\nid = \"green\"\nkind = \"image\"\npath = \"green.png\"\n\
         [[scene]]\nid = \"wide\"\nlayers = [{{ source = \"main\" }}]\n\
         [[scene]]\nid = \"red\"\nstill = true\nlayers = [{{ source = \"red\" }}]\n\
         [[scene]]\nid = \"green\"\nstill = true\nlayers = [{{ source = \"green\" }}]\n\
         [[title]]\nid = \"speaker\"\nkind = \"lower-third\"\nlines = [\"Nobody\"]\n\
         [[overlay]]\nid = \"lower\"\ntitle = \"speaker\"\non = false\n\
         [[destination]]\nid = \"own\"\nplatform = \"rehearsal\"\nserver = \"rtmp://{addr}/live\"\nkey = \"abcdefgh\"\n\
         [[recording]]\nid = \"master\"\nkind = \"copy\"\npath = \"RECORDINGS\"\n"
    ));
    picture(regia.path(), "red");
    picture(regia.path(), "green");
    let key = regia.path().join("key");
    std::fs::write(&key, KEY).unwrap();
    let saved = std::process::Command::new(crate::REGIA)
        .args(["key", "set", "sunday", "--state"])
        .arg(regia.state())
        .stdin(std::fs::File::open(&key).unwrap())
        .output()
        .unwrap();
    assert!(saved.status.success(), "{saved:?}");
    let mut ingest = Ingest::listen(regia.path(), addr, &["--take-over"]);
    regia.start(&[]);
    regia.wait_state("STANDBY");
    add(
        &regia,
        &format!(
            "id = \"talk\"\nstart = \"{}\"\nzone = \"UTC\"\nlength_s = 40\noverrun = \"end\"\nkeys = {{ own = \"sunday\" }}\n\
             [[step]]\nat = \"-00:02\"\ndo = \"scene\"\nscene = \"red\"\n\
             [[step]]\nat = \"00:00\"\ndo = \"live\"\n\
             [[step]]\nat = \"+00:04\"\ndo = \"scene\"\nscene = \"green\"\n\
             [[step]]\ndo = \"title\"\ntitle = \"speaker\"\nlines = [\"Anna Rossi\", \"Mayor\"]\n\
             [[step]]\ndo = \"overlay\"\noverlay = \"lower\"\non = true\n\
             [[step]]\ndo = \"audio\"\nsource = \"main\"\ngain_db = -6\n\
             [[step]]\ndo = \"mark\"\ntext = \"before\"\n\
             [[step]]\nat = \"+00:34\"\ndo = \"scene\"\nscene = \"red\"\n\
             [[step]]\nat = \"+00:35\"\ndo = \"mark\"\ntext = \"after\"\n",
            in_seconds(12)
        ),
    );
    let as_left = |status: &serde_json::Value| {
        let mix = &status["mix"];
        mix["scene"] == "green"
            && mix["titles"]["speaker"] == serde_json::json!(["Anna Rossi", "Mayor"])
            && mix["overlays"][0]["on"] == true
            && mix["audio"]["main"]["gain_db"] == -6.0
    };
    regia.wait("what the steps make", as_left);
    wait_step(&regia, 7, "done");
    kill_soon(&mut regia);
    regia.start(&[]);
    regia.wait("the same again", as_left);
    regia.wait_state("REHEARSAL");
    crate::show::wait_over(&regia, PATIENCE);
    regia.end();
    let log = regia.log();
    let done: Vec<u64> = steps(&log).iter().map(|(step, ..)| *step).collect();
    println!("steps done: {done:?}");
    let mut once = done.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(done.len(), once.len(), "a step was done twice");
    // Whatever the disk had not yet when it was killed is not in the log; what came after is.
    assert!(once.ends_with(&[8, 9, 10]), "{once:?}");
    assert_eq!(of_kind(&log, "started").len(), 1);
    assert_eq!(of_kind(&log, "resumed").len(), 1);
    let before = of_kind(&log, "marker")
        .iter()
        .filter(|mark| mark["text"] == "before")
        .count();
    assert!(before <= 1);
    // The file after the crash begins with what was on air before it.
    let mut files = regia_testkit::flv::files(&regia.path().join("recordings"));
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    let seen = colours(&files[1]);
    let others = seen
        .iter()
        .take_while(|(scene, _)| *scene != "green")
        .count();
    println!(
        "{others} frames of {} before the scene was back",
        seen.len()
    );
    // An engine that is there before the schedule shows its own first scene for a moment.
    assert!(others < 30, "{:?}", &seen[..others]);
    let rest = &seen[others..];
    let red = rest.iter().position(|(scene, _)| *scene == "red").unwrap();
    assert!(rest[..red].iter().all(|(scene, _)| *scene == "green"));
    assert!(rest[red..].iter().all(|(scene, _)| *scene == "red"));
    // Both publishes were on the slot's key, by its end.
    let said = ingest.process.text();
    let begins: Vec<&str> = said
        .lines()
        .filter(|line| line.ends_with(" begins"))
        .collect();
    println!("{begins:?}");
    assert_eq!(begins.len(), 2, "{said}");
    assert!(
        begins
            .iter()
            .all(|line| line.contains(&KEY[KEY.len() - 4..])),
        "{begins:?}"
    );
    assert!(!said.contains("efgh"), "{said}");
    ingest.report();
}

/// A run that waits for a person, or is held by one, does so after the crash as before it.
#[test]
fn what_waits_for_a_person_waits_on() {
    let mut regia = Box::new("");
    regia.start(&[]);
    regia.wait_state("STANDBY");
    add(
        &regia,
        &format!(
            "id = \"talk\"\nstart = \"{}\"\nzone = \"UTC\"\nlength_s = 300\noverrun = \"end\"\n\
             [[step]]\nat = \"00:00\"\ndo = \"mark\"\ntext = \"begin\"\n\
             [[step]]\nwait = \"next\"\ndo = \"mark\"\ntext = \"next\"\n\
             [[step]]\nafter_s = 1\ndo = \"mark\"\ntext = \"held\"\n\
             [[step]]\ndo = \"end\"\n",
            in_seconds(6)
        ),
    );
    let done = |regia: &Box, args: &[&str]| {
        let done = regia.cli(args);
        assert_eq!(done.code, Some(0), "{args:?}: {}", done.stderr);
    };
    // Going live is the first, though nobody wrote it; there is nowhere to go.
    wait_step(&regia, 3, "waiting");
    kill_soon(&mut regia);
    regia.start(&[]);
    wait_step(&regia, 3, "waiting");
    sleep(Duration::from_secs(1));
    wait_step(&regia, 3, "waiting");
    done(&regia, &["show", "hold"]);
    done(&regia, &["show", "step"]);
    wait_step(&regia, 3, "done");
    kill_soon(&mut regia);
    regia.start(&[]);
    sleep(Duration::from_secs(3));
    // It was due after a second, and is held.
    wait_step(&regia, 4, "pending");
    done(&regia, &["show", "release"]);
    crate::show::wait_over(&regia, PATIENCE);
    regia.end();
    let log = regia.log();
    let marks: Vec<&str> = of_kind(&log, "marker")
        .iter()
        .map(|entry| entry["text"].as_str().unwrap())
        .collect();
    // Those before a kill are there unless the disk was too slow for it; none is there twice.
    let mut wanted = ["begin", "next", "held"].into_iter();
    assert!(
        marks.iter().all(|mark| wanted.any(|w| w == *mark)),
        "{marks:?}"
    );
    assert_eq!(marks.last(), Some(&"held"));
    assert_eq!(of_kind(&log, "show_over").len(), 1);
}

/// The box was off at the show's time.
#[test]
fn what_was_missed_follows_its_policy() {
    let mut regia = Box::new("");
    regia.start(&[]);
    regia.wait_state("STANDBY");
    let soon = in_seconds(6);
    let text = |id: &str, more: &str| {
        format!("id = \"{id}\"\nstart = \"{soon}\"\nzone = \"UTC\"\nlength_s = 5\n{more}")
    };
    add(&regia, &text("missed", "missed = \"skip\"\n"));
    regia.kill();
    sleep(Duration::from_secs(18));
    regia.start(&[]);
    regia.wait_state("STANDBY");
    // The other one is started late: the daemon has no destination, and says so in the log.
    regia.end();
    let log = regia.log();
    let missed = of_kind(&log, "show_missed");
    assert_eq!(missed.len(), 1, "{log:?}");
    assert_eq!(missed[0]["reason"], "the box was not there at its time");
    assert_eq!(of_kind(&log, "show_begins").len(), 0);
    // Told once, and never again.
    regia.start(&[]);
    regia.wait_state("STANDBY");
    regia.end();
    assert_eq!(of_kind(&regia.log(), "show_missed").len(), 1);
}

#[test]
fn what_may_be_late_starts_late() {
    let mut regia = Box::new("");
    regia.start(&[]);
    regia.wait_state("STANDBY");
    add(
        &regia,
        &format!(
            "id = \"late\"\nstart = \"{}\"\nzone = \"UTC\"\nlength_s = 5\nmissed = \"late\"\nlate_within_s = \"10m\"\n\
             [[step]]\nat = \"+00:01\"\ndo = \"mark\"\ntext = \"late\"\n",
            in_seconds(6)
        ),
    );
    regia.kill();
    sleep(Duration::from_secs(18));
    regia.start(&[]);
    let over = regia_testkit::wait::until(PATIENCE, || {
        let schedule = schedule(&regia)?;
        (schedule["running"].is_null() && schedule["upcoming"].as_array()?.is_empty()).then_some(())
    });
    assert!(over.is_some());
    sleep(Duration::from_secs(1));
    regia.end();
    let log = regia.log();
    assert_eq!(of_kind(&log, "show_begins").len(), 1);
    assert_eq!(of_kind(&log, "marker").len(), 1);
    assert_eq!(of_kind(&log, "show_missed").len(), 0);
    // There is no destination to go live to.
    assert_eq!(of_kind(&log, "show_step_failed").len(), 1);
}
