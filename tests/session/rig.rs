//! A daemon that can be killed and started again on the same state, an ingest, and readers of what they leave behind.

use crate::{PATIENCE, REGIA};
use regia::stamp::{self, Stamp};
use regia_testkit::ports;
use regia_testkit::process::{Launch, Process};
use regia_testkit::regia::{Outcome, run};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Light enough for a debug build beside other tests.
const PROGRAMME: &str = "[programme]\nwidth = 480\nheight = 270\nfps = 30\n[programme.video]\nencoder = \"x264\"\nbitrate_kbps = 800\n\
                         min_bitrate_kbps = 400\ntune = \"latency\"\npreset = \"ultrafast\"\n[[source]]\nid = \"main\"\nkind = \"test\"\n";

/// A directory with a configuration, a state and recordings; and the daemon of it, when one runs.
pub struct Box {
    dir: tempfile::TempDir,
    state: PathBuf,
    env: Vec<(String, String)>,
    pub daemon: Option<Process>,
}

impl Box {
    /// `config`: what stands behind the programme and its source. `RECORDINGS` in it is a directory.
    pub fn new(config: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("regia-session-")
            .tempdir()
            .unwrap();
        let recordings = dir.path().join("recordings");
        let state = dir.path().join("state");
        std::fs::create_dir(&recordings).unwrap();
        std::fs::create_dir(&state).unwrap();
        let config = config.replace("RECORDINGS", &recordings.display().to_string());
        std::fs::write(
            dir.path().join("regia.toml"),
            format!("{PROGRAMME}{config}"),
        )
        .unwrap();
        Box {
            dir,
            state,
            env: Vec::new(),
            daemon: None,
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn state(&self) -> &Path {
        &self.state
    }

    /// For the daemons that are started from now on.
    #[allow(dead_code, reason = "the schedule's tests step the clock")]
    pub fn env(&mut self, key: &str, value: &str) {
        self.env.push((key.to_owned(), value.to_owned()));
    }

    /// From now on the state is another directory.
    pub fn use_state(&mut self, state: PathBuf) {
        self.state = state;
    }

    fn launch(&self, args: &[&str]) -> Launch {
        let launch = Launch::new(REGIA)
            .arg("run")
            .arg("--config")
            .arg(self.dir.path().join("regia.toml"))
            .arg("--state")
            .arg(&self.state)
            .args(args.iter().copied());
        self.env
            .iter()
            .fold(launch, |launch, (key, value)| launch.env(key, value))
    }

    pub fn start(&mut self, args: &[&str]) -> Instant {
        let began = Instant::now();
        self.daemon = Some(self.launch(args).spawn());
        began
    }

    /// SIGKILL to the director; its engine has to find out by itself.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill();
            daemon.wait_end(PATIENCE);
        }
    }

    /// SIGKILL to everything at once.
    pub fn cut_power(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill_tree();
        }
    }

    pub fn end(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.terminate(PATIENCE);
        }
    }

    pub fn cli(&self, args: &[&str]) -> Outcome {
        let state = self.state.display().to_string();
        run(REGIA, &[args, &["--state", &state]].concat())
    }

    pub fn status(&self) -> Option<Value> {
        let outcome = self.cli(&["live", "status", "--json"]);
        serde_json::from_str(&outcome.stdout).ok()
    }

    #[track_caller]
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = regia_testkit::wait::until(PATIENCE, || self.status().filter(|s| wanted(s)));
        found.unwrap_or_else(|| {
            let text = self.daemon.as_ref().map(Process::text);
            panic!(
                "never saw {what}: {:?}\n{}",
                self.status(),
                text.unwrap_or_default()
            )
        })
    }

    #[track_caller]
    pub fn wait_state(&mut self, state: &str) -> Value {
        self.wait(state, |status| status["state"] == state)
    }

    /// The log, oldest first. The daemon must have ended: it holds the store for itself.
    pub fn log(&self) -> Vec<Value> {
        let store = self.store();
        let mut entries = store
            .prepare("SELECT entry FROM event ORDER BY number")
            .unwrap();
        let rows = entries
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap();
        rows.map(|row| serde_json::from_str(&row.unwrap()).unwrap())
            .collect()
    }

    pub fn store(&self) -> rusqlite::Connection {
        let store = rusqlite::Connection::open(self.state.join("regia.db")).unwrap();
        let verdict: String = store
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(verdict, "ok");
        store
    }

    /// Frames of the recording files, in the order of the files' names.
    pub fn recorded(&self) -> Vec<Option<Stamp>> {
        frames(&self.dir.path().join("recordings"))
    }
}

/// Entries of a kind.
pub fn of_kind<'a>(log: &'a [Value], kind: &str) -> Vec<&'a Value> {
    log.iter().filter(|entry| entry["event"] == kind).collect()
}

/// `regia rehearse`.
pub struct Ingest {
    pub process: Process,
    dir: PathBuf,
}

impl Ingest {
    pub fn listen(dir: &Path, addr: SocketAddr, args: &[&str]) -> Self {
        let dir = dir.join("ingest");
        std::fs::create_dir(&dir).unwrap();
        let mut process = Launch::new(REGIA)
            .args(["rehearse", "--listen", &addr.to_string(), "--report"])
            .arg(dir.join("report.json"))
            .arg("--record")
            .arg(dir.join("arrived"))
            .args(args.iter().copied())
            .spawn();
        process.wait_line("Rehearsing as", PATIENCE);
        Ingest { process, dir }
    }

    pub fn report(&mut self) -> Value {
        if !self.process.has_ended() {
            self.process.terminate(PATIENCE);
        }
        serde_json::from_slice(&std::fs::read(self.dir.join("report.json")).unwrap()).unwrap()
    }

    /// When the publish of that number began, on all keys.
    #[track_caller]
    pub fn publish(&self, number: usize) -> Instant {
        let found = regia_testkit::wait::until(PATIENCE, || {
            let lines = self.process.lines();
            lines
                .iter()
                .filter(|line| line.text.ends_with(" begins"))
                .nth(number - 1)
                .map(|line| line.at)
        });
        found.unwrap_or_else(|| panic!("no publish {number}:\n{}", self.process.text()))
    }

    pub fn arrived(&self) -> Vec<Option<Stamp>> {
        frames(&self.dir.join("arrived"))
    }
}

/// Where an ingest will be, for the configuration that is written before it.
pub fn address() -> SocketAddr {
    ports::loopback()
}

/// The stamp of each frame in a directory's FLV files, in their order; None for one without.
fn frames(dir: &Path) -> Vec<Option<Stamp>> {
    let mut files = regia_testkit::flv::files(dir);
    files.sort();
    files.iter().flat_map(|file| frames_of(file)).collect()
}

fn frames_of(file: &Path) -> Vec<Option<Stamp>> {
    let bytes = std::fs::read(file).unwrap();
    // Adobe's FLV 10.1, annex E: a header of nine bytes, then four, then tags of eleven, a body and four.
    let mut rest = bytes.get(13..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<11>() {
        let size = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let Some(body) = after.get(..size) else { break };
        if let (9, [_, 1, _, _, _, data @ ..]) = (header[0] & 0x1f, body) {
            frames.push(stamp::find(data));
        }
        rest = after.get(size + 4..).unwrap_or_default();
    }
    frames
}

/// No frame between the first and the last is missing.
#[track_caller]
pub fn assert_every_frame(frames: &[Option<Stamp>]) {
    let numbers: Vec<u64> = frames.iter().flatten().map(|stamp| stamp.frame).collect();
    assert_eq!(numbers.len(), frames.len(), "a frame without a stamp");
    assert!(!numbers.is_empty());
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    let whole: Vec<u64> = (sorted[0]..=sorted[sorted.len() - 1]).collect();
    assert_eq!(sorted, whole);
}

pub fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}
