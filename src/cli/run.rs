//! `regia run`: the daemon.

use super::{BAD_USAGE, FAILED, service};
use crate::config;
use crate::panel::api::{self, Api};
use crate::preflight;
use crate::session::{self, SessionHandle};
use anyhow::Context;
use std::path::Path;
use std::sync::Arc;
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
    let settings = loaded.settings;
    let session = session::start(settings.clone()).await?;
    let keys = Arc::new(preflight::keys::Configured);
    let preflight = preflight::start(settings, session.clone(), state.to_owned(), keys);
    let (shutdown, stopped) = watch::channel(false);
    let ended = async move {
        let mut stopped = stopped;
        // A sender that is gone means the same.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let socket = state.join("regia.sock");
    let served = Api {
        session: session.clone(),
        preflight,
    };
    let served = match api::serve(&socket, served, Box::pin(ended)).await {
        Ok(serving) => tokio::spawn(serving),
        Err(error) => {
            eprintln!("{error}");
            return Ok(FAILED);
        }
    };
    info!(config = %path.display(), socket = %socket.display(), "regia is ready");
    service::ready();
    let attended = tokio::spawn(service::attend(session.clone()));
    if live {
        session.start(Vec::new()).await?;
    }
    let code = until_signalled(session).await?;
    attended.abort();
    shutdown.send_replace(true);
    let _ = tokio::time::timeout(Duration::from_secs(2), served).await;
    let _ = std::fs::remove_file(&socket);
    Ok(code)
}

/// The first signal ends the broadcast in order; the second gives up what is left.
async fn until_signalled(mut session: SessionHandle) -> anyhow::Result<u8> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    service::stopping();
    info!("ending: what is left is delivered first; once more to give that up");
    session
        .stop(Vec::new())
        .await
        .or_else(|error| match error {
            session::SessionError::NoDestination => Ok(()),
            error => Err(error),
        })?;
    tokio::select! {
        () = session.standby() => Ok(0),
        _ = interrupt.recv() => Ok(FAILED),
        _ = terminate.recv() => Ok(FAILED),
    }
}
