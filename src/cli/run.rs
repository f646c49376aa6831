//! `regia run`: the daemon.

use super::{BAD_USAGE, FAILED, panel, service};
use crate::alert;
use crate::config;
use crate::panel::api;
use crate::preflight;
use crate::schedule;
use crate::session::event::Who;
use crate::session::keys::Memory;
use crate::session::{self, SessionError, SessionHandle, StartAsk, StopAsk};
use anyhow::Context;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

pub async fn run(config: Option<&Path>, state: &Path, live: bool) -> anyhow::Result<u8> {
    let path = config.map_or_else(config::default_path, Path::to_owned);
    let loaded = match config::load(&path) {
        Ok(loaded) => loaded,
        Err(errors) => {
            for problem in &errors.problems {
                eprintln!("{problem}");
            }
            return Ok(BAD_USAGE);
        }
    };
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    std::fs::create_dir_all(state)
        .with_context(|| format!("cannot make the state directory {}", state.display()))?;
    let socket = state.join("regia.sock");
    if let Err(error) = api::check_free(&socket).await {
        eprintln!("{error}");
        return Ok(FAILED);
    }
    let memory = match Memory::open(state, super::credentials().as_deref()) {
        Ok(memory) => memory,
        Err(error) => {
            eprintln!("{error}");
            return Ok(FAILED);
        }
    };
    let store = memory.store.clone();
    let session = session::start(loaded.settings, Some(memory)).await?;
    let preflight = preflight::start(session.clone(), state.to_owned());
    let alerts = alert::start(session.clone());
    let schedule = schedule::start(
        session.clone(),
        preflight.clone(),
        alerts,
        Some(store.clone()),
    )
    .await?;
    let opened = crate::panel::open(
        path.clone(),
        state,
        session.clone(),
        preflight,
        schedule,
        Some(store),
    );
    let api = opened.await?;
    let (shutdown, stopped) = watch::channel(false);
    let ended = async move {
        let mut stopped = stopped;
        // A sender that is gone means the same.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let router = api::router(api.clone());
    let served = match api::serve(&socket, router, Box::pin(ended)).await {
        Ok(serving) => tokio::spawn(serving),
        Err(error) => {
            eprintln!("{error}");
            return Ok(FAILED);
        }
    };
    let panel = panel::serve(&session.settings().panel, state, &api).await;
    let (leave, leaving) = watch::channel(false);
    let desks = panel::serve_obs(&session.settings().panel, state, &api, leaving).await;
    info!(config = %path.display(), socket = %socket.display(), "regia is ready");
    service::ready();
    let attended = tokio::spawn(service::attend(session.clone()));
    // What goes on by itself is what was meant to be on air.
    if live && session.status().state.is_idle() {
        go_live(&session).await?;
    }
    let code = until_signalled(session, &leave).await?;
    attended.abort();
    if let Some(panel) = panel {
        panel.task.abort();
    }
    if let Some(desks) = desks {
        desks.abort();
    }
    shutdown.send_replace(true);
    let _ = tokio::time::timeout(Duration::from_secs(2), served).await;
    let _ = std::fs::remove_file(&socket);
    Ok(code)
}

/// Starts every destination that can be: one that is refused is told, and keeps none of the others off the air.
async fn go_live(session: &SessionHandle) -> Result<(), SessionError> {
    let all = StartAsk::all(Who::Cli);
    let Err(error) = session.start(all.clone()).await else {
        return Ok(());
    };
    if matches!(error, SessionError::NoDestination | SessionError::Gone) {
        return Err(error);
    }
    for destination in session.destinations() {
        let alone = StartAsk {
            destinations: vec![destination],
            ..all.clone()
        };
        if let Err(error) = session.start(alone).await {
            warn!("{error}");
        }
    }
    Ok(())
}

/// The first signal ends the broadcast in order; the second gives up what is left.
async fn until_signalled(
    mut session: SessionHandle,
    leave: &watch::Sender<bool>,
) -> anyhow::Result<u8> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    service::stopping();
    leave.send_replace(true);
    info!("ending: what is left is delivered first; once more to give that up");
    session.stop(StopAsk::everything(Who::Cli)).await?;
    tokio::select! {
        () = session.standby() => Ok(0),
        _ = interrupt.recv() => Ok(FAILED),
        _ = terminate.recv() => Ok(FAILED),
    }
}
