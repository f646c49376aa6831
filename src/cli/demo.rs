//! `regia demo`: the whole way on one box, from a test picture to an RTMPS ingest over loopback.

use super::args::DemoArgs;
use super::{FAILED, panel};
use crate::config::{self, Settings};
use crate::panel::api;
use crate::preflight;
use crate::rehearsal::rules::Rules;
use crate::rehearsal::server::{Misbehaviour, Patience};
use crate::rehearsal::{Platform, Rehearsal, SecondPublish, Settings as RehearsalSettings, Tls};
use crate::session::event::Who;
use crate::session::keys::Memory;
use crate::session::{self, StartAsk, StopAsk};
use anyhow::Context;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Of the start-up, to which nobody's patience is owed.
const READY_WITHIN: Duration = Duration::from_secs(20);

pub async fn demo(args: DemoArgs) -> anyhow::Result<u8> {
    let scratch = tempfile::Builder::new()
        .prefix("regia-demo-")
        .tempdir()
        .context("cannot make a temporary directory")?;
    let rehearsal = Rehearsal::bind(RehearsalSettings {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        tls: Tls::SelfMade,
        rules: Rules {
            platform: Platform::Custom,
            limit: None,
            second_publish: SecondPublish::Refuse {
                ghost: Duration::ZERO,
            },
        },
        record: None,
        once: false,
        patience: Patience::default(),
        misbehave: Misbehaviour::default(),
    })
    .await?;
    let ca = scratch.path().join("ca.pem");
    std::fs::write(&ca, rehearsal.ca_pem().unwrap_or_default())?;
    let config = scratch.path().join("regia.toml");
    let settings = demo_settings(&rehearsal.url(), &ca, &config, args.port)?;
    println!(
        "A test programme goes to a rehearsal ingest at {}; Ctrl-C ends it.",
        rehearsal.url()
    );
    let mut lines = rehearsal.events();
    tokio::spawn(async move {
        while let Ok(event) = lines.recv().await {
            println!("{event}");
        }
    });
    let (shutdown, stopped) = oneshot::channel::<()>();
    let ingest = tokio::spawn(rehearsal.run(async move {
        let _ = stopped.await;
    }));
    let state = scratch.path().join("state");
    std::fs::create_dir(&state)?;
    let memory = Memory::open(&state, None)?;
    let store = memory.store.clone();
    let mut session = session::start(settings, Some(memory)).await?;
    let preflight = preflight::start(session.clone(), state.clone());
    let alerts = crate::alert::start(session.clone());
    let schedule = crate::schedule::start(
        session.clone(),
        preflight.clone(),
        alerts,
        Some(store.clone()),
    )
    .await?;
    let opened = crate::panel::open(
        config,
        &state,
        session.clone(),
        preflight,
        schedule,
        Some(store),
    );
    let api = opened.await?;
    let (end_socket, ended) = oneshot::channel::<()>();
    let ended = async move {
        let _ = ended.await;
    };
    let socket = state.join("regia.sock");
    let served = api::serve(&socket, api::router(api.clone()), Box::pin(ended)).await?;
    tokio::spawn(served);
    println!("The command line reaches it by --state {}", state.display());
    let panel = panel::serve(&session.settings().panel, &state, &api).await;
    if let Some(panel) = &panel
        && !args.no_browser
        && args.seconds.is_none()
    {
        panel::browse(&panel.link, scratch.path());
    }
    let on_air = if args.standby {
        true
    } else {
        session.start(StartAsk::all(Who::Cli)).await?;
        tokio::time::timeout(READY_WITHIN, session.on_air())
            .await
            .is_ok()
    };
    if on_air {
        until_enough(args.seconds).await?;
    } else {
        eprintln!(
            "Nothing was on air after {} s: what stands above says why.",
            READY_WITHIN.as_secs()
        );
    }
    session.stop(StopAsk::everything(Who::Cli)).await?;
    session.standby().await;
    if let Some(panel) = panel {
        panel.task.abort();
    }
    drop(end_socket);
    let _ = shutdown.send(());
    let report = ingest.await?;
    println!("\n{report}");
    Ok(if on_air && report.verdict.ok {
        0
    } else {
        FAILED
    })
}

/// Something to take, to fade and to write on: what costs nothing until it is shown.
const CAMERAS: &str = r#"[[source]]
id = "camera-1"
kind = "test"

[[source]]
id = "camera-2"
kind = "test"

[[scene]]
id = "wide"
layers = [{ source = "camera-1" }]

[[scene]]
id = "close"
layers = [{ source = "camera-2", crop = [0.25, 0.25, 0.25, 0.25] }]

[[scene]]
id = "both"
layout = "side-by-side"
sources = ["camera-1", "camera-2"]

[[title]]
id = "speaker"
kind = "lower-third"
lines = ["Anna Rossi", "Mayor of Trento"]

[[overlay]]
id = "lower"
title = "speaker"

"#;

/// The built-in configuration goes through the same reader as everybody's.
fn demo_settings(server: &str, ca: &Path, config: &Path, port: u16) -> anyhow::Result<Settings> {
    let text = format!(
        "[programme]\nwidth = 1280\nheight = 720\nfps = 30\n\n[programme.video]\nbitrate_kbps = 3000\n\n\
         {CAMERAS}\
         [[destination]]\nid = \"rehearsal\"\nplatform = \"rehearsal\"\nserver = {server:?}\nkey = \"demo\"\ntls_ca_file = {ca:?}\n\n\
         [panel]\nlisten = \"127.0.0.1:{port}\"\n"
    );
    // In a file, so that the panel can change it.
    std::fs::write(config, text)?;
    Ok(config::load(config)?.settings)
}

async fn until_enough(seconds: Option<u64>) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let enough = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = enough => {}
    }
    Ok(())
}
