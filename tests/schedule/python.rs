//! Python's libraries, which scripts/test.sh installs into target/python: what Regia is compared with.

use regia_testkit::process::{Launch, Process};
use regia_testkit::skip;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/schedule")
        .join(name)
}

/// A program of the environment; None where it is not installed, which is told.
pub fn program(test: &str, name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("target/python/bin")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    let why = format!(
        "{} is not there; scripts/test.sh installs it",
        path.display()
    );
    skip::unavailable(test, &why);
    None
}

/// Runs a script of tests/schedule to its end, with this on its standard input.
pub fn run(test: &str, name: &str, input: &str, env: &[(&str, &str)]) -> Option<String> {
    let python = program(test, "python")?;
    let mut child = Command::new(python)
        .arg(script(name))
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(done.status.success(), "{name} failed");
    Some(String::from_utf8(done.stdout).unwrap())
}

/// Starts a script that serves.
pub fn serve(test: &str, name: &str, args: &[&str]) -> Option<Process> {
    let python = program(test, "python")?;
    let launch = Launch::new(python)
        .arg(script(name))
        .args(args.iter().copied());
    Some(launch.spawn())
}
