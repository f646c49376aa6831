//! From capture to arrival: Regia's `test` source to its own rehearsal ingest on the same machine, by the stamp that each
//! frame carries.

use crate::Bench;
use crate::jobs::{Destination, Programme, complain};
use crate::report::{cell, table};
use regia_testkit::ports;
use regia_testkit::process::Launch;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const TUNES: [&str; 2] = ["latency", "quality"];
const PATIENCE: Duration = Duration::from_secs(30);

pub fn run(bench: &Bench) -> String {
    let dir = bench.dir("latency");
    let mut latencies: [Vec<Value>; 2] = Default::default();
    for round in 1..=bench.rounds {
        for (tune, latencies) in TUNES.iter().zip(&mut latencies) {
            if let Some(latency) = measure(bench, tune, &dir) {
                eprintln!("{tune} round {round}: {latency}");
                latencies.push(latency);
            }
        }
    }
    let rows: Vec<Vec<String>> = TUNES
        .iter()
        .zip(&latencies)
        .map(|(tune, of)| {
            let column = |field: &str| {
                of.iter()
                    .filter_map(|l| l[field].as_f64())
                    .collect::<Vec<_>>()
            };
            let mut row = vec![format!("`tune = \"{tune}\"`")];
            row.extend(["min_ms", "median_ms", "p95_ms", "max_ms"].map(|f| cell(&column(f), 1)));
            row.push(of.len().to_string());
            row
        })
        .collect();
    format!(
        "Capture stamp to arrival at `regia rehearse` over RTMPS on loopback, 1080p30, hold 30 s, delay 0.\n\n{}",
        table(
            &[
                "encoder",
                "least ms",
                "median ms",
                "95 % ms",
                "most ms",
                "rounds"
            ],
            &rows
        )
    )
}

/// The `latency` object of the rehearsal's report.
fn measure(bench: &Bench, tune: &'static str, dir: &Path) -> Option<Value> {
    let (addr, report, ca) = (
        ports::loopback(),
        dir.join("report.json"),
        dir.join("ca.pem"),
    );
    // What an earlier round left must not pass for this one's.
    let _ = std::fs::remove_file(&report);
    let mut rehearsal = Launch::new(&bench.regia)
        .args(["rehearse", "--once", "--tls", "--listen", &addr.to_string()])
        .arg("--tls-ca-out")
        .arg(&ca)
        .arg("--report")
        .arg(&report)
        .spawn();
    let listening = regia_testkit::wait::until(PATIENCE, || {
        (ca.exists() && ports::is_listening(rehearsal.pid(), addr)).then_some(())
    });
    if listening.is_none() {
        complain("regia rehearse", "does not listen", &rehearsal);
        return None;
    }
    let programme = Programme {
        width: 1920,
        height: 1080,
        video_kbps: 6000,
        audio_kbps: 128,
        preset: "veryfast",
        tune,
        file: None,
    };
    let destination = Destination {
        id: "rehearsal".into(),
        server: format!("rtmps://{addr}/live"),
        ca: Some(&ca),
        more: "",
    };
    let mut regia = bench
        .run_regia(programme.config() + &destination.config())
        .start();
    std::thread::sleep(Duration::from_secs(u64::from(bench.seconds)));
    regia.terminate(PATIENCE);
    rehearsal.wait_end(PATIENCE);
    let report: Option<Value> = std::fs::read(&report)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let latency = report.map(|report| report["streams"][0]["latency"].clone());
    if latency.as_ref().is_none_or(Value::is_null) {
        complain("regia rehearse", "gave no latency", &rehearsal);
        complain("regia", "said", &regia.process);
        return None;
    }
    latency
}
