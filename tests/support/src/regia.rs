//! Regia as an operator runs it: the program, a configuration file and a state directory.

use crate::process::{Launch, Process};
use crate::usage;
use rustix::process::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tempfile::TempDir;

/// What to start.
#[derive(Clone, Debug)]
pub struct Setup {
    program: PathBuf,
    config: String,
    live: bool,
    netns: Option<String>,
    env: Vec<(String, String)>,
}

impl Setup {
    /// `program`: `env!("CARGO_BIN_EXE_regia")` in a test; `config`: the text of the configuration file. Goes on air at once.
    pub fn new(program: impl AsRef<Path>, config: impl Into<String>) -> Self {
        Setup {
            program: program.as_ref().to_owned(),
            config: config.into(),
            live: true,
            netns: None,
            env: Vec::new(),
        }
    }

    pub fn not_live(mut self) -> Self {
        self.live = false;
        self
    }

    pub fn netns(mut self, name: &str) -> Self {
        self.netns = Some(name.to_owned());
        self
    }

    /// Such as `RUST_LOG`, or `LD_PRELOAD` for libfaketime.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    #[track_caller]
    pub fn start(self) -> Regia {
        let dir = tempfile::Builder::new()
            .prefix("regia-")
            .tempdir()
            .expect("the system's directory for temporary files is writable");
        let (config, state) = (dir.path().join("regia.toml"), dir.path().join("state"));
        std::fs::write(&config, &self.config).expect("a fresh directory is writable");
        std::fs::create_dir(&state).expect("a fresh directory is writable");
        let mut launch = Launch::new(&self.program)
            .arg("run")
            .arg("--config")
            .arg(&config)
            .arg("--state")
            .arg(&state)
            .netns(self.netns.as_deref());
        if self.live {
            launch = launch.arg("--live");
        }
        for (key, value) in &self.env {
            launch = launch.env(key, value);
        }
        Regia {
            process: launch.spawn(),
            program: self.program,
            state,
            dir,
        }
    }
}

/// A running `regia run`; killed with its engine on drop.
pub struct Regia {
    pub process: Process,
    program: PathBuf,
    state: PathBuf,
    /// Removed after the process, which fields' order sees to.
    dir: TempDir,
}

impl Regia {
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// The directory that holds its configuration file, `regia.toml`.
    pub fn config_dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs another `regia` against this one: `regia ARGS… --state …`.
    pub fn cli(&self, args: &[&str]) -> Outcome {
        let mut all = args.to_vec();
        let state = self.state.display().to_string();
        all.extend(["--state", &state]);
        run(&self.program, &all)
    }

    /// What `regia live status --json` prints; `None` while it does not answer.
    pub fn status(&self) -> Option<Value> {
        let outcome = self.cli(&["live", "status", "--json"]);
        serde_json::from_str(&outcome.stdout)
            .ok()
            .filter(|_| outcome.code == Some(0))
    }

    /// One destination of the status, by its id.
    pub fn destination(&self, id: &str) -> Option<Value> {
        self.status()?["destinations"]
            .as_array()?
            .iter()
            .find(|destination| destination["id"] == id)
            .cloned()
    }

    /// Asks for the status until `wanted` is content with it; panics with the last one and the log after `timeout`.
    #[track_caller]
    pub fn wait_status(
        &mut self,
        what: &str,
        timeout: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = None;
        let found = crate::wait::until(timeout, || {
            last = self.status();
            if last.is_none() && self.process.has_ended() {
                return Some(None);
            }
            last.clone().filter(|status| wanted(status)).map(Some)
        });
        match found.flatten() {
            Some(status) => status,
            None => panic!(
                "never saw {what}; the last status was {}; the log:\n{}",
                last.unwrap_or_default(),
                self.process.text()
            ),
        }
    }

    /// The engine's process, once there is one.
    pub fn engine_pid(&self) -> Option<u32> {
        usage::tree(self.process.pid())
            .into_iter()
            .skip(1)
            .find(|pid| {
                std::fs::read(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line.split(|&b| b == 0).nth(1) == Some(b"engine"))
            })
    }

    /// `kill -9` of the engine; its pid, or `None` when there was none.
    pub fn kill_engine(&self) -> Option<u32> {
        let pid = self.engine_pid()?;
        let target = rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)?;
        rustix::process::kill_process(target, Signal::KILL)
            .ok()
            .map(|()| pid)
    }

    /// SIGTERM: an operator's stop, which drains the window first.
    #[track_caller]
    pub fn terminate(&mut self, timeout: Duration) -> ExitStatus {
        self.process.terminate(timeout)
    }
}

/// What a `regia` that ends by itself did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command such as `check` to its end.
#[track_caller]
pub fn run(program: impl AsRef<Path>, args: &[&str]) -> Outcome {
    let done = std::process::Command::new(program.as_ref())
        .args(args)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("starting {}: {e}", program.as_ref().display()));
    Outcome {
        code: done.status.code(),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Plays Regia's part: a daemon with an `engine` child, and a client that prints a status.
    const STAND_IN: &str = r#"#!/bin/sh
case "$1 $2" in
"live status") echo "{\"state\":\"LIVE\",\"args\":\"$*\",\"destinations\":[{\"id\":\"one\",\"state\":\"live\"}]}" ;;
"engine ") exec sleep 60 ;;
"run --config") echo "config $(cat "$3") state $5 last $6"; "$0" engine & wait; sleep 60 ;;
*) echo "no such thing" >&2; exit 2 ;;
esac
"#;

    #[test]
    fn it_is_driven_like_an_operator_would() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("regia");
        std::fs::write(
            &program,
            STAND_IN.replace("exec sleep 60", "while :; do sleep 1; done"),
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut regia = Setup::new(&program, "text").start();
        let soon = Duration::from_secs(10);
        let line = regia.process.wait_line("config text", soon).text;
        assert!(line.ends_with("last --live"), "{line}");
        let status = regia.wait_status("LIVE", soon, |s| s["state"] == "LIVE");
        let asked = status["args"].as_str().unwrap();
        assert!(asked.starts_with("live status --json --state "), "{asked}");
        assert_eq!(regia.destination("one").unwrap()["state"], "live");
        assert_eq!(regia.destination("two"), None);
        assert_eq!(
            run(&program, &["check"]),
            Outcome {
                code: Some(2),
                stdout: String::new(),
                stderr: "no such thing\n".into()
            }
        );
        assert_eq!(regia.terminate(soon).code(), None);
    }
}
