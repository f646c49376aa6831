//! Events: a snapshot first, numbered changes after, and a client that was away goes on where it was.

use crate::client::{next_json, wait_json};
use crate::rig::{Panel, alone};
use regia_testkit::usage;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_snapshot_then_numbered_changes() {
    let panel = Panel::start("");
    let mut socket = panel.admin.socket("/api/v1/events").unwrap();
    let snapshot = next_json(&mut socket);
    assert_eq!(snapshot["kind"], "snapshot");
    for part in ["status", "log", "levels", "desk"] {
        assert!(snapshot.get(part).is_some(), "{part}");
    }
    panel
        .admin
        .post("/api/v1/live/mark", json!({"text": "hello"}));
    let mut seq = snapshot["seq"].as_u64().unwrap();
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        let message = next_json(&mut socket);
        let next = message["seq"].as_u64().unwrap();
        assert!(next > seq, "{next} after {seq}");
        seq = next;
        let kind = match message["entry"]["text"].as_str() {
            Some("Marked: hello") => "the mark",
            _ => message["kind"].as_str().unwrap(),
        };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    eprintln!("in 6 s: {kinds:?}");
    assert!((3..=8).contains(&kinds["ping"]), "{kinds:?}");
    assert!((6..=40).contains(&kinds["status"]), "{kinds:?}");
    assert!(kinds["levels"] > 20, "{kinds:?}");
    assert_eq!(kinds.get("the mark"), Some(&1), "{kinds:?}");
}

#[test]
fn a_client_that_was_away_goes_on_where_it_was() {
    let panel = Panel::start("");
    let mut socket = panel.admin.socket("/api/v1/events").unwrap();
    next_json(&mut socket);
    let known = wait_json(&mut socket, "a ping", |m| m["kind"] == "ping")["seq"]
        .as_u64()
        .unwrap();
    drop(socket);
    for text in ["one", "two"] {
        panel.admin.post("/api/v1/live/mark", json!({"text": text}));
    }
    let path = format!("/api/v1/events?after={known}");
    let mut again = panel.admin.socket(&path).unwrap();
    let first: Vec<_> = (0..3).map(|_| next_json(&mut again)).collect();
    let texts: Vec<_> = first
        .iter()
        .map(|m| m["entry"]["text"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(texts, ["Marked: one", "Marked: two", ""], "{first:?}");
    assert_eq!(first[2]["kind"], "status");
    // A number of another life, or none, gets everything.
    for after in ["?after=1", "?after=99999999999999", ""] {
        let mut socket = panel
            .admin
            .socket(&format!("/api/v1/events{after}"))
            .unwrap();
        assert_eq!(next_json(&mut socket)["kind"], "snapshot", "{after}");
    }
    assert_eq!(panel.admin.get("/api/v1/events?after=x").status, 400);
    assert_eq!(panel.admin.get("/api/v1/events").status, 426);
}

#[test]
fn a_change_of_the_state_word_is_told_at_once() {
    let mut ingest = crate::rig::Ingest::start();
    let _alone = crate::rig::alone();
    let panel = Panel::start(&ingest.destination("show"));
    let mut socket = panel.admin.socket("/api/v1/events").unwrap();
    next_json(&mut socket);
    let asker = panel.admin.clone();
    let asked = Instant::now();
    let start =
        std::thread::spawn(move || asker.post("/api/v1/live/start", json!({"anyway": "x"})));
    wait_json(&mut socket, "CONNECTING", |m| {
        m["status"]["state"] == "CONNECTING"
    });
    let told = asked.elapsed();
    assert_eq!(start.join().unwrap().status, 200);
    // Printed, not asserted tightly: the machine may be busy.
    eprintln!(
        "told {:.0} ms after it was asked for",
        told.as_secs_f64() * 1e3
    );
    assert!(told < Duration::from_secs(5), "{told:?}");
    // In either order: the log is written when it happens, the word is renewed after it.
    let (mut word, mut text) = (false, None);
    wait_json(&mut socket, "ON AIR, and the log of it", |m| {
        word |= m["status"]["state"] == "ON AIR";
        if m["kind"] == "log" && m["entry"]["event"] == "on_air" {
            text = m["entry"]["text"].as_str().map(str::to_owned);
        }
        word && text.is_some()
    });
    assert_eq!(text.as_deref(), Some("show is on air."));
    panel.regia.cli(&["live", "stop"]);
    wait_json(&mut socket, "ENDED", |m| m["status"]["state"] == "ENDED");
    let report = ingest.report();
    assert_eq!(report["streams"][0]["stamps"]["lost"], 0, "{report}");
}

#[test]
fn twenty_panels_cost_little() {
    let _alone = alone();
    let panel = Panel::start("");
    let pid = panel.regia.process.pid();
    let busy = |length: Duration| {
        let before = usage::of(pid).cpu;
        std::thread::sleep(length);
        (usage::of(pid).cpu - before).as_secs_f64() / length.as_secs_f64() * 100.0
    };
    std::thread::sleep(Duration::from_secs(3));
    let length = Duration::from_secs(8);
    let without = busy(length);
    let stop = Arc::new(AtomicBool::new(false));
    let panels: Vec<_> = (0..20)
        .map(|_| {
            let (client, stop) = (panel.admin.clone(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut socket = client.socket("/api/v1/events").unwrap();
                let mut heard = 0;
                while !stop.load(Ordering::Relaxed) {
                    next_json(&mut socket);
                    heard += 1;
                }
                heard
            })
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    let with = busy(length);
    stop.store(true, Ordering::Relaxed);
    let heard: usize = panels.into_iter().map(|one| one.join().unwrap()).sum();
    // Printed, not asserted tightly: this is a debug build.
    eprintln!(
        "20 panels: the director takes {with:.1} % of a core, {without:.1} % without; {heard} messages"
    );
    assert!(heard > 20 * 60, "{heard}");
    assert!(with - without < 40.0, "{without} → {with}");
}
