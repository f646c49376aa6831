//! Hooks: a program that is run at events of the log, with the entry as JSON on its standard input. Shell.
//!
//! Never through a shell, as the daemon's user, with nothing of its environment but where programs are. One that hangs is ended with
//! all that it started; the show does not wait for any of them.

use crate::config::Hook;
use crate::session::SessionHandle;
use crate::session::event::Entry;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;
use tracing::{debug, warn};

/// At the same time; a hook that is asked for beyond that is left out.
const AT_ONCE: usize = 8;
/// Of what a hook says on its standard error, in bytes.
const HEARD: u64 = 2_000;

/// Runs hooks until the session is gone.
pub(super) async fn serve(session: SessionHandle) {
    let (mut log, settings) = (session.log(), session.settings_watch());
    drop(session);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let entry = match log.recv().await {
            Ok(entry) => entry,
            Err(RecvError::Lagged(missed)) => {
                warn!(missed, "hooks: too much happened at once");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let Some((word, json)) = written(&entry) else {
            continue;
        };
        let hooks = settings.borrow().hooks.clone();
        for hook in hooks.into_iter().filter(|hook| hook.on.contains(&word)) {
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
                warn!(hook = %hook.id, event = %word, "too many hooks run already; this one does not");
                continue;
            };
            let (json, word) = (json.clone(), word.clone());
            tokio::spawn(async move {
                match run(&hook, json).await {
                    Ok(()) => debug!(hook = %hook.id, event = %word, "hook done"),
                    Err(reason) => warn!(hook = %hook.id, event = %word, %reason, "hook failed"),
                }
                drop(permit);
            });
        }
    }
}

/// The entry's word, and all of it.
fn written(entry: &Entry) -> Option<(String, String)> {
    let mut value = serde_json::to_value(entry).ok()?;
    let word = value.get("event")?.as_str()?.to_owned();
    value["text"] = entry.event.to_string().into();
    Some((word, value.to_string()))
}

async fn run(hook: &Hook, json: String) -> Result<(), String> {
    let (program, args) = hook.command.split_first().ok_or("it has no command")?;
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .env("PATH", path)
        .env("LANG", "C.UTF-8")
        .env("REGIA_HOOK", &hook.id)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it can't be started: {error}"))?;
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .map(Pid::from_raw);
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let work = async {
        if let Some(mut stdin) = stdin {
            // A hook may not care what happened.
            let _ = stdin.write_all(json.as_bytes()).await;
        }
        let mut heard = Vec::new();
        if let Some(stderr) = stderr {
            let _ = stderr.take(HEARD).read_to_end(&mut heard).await;
        }
        (child.wait().await, heard)
    };
    let result = match tokio::time::timeout(hook.time_out, work).await {
        Ok((Ok(status), _)) if status.success() => Ok(()),
        Ok((Ok(status), heard)) => Err(format!(
            "{status}: {}",
            String::from_utf8_lossy(&heard).trim()
        )),
        Ok((Err(error), _)) => Err(error.to_string()),
        Err(_) => Err(format!(
            "it was ended after {} s",
            hook.time_out.as_secs_f64()
        )),
    };
    // What it left running goes with it; a group that is empty already is none.
    if let Some(group) = group {
        let _ = killpg(group, Signal::SIGKILL);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HOOK_EVENTS;
    use crate::session::event::Event;
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    fn hook(script: &str, time_out: Duration) -> Hook {
        Hook {
            id: "test".into(),
            on: vec!["on_air".into()],
            command: vec!["/bin/sh".into(), "-c".into(), script.into()],
            time_out,
        }
    }

    #[tokio::test]
    async fn what_happened_comes_on_standard_input() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out");
        let script = format!("cat > {0}; env >> {0}", file.display());
        run(
            &hook(&script, Duration::from_secs(20)),
            r#"{"event":"on_air"}"#.into(),
        )
        .await
        .unwrap();
        let said = std::fs::read_to_string(&file).unwrap();
        assert!(said.starts_with(r#"{"event":"on_air"}"#), "{said}");
        assert!(
            said.contains("REGIA_HOOK=test") && !said.contains("CARGO"),
            "{said}"
        );
        let failed = run(
            &hook("echo no lamp >&2; exit 3", Duration::from_secs(20)),
            String::new(),
        )
        .await;
        assert_eq!(failed.unwrap_err(), "exit status: 3: no lamp");
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pids");
        let script = format!(
            "sleep 600 & echo $! > {0}; echo $$ >> {0}; wait",
            file.display()
        );
        let began = Instant::now();
        let failed = run(&hook(&script, Duration::from_millis(700)), String::new()).await;
        assert_eq!(failed.unwrap_err(), "it was ended after 0.7 s");
        assert!(began.elapsed() < Duration::from_secs(60));
        let pids = std::fs::read_to_string(&file).unwrap();
        assert_eq!(pids.lines().count(), 2);
        for pid in pids.lines() {
            let gone = || {
                let state =
                    std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                state.is_empty() || state.contains(") Z ")
            };
            for _ in 0..200 {
                if gone() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(gone(), "{pid} still runs");
        }
    }

    /// serde names every word that it knows when it meets another.
    #[test]
    fn the_configuration_knows_the_logs_words() {
        let error = serde_json::from_str::<Event>(r#"{"event":"no such word"}"#)
            .unwrap_err()
            .to_string();
        let list = error.split_once("expected one of ").unwrap().1;
        let list = list.split(" at line").next().unwrap();
        let words: BTreeSet<&str> = list
            .split(", ")
            .map(|word| word.trim_matches('`'))
            .collect();
        assert_eq!(words, HOOK_EVENTS.iter().copied().collect());
    }
}
