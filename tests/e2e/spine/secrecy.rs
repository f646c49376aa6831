//! A stream key never leaves by any way but the connection that it is for: not at trace level, not when a server repeats it.

use crate::config::{SMALL, Source, config};
use crate::rehearse::Rehearsal;
use crate::rejecting::Rejecting;
use crate::{PATIENCE, REGIA, alone};
use regia_testkit::{regia, usage};
use std::path::Path;

/// Long enough to be found in parts, and with a query, as some platforms' keys have: servers are known to repeat either.
const KEY: &str = "Zq7Lm2planted9Xw?token=Vb5Ty8planted1Rk";

/// What no text may hold: any piece of the key, but for its last four characters, by which the rehearsal names a stream. Shorter
/// pieces than these turn up by chance in a megabyte of recorded media.
#[track_caller]
fn assert_silent(what: &str, text: &str) {
    for piece in ["Zq7Lm2", "nted9Xw", "Vb5Ty8", "planted", "ted1Rk"] {
        if let Some(line) = text.lines().find(|line| line.contains(piece)) {
            panic!("{what} tells {piece:?} of the key: {line}");
        }
    }
}

/// Arguments of every process of the tree. Environments are not looked at: nothing of the key is put there.
fn arguments(root: u32) -> String {
    usage::tree(root)
        .into_iter()
        .filter_map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " ") + "\n")
        .collect()
}

/// Names and contents of all files under `dir`, but for the configuration itself and media.
fn files(dir: &Path) -> String {
    let mut found = String::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        found += &format!("{}\n", path.display());
        if path.is_dir() {
            found += &files(&path);
        } else if path.file_name().is_some_and(|name| name != "regia.toml")
            && let Ok(text) = std::fs::read(&path)
        {
            found += &String::from_utf8_lossy(&text);
        }
    }
    found
}

#[test]
fn a_whole_session_at_trace_level_never_tells_the_key() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut rehearsal = Rehearsal::start(dir.path(), true, &[]);
    let ca = rehearsal.ca();
    let copies = dir.path().join("copies");
    std::fs::create_dir(&copies).unwrap();
    let text = config(&SMALL, &Source::Test, &rehearsal.url(), KEY, ca.as_deref())
        + &format!("\n[[recording]]\nid = \"copy\"\nkind = \"copy\"\npath = {copies:?}\n");
    let mut regia = regia::Setup::new(REGIA, text)
        .env("REGIA_LOG", "trace")
        .start();
    regia.wait_status("on air", PATIENCE, |status| {
        status["state"] == "ON AIR" && status["elapsed_s"].as_f64().is_some_and(|s| s > 3.0)
    });
    let arguments = arguments(regia.process.pid());
    assert!(arguments.contains("regia engine"), "{arguments}");
    assert_silent("a process argument", &arguments);
    for args in [
        &["live", "status"][..],
        &["live", "status", "--json"],
        &["live", "start", "--json"],
        &["live", "stop", "--json"],
    ] {
        let outcome = regia.cli(args);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert_silent("the client", &(outcome.stdout + &outcome.stderr));
    }
    let config = regia.config_dir().join("regia.toml");
    for args in [&["check"][..], &["check", "--json"]] {
        let mut all = args.to_vec();
        let path = config.display().to_string();
        all.extend(["--config", &path]);
        let outcome = regia::run(REGIA, &all);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
        assert_silent("regia check", &(outcome.stdout + &outcome.stderr));
    }
    regia.terminate(PATIENCE);
    let log = regia.process.text();
    assert!(log.contains("TRACE"), "this is the trace level");
    assert_silent("the log", &log);
    assert_silent("a file of the state", &files(regia.config_dir()));
    let report = rehearsal.finish();
    assert_eq!(report["streams"].as_array().map(Vec::len), Some(1));
    assert_silent("the rehearsal", &rehearsal.process.text());
    assert_silent("what was recorded or reported", &files(dir.path()));
}

/// The words of servers that we have seen: the key, the key without its query, the whole URL, all percent-encoded.
fn repeats(key: &str) -> (&'static str, String) {
    let (name, query) = key.split_once('?').unwrap_or((key, ""));
    let encoded = key.replace('?', "%3F").replace('=', "%3D");
    (
        "NetStream.Publish.BadName",
        format!(
            "stream '{key}' is already publishing: {name} ({query}) rtmp://host/live/{key} {encoded}"
        ),
    )
}

#[test]
fn a_server_that_repeats_the_key_is_not_quoted_with_it() {
    let _alone = alone();
    let server = Rejecting::start(repeats);
    let url = format!("rtmp://{}/live", server.addr);
    let mut regia = regia::Setup::new(REGIA, config(&SMALL, &Source::Test, &url, KEY, None))
        .env("REGIA_LOG", "trace")
        .start();
    let status = regia.wait_status("the refusal", PATIENCE, |status| {
        status["destinations"][0]["error"].is_string()
    });
    assert!(server.refused() > 0);
    println!("{}", status["destinations"][0]["error"]);
    assert_silent("the status", &status.to_string());
    regia.terminate(PATIENCE);
    assert_silent("the log", &regia.process.text());
}
