//! A program that a test starts, with everything it prints, each line with the time at which it came. Its whole tree
//! is killed when the owner lets go of it.

use crate::usage;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

#[derive(Clone, Debug)]
pub struct Line {
    pub at: Instant,
    pub stream: Stream,
    pub text: String,
}

/// How to start a program.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    netns: Option<String>,
}

impl Launch {
    pub fn new(program: impl AsRef<Path>) -> Self {
        Launch {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            netns: None,
        }
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Runs in this network namespace.
    pub fn netns(mut self, name: Option<&str>) -> Self {
        self.netns = name.map(str::to_owned);
        self
    }

    /// `ip netns exec` and `setpriv` both end in exec, so the child's pid is the program's own.
    fn command(&self) -> Command {
        let mut command = match &self.netns {
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name, "setpriv"]);
                command
            }
            None => Command::new("setpriv"),
        };
        command.args(["--pdeathsig", "KILL", "--"]);
        command.arg(&self.program).args(&self.args);
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command.stdin(Stdio::null());
        command
    }

    /// The thread that calls this must outlive the process: the kernel kills it with the thread that started it.
    pub fn spawn(self) -> Process {
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("starting {}: {e}", self.program.display()));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let readers = [
            child.stdout.take().map(|s| read(s, Stream::Out, &lines)),
            child.stderr.take().map(|s| read(s, Stream::Err, &lines)),
        ];
        Process {
            name: self.program.display().to_string(),
            child,
            lines,
            readers: readers.into_iter().flatten().collect(),
        }
    }

    /// Runs to the end and returns stdout; panics with stderr when it fails.
    #[track_caller]
    pub fn output(self) -> Vec<u8> {
        let done = self
            .command()
            .output()
            .unwrap_or_else(|e| panic!("starting {}: {e}", self.program.display()));
        assert!(
            done.status.success(),
            "{} {:?} ended with {}: {}",
            self.program.display(),
            self.args,
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
        done.stdout
    }
}

fn read(
    source: impl Read + Send + 'static,
    stream: Stream,
    lines: &Arc<Mutex<Vec<Line>>>,
) -> std::thread::JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        // Bytes, not lines of text: ffmpeg prints whatever a file's metadata holds, and ends progress with a carriage return.
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            let line = Line {
                at: Instant::now(),
                stream,
                text: String::from_utf8_lossy(&line).trim_end().to_owned(),
            };
            lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        }
    })
}

#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<Line>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn lines(&self) -> Vec<Line> {
        self.locked().clone()
    }

    /// Everything printed so far, both streams, in the order of coming.
    pub fn text(&self) -> String {
        self.locked()
            .iter()
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first line that contains `part`; panics with everything printed when none comes or the program ends first.
    #[track_caller]
    pub fn wait_line(&mut self, part: &str, timeout: Duration) -> Line {
        let mut ended = false;
        let found = crate::wait::until(timeout, || {
            let line = self
                .locked()
                .iter()
                .find(|line| line.text.contains(part))
                .cloned()
                .map(Some);
            if line.is_none() && ended {
                return Some(None);
            }
            // One more look after the end: its last words may be still in the pipe.
            ended = self.has_ended() && self.readers.iter().all(|r| r.is_finished());
            line
        });
        found
            .flatten()
            .unwrap_or_else(|| panic!("{} never said {part:?}:\n{}", self.name, self.text()))
    }

    pub fn has_ended(&mut self) -> bool {
        self.try_status().is_some()
    }

    pub fn try_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            // An error means that it is gone already.
            let _ = kill_process(pid, signal);
        }
    }

    /// SIGKILL to this process alone: what it started has to find out by itself.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Waits for the end; panics with everything printed when it does not come.
    #[track_caller]
    pub fn wait_end(&mut self, timeout: Duration) -> ExitStatus {
        let status = crate::wait::until(timeout, || self.try_status());
        let Some(status) = status else {
            panic!(
                "{} still runs after {timeout:?}:\n{}",
                self.name,
                self.text()
            );
        };
        // A grandchild may hold the pipes open for ever: don't wait for the readers, only give them a moment.
        crate::wait::until(Duration::from_secs(1), || {
            self.readers.iter().all(|r| r.is_finished()).then_some(())
        });
        status
    }

    /// SIGTERM, then the end.
    #[track_caller]
    pub fn terminate(&mut self, timeout: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end(timeout)
    }

    /// SIGKILL to the program and all its descendants at once.
    pub fn kill_tree(&mut self) {
        if self.has_ended() {
            return;
        }
        let mut tree = usage::tree(self.pid());
        tree.retain(|&pid| pid != self.pid());
        self.signal(Signal::KILL);
        for pid in tree {
            if let Some(pid) = Pid::from_raw(pid as i32) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_tree();
        if std::thread::panicking() {
            let text = self.text();
            let tail: Vec<&str> = text.lines().rev().take(40).collect();
            eprintln!("--- the last words of {}:", self.name);
            for line in tail.into_iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_with_their_stream_and_the_tree_dies() {
        let mut shell = Launch::new("sh")
            .args(["-c", "echo out; echo err >&2; sleep 60 & echo $!; wait"])
            .spawn();
        let err = shell.wait_line("err", Duration::from_secs(10));
        assert_eq!(err.stream, Stream::Err);
        assert_eq!(
            shell.wait_line("out", Duration::from_secs(10)).stream,
            Stream::Out
        );
        let tree = crate::wait::must("the sleeper", Duration::from_secs(5), || {
            Some(usage::tree(shell.pid())).filter(|tree| tree.len() == 2)
        });
        drop(shell);
        let alive = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
        };
        crate::wait::must("all gone", Duration::from_secs(5), || {
            (!tree.iter().any(alive)).then_some(())
        });
    }

    #[test]
    #[should_panic(expected = "never said \"hello\"")]
    fn silence_of_a_dead_program_is_not_waited_for() {
        let mut process = Launch::new("true").spawn();
        process.wait_line("hello", Duration::from_secs(60));
    }
}
