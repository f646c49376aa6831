//! Keeps one engine running: starts it with a socketpair as its standard input, passes on what it says,
//! and starts it anew when it dies or stops making progress. Shell: tokio.

use super::codec::{Decoder, Message, ProtocolError};
use super::mix::{MixCommand, MixState};
use super::protocol::{Down, EngineEvent, Pushed, Up, VERSION};
use super::restart::RestartPolicy;
use crate::config::EngineSpec;
use crate::media::MediaTime;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{Instrument, info, info_span, warn};

/// How long an engine that was told to stop may take to hand over its last units.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// What is pushed and waits for the engine to take it: some seconds of units.
const PUSHED_QUEUE: usize = 512;
/// A line of stderr longer than this is logged in parts.
const LOG_LINE: u64 = 8 << 10;

#[derive(Clone, Debug)]
pub struct SupervisorSettings {
    /// The regia binary; it is called with the argument `engine`.
    pub program: PathBuf,
    pub spec: EngineSpec,
    /// How long a run may take to its first unit: GStreamer may have to scan its plugins, a camera to wake.
    pub start_limit: Duration,
    /// How long units may stay away after that until the engine counts as stuck.
    pub stall_limit: Duration,
}

impl SupervisorSettings {
    /// The running binary as the engine's program, and the usual limits.
    pub fn new(spec: EngineSpec) -> io::Result<Self> {
        Ok(SupervisorSettings {
            program: std::env::current_exe()?,
            spec,
            start_limit: Duration::from_secs(15),
            stall_limit: Duration::from_secs(3),
        })
    }
}

/// What the supervisor reports, in order. Runs are counted from 1.
#[derive(Debug)]
pub enum EngineOutput {
    Started {
        run: u64,
        pid: Option<u32>,
    },
    Message {
        run: u64,
        up: Up,
    },
    /// The run is over and its process reaped; another follows unless the engine was told to stop.
    Ended {
        run: u64,
        text: String,
    },
}

#[derive(Clone, Debug)]
enum EngineCommand {
    SetBitrate {
        kbps: u32,
    },
    WantSlate,
    Mix {
        request: u64,
        at: MediaTime,
        command: MixCommand,
    },
    Stop,
}

/// Steers the engine. When the handle is dropped, the engine is stopped as by `stop`.
#[derive(Debug)]
pub struct EngineHandle {
    commands: mpsc::UnboundedSender<EngineCommand>,
    pushed: mpsc::Sender<(u16, Pushed)>,
}

/// Hands over what is pushed to `rtmp` sources.
#[derive(Clone, Debug)]
pub struct Inlet(mpsc::Sender<(u16, Pushed)>);

impl Inlet {
    /// False: the engine does not keep up, or there is none just now, and it has not been taken.
    pub fn put(&self, source: u16, pushed: Pushed) -> bool {
        self.0.try_send((source, pushed)).is_ok()
    }

    /// Until no engine follows.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

impl EngineHandle {
    /// Holds for the runs that follow as well.
    pub fn set_bitrate(&self, kbps: u32) {
        // A supervisor that is gone has nothing left to steer.
        let _ = self.commands.send(EngineCommand::SetBitrate { kbps });
    }

    /// The engine encodes its slate and hands it over; so does each run that follows.
    pub fn want_slate(&self) {
        let _ = self.commands.send(EngineCommand::WantSlate);
    }

    /// Answered by `EngineEvent::MixDone` with the same number, unless the run ends before. What is looked at holds for the runs
    /// that follow as well.
    pub fn mix(&self, request: u64, command: MixCommand) {
        self.mix_at(request, MediaTime::ZERO, command);
    }

    /// The same, to show from a time of CLOCK_MONOTONIC on.
    pub fn mix_at(&self, request: u64, at: MediaTime, command: MixCommand) {
        let _ = self.commands.send(EngineCommand::Mix {
            request,
            at,
            command,
        });
    }

    pub fn inlet(&self) -> Inlet {
        Inlet(self.pushed.clone())
    }

    /// The engine hands over what it has, ends, and is not started again; then the output channel closes.
    pub fn stop(&self) {
        let _ = self.commands.send(EngineCommand::Stop);
    }
}

/// Starts the supervisor as a task. It ends when it is told to stop or when `output` is closed.
pub fn start(settings: SupervisorSettings, output: mpsc::Sender<EngineOutput>) -> EngineHandle {
    let (commands, receiver) = mpsc::unbounded_channel();
    let (pushed, pushed_receiver) = mpsc::channel(PUSHED_QUEUE);
    let supervisor = Supervisor {
        settings,
        output,
        commands: receiver,
        pushed: pushed_receiver,
        bitrate_kbps: None,
        wants_slate: false,
        mix: None,
        look: None,
    };
    tokio::spawn(supervisor.run());
    EngineHandle { commands, pushed }
}

struct Supervisor {
    settings: SupervisorSettings,
    output: mpsc::Sender<EngineOutput>,
    commands: mpsc::UnboundedReceiver<EngineCommand>,
    pushed: mpsc::Receiver<(u16, Pushed)>,
    /// What was last asked for, if it was changed in flight: a new run starts with it.
    bitrate_kbps: Option<u32>,
    wants_slate: bool,
    /// How the programme was arranged last: the next run goes on with it.
    mix: Option<Box<MixState>>,
    /// What somebody looks at: the next run makes it too.
    look: Option<(u64, MixCommand)>,
}

/// Why a run is over.
#[derive(Debug, thiserror::Error)]
enum RunEnd {
    #[error("the engine was stopped")]
    Stopped,
    #[error("nobody listens to the engine any more")]
    Unheard,
    #[error("{0}")]
    Failed(String),
}

impl Supervisor {
    async fn run(mut self) {
        let mut policy = RestartPolicy::default();
        for run in 1.. {
            let began = Instant::now();
            let end = self
                .run_once(run)
                .instrument(info_span!("engine", run))
                .await;
            let text = end.to_string();
            let heard = self.report(EngineOutput::Ended { run, text }).await;
            match end {
                RunEnd::Failed(text) if heard => {
                    let pause = policy.pause_after(began.elapsed());
                    warn!(
                        run,
                        pause_s = pause.as_secs_f64(),
                        "{text}; it is started again"
                    );
                    if self.stopped_within(pause).await {
                        return;
                    }
                }
                end => {
                    info!(run, %end, "the engine ended");
                    return;
                }
            }
        }
    }

    /// One engine process from its start until it is reaped.
    async fn run_once(&mut self, run: u64) -> RunEnd {
        let (mut child, socket) = match self.spawn() {
            Ok(started) => started,
            Err(error) => {
                let program = self.settings.program.display();
                return RunEnd::Failed(format!("the engine {program} can't be started: {error}"));
            }
        };
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(log_lines(stderr).in_current_span());
        }
        let pid = child.id();
        let end = if self.report(EngineOutput::Started { run, pid }).await {
            self.converse(run, socket).await
        } else {
            RunEnd::Unheard
        };
        // The socket is closed by now, which ends a sound engine by itself; one that hangs is killed. Waiting
        // for its end, however long that takes, is what keeps two engines from ever sharing a device.
        let grace = match end {
            RunEnd::Failed(_) => Duration::ZERO,
            RunEnd::Stopped | RunEnd::Unheard => STOP_GRACE,
        };
        let status = match timeout(grace, child.wait()).await {
            Ok(status) => status,
            Err(_) => match child.start_kill() {
                Ok(()) => child.wait().await,
                Err(error) => Err(error),
            },
        };
        match (end, status) {
            (RunEnd::Failed(text), Ok(status)) => RunEnd::Failed(format!("{text} ({status})")),
            (end, _) => end,
        }
    }

    fn spawn(&self) -> io::Result<(Child, UnixStream)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = Command::new(&self.settings.program)
            .arg("engine")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is the director's to handle: it still wants the engine's last units.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok((child, UnixStream::from_std(ours)?))
    }

    /// Talks to a running engine until it, we or nobody wants to any more.
    async fn converse(&mut self, run: u64, socket: UnixStream) -> RunEnd {
        let (reader, mut writer) = socket.into_split();
        let start = Down::Start {
            version: VERSION,
            spec: Box::new(self.settings.spec.clone()),
            mix: self.mix.clone(),
        };
        let bitrate = self.bitrate_kbps.map(|kbps| Down::SetBitrate { kbps });
        let slate = self.wants_slate.then_some(Down::EncodeSlate);
        let look = self.look.clone();
        let look = look.map(|(request, command)| Down::Mix {
            request,
            at: MediaTime::ZERO,
            command,
        });
        let start = std::iter::once(start).chain(bitrate);
        for message in start.chain(slate).chain(look) {
            if let Err(text) = send(&mut writer, &message).await {
                return RunEnd::Failed(text);
            }
        }
        // What was pushed while there was no engine is old.
        while self.pushed.try_recv().is_ok() {}
        let mut ups = UpReader {
            reader,
            decoder: Decoder::new(),
        };
        let mut fatal = None;
        let mut deadline = Instant::now() + self.settings.start_limit;
        let mut first_unit = true;
        loop {
            tokio::select! {
                // Commands first: they are few, units are many.
                biased;
                command = self.commands.recv() => match command {
                    Some(EngineCommand::SetBitrate { kbps }) => {
                        self.bitrate_kbps = Some(kbps);
                        if let Err(text) = send(&mut writer, &Down::SetBitrate { kbps }).await {
                            return RunEnd::Failed(text);
                        }
                    }
                    Some(EngineCommand::WantSlate) => {
                        self.wants_slate = true;
                        if let Err(text) = send(&mut writer, &Down::EncodeSlate).await {
                            return RunEnd::Failed(text);
                        }
                    }
                    Some(EngineCommand::Mix { request, at, command }) => {
                        self.note_look(request, &command);
                        if let Err(text) = send(&mut writer, &Down::Mix { request, at, command }).await {
                            return RunEnd::Failed(text);
                        }
                    }
                    Some(EngineCommand::Stop) | None => {
                        self.hand_over_the_rest(run, &mut ups, &mut writer).await;
                        return RunEnd::Stopped;
                    }
                },
                Some((source, pushed)) = self.pushed.recv() => {
                    if let Err(text) = send(&mut writer, &Down::Pushed { source, pushed }).await {
                        return RunEnd::Failed(text);
                    }
                }
                read = timeout_at(deadline, ups.next()) => match read {
                    Err(_) => return RunEnd::Failed(self.stall_text(first_unit)),
                    Ok(Err(text)) => return RunEnd::Failed(text),
                    Ok(Ok(None)) => {
                        return RunEnd::Failed(fatal.unwrap_or_else(|| "the engine died".into()));
                    }
                    Ok(Ok(Some(up))) => {
                        if let Up::Event(EngineEvent::Fatal { text }) = &up {
                            fatal = Some(text.clone());
                        }
                        if let Up::Event(EngineEvent::Mix(state)) = &up {
                            self.mix = Some(state.clone());
                        }
                        let is_unit = matches!(up, Up::Unit(_));
                        if !self.report(EngineOutput::Message { run, up }).await {
                            return RunEnd::Unheard;
                        }
                        // After the report: the time in which we were not listened to is not the engine's.
                        if is_unit {
                            first_unit = false;
                            deadline = Instant::now() + self.settings.stall_limit;
                        }
                    }
                },
            }
        }
    }

    fn note_look(&mut self, request: u64, command: &MixCommand) {
        if matches!(command, MixCommand::Look { .. }) {
            self.look = Some((request, command.clone()));
        }
    }

    fn stall_text(&self, before_first: bool) -> String {
        if before_first {
            let limit = self.settings.start_limit;
            format!("the engine gave nothing within {limit:?} of its start")
        } else {
            let limit = self.settings.stall_limit;
            format!("the engine gave nothing for {limit:?}")
        }
    }

    /// After a stop: what the encoders still hold is part of the programme.
    async fn hand_over_the_rest(
        &mut self,
        run: u64,
        ups: &mut UpReader,
        writer: &mut OwnedWriteHalf,
    ) {
        if send(writer, &Down::Stop).await.is_err() {
            return;
        }
        let deadline = Instant::now() + STOP_GRACE;
        while let Ok(Ok(Some(up))) = timeout_at(deadline, ups.next()).await {
            if !self.report(EngineOutput::Message { run, up }).await {
                return;
            }
        }
    }

    /// False: nobody listens any more.
    async fn report(&self, output: EngineOutput) -> bool {
        self.output.send(output).await.is_ok()
    }

    /// Waits between two runs, still taking commands. True: stop.
    async fn stopped_within(&mut self, pause: Duration) -> bool {
        let wait = sleep(pause);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(EngineCommand::SetBitrate { kbps }) => self.bitrate_kbps = Some(kbps),
                    Some(EngineCommand::WantSlate) => self.wants_slate = true,
                    // Whoever asked has been told that the engine is gone.
                    Some(EngineCommand::Mix { request, command, .. }) => self.note_look(request, &command),
                    Some(EngineCommand::Stop) | None => return true,
                },
                () = &mut wait => return false,
            }
        }
    }
}

struct UpReader {
    reader: OwnedReadHalf,
    decoder: Decoder<Up>,
}

impl UpReader {
    /// The engine's next message; None at its end. Safe to cancel: what was read stays in the decoder.
    async fn next(&mut self) -> Result<Option<Up>, String> {
        loop {
            let message = self.decoder.next_message();
            if let Some(up) = message.map_err(|e: ProtocolError| e.to_string())? {
                return Ok(Some(up));
            }
            match self.reader.read_buf(self.decoder.space()).await {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(format!("the engine's socket failed: {error}")),
            }
        }
    }
}

async fn send(writer: &mut OwnedWriteHalf, message: &Down) -> Result<(), String> {
    let frame = message.encode().map_err(|e| e.to_string())?;
    match writer.write_all(&frame.to_vec()).await {
        // It died; the reading side finds out more, or at least how.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(format!("the engine takes no commands: {error}")),
        Ok(()) => Ok(()),
    }
}

/// What the engine and the libraries in it print, line by line, into our log.
async fn log_lines(stderr: ChildStderr) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader)
            .take(LOG_LINE)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end();
                if !text.is_empty() {
                    info!(target: "regia::engine", "{text}");
                }
            }
        }
    }
}
