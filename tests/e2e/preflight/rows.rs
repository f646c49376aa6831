//! Pre-flight of a running daemon, and its rows.

use crate::{PATIENCE, REGIA};
use regia_testkit::regia::{self, Regia};
use serde_json::Value;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Operators are promised ten seconds, on a machine that does nothing else; what each run took is printed.
const ALL_WITHIN: Duration = Duration::from_secs(30);

/// A programme that a debug build makes with ease.
pub const PROGRAMME: &str = "[programme]\nwidth = 640\nheight = 360\nfps = 30\n\
    [programme.video]\nencoder = \"x264\"\npreset = \"superfast\"\nbitrate_kbps = 3000\nmin_bitrate_kbps = 2000\n";

pub fn destination(id: &str, server: &str, lines: &str) -> String {
    format!(
        "[[destination]]\nid = {id:?}\nserver = {server:?}\nkey = \"{id}-Zq7Lm2planted\"\n{lines}\n"
    )
}

/// Starts the daemon in standby, and waits for its first pictures.
pub fn standby(config: &str) -> Regia {
    seen(regia::Setup::new(REGIA, config).not_live().start())
}

pub fn seen(mut regia: Regia) -> Regia {
    regia.wait_status("the engine's report on its sources", PATIENCE, |status| {
        status["health_age_s"].is_number()
    });
    regia
}

pub struct Rows(Value);

/// Asks for pre-flight; its exit code must agree with it.
#[track_caller]
pub fn preflight(regia: &Regia) -> Rows {
    let began = Instant::now();
    let outcome = regia.cli(&["preflight", "--json"]);
    let took = began.elapsed();
    let report: Value = serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}{}", outcome.stdout, outcome.stderr));
    let rows = Rows(report);
    println!("in {took:.1?}:\n{}", rows.text());
    assert!(took < ALL_WITHIN, "it took {took:?}");
    let expected = if rows.0["ok"] == true { 0 } else { 1 };
    assert_eq!(outcome.code, Some(expected));
    assert!(!outcome.stdout.contains("planted"), "a key is shown");
    rows
}

impl Rows {
    fn all(&self) -> impl Iterator<Item = &Value> {
        self.0["rows"].as_array().into_iter().flatten()
    }

    pub fn is_ok(&self) -> bool {
        self.0["ok"] == true
    }

    /// The row as "grade: found → advice".
    #[track_caller]
    pub fn row(&self, check: &str, subject: &str) -> String {
        let named = |row: &&Value| row["check"] == check && row["subject"] == subject;
        let row = self.all().find(named);
        let row = row.unwrap_or_else(|| panic!("no {check} {subject:?} in\n{}", self.text()));
        assert!(
            row["age_s"]
                .as_f64()
                .is_some_and(|age_s| age_s < ALL_WITHIN.as_secs_f64())
        );
        let word = |name: &str| row[name].as_str().unwrap_or_default();
        match word("advice") {
            "" => format!("{}: {}", word("grade"), word("found")),
            advice => format!("{}: {} → {advice}", word("grade"), word("found")),
        }
    }

    /// What is no better than `grade`, but the box's own affairs, which no test can know.
    pub fn against(&self, grade: &str) -> Vec<String> {
        let own = ["clock", "processors", "power", "temperature"];
        self.all()
            .filter(|row| row["grade"] == grade && !own.iter().any(|check| row["check"] == *check))
            .map(ToString::to_string)
            .collect()
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for row in self.all() {
            let word = |name: &str| row[name].as_str().unwrap_or_default();
            let _ = writeln!(
                text,
                "{:8} {} {}: {} → {}",
                word("grade"),
                word("check"),
                word("subject"),
                word("found"),
                word("advice")
            );
        }
        text
    }
}
