//! `regia check`: the exact text of every problem, on a machine that the test describes; and that no text, however
//! broken, panics the reader or brings a secret to light.

#[path = "check/inputs.rs"]
mod inputs;
#[path = "check/machine.rs"]
mod machine;
#[path = "check/outputs.rs"]
mod outputs;
#[path = "check/safety.rs"]
mod safety;
#[path = "check/scenes.rs"]
mod scenes;
#[path = "check/session.rs"]
mod session;
#[path = "check/titles.rs"]
mod titles;

use machine::Machine;
use regia::config::{Loaded, Problem, Secret, SourceKind, StreamKey, parse};
use std::path::Path;

const SECRET: &str = "Xq7vT2mNzR4w";

/// A configuration that is right: each case breaks one thing in it.
const GOOD: &str = r#"[programme]
width = 1280
height = 720
fps = 30

[programme.video]
bitrate_kbps = 3000
min_bitrate_kbps = 2000
keyframe_s = 2

[window]
hold_s = 30

[[source]]
id = "stage"
kind = "v4l2"
device = "/dev/video0"

[[scene]]
id = "wide"
layers = [{ source = "stage" }]

[[uplink]]
id = "fibre"
interface = "eth0"

[[uplink]]
id = "lte"
interface = "wwan0"

[[destination]]
id = "show"
platform = "youtube"
server = "rtmps://host:443/live"
key = "Xq7vT2mNzR4w"
uplinks = ["fibre", "lte"]

[[recording]]
id = "master"
kind = "copy"
path = "recordings"

[panel]
listen = "127.0.0.1:8080"
"#;

/// All lines that `regia check` would print of a text, without the summary.
fn lines(text: &str, machine: &Machine) -> Vec<String> {
    let problems = match parse(text, "/etc/regia/regia.toml", machine) {
        Ok(loaded) => loaded.warnings,
        Err(errors) => errors.problems,
    };
    problems.iter().map(short).collect()
}

/// The file's name is the same everywhere.
fn short(problem: &Problem) -> String {
    let line = problem.to_string();
    line.strip_prefix("/etc/regia/regia.toml:")
        .unwrap()
        .to_owned()
}

/// What `GOOD` says after replacing `from` by `to`.
fn after(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    lines(&GOOD.replacen(from, to, 1), &Machine::venue())
}

#[track_caller]
fn says(from: &str, to: &str, expected: &[&str]) {
    assert_eq!(after(from, to), expected, "{from} → {to}");
}

fn loaded(text: &str) -> Loaded {
    parse(text, "/etc/regia/regia.toml", &Machine::venue()).unwrap()
}

#[test]
fn the_good_one_is_good() {
    let Loaded { settings, warnings } = loaded(GOOD);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(
        settings.recordings[0].path,
        Path::new("/etc/regia/recordings")
    );
    assert_eq!(
        settings.destinations[0].key,
        StreamKey::Given(Secret::new(SECRET))
    );
}

#[test]
fn nothing_at_all() {
    assert_eq!(
        lines("", &Machine::venue()),
        [
            "1:1: source: is missing: there is nothing to show; for example [[source]] with id = \"stage\" and kind = \"v4l2\"",
            "1:1: warning: destination: is missing: nothing is sent anywhere; for example [[destination]] with id, server and key_file",
        ]
    );
}

#[test]
fn everything_at_once_in_the_order_of_the_file() {
    let text = GOOD
        .replace("width", "widht")
        .replace("/dev/video0", "/dev/video9")
        .replace("eth0", "eth9")
        .replace("youtube", "utube")
        .replace(SECRET, "")
        .replace("\"recordings\"", "\"/none\"");
    let said = lines(&text, &Machine::venue());
    let numbers: Vec<u32> = said
        .iter()
        .map(|line| line.split(':').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, [2, 17, 25, 33, 35, 41], "{said:#?}");
}

#[test]
fn the_examples_are_right() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut seen = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let loaded = parse(&text, name, &Machine::with_everything())
            .unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(loaded.warnings, [], "{name}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}

/// The full example's lines behind a `#` are right as well.
#[test]
fn the_commented_lines_are_right() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/regia.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let uncommented: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(code) if code.starts_with('[') || code.contains(" = ") => code,
            _ => line,
        })
        .collect();
    let text = uncommented.join("\n");
    let loaded = parse(&text, "regia.toml", &Machine::with_everything())
        .unwrap_or_else(|errors| panic!("{errors}"));
    let kinds = loaded.settings.sources.iter().map(|source| &source.kind);
    assert_eq!(kinds.len(), 14);
    let destination = &loaded.settings.destinations[0];
    assert!(destination.credentials.is_some() && destination.tls_ca_file.is_some());
    assert_eq!(destination.rules().grace.unwrap().value.as_secs(), 60);
    assert_eq!(
        loaded.settings.session.closing_scene.as_deref(),
        Some("wide")
    );
    let repeat = loaded
        .settings
        .sources
        .iter()
        .any(|source| matches!(&source.kind, SourceKind::File { repeat: true, .. }));
    assert!(repeat);
}
