//! The report of a real broadcast: what it sums up is what the log says, and what the ingest itself has counted.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while its fault lasts"
)]

#[expect(dead_code, reason = "shared with tests that need more of it")]
#[path = "e2e/spine/rehearse.rs"]
mod rehearse;

use regia_testkit::proxy::Proxy;
use regia_testkit::regia::Setup;
use rehearse::Rehearsal;
use serde_json::Value;
use std::time::Duration;

const REGIA: &str = env!("CARGO_BIN_EXE_regia");
const PATIENCE: Duration = Duration::from_secs(60);
const FPS: f64 = 30.0;
const AWAY: Duration = Duration::from_millis(1_500);
/// A GOP and a picture: what a window may hold back at either end.
const AN_END_S: f64 = 0.2;

fn number(value: &Value, name: &str) -> f64 {
    value[name]
        .as_f64()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn its_totals_are_the_logs_and_the_ingests() {
    let dir = tempfile::tempdir().unwrap();
    let mut rehearsal = Rehearsal::start(dir.path(), false, &["--take-over"]);
    let server: std::net::SocketAddr = {
        let url = rehearsal.url();
        url.split('/').nth(2).unwrap().parse().unwrap()
    };
    let proxy = Proxy::start(server);
    let text = format!(
        "[programme]\nwidth = 640\nheight = 360\nfps = 30\n\
         [programme.video]\nencoder = \"x264\"\npreset = \"superfast\"\ntune = \"latency\"\nbitrate_kbps = 2000\n\
         [[source]]\nid = \"stage\"\nkind = \"test\"\n\
         [[destination]]\nid = \"out\"\nserver = \"rtmp://{}/live\"\nkey = \"report\"\n",
        proxy.addr()
    );
    let mut regia = Setup::new(REGIA, text).not_live().start();
    regia.wait_status("pictures", PATIENCE, |status| {
        status["health_age_s"].is_number()
    });
    let started = regia.cli(&["live", "start", "--anyway", "a test of the report"]);
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    let on_air = |status: &Value, seconds: f64| {
        status["destinations"][0]["state"] == "on_air" && number(status, "elapsed_s") > seconds
    };
    regia.wait_status("on air", PATIENCE, |status| on_air(status, 4.0));
    proxy.refuse(true);
    proxy.reset_all();
    std::thread::sleep(AWAY);
    proxy.refuse(false);
    regia.wait_status("a reconnect", PATIENCE, |status| {
        status["destinations"][0]["reconnects"] == 1
    });
    let status = regia.wait_status("on air again", PATIENCE, |status| on_air(status, 9.0));
    let session = status["session"].as_str().unwrap().to_owned();
    let stopped = regia.cli(&["live", "stop"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    regia.wait_status("the end", PATIENCE, |status| status["state"] == "ENDED");

    let page = dir.path().join("report.html");
    let page_arg = page.display().to_string();
    let report = regia.cli(&["live", "report", "--json", "--html", &page_arg]);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    println!("{}", regia.cli(&["live", "report", &session]).stdout);
    assert_eq!(report["session"], session.as_str());
    assert_eq!(report["anyway"][0]["reason"], "a test of the report");
    let to = &report["destinations"][0];
    assert_eq!(
        (to["id"].as_str(), to["end"].as_str()),
        (Some("out"), Some("asked"))
    );
    let outage = &to["outages"][0];
    assert_eq!(outage["covered"], "replay", "{to}");
    assert!(
        number(outage, "lasted_s") > 1.0 && number(outage, "at_s") >= 4.0,
        "{outage}"
    );
    assert!(
        to["samples"]
            .as_array()
            .is_some_and(|samples| samples.len() >= 2)
    );

    // The log, added up by hand.
    let log = report["log"].as_array().unwrap();
    let of = |word: &str| log.iter().filter(|line| line["event"] == word).count();
    assert_eq!(
        (of("started"), of("lost"), of("failover")),
        (1, 1, 1),
        "{log:#?}"
    );
    let totals = &report["totals"];
    assert_eq!(totals, &to["totals"]);
    assert_eq!(
        totals["reconnects"].as_u64(),
        Some(of("publishing") as u64 - 1)
    );
    assert_eq!((number(totals, "shed_s"), of("shed")), (0.0, 0));
    assert_eq!(number(totals, "undelivered_s"), 0.0);
    assert!(
        number(totals, "replayed_s") > 0.0 && of("replayed") >= 1,
        "{totals}"
    );

    // The ingest's own count: each picture carries its number, and those that came twice are counted as such.
    let arrived = rehearsal.finish();
    let stream = &arrived["streams"][0];
    assert_eq!(
        stream["publishes"].as_array().map(Vec::len),
        Some(2),
        "{stream}"
    );
    let stamps = &stream["stamps"];
    assert_eq!(stamps["lost"].as_u64(), Some(0), "{stamps}");
    let frames = number(&stream["video"], "frames");
    let again = number(stamps, "repeated") + number(stamps, "doubled");
    let delivered_s = (frames - again) / FPS;
    let said_s = number(totals, "delivered_s");
    println!(
        "{said_s:.3} s by the report, {delivered_s:.3} s by the ingest, {again} pictures again"
    );
    assert!(
        (said_s - delivered_s).abs() < AN_END_S,
        "{said_s} {delivered_s}"
    );
    let replayed_s = number(totals, "replayed_s");
    assert!(
        (replayed_s - again / FPS).abs() < 1.1,
        "{replayed_s} {again}"
    );

    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains("<svg") && page.contains("Bitrate sent, Mb/s"),
        "{page}"
    );
    for args in [
        &["live", "report", "20200101-000000"][..],
        &["live", "report", "../../status"],
    ] {
        let none = regia.cli(args);
        assert_eq!(none.code, Some(1));
        assert!(
            none.stderr.contains("there is no session"),
            "{}",
            none.stderr
        );
    }
    let list = regia.cli(&["live", "report", "--list"]);
    assert!(list.stdout.starts_with(&session), "{}", list.stdout);
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
}
