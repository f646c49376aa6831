//! Sound from a sound server, alone and bound to a picture.

use crate::measure::*;
use crate::support::*;
use regia::bridge::protocol::{EngineEvent, SourceState};
use regia::config::*;
use regia_testkit::process::{Launch, Process};
use regia_testkit::{skip, wait};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A PulseAudio of the test's own, with a sink that plays to nobody and a tone that is played to it.
struct Server {
    _player: Process,
    process: Option<Process>,
    directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let process = Self::daemon(directory.path())?;
        let player = Self::player(directory.path());
        Some(Server {
            _player: player,
            process: Some(process),
            directory,
        })
    }

    fn daemon(directory: &Path) -> Option<Process> {
        let socket = directory.join("pulse.sock");
        let process = Launch::new("pulseaudio")
            .args([
                "-n",
                "--daemonize=no",
                "--use-pid-file=no",
                "--exit-idle-time=-1",
                "--disallow-exit",
                "--system=no",
            ])
            .args([
                "-L",
                "module-null-sink sink_name=hall rate=48000 channels=2",
            ])
            .arg("-L")
            .arg(format!(
                "module-native-protocol-unix auth-anonymous=1 socket={}",
                socket.display()
            ))
            .env("HOME", directory)
            .env("XDG_RUNTIME_DIR", directory)
            .spawn();
        wait::until(Duration::from_secs(20), || socket.exists().then_some(())).map(|()| process)
    }

    fn player(directory: &Path) -> Process {
        let path = tone(directory, [440.0, 440.0], [-20.0, -20.0], 120);
        Launch::new("paplay")
            .arg(path)
            .env("PULSE_SERVER", Self::address(directory))
            .spawn()
    }

    fn address(directory: &Path) -> String {
        format!("unix:{}", directory.join("pulse.sock").display())
    }
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Engines inherit the environment of whoever starts them, so a script stands between.
fn with_server(spec: EngineSpec, server: &Server) -> (EngineSpec, std::path::PathBuf) {
    let script = server.directory.path().join("engine.sh");
    let text = format!(
        "#!/bin/sh\nPULSE_SERVER={} exec {} \"$@\"\n",
        Server::address(server.directory.path()),
        engine_program().display()
    );
    std::fs::write(&script, text).unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, permissions).unwrap();
    (spec, script)
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_of_pulseaudio_is_heard_and_comes_back() {
    if !has("pulseaudio") || !has("paplay") {
        return skip::unavailable(
            "sound_of_pulseaudio_is_heard_and_comes_back",
            "pulseaudio is not installed",
        );
    }
    let mut server = Server::start().expect("PulseAudio starts");
    let mut spec = spec(SourceKind::Pulse {
        device: Some("hall.monitor".into()),
    });
    spec.programme.width = 160;
    spec.programme.height = 90;
    spec.programme.audio.bitrate_kbps = 320;
    let (spec, script) = with_server(spec, &server);
    let mut show = OnAir::begin_with(spec, |settings| settings.program = script).await;
    show.source_is(SourceState::Live).await;
    show.video_units(120).await;
    // The server is restarted, as an update or a crash does.
    server.process = None;
    let told = show.source_is(SourceState::Lost).await;
    assert!(told.starts_with("hall.monitor: "), "{told}");
    assert!(told.contains("pactl list short sources"), "{told}");
    let _ = std::fs::remove_file(server.directory.path().join("pulse.sock"));
    server.process = Server::daemon(server.directory.path());
    let _player = Server::player(server.directory.path());
    show.source_is(SourceState::Live).await;
    show.video_units(240).await;
    show.finish().await;
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
    let [left, _] = decoded(&show);
    let early = &left[RATE..3 * RATE];
    assert_level("before", early, 440.0, -20.0);
    let late = &left[left.len() - 3 * RATE / 2..left.len() - RATE / 4];
    assert_level("after the restart", late, 440.0, -20.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_has_the_sound_that_is_bound_to_it() {
    if !has("pulseaudio") || !has("paplay") {
        return skip::unavailable(
            "a_picture_has_the_sound_that_is_bound_to_it",
            "pulseaudio is not installed",
        );
    }
    let server = Server::start().expect("PulseAudio starts");
    let mut spec = spec(SourceKind::Test);
    spec.sources[0].audio.device = Some("pulse:hall.monitor".into());
    spec.programme.audio.bitrate_kbps = 320;
    let (spec, script) = with_server(spec, &server);
    let mut show = OnAir::begin_with(spec, |settings| settings.program = script).await;
    show.video_units(150).await;
    show.finish().await;
    let [left, _] = decoded(&show);
    let sound = &left[RATE..left.len() - RATE / 4];
    assert_level("the bound sound", sound, 440.0, -20.0);
    // The test picture's own beep of 1 kHz is not there.
    assert!(
        tone_db(sound, 1_000.0) < -60.0,
        "{}",
        tone_db(sound, 1_000.0)
    );
    drop(show);

    let mut spec = spec_with_a_device_that_is_not_there();
    spec.programme.audio.bitrate_kbps = 320;
    let mut show = OnAir::begin(spec).await;
    let no_sound = |show: &OnAir| {
        let mut states = show.events.iter().filter_map(source_state);
        states.any(|(state, detail)| {
            state == SourceState::Live && detail.starts_with("no sound: hw:31: ")
        })
    };
    show.until("word of the missing sound", no_sound).await;
    show.video_units(30).await;
    show.finish().await;
    let lost = |event: &EngineEvent| matches!(source_state(event), Some((SourceState::Lost, _)));
    assert!(
        !show.events.iter().any(lost),
        "the picture is there all the time"
    );
}

fn spec_with_a_device_that_is_not_there() -> EngineSpec {
    let mut spec = spec(SourceKind::Test);
    spec.sources[0].audio.device = Some("hw:31".into());
    spec
}
