//! Configurations that can't be: `regia check` tells all, `regia run` starts nothing; both exit with 2.

use crate::REGIA;
use regia_testkit::regia::{Outcome, run};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// Right, in every line: each case breaks one thing in it.
const GOOD: &str = r#"[programme]
width = 1280

[[source]]
id = "stage"
kind = "test"

[[scene]]
id = "wide"
layers = [{ source = "stage" }]

[[destination]]
id = "out"
platform = "custom"
server = "rtmp://127.0.0.1:1935/live"
key_file = "stream.key"
"#;

/// A directory with the configuration and its key file.
fn directory(text: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("regia.toml"), text).unwrap();
    let key = dir.path().join("stream.key");
    std::fs::write(&key, "the-stream-key\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    dir
}

fn regia(command: &[&str], dir: &Path) -> Outcome {
    let config = dir.join("regia.toml").display().to_string();
    let state = dir.join("state").display().to_string();
    let mut args = command.to_vec();
    args.extend(["--config", &config, "--state", &state]);
    let mut outcome = run(REGIA, &args);
    for text in [&mut outcome.stdout, &mut outcome.stderr] {
        // Its name differs from run to run.
        *text = text.replace(&dir.display().to_string(), "DIR");
    }
    outcome
}

/// Breaks `GOOD` and compares the only line that is told, from both commands.
#[track_caller]
fn says(from: &str, to: &str, line: &str) {
    assert!(GOOD.contains(from), "{from}");
    let dir = directory(&GOOD.replacen(from, to, 1));
    let line = format!("DIR/regia.toml:{line}\n");
    let check = regia(&["check"], dir.path());
    assert_eq!(
        check,
        Outcome {
            code: Some(2),
            stdout: format!("{line}DIR/regia.toml: 1 problem\n"),
            stderr: String::new(),
        }
    );
    let run = regia(&["run", "--live"], dir.path());
    assert_eq!(
        run,
        Outcome {
            code: Some(2),
            stdout: String::new(),
            stderr: line
        }
    );
    assert!(
        !dir.path().join("state").exists(),
        "a run that can't start leaves nothing behind"
    );
}

#[test]
fn unknown_key() {
    says(
        "width = 1280",
        "widht = 1280",
        "2:1: programme.widht: unknown key; did you mean \"width\"?",
    );
}

#[test]
fn wrong_type() {
    says(
        "width = 1280",
        "width = \"1280\"",
        "2:9: programme.width: must be a whole number from 128 to 7680 pixels, not a string",
    );
}

#[test]
fn missing_file() {
    says(
        "kind = \"test\"",
        "kind = \"file\"\npath = \"opener.mp4\"",
        "7:8: source \"stage\".path: DIR/opener.mp4 does not exist; a relative path starts at the configuration's directory",
    );
}

#[test]
fn missing_device() {
    let dir = directory(&GOOD.replace(
        "kind = \"test\"",
        "kind = \"v4l2\"\ndevice = \"/dev/video97\"",
    ));
    let check = regia(&["check"], dir.path());
    assert_eq!(check.code, Some(2));
    // What follows depends on the machine's own cameras.
    let start = "DIR/regia.toml:7:10: source \"stage\".device: there is no device /dev/video97; this machine has ";
    assert!(check.stdout.starts_with(start), "{}", check.stdout);
    assert_eq!(regia(&["run", "--live"], dir.path()).code, Some(2));
}

#[test]
fn scene_naming_no_source() {
    let dir = directory(&GOOD.replace("source = \"stage\"", "source = \"stagr\""));
    let check = regia(&["check"], dir.path());
    assert_eq!(
        check.stdout,
        "DIR/regia.toml:4:1: warning: source \"stage\": no scene shows it\n\
         DIR/regia.toml:10:22: scene \"wide\".layers[1].source: there is no source \"stagr\"; did you mean \"stage\"?\n\
         DIR/regia.toml: 1 problem, 1 warning\n"
    );
    assert_eq!(check.code, Some(2));
}

#[test]
fn duplicate_id() {
    says(
        "[[scene]]",
        "[[source]]\nid = \"stage\"\nkind = \"test\"\n\n[[scene]]",
        "9:6: source \"stage\".id: \"stage\" is used already, on line 5; take another",
    );
}

#[test]
fn key_absent() {
    says(
        "key_file = \"stream.key\"\n",
        "",
        "12:1: destination \"out\".key: is missing; give one of key, key_file, key_env, key_secret; where a platform gives one URL and no key, the key is what follows its last slash",
    );
}

#[test]
fn url_without_an_app() {
    says(
        "rtmp://127.0.0.1:1935/live",
        "rtmp://127.0.0.1:1935",
        "15:10: destination \"out\".server: no application in \"rtmp://127.0.0.1:1935\"; write it as the platform gives it, for example rtmp://127.0.0.1:1935/live",
    );
}

#[test]
fn url_of_another_scheme() {
    says(
        "rtmp://127.0.0.1:1935/live",
        "srt://127.0.0.1:1935/live",
        "15:10: destination \"out\".server: has the scheme \"srt\", which is not one of rtmp, rtmps; write it as the platform gives it, for example rtmps://host:443/live",
    );
}

/// A warning: the show goes on.
#[test]
fn key_file_readable_by_others() {
    let dir = directory(GOOD);
    let key = dir.path().join("stream.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let check = regia(&["check"], dir.path());
    assert_eq!(check.code, Some(0));
    let line = "DIR/regia.toml:16:12: warning: destination \"out\".key_file: DIR/stream.key is open to others (mode 0644); chmod 600 DIR/stream.key\n";
    assert!(
        check.stdout.starts_with(line)
            && check.stdout[line.len()..].starts_with("DIR/regia.toml: no problems, 1 warning\n"),
        "{}",
        check.stdout
    );
}

#[test]
fn no_configuration_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let run = regia(&["run"], dir.path());
    assert_eq!(run.code, Some(2));
    assert_eq!(
        run.stderr,
        "DIR/regia.toml: there is no such file; name one with --config FILE\n"
    );
}

#[test]
fn arguments_that_do_not_exist() {
    let outcome = run(REGIA, &["run", "--liev"]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("unexpected argument '--liev'"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn nobody_to_ask() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = regia(&["live", "status"], dir.path());
    assert_eq!(
        outcome,
        Outcome {
            code: Some(1),
            stdout: String::new(),
            stderr: "regia: no daemon answers on DIR/state/regia.sock (No such file or directory (os error 2)); is `regia run` up, and with the same --state?\n".into()
        }
    );
}
